"""What a training works on, from a folder of scans: read, prepared, split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glioseg.cohorts.splits.slicewise import by_slices, find_dark_slices
from glioseg.config import Recipe
from glioseg.console import Reporter
from glioseg.core import Cohort
from glioseg.preparation.cache import prepare
from glioseg.preparation.store import PreparedCohort
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data, read
from glioseg.runs.split import split_cohort, survey
from glioseg.tasks.data import TrainingData, require_asked, with_modalities
from glioseg.tasks.task import AnyTask


def gather(task: AnyTask, recipe: Recipe, data: Data, options: RunOptions, reporter: Reporter) -> TrainingData:
    """Read, prepare and split.

    Raises:
        GliosegError: see the parts: reading, preparing, splitting; data from which the task can learn nothing.
    """
    cache = options.cache_folder
    made = prepared_as(task, recipe, read(data, reporter), cache, reporter)
    cohort, prepared = made.cohort, made.prepared
    split = split_cohort(cohort, recipe.split, file=options.split, fold=options.fold, cache=cache, reporter=reporter)
    split.part("val")  # nothing can be trained without one
    training_data = TrainingData(
        cohort=cohort,
        prepared=prepared,
        split=split,
        modalities=made.modalities,
        targets=task.targets(recipe, cohort, prepared),
        copies=survey(cohort, cache, reporter).groups if task.draws_copies else (),
    )
    task.require(training_data)
    return training_data


@dataclass(frozen=True, eq=False)
class GatheredCohort:
    """The cases that a recipe uses, the same as arrays, and the modalities of its network, in order."""

    cohort: Cohort
    prepared: PreparedCohort
    modalities: tuple[str, ...]


def prepared_as(task: AnyTask, recipe: Recipe, cohort: Cohort, cache: Path, reporter: Reporter) -> GatheredCohort:
    """What a recipe trains on of a cohort, prepared into the folder ``cache``; errors as ``gather``."""
    cohort = task.usable(cohort, recipe.data, reporter)
    if recipe.split.protocol == "slice":
        with reporter.progress("Looking for dark slices") as step:
            dark = find_dark_slices(cohort, recipe.slices.dark_below, step) if recipe.slices.dark_below else {}
        cohort = by_slices(cohort, dark)
    task.check(recipe, cohort)
    with reporter.progress("Preparing") as step:
        modalities = recipe.data.of(cohort.modalities)
        require_asked(cohort, modalities)
        prepared = prepare(with_modalities(cohort, modalities), recipe.prepare, cache, progress=step)
    return GatheredCohort(cohort, prepared, modalities or prepared.modalities)
