"""The Python face: what the command line does, as functions on paths and objects.

Nothing here prints. Progress goes to ``progress``, a function called with (what is done, steps done, steps in all; 0
where their number is not known); messages go to the logger ``glioseg``. Errors are ``GliosegError``. Arrays are
(X, Y, Z), lengths millimetres, volumes millilitres.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glioseg.cohorts.reading.layout import Layout
from glioseg.config import Recipe, changed_recipe, parsed_change, read_recipe, recipe_values, require_effect
from glioseg.console import CallbackReporter, OnProgress
from glioseg.core import Cohort, LabelScheme
from glioseg.errors import OptionError, name_some
from glioseg.io.in_memory import Scan, image_of, label_map_of
from glioseg.runs import run_folder
from glioseg.runs.read import Data
from glioseg.runs.read import read as read_data

if TYPE_CHECKING:
    from torch import nn

    from glioseg.runs.inspect import InspectResult
    from glioseg.runs.predict import PredictResult
    from glioseg.tasks.task import AnyTask, CasePrediction, Members, Scores
    from glioseg.training.job import Loss

StrPath = str | PathLike[str]
Changes = Mapping[str, Any] | Sequence[str]
"""``{"train.epochs": 2}``, or ``["train.epochs=2"]`` as ``--set`` takes it."""
_FIELDS = tuple(field.name for field in fields(Cohort))


@dataclass(frozen=True)
class FolderCohort(Cohort):
    """A cohort that was read from a folder: paths, no pixels. See ``Cohort`` for what it holds."""

    data: Data | None = None

    def inspect(self, out: StrPath | None = None, *, progress: OnProgress | None = None) -> InspectResult:
        """Look at every voxel once: findings, and tables of what the cohort holds.

        Args:
            out: folder for ``report.html``, figures and ``inspect.json``; None writes nothing.
            progress: told how far it is.

        Returns:
            ``.findings``, ``.description`` and ``.table()``, a DataFrame with a row per case; volumes in ml.

        Raises:
            FileError: ``out`` is a file or cannot be written to.
        """
        from glioseg.runs.inspect import inspect

        folder = _optional_path(out)
        return inspect(_data(self), folder, CallbackReporter(progress))

    def _repr_html_(self) -> str:
        """A few lines, for notebooks."""
        facts = {
            "layout": f"{self.layout} ({self.reason})",
            "cases": f"{len(self.cases)} of {len(self.patients)} patients",
            "modalities": ", ".join(self.modalities),
            "labels": "none" if self.scheme is None else self.scheme.describe(),
            "classes": ", ".join(self.categories),
            "findings": name_some([finding.message for finding in self.findings], 3) if self.findings else "none",
        }
        rows = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in facts.items() if text)
        return f"<b>{html.escape(self.name)}</b><table>{rows}</table>"


def read(
    path: StrPath,
    *,
    layout: str | Layout | None = None,
    scheme: str | None = None,
    modalities: Sequence[str] | None = None,
    progress: OnProgress | None = None,
) -> FolderCohort:
    """Read a data set as it was downloaded: which files are whose, and what they show. No pixels are kept.

    Args:
        path: the folder, one above it, one below, or one patient's.
        layout: how it is laid out, if not recognised; a name, or a ``Layout`` of your own.
        scheme: name of the label scheme, where the files do not say what their integers mean.
        modalities: names of the channels in file order, where the files do not say.
        progress: told how many files were found.

    Raises:
        FileError, LayoutError: no such folder, or none that any layout fits.
        OptionError: no layout or scheme of that name.
    """
    data = Data(Path(path), layout, scheme, None if modalities is None else tuple(modalities))
    return _folder_cohort(read_data(data, CallbackReporter(progress)), data)


def recipe(source: str | PathLike[str] | Recipe, changes: Changes = ()) -> Recipe:
    """A recipe, all its settings resolved.

    Args:
        source: name of a shipped recipe, a TOML file, or a recipe.
        changes: settings to be changed.

    Raises:
        FileError: no such file, or not TOML.
        OptionError: unknown or unfitting settings; the message names the nearest known one.
    """
    return _resolved(source, changes)


@dataclass(frozen=True)
class Run:
    """A run folder: what a training has written.

    Args:
        path: the folder.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @property
    def recipe(self) -> Recipe:
        """As resolved when the run was begun."""
        return read_recipe(str(self.path / run_folder.RECIPE))

    @property
    def report(self) -> Path:
        """The page, ``report.html``; it may not be there yet."""
        return self.path / run_folder.REPORT

    @property
    def log(self) -> list[dict[str, Any]]:
        """One row for each epoch (from 0): losses, scores, learning rate, seconds."""
        from glioseg.training.log import log_of

        return [row.to_json() for row in log_of(self.path)]

    def scores(self, part: str) -> dict[str, Any]:
        """The figures of a part (``val``, ``test``, …) that was evaluated, as ``evaluation-PART.json`` has them.

        Raises:
            OptionError: the part was not evaluated.
        """
        path = self.path / f"evaluation-{part}.json"
        if not path.exists():
            parts = sorted(file.stem.removeprefix("evaluation-") for file in self.path.glob("evaluation-*.json"))
            raise OptionError(
                f"the part {part} was not evaluated",
                path=self.path,
                found=", ".join(parts) or "no evaluation",
                remedy=f"Call glioseg.evaluate(run, part={part!r})",
            )
        figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return figures


