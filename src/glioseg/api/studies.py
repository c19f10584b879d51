"""Many trainings from Python: studies and searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.api.addresses import takes_addresses
from glioseg.api.common import (
    AnyRecipe,
    Changes,
    Progress,
    StrPath,
    optional_path,
    reporter_of,
    require_from,
    require_list,
    resolved,
    texts_of,
)
from glioseg.api.data import AnyData, folder_of
from glioseg.errors import OptionError

if TYPE_CHECKING:
    from glioseg.runs.read import Data
    from glioseg.studies.options import StudyOptions
    from glioseg.studies.run import StudyResult
    from glioseg.studies.runs import PlannedStudy
    from glioseg.studies.table import RunRecord
    from glioseg.studies.tune import TuneResult


@takes_addresses
def study(
    study: StrPath | StudyOptions,
    data: AnyData | Mapping[str, AnyData],
    out: StrPath,
    *,
    recipe: str | None = None,
    folds: int | None = None,
    seeds: Sequence[int] | None = None,
    changes: Changes = (),
    device: str = "auto",
    cache: StrPath | None = None,
    restart: bool = False,
    on: str | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    """Train a recipe in all its variations and compare them. The same call continues a study that was interrupted.

    Args:
        study: name of a shipped study, a TOML file, or ``StudyOptions``.
        data: the scans, a folder or what ``glioseg.read`` gave; or several of these by name, of which each row takes
            the one that it asks for, or the first that can feed it.
        out: the study's folder; a study in it is continued.
        recipe: in place of the study's: a name or a TOML file.
        folds: of a cross-validation, in place of the study's.
        seeds: of the trainings, in place of the study's.
        changes: settings that are changed in all rows.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` in the folder.
        restart: train runs anew whose settings or data have changed.
        on: where runs are trained: ``ray``, ``ray://HOST:PORT``, with what each worker may use behind it
            (``ray,cpus=4,memory=8``, GB); None for one after the other in this process. The files are the same.
        progress: told how far it is.

    Returns:
        ``.table()``, a DataFrame with a row for each variation, part, region and metric; ``.page``; ``.interrupted``.
        A run that failed is in ``.facts`` and has not stopped the others.

    Raises:
        OptionError: no study of that name, no row can be trained, or runs in the folder have other settings.
        FileError: the folder holds other files, or cannot be written to.
    """
    from glioseg.studies.run import study as run_study
    from glioseg.workers.choose import where_of

    return run_study(
        _options(study, recipe, folds, seeds),
        _folders(data),
        Path(out),
        changes=texts_of(changes),
        device=device,
        cache=optional_path(cache),
        restart=restart,
        where=where_of(on),
        reporter=reporter_of(progress),
    )


@dataclass(frozen=True)
class StudyPlan:
    """The runs of a study, each to be trained by whichever process, such as the jobs of a cluster's queue.

    Args:
        planned: the study.
    """

    planned: PlannedStudy = field(repr=False)

    @property
    def runs(self) -> tuple[str, ...]:
        """Their names, which are those of their folders in the study's: ``dice/fold-0-seed-0``."""
        return tuple(run.name for run in self.planned.runs)

    @property
    def missing(self) -> tuple[str, ...]:
        """Those that have not ended well by now."""
        return tuple(run.name for run in self.planned.missing)

    def train(self, run: str, *, restart: bool = False, progress: Progress | None = None) -> RunRecord:
        """Train a run, or go on with it; one that has ended is left as it is. ``glioseg.study`` then has its figures.

        Args:
            run: one of ``runs``.
            restart: train it anew where its settings or data have changed.
            progress: told how far it is.

        Returns:
            ``.state``: ``finished``, ``failed`` (``.error`` says why), or ``running`` where it was interrupted.

        Raises:
            OptionError: no run of that name, or it was trained with other settings.
            FileError: another process trains it, or the folder cannot be written to.
        """
        from glioseg.studies.run import train_one

        return train_one(self.planned, run, restart=restart, reporter=reporter_of(progress))


def plan_study(
    study: StrPath | StudyOptions,
    data: AnyData | Mapping[str, AnyData],
    out: StrPath,
    *,
    recipe: str | None = None,
    folds: int | None = None,
    seeds: Sequence[int] | None = None,
    changes: Changes = (),
    device: str = "auto",
    cache: StrPath | None = None,
    progress: Progress | None = None,
) -> StudyPlan:
    """Name the runs of a study, so that each can be trained by a process of its own, at the same time, where it likes.

    The arguments are those of ``glioseg.study``, which makes the table when it is called with them afterwards.

    Args:
        study: name of a shipped study, a TOML file, or ``StudyOptions``.
        data: the scans, or several data sets by name.
        out: the study's folder, which all processes see.
        recipe: in place of the study's.
        folds: likewise.
        seeds: likewise.
        changes: settings that are changed in all rows.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` in the folder. Processes wait for what another prepares.
        progress: told how far it is.

    Returns:
        ``.missing``, the names of the runs that have not ended; ``.train(NAME)`` trains one.

    Raises:
        OptionError, FileError: as of ``glioseg.study``.
    """
    from glioseg.io.remote.address import shown, url_of
    from glioseg.studies.runs import plan_study as planned

    for option, place in {"`--out`": out, "`--cache`": cache}.items():
        url = None if place is None else url_of(str(place))
        if url is not None:
            raise OptionError(
                "the runs of a queue need a folder that all of them see",
                found=shown(url),
                remedy=f"Name one that the machines share with {option}",
            )
    return StudyPlan(
        planned(
            _options(study, recipe, folds, seeds),
            _folders(data),
            Path(out),
            changes=texts_of(changes),
            device=device,
            cache=optional_path(cache),
            reporter=reporter_of(progress),
        )
    )


def _options(
    study: StrPath | StudyOptions, recipe: str | None, folds: int | None, seeds: Sequence[int] | None
) -> StudyOptions:
    """The study with what is asked for in place of its own."""
    from glioseg.studies import options as studying

    require_list("seeds", seeds, "[0, 1, 2]")
    given = {"recipe": recipe, "folds": folds, "seeds": seeds}
    changed = {name: value for name, value in given.items() if value is not None}
    return studying.study_of(study if isinstance(study, studying.StudyOptions) else str(study), changed)


def _folders(data: AnyData | Mapping[str, AnyData]) -> Data | dict[str, Data]:
    from glioseg.runs.read import here

    if isinstance(data, Mapping):
        return {name: here(folder_of(each)) for name, each in data.items()}
    return here(folder_of(data))


def study_names() -> tuple[str, ...]:
    """The studies that come with glioseg."""
    from glioseg.studies.options import shipped_studies

    return tuple(shipped_studies())


@takes_addresses
def tune(
    recipe: AnyRecipe,
    data: AnyData,
    out: StrPath,
    *,
    trials: int = 20,
    at_once: int = 1,
    minutes: float | None = None,
    changes: Changes = (),
    device: str = "auto",
    cache: StrPath | None = None,
    on: str | None = None,
    progress: Progress | None = None,
) -> TuneResult:
    """Search for better settings of a recipe, within the ranges that it declares; judged by validation alone.

    Needs the extra ``tune``. The same call continues a search that was interrupted.

    Args:
        recipe: as ``glioseg.recipe`` takes it; its part ``tune`` has the ranges.
        data: the scans, a folder or what ``glioseg.read`` gave; those of the test part are not looked at.
        out: the search's folder; a search in it is continued.
        trials: in all, those of earlier calls counted in.
        at_once: how many are chosen without knowing of each other, so that they can be trained at the same time; what
            is found depends on it, and not on where they are trained.
        minutes: stop after that time.
        changes: settings that are changed in all trials.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` in the folder.
        on: where trials are trained, as of ``glioseg.study``.
        progress: told how far it is.

    Returns:
        ``.best``, the recipe that was written with the best settings, None where no trial ended well; ``.table()``, a
        DataFrame with a row for each trial; ``.page``; ``.interrupted``.

    Raises:
        OptionError: Optuna is missing, the recipe has no ranges or unfitting ones, or the folder holds another search.
        FileError: the folder holds other files, or cannot be written to.
    """
    from glioseg.studies import tune as tuning
    from glioseg.workers.choose import where_of

    require_from("trials", trials, 1)
    require_from("at_once", at_once, 1)
    return tuning.tune(
        resolved(recipe, changes),
        folder_of(data),
        Path(out),
        n_trials=trials,
        at_once=at_once,
        minutes=minutes,
        device=device,
        cache=optional_path(cache),
        where=where_of(on),
        reporter=reporter_of(progress),
    )
