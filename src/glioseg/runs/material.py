"""What a training works on: read, prepared, split; shared by training, evaluation and report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glioseg.cohorts.reading.pictures import picture_sources
from glioseg.cohorts.splits.slicewise import by_slices, find_dark_slices
from glioseg.cohorts.splits.split import Split
from glioseg.config import Recipe
from glioseg.console import QUIET, Reporter
from glioseg.core import Case, Cohort
from glioseg.core.labels import require_exclusive
from glioseg.errors import GliosegError, LabelError, OptionError, name_some
from glioseg.inference.predictor import lacks
from glioseg.io.raster import COLOURS
from glioseg.networks.build import is_classifier
from glioseg.preparation.cache import prepare
from glioseg.preparation.classes import class_names, require_classes
from glioseg.preparation.identity import plan_cohort
from glioseg.preparation.store import PreparedCohort, of_patients
from glioseg.runs.evaluating import Part
from glioseg.runs.guard import one_line
from glioseg.runs.read import Data, read
from glioseg.runs.split import split_cohort


@dataclass(frozen=True)
class Where:
    """Paths and machinery of a training: everything that is not in the recipe.

    Args:
        run: the run folder.
        cache: where prepared cohorts are kept; None for ``cache`` beside the run.
        split: a split to be used in place of a drawn one,
        fold: and which of its folds, where it is nnU-Net's file of several.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        n_devices: processes that train together.
        restart: begin anew where a run is there already.
        evaluate: end with evaluation and report.
        tensorboard: also write the log as events for TensorBoard.
        score_train: evaluate on the training part too.
        initial: a run or bundle whose weights the training starts from.
    """

    run: Path
    cache: Path | None = None
    split: Path | None = None
    fold: int | None = None
    device: str = "auto"
    n_devices: int = 1
    restart: bool = False
    evaluate: bool = True
    tensorboard: bool = False
    score_train: bool = False
    initial: Path | None = None

    @property
    def cache_folder(self) -> Path:
        """Where prepared cohorts are kept."""
        return self.cache or self.run.parent / "cache"


@dataclass(frozen=True, eq=False)
class Material:
    """What a training works on: the cohort as read, prepared, who is in which part; for a classifier the classes."""

    cohort: Cohort
    prepared: PreparedCohort
    split: Split
    modalities: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def part(self, name: str) -> Part:
        """A part by name; a SplitError where it is empty."""
        return Part.of(name, of_patients(self.prepared, frozenset(self.split.part(name))), self.cohort)


def gather(recipe: Recipe, data: Data, where: Where, reporter: Reporter) -> Material:
    """Read, prepare and split."""
    classifies = is_classifier(recipe.model)
    cohort = as_colours(read(data, reporter), recipe.data.modalities) if classifies else read(data, reporter)
    cohort = usable(cohort, recipe.data.max_patients, reporter, by_class=classifies)
    if recipe.split.protocol == "slice":
        with reporter.progress("Looking for dark slices") as step:
            dark = find_dark_slices(cohort, recipe.slices.dark_below, step) if recipe.slices.dark_below else {}
        cohort = by_slices(cohort, dark)
    if recipe.predict.activation == "softmax" and cohort.scheme is not None:
        require_exclusive(cohort.scheme, recipe.prepare.regions or cohort.scheme.default_regions)
    with reporter.progress("Preparing") as step:
        prepared = prepare(as_shown(cohort, recipe.data.modalities), recipe.prepare, where.cache_folder, progress=step)
    chosen = split_cohort(
        cohort, recipe.split, given=where.split, fold=where.fold, cache=where.cache_folder, reporter=reporter
    )
    chosen.part("val")
    material = Material(
        cohort,
        prepared,
        chosen,
        recipe.data.modalities or prepared.modalities,
        class_names(cohort) if classifies else (),
    )
    for name in ("train", "val") if classifies else ():
        require_classes(material.part(name).prepared, material.classes, name)
    return material


def as_colours(cohort: Cohort, modalities: Sequence[str] | None) -> Cohort:
    """Pictures sorted by class, in red, green and blue whatever their mode; grey ones show the same three times.

    Other cohorts, and pictures that are wanted as ``grey``, stay as they are.
    """
    if not cohort.categories or cohort.modalities != ("grey",) or modalities == ("grey",):
        return cohort
    cases = tuple(replace(case, images=picture_sources(case.images["grey"].paths[0], COLOURS)) for case in cohort.cases)
    return replace(cohort, cases=cases, modalities=COLOURS)


def as_shown(cohort: Cohort, modalities: Sequence[str] | None) -> Cohort:
    """The cohort with the modalities that a network sees, and no others.

    What is brain, and what is cropped, is decided by all modalities that are prepared: so that a scan is prepared alike
    for training and for a prediction, which has no others, these must be the network's own.

    Raises:
        OptionError: the cohort has no modality of that name.
        GeometryError: a case has none of them.
    """
    if modalities is None:
        return cohort
    unknown = [name for name in modalities if name not in cohort.modalities]
    if unknown:
        raise OptionError(
            "the cohort lacks a modality",
            path=cohort.name,
            found=", ".join(unknown),
            expected=f"some of {', '.join(cohort.modalities)}",
        )
    if set(modalities) == set(cohort.modalities):
        return cohort
    for case in cohort.cases:
        if not set(modalities) & set(case.images):
            raise lacks(modalities, modalities, tuple(case.images), case)
    cases = tuple(
        replace(case, images={name: source for name, source in case.images.items() if name in modalities})
        for case in cohort.cases
    )
    return replace(cohort, cases=cases, modalities=tuple(name for name in cohort.modalities if name in modalities))


def usable(cohort: Cohort, max_patients: int | None, reporter: Reporter, *, by_class: bool = False) -> Cohort:
    """The cases that a training can use: with a reference, or ``by_class`` with a class; at most ``max_patients``."""
    if by_class and cohort.categories:
        return _at_most(cohort, cohort.cases, max_patients)
    if cohort.scheme is None or not any(case.labels is not None for case in cohort.cases):
        has_masks = any(case.labels is not None for case in cohort.cases)
        raise LabelError(
            "the meaning of the labels is not known" if has_masks else "no case has a reference",
            path=cohort.name,
            remedy="Say it with --scheme" if has_masks else "Training needs masks beside the images",
        )
    without = [case.id for case in cohort.cases if case.labels is None]
    if without:
        reporter.say(f"Left out, for want of a reference: {name_some(without)}")
    return _at_most(cohort, tuple(case for case in cohort.cases if case.labels is not None), max_patients)


def _at_most(cohort: Cohort, cases: tuple[Case, ...], max_patients: int | None) -> Cohort:
    """The first patients by name; of pictures sorted by class the first of each class in turn."""
    if max_patients is not None:
        turns: Counter[str | None] = Counter()
        order: dict[str, int] = {}
        for case in sorted(cases, key=lambda case: case.patient):
            turns[case.category] += case.patient not in order
            order.setdefault(case.patient, turns[case.category])
        kept = frozenset(sorted(order, key=lambda patient: (order[patient], patient))[:max_patients])
        cases = tuple(case for case in cases if case.patient in kept)
    return replace(cohort, cases=cases)


def cannot_feed(recipe: Recipe, cohort: Cohort) -> tuple[str | None, str]:
    """Why a recipe cannot be trained on a cohort, None if it can; and the key of what it would be trained on."""
    try:
        classifies = is_classifier(recipe.model)
        read_in = as_colours(cohort, recipe.data.modalities) if classifies else cohort
        shown = as_shown(usable(read_in, recipe.data.max_patients, QUIET, by_class=classifies), recipe.data.modalities)
        return None, plan_cohort(shown, recipe.prepare).key
    except GliosegError as error:
        return one_line(error), ""