def train(
    recipe: str | PathLike[str] | Recipe,
    data: StrPath | Cohort,
    out: StrPath,
    *,
    changes: Changes = (),
    split: StrPath | None = None,
    fold: int | None = None,
    device: str = "auto",
    devices: int = 1,
    restart: bool = False,
    evaluate: bool = True,
    start_from: StrPath | None = None,
    cache: StrPath | None = None,
    task: AnyTask | None = None,
    network: nn.Module | None = None,
    loss: Loss | None = None,
    progress: OnProgress | None = None,
) -> Run:
    """Train a network, evaluate it and write a report. The same call continues a run that was interrupted, exactly.

    Args:
        recipe: what decides the training, as ``glioseg.recipe`` takes it.
        data: the scans, a folder or what ``glioseg.read`` gave.
        out: the run folder.
        changes: settings of the recipe to be changed.
        split: a split in a file, in place of a drawn one,
        fold: and which of its folds.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``;
        devices: and how many of them train together.
        restart: begin anew where a run is there already.
        evaluate: end with evaluation and report.
        start_from: a run or bundle whose weights the training starts from.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        task: one of your own (``glioseg.Task``); None for the recipe's.
        network: a module of your own, in place of the recipe's: (B, C, H, W) or (B, C, D, H, W) -> logits of that size.
            It is changed. The bundle then needs ``glioseg.load(path, network=…)``.
        loss: a function of your own: (logits, targets (B, R, *S) 0/1, weights or None) -> scalar.
        progress: told how far it is; called with each step, too.

    Raises:
        ResumeError: the folder's checkpoint belongs to other settings, data, network or loss; nothing is changed.
        GliosegError: see reading, splitting, preparing, training.
    """
    from glioseg.runs.options import RunOptions
    from glioseg.runs.own_parts import OwnParts
    from glioseg.runs.train import train as train_run

    resolved = _resolved(recipe, changes)
    options = RunOptions(
        run=Path(out),
        cache=_optional_path(cache),
        split=_optional_path(split),
        fold=fold,
        device=device,
        n_devices=devices,
        restart=restart,
        evaluate=evaluate,
        initial=_optional_path(start_from),
    )
    watcher = None if progress is None else _StepsTold(progress)
    train_run(
        resolved,
        _data(data),
        options,
        CallbackReporter(progress),
        task=task,
        own=OwnParts(network, loss),
        watcher=watcher,
    )
    return Run(Path(out))


class _StepsTold:
    """Tells each step of a training to a function; never stops it."""

    def __init__(self, progress: OnProgress) -> None:
        self._progress = progress

    def on_step(self, done: int, total: int) -> None:
        self._progress("Training", done, total)

    def on_epoch(self, row: object) -> None:
        """An epoch is its steps."""


