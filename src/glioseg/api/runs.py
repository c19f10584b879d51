"""Trainings from Python: runs made, opened, scored and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from glioseg.api.addresses import takes_addresses
from glioseg.api.common import (
    AnyRecipe,
    Changes,
    Progress,
    StrPath,
    optional_path,
    reporter_of,
    require_from,
    require_kind,
    require_list,
    resolved,
    settings_of,
)
from glioseg.api.data import AnyData, folder_of
from glioseg.console import Reporter
from glioseg.errors import FileError, OptionError
from glioseg.io.text import read_json
from glioseg.runs.run_files import RECIPE, REPORT, require_run

if TYPE_CHECKING:
    from torch import nn

    from glioseg.cohorts.reading.layout import Layout
    from glioseg.config import Recipe
    from glioseg.console import OnProgress
    from glioseg.evaluation.conventions import ConventionName
    from glioseg.evaluation.metric import Metric
    from glioseg.machine.launched import Launched
    from glioseg.runs.compare import CompareResult
    from glioseg.runs.manifest import Verification
    from glioseg.runs.train import TrainResult
    from glioseg.tasks.scores import Scores
    from glioseg.tasks.task import AnyTask
    from glioseg.training.job import Loss


@dataclass(frozen=True)
class Run:
    """A run folder: what a training has written.

    Args:
        path: the folder.
        training: how the training of this call ended, with its scores; None for a run that was opened.

    Raises:
        FileError: no run there.
    """

    path: Path
    training: TrainResult | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        require_run(self.path)

    @property
    def recipe(self) -> Recipe:
        """As resolved when the run was begun."""
        from glioseg.config import read_recipe

        return read_recipe(str(self.path / RECIPE))

    @property
    def report(self) -> Path:
        """The page, ``report.html``; it may not be there yet."""
        return self.path / REPORT

    @property
    def log(self) -> list[dict[str, Any]]:
        """One row for each epoch (from 0): losses, scores, learning rate, seconds."""
        from glioseg.training.log import log_of

        return [row.to_json() for row in log_of(self.path)]

    def scores(self, part: str) -> dict[str, Any]:
        """The figures of a part (``val``, ``test``, …) that was evaluated, as ``evaluation-PART.json`` has them.

        Raises:
            OptionError: the part was not evaluated.
            FileError: its file is damaged.
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
        figures = read_json(path)
        if not isinstance(figures, dict):
            raise FileError("not an evaluation", path=path, remedy=f"Call glioseg.evaluate(run, part={part!r})")
        return figures

    def write_report(
        self,
        *,
        device: str = "auto",
        cache: StrPath | None = None,
        task: AnyTask | None = None,
        network: nn.Module | None = None,
        layout: Layout | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """Write ``report.html`` again, from what stands in the folder and the run's data.

        Args:
            device: ``auto``, ``cpu``, ``cuda:N``, ``mps``; the cases that are shown are predicted.
            cache: where prepared data is kept; None for ``cache`` beside the run.
            task: the one that the run was trained with, where it is your own.
            network: the module, likewise.
            layout: by which its data was read, likewise.
            progress: told how far it is.

        Raises:
            FileError: a file of the run, or its data, is missing or damaged.
        """
        from glioseg.runs.report import write_report

        return write_report(self.path, device, optional_path(cache), reporter_of(progress), task, network, layout)


@takes_addresses
def train(
    recipe: AnyRecipe,
    data: AnyData,
    out: StrPath,
    *,
    changes: Changes = (),
    split: StrPath | None = None,
    fold: int | None = None,
    device: str = "auto",
    devices: int = 1,
    restart: bool = False,
    evaluate: bool = True,
    tensorboard: bool = False,
    start_from: StrPath | None = None,
    cache: StrPath | None = None,
    task: AnyTask | None = None,
    network: nn.Module | None = None,
    loss: Loss | None = None,
    metrics: Sequence[Metric] = (),
    progress: Progress | None = None,
) -> Run:
    """Train a network, evaluate it and write a report. The same call continues a run that was interrupted, exactly.

    Args:
        recipe: what decides the training, as ``glioseg.recipe`` takes it.
        data: the scans, a folder or what ``glioseg.read`` gave.
        out: the run folder.
        changes: settings of the recipe to be changed.
        split: a split in a file, in place of a drawn one.
        fold: which fold of a cross-validation, from 0: of the file, or of the ``split.n_folds`` of the recipe.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``;
        devices: and how many of them train together, in as many processes; where ``torchrun`` or ``srun`` started this
            process, they say so.
        restart: begin anew where a run is there already.
        evaluate: end with evaluation and report.
        tensorboard: also write the log for TensorBoard; needs the extra ``track``.
        start_from: a run or bundle whose weights the training starts from, in place of the recipe's
            ``train.start_from``; its network may see more modalities.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        task: one of your own (``glioseg.Task``); None for the recipe's.
        network: a module of your own, in place of the recipe's: (B, C, H, W) or (B, C, D, H, W) -> logits of that size.
            It is changed. The bundle then needs ``glioseg.load(path, network=…)``.
        loss: a function of your own: (logits, targets (B, R, *S) 0/1, weights or None) -> scalar.
        metrics: of your own (``RegionMetric``, of a classifier ``ClassMetric``), in the evaluation at the end besides
            those that there are.
        progress: told how far it is; called with each step, too.

    Raises:
        ResumeError: the folder's checkpoint belongs to other settings, data, network or loss; nothing is changed.
        LostProcessError: another process of the training has ended, or does not answer.
        GliosegError: see reading, splitting, preparing, training.
    """
    from torch import nn as torch_nn

    from glioseg.config import notes_of_migration
    from glioseg.runs.options import RunOptions
    from glioseg.runs.own_parts import OwnParts
    from glioseg.runs.train import train as train_run

    require_from("devices", devices, 1)
    require_kind("network", network, (torch_nn.Module, NoneType), "a torch.nn.Module")
    require_kind("loss", loss, (Callable, NoneType), "a function of (logits, targets, weights)")  # type: ignore[arg-type]
    _require_task(task)
    require_metrics(metrics)
    drawn = {} if fold is None or split is not None else {"split.fold": fold}
    process = _launched_with(devices, restart=restart)
    options = RunOptions(
        run=Path(out),
        cache=optional_path(cache),
        split=optional_path(split),
        fold=None if split is None else fold,
        device=device,
        n_devices=devices,
        restart=restart,
        evaluate=evaluate,
        tensorboard=tensorboard,
        initial=optional_path(start_from),
        launched=process,
    )
    chosen, reporter = resolved(recipe, settings_of(changes) | drawn), reporter_of(progress)
    for note in notes_of_migration(chosen):
        reporter.say(note)
    result = train_run(
        chosen,
        folder_of(data),
        options,
        reporter,
        task=task,
        own=OwnParts(network, loss),
        metrics=metrics,
        watcher=None if progress is None or isinstance(progress, Reporter) else _StepsTold(progress),
    )
    return Run(Path(out), result)


def _launched_with(n_devices: int, *, restart: bool) -> Launched | None:
    """What started this process with others; an OptionError for options that do not go with that."""
    from glioseg.machine.launched import launched

    process = launched()
    if process is not None and n_devices > 1:
        raise OptionError(
            f"{process.by} says how many processes train together",
            found=f"{process.size} of them, and `--devices {n_devices}`",
            remedy="Leave `--devices` out",
        )
    if process is not None and restart:
        raise OptionError(
            f"`--restart` would delete the run each time that {process.by} starts it again",
            remedy="Delete the folder by hand, or name another `--out`",
        )
    return process


class _StepsTold:
    """Tells each step of a training to a function; never stops it."""

    def __init__(self, progress: OnProgress) -> None:
        self._progress = progress

    def on_step(self, done: int, total: int) -> None:
        self._progress("Training", done, total)

    def on_epoch(self, row: object) -> None:
        """An epoch is its steps."""


@takes_addresses
def evaluate(
    run: StrPath | Run,
    data: AnyData | None = None,
    part: str | None = None,
    *,
    out: StrPath | None = None,
    others: Sequence[StrPath | Run] = (),
    detect: bool = False,
    only: Sequence[str] = (),
    device: str = "auto",
    cache: StrPath | None = None,
    task: AnyTask | None = None,
    network: nn.Module | None = None,
    layout: Layout | None = None,
    metrics: Sequence[Metric] = (),
    convention: str | None = None,
    pixels: bool = False,
    on: str | None = None,
    contributions: bool = False,
    progress: Progress | None = None,
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
        layout: by which the run's data was read, where it is your own.
        metrics: of your own (``RegionMetric``, of a classifier ``ClassMetric``), besides those that there are.
        only: modalities to be shown, such as ``["t2f"]``: the others are hidden, as if they had not been acquired, and
            the figures are those of the part ``PART-only-NAMES``.
        convention: whose rules hold for empty masks and lesions: ``brats2023``, ``nnunet``, ``monai``,
            ``metrics-reloaded``, …; None for the recipe's.
        pixels: measure distances in pixels where millimetres are unknown.
        on: where cases are scored: ``ray``, ``ray://HOST:PORT``, with what each worker may use behind it
            (``ray,cpus=4,memory=8``, GB); None for this process. The figures are the same.
        contributions: also score it with each modality removed, and with its voxels in random order: what it
            contributed, ``contributions`` in ``.to_json()``.
        progress: told how far it is.

    Returns:
        ``.table()`` and ``.cases()`` are DataFrames, ``.to_json()`` is what ``evaluate --json`` prints; ``.left_out``
        are the cases of other data that are damaged or lack a modality, and why.

    Raises:
        OptionError, SplitError: a part that is not there, a bundle without data, patients that a member has seen.
        GeometryError: the network cannot do with ``only`` these modalities.
    """
    from glioseg.runs import evaluate as scoring
    from glioseg.runs.under import Under
    from glioseg.workers.choose import where_of

    require_list("others", others, '["runs/fold-1", "runs/fold-2"]')
    require_list("only", only, '["t2f"]')
    _require_task(task)
    require_metrics(metrics)
    other_data = None if data is None else folder_of(data)
    folder, kept = optional_path(out), optional_path(cache)
    reporter = reporter_of(progress)
    under = Under(convention_named(convention), pixels, contributions)
    if others and (detect or only or contributions or (task, network, layout) != (None, None, None)):
        options = {"`--detect`": detect, "`--only`": only, "`--contributions`": contributions}
        beside = next((option for option, value in options.items() if value), "a task, network or layout of your own")
        raise OptionError(
            "an ensemble is scored by what its networks were trained for, on all of their modalities",
            found=f"`--with` beside {beside}",
            remedy="Leave one of them out",
        )
    if on is not None and (others or detect):
        raise OptionError(
            "an ensemble, and whether tumour is found at all, are scored in one process",
            found="`--on` with `--with`" if others else "`--on` with `--detect`",
            remedy="Leave `--on` out",
        )
    if others:
        paths = [path_of(member) for member in others]
        ensemble = (path_of(run), paths, other_data, part, folder, device, kept, reporter, metrics)
        return scoring.evaluate_ensemble(*ensemble, under)
    return scoring.evaluate(
        path_of(run),
        other_data,
        part,
        folder,
        device,
        kept,
        reporter,
        detect=detect,
        task=task,
        network=network,
        layout=layout,
        metrics=metrics,
        only=only,
        under=under,
        where=where_of(on),
    )


@takes_addresses
def verify(
    manifest: StrPath | Run,
    data: AnyData | None = None,
    *,
    device: str = "auto",
    cache: StrPath | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Recompute the figures of a run, and compare them and all that they follow from with its ``manifest.json``.

    Args:
        manifest: the file in its run folder, the folder, or a Run.
        data: the scans, where they lie elsewhere than when the run was made.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        progress: told how far it is.

    Returns:
        ``.holds``, whether data, split, recipe, weights and every figure (within 1e-6) are those of the manifest;
        ``.checks``, one by one; ``.text`` for people. Another version of the code is told and is no fault by itself.

    Raises:
        FileError: no manifest, or scans that are missing.
    """
    from glioseg.runs.manifest import verify as verified

    place = manifest.path if isinstance(manifest, Run) else Path(manifest)
    other_data = None if data is None else folder_of(data)
    return verified(place, other_data, device=device, cache=optional_path(cache), reporter=reporter_of(progress))


@takes_addresses
def compare(
    *runs: StrPath | Run,
    part: str | None = None,
    metrics: Sequence[str | Metric] | None = None,
    out: StrPath | None = None,
) -> CompareResult:
    """Put evaluated runs side by side on the same patients: means, intervals, and a paired test of each pair.

    Args:
        runs: two or more runs, or folders that ``glioseg.evaluate(…, out=…)`` has written.
        part: ``val``, ``test``, ``train`` or ``all``; None takes the first that all have, test before val.
        metrics: names such as ``dice``, ``iou``, or metrics of your own that the runs were evaluated with; None for
            those that are usual.
        out: where ``comparison.json``, ``comparison.html`` and figures go; None writes nothing.

    Returns:
        ``.table()``, a DataFrame with a row for each region, metric and run; ``.tests()``, one with a row for each
        pair: mean difference, its 95 % interval, p of Wilcoxon's signed-rank test over patients [1], adjusted by Holm.

    Raises:
        OptionError: fewer than two runs, or one twice.
        FileError: no run there, or no part that all were evaluated on.
        ScoreError: no common case or region, another reference, or a metric that a run lacks.

    References:
        [1] Wilcoxon F. Individual comparisons by ranking methods. Biometrics Bulletin 1, 80-83, 1945.
    """
    from glioseg.evaluation.comparison import CompareOptions
    from glioseg.runs.compare import compare_runs

    require_list("metrics", metrics, '["dice", "recall"]')
    require_metrics([metric for metric in metrics or () if not isinstance(metric, str)])
    own_metrics = [metric for metric in metrics or () if not isinstance(metric, str)]
    names = dict.fromkeys(metric if isinstance(metric, str) else metric.name for metric in metrics or ())
    options = CompareOptions(metrics=tuple(names)) if names else None
    return compare_runs([path_of(run) for run in runs], part, options, optional_path(out), own_metrics)


def path_of(run: StrPath | Run) -> Path:
    """Where a run or bundle is."""
    if isinstance(run, Run):
        return run.path
    require_kind("run", run, (str, PathLike), "a run folder or a bundle, or a Run")
    return Path(run)


def require_metrics(metrics: Sequence[Metric]) -> None:
    """Refuse names where metrics of one's own are asked for: those that there are figure anyway.

    Raises:
        OptionError: something else than a list of metrics.
    """
    from glioseg.evaluation.metric import Metric

    require_list("metrics", metrics, "[glioseg.RegionMetric(…)]")
    for metric in metrics:
        require_kind("metrics", metric, Metric, "metrics of your own: RegionMetric, or ClassMetric of a classifier")


def convention_named(name: str | None) -> ConventionName | None:
    """The convention of that name; None stays None.

    Raises:
        OptionError: there is none.
    """
    from glioseg.evaluation.conventions import CONVENTIONS

    convention = next((convention for convention in CONVENTIONS if convention == name), None)
    if name is not None and convention is None:
        raise OptionError("there is no such convention", found=name, expected=f"one of {', '.join(CONVENTIONS)}")
    return convention


def _require_task(task: AnyTask | None) -> None:
    from glioseg.tasks.task import Task

    require_kind("task", task, (Task, NoneType), "a glioseg.Task of your own")
