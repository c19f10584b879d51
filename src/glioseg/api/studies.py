"""Many trainings from Python: studies and searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from glioseg.studies.options import StudyOptions
    from glioseg.studies.run import StudyResult
    from glioseg.studies.tune import TuneResult


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
    progress: Progress | None = None,
) -> StudyResult:
    """Train a recipe in all its variations and compare them. The same call continues a study that was interrupted.

    Args:
        study: name of a shipped study, a TOML file, or ``StudyOptions``.
        data: the scans, a folder or what ``glioseg.read`` gave; or several of these by name, of which each row takes
            the one that it asks for, or the first that can feed it.
        out: the study's folder; what is there is gone on with.
        recipe: in place of the study's: a name or a TOML file.
        folds: of a cross-validation, in place of the study's.
        seeds: of the trainings, in place of the study's.
        changes: settings that are changed in all rows.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` in the folder.
        restart: train runs anew whose settings or data have changed.
        progress: told how far it is.

    Returns:
        ``.table()``, a DataFrame with a row for each variation, part, region and metric; ``.page``; ``.interrupted``.
        A run that failed is in ``.facts`` and has not stopped the others.

    Raises:
        OptionError: no study of that name, no row can be trained, or runs in the folder have other settings.
        FileError: the folder holds other files, or cannot be written to.
    """
    from glioseg.studies import options as studying
    from glioseg.studies.run import study as run_study

    require_list("seeds", seeds, "[0, 1, 2]")
    own = {"recipe": recipe, "folds": folds, "seeds": seeds}
    changed = {name: value for name, value in own.items() if value is not None}
    return run_study(
        studying.study_of(study if isinstance(study, studying.StudyOptions) else str(study), changed),
        {name: folder_of(each) for name, each in data.items()} if isinstance(data, Mapping) else folder_of(data),
        Path(out),
        changes=texts_of(changes),
        device=device,
        cache=optional_path(cache),
        restart=restart,
        reporter=reporter_of(progress),
    )


def study_names() -> tuple[str, ...]:
    """The studies that come with glioseg."""
    from glioseg.studies.options import shipped_studies

    return tuple(shipped_studies())


def tune(
    recipe: AnyRecipe,
    data: AnyData,
    out: StrPath,
    *,
    trials: int = 20,
    minutes: float | None = None,
    changes: Changes = (),
    device: str = "auto",
    cache: StrPath | None = None,
    progress: Progress | None = None,
) -> TuneResult:
    """Search for better settings of a recipe, within the ranges that it declares; judged by validation alone.

    Needs the extra ``tune``. The same call continues a search that was interrupted.

    Args:
        recipe: as ``glioseg.recipe`` takes it; its part ``tune`` has the ranges.
        data: the scans, a folder or what ``glioseg.read`` gave; those of the test part are not looked at.
        out: the search's folder; what is there is gone on with.
        trials: in all, those of earlier calls counted in.
        minutes: stop after that time.
        changes: settings that are changed in all trials.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` in the folder.
        progress: told how far it is.

    Returns:
        ``.best``, the recipe that was written with the best settings, None where no trial ended well; ``.table()``, a
        DataFrame with a row for each trial; ``.page``; ``.interrupted``.

    Raises:
        OptionError: Optuna is missing, the recipe has no ranges or unfitting ones, or the folder holds another search.
        FileError: the folder holds other files, or cannot be written to.
    """
    from glioseg.studies import tune as tuning

    require_from("trials", trials, 1)
    return tuning.tune(
        resolved(recipe, changes),
        folder_of(data),
        Path(out),
        n_trials=trials,
        minutes=minutes,
        device=device,
        cache=optional_path(cache),
        reporter=reporter_of(progress),
    )