def evaluate(
    run: StrPath | Run,
    data: StrPath | Cohort | None = None,
    part: str | None = None,
    *,
    out: StrPath | None = None,
    others: Sequence[StrPath | Run] = (),
    detect: bool = False,
    device: str = "auto",
    cache: StrPath | None = None,
    task: AnyTask | None = None,
    network: nn.Module | None = None,
    progress: OnProgress | None = None,
) -> Scores:
    """Score a trained network against the experts' masks or classes.

    Args:
        run: a run, or a bundle (which needs ``data``).
        data: scans with references; None for those of the run.
        part: ``train``, ``val``, ``test`` or ``all``; None for test, else val. Other data has no parts.
        out: where ``evaluation-PART.json`` and ``cases-PART.csv`` go; None for the run folder.
        others: further runs or bundles, averaged with the first.
        detect: score a network that segments by whether it finds tumour.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        task: the one that the run was trained with, where it is your own.
        network: the module, where it is your own; its weights are replaced by those of the run.
        progress: told how far it is.

    Returns:
        ``.table()`` and ``.cases()`` are DataFrames, ``.to_json()`` is what ``evaluate --json`` prints.

    Raises:
        OptionError, SplitError: a part that is not there, a bundle without data, patients that a member has seen.
    """
    from glioseg.runs import evaluate as scoring

    other = None if data is None else _data(data)
    folder, kept = _optional_path(out), _optional_path(cache)
    reporter = CallbackReporter(progress)
    if others and (detect or task is not None or network is not None):
        raise OptionError(
            "an ensemble is scored by what its networks were trained for",
            found="others with detect" if detect else "others with a task or network of your own",
            remedy="Leave others out",
        )
    if others:
        paths = [_path_of(member) for member in others]
        return scoring.evaluate_ensemble(_path_of(run), paths, other, part, folder, device, kept, reporter)
    return scoring.evaluate(
        _path_of(run), other, part, folder, device, kept, reporter, detect=detect, task=task, network=network
    )


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, or several whose probabilities are averaged, ready to predict."""

    members: Members

    @property
    def modalities(self) -> tuple[str, ...]:
        """What a case must have."""
        return self.members.modalities

    def predict(self, scans: Mapping[str, Scan] | Scan, *, name: str = "case") -> CasePrediction:
        """Predict one case.

        Args:
            scans: modality -> path, nibabel image, or (array (X, Y, Z), affine (4, 4) of RAS+ mm), all on one grid; the
                scan alone where the network needs one modality.
            name: what the case is called, and its files.

        Returns:
            Of a network that segments ``.label_map``, ``.probabilities`` (R, X, Y, Z), ``.volumes_ml``; of a classifier
            ``.decided``, ``.confidence``; of both ``.save(out)``.

        Raises:
            GeometryError: a modality is lacking, or lies on another grid.
            FileError: a file that cannot be read.
        """
        if not isinstance(scans, Mapping):
            if len(self.modalities) > 1:
                raise OptionError(
                    "one scan shows one modality, and the network needs several",
                    expected=", ".join(self.modalities),
                    remedy="Give a dictionary: " + ", ".join(f"{modality!r}: …" for modality in self.modalities),
                )
            scans = {self.modalities[0]: scans}
        return self.members.predict_image(name, image_of(scans))

    def predict_files(
        self, inputs: StrPath | Sequence[StrPath], out: StrPath, *, progress: OnProgress | None = None
    ) -> PredictResult:
        """Predict every case of folders and files and write masks, pictures and ``summary.csv``, as ``predict`` does.

        Args:
            inputs: folders of cases, volumes or pictures.
            out: where results go.
            progress: told how many cases are done.

        Raises:
            GeometryError: an input lacks a modality; nothing has been written then.
            FileError: ``out`` cannot be written to.
        """
        from glioseg.runs.predict import predict_with

        paths = [inputs] if isinstance(inputs, str | PathLike) else inputs
        return predict_with(
            self.members, [Path(path) for path in paths], Path(out), reporter=CallbackReporter(progress)
        )


def load(path: StrPath | Run, *others: StrPath | Run, device: str = "auto", network: nn.Module | None = None) -> Model:
    """Load a trained network.

    Args:
        path: a run folder or a bundle.
        others: further ones, whose probabilities are averaged with the first's.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        network: the module, where it was one of your own; its weights are replaced.

    Raises:
        FileError: no bundle there, or a damaged one.
        OptionError: networks that do not mean the same; a network of your own that is not given, or another one.
    """
    from glioseg.runs.predict import members_of

    return Model(members_of([_path_of(path), *(_path_of(other) for other in others)], device, network))


def score(
    reference: Scan,
    prediction: Scan,
    *,
    scheme: str | LabelScheme | None = None,
    regions: Sequence[str] | None = None,
) -> Scores:
    """Score any mask against another: paths, nibabel images or arrays on one grid.

    Args:
        reference: the expert's.
        prediction: of any origin.
        scheme: the meaning of their integers; None for masks of 0 and 1, or 0 and 255.
        regions: to be scored; None for those of the scheme.

    Returns:
        ``.table()`` is a DataFrame, ``.to_json()`` has the shape of ``evaluate --json``. Volumes are in ml where the
        spacing is known, else in voxels.

    Raises:
        GeometryError: the masks lie on different grids.
        LabelError: values outside the scheme, or whose meaning is not known.
    """
    from glioseg.evaluation.cases import score_case
    from glioseg.evaluation.protocol import EvaluateOptions, aggregate
    from glioseg.tasks.segment.score import scores_of

    expected, found = label_map_of(reference, scheme), label_map_of(prediction, scheme)
    names = tuple(regions or expected.scheme.default_regions)
    case = score_case("mask", "mask", expected, found, names)
    return scores_of("all", aggregate([case], EvaluateOptions(n_resamples=0)), [case])


def phantom(
    out: StrPath,
    patients: int = 20,
    *,
    layout: str = "brats2023",
    spacing_mm: float = 2.0,
    seed: int = 0,
    tissues: StrPath | None = None,
    randomised: int = 0,
    progress: OnProgress | None = None,
) -> FolderCohort:
    """Write synthetic patients as the files of a data set; the same seed gives the same files.

    Args:
        out: the folder; it must not exist, or be empty.
        patients: how many.
        layout: how the files are laid out.
        spacing_mm: size of a voxel; 1 gives 240 x 240 x 155.
        seed: from which all patients follow.
        tissues: where the T1 images of the same brains go, with CSF, grey and white matter; None writes none.
        randomised: how many, the first, have contrasts, shapes and acquisition beyond what is usual, for training.
        progress: told how many patients are written.

    Raises:
        FileError: the folder holds files, or cannot be written to.
        OptionError: no layout of that name; no patients, or voxels not between 1 and 6 mm.
    """
    from pydantic import ValidationError

    from glioseg.cohorts.phantom import PhantomOptions
    from glioseg.config.words import explained
    from glioseg.runs.phantom import phantom as write

    try:
        options = PhantomOptions(n_patients=patients, spacing_mm=spacing_mm, seed=seed, n_randomised=randomised)
    except ValidationError as error:
        raise OptionError(f"phantom patients are not made so: {explained(error, PhantomOptions)}") from error
    write(Path(out), options, layout, _optional_path(tissues), CallbackReporter(progress))
    return read(out)


def _resolved(source: str | PathLike[str] | Recipe, changes: Changes) -> Recipe:
    values = source.model_dump(mode="json") if isinstance(source, Recipe) else recipe_values(str(source))[0]
    settings = dict(changes) if isinstance(changes, Mapping) else dict(parsed_change(change) for change in changes)
    made = changed_recipe(values, [settings])
    require_effect(made, settings)
    return made


def _folder_cohort(cohort: Cohort, data: Data) -> FolderCohort:
    return FolderCohort(**{name: getattr(cohort, name) for name in _FIELDS}, data=data)


def _data(data: StrPath | Cohort) -> Data:
    if isinstance(data, FolderCohort) and data.data is not None:
        return data.data
    if isinstance(data, Cohort):
        raise OptionError("a cohort is known here by its folder", found=data.name, remedy="Read it with glioseg.read")
    return Data(Path(data))


def _optional_path(path: StrPath | None) -> Path | None:
    return None if path is None else Path(path)


def _path_of(run: StrPath | Run) -> Path:
    return run.path if isinstance(run, Run) else Path(run)
