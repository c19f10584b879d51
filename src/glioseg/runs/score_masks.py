"""The masks that ``glioseg score`` reads: whose they are, what their integers mean, on which grid they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glioseg.cohorts.mask_folders import (
    masks_alone,
    match_masks,
    read_mask_folder,
    stated_scheme,
    unknown_cases,
)
from glioseg.console import QUIET, Reporter
from glioseg.core import Case, Cohort, Grid, LabelMap, LabelScheme, Source, scheme_named
from glioseg.errors import GeometryError, GliosegError, LabelError, LayoutError, ScoreError, name_some
from glioseg.io.in_memory import label_map_of
from glioseg.io.load import load_labels
from glioseg.preparation.resample import resample
from glioseg.runs.read import Data, read, scheme_given, with_labels_file

_MOST_FAULTS = 8


@dataclass(frozen=True)
class Masks:
    """One rater's masks, or one method's.

    Args:
        name: of the rater or method.
        folder: where they lie.
        scheme: what their integers mean; None for masks of 0 and 1, or 0 and 255.
        sources: case -> its mask; cases without one are absent.
    """

    name: str
    folder: Path
    scheme: LabelScheme | None
    sources: Mapping[str, Source]

    def missing(self, cases: Sequence[Case]) -> tuple[str, ...]:
        """The cases of which there is no mask."""
        return tuple(case.id for case in cases if case.id not in self.sources)


@dataclass(frozen=True)
class RaterPanel:
    """The references: the cases, and a mask of each by every rater."""

    cohort: Cohort
    raters: tuple[Masks, ...]


def read_panel(references: Mapping[str, Data], reporter: Reporter = QUIET) -> RaterPanel:
    """The references of one rater or several.

    A folder is read as a data set where it is one, and else as masks alone. The first rater's cases are those that
    are scored; of data sets the cases without a mask are left aside.

    Args:
        references: rater -> folder.
        reporter: told of progress.

    Raises:
        LayoutError: no mask in a folder, or a rater who lacks cases of the first, or has others.
        LabelError, OptionError: a scheme that there is not.
    """
    (first, data), *others = references.items()
    cohort = _cohort_of(data, reporter)
    sources = {case.id: case.labels for case in cohort.cases if case.labels is not None}
    raters = [Masks(first, data.path, cohort.scheme, sources)]
    for name, other in others:
        raters.append(_other_rater(name, other, cohort, reporter))
    return RaterPanel(cohort, tuple(raters))


def read_method(
    name: str, folder: Path, panel: RaterPanel, regions: Sequence[str], scheme: LabelScheme | str | None
) -> Masks:
    """A method's masks, matched with the cases of the references.

    Args:
        name: of the method.
        folder: its masks.
        panel: the references.
        regions: that are scored.
        scheme: what the masks' integers mean; None for what files beside them say, or else as in the references.

    Raises:
        LayoutError: no mask in the folder, masks of unknown cases, or none of any case.
        LabelError: the scheme lacks a region.
    """
    masks, cases = read_mask_folder(folder), panel.cohort.cases
    matched = match_masks(masks, cases)
    if matched.unknown:
        raise unknown_cases(matched.unknown, cases, folder)
    chosen = scheme_given(scheme) or stated_scheme(masks.root) or panel.raters[0].scheme
    try:
        (chosen or scheme_named("binary")).require_regions(regions)
    except LabelError as error:
        raise LabelError(
            f"{error.what}, which the reference has",
            path=folder,
            expected=error.expected,
            remedy="Say with `--prediction-scheme` what its integers mean, or score with `--regions` what both know",
        ) from error
    return Masks(name, folder, chosen, matched.sources)


def read_mask(masks: Masks, case: Case) -> LabelMap:
    """The mask of a case; errors name its file.

    Raises:
        FileError: missing, or damaged.
        LabelError: values that are no whole numbers, or whose meaning is not known.
    """
    source = masks.sources[case.id]
    if masks.scheme is None and source.kind != "raster":
        try:
            return label_map_of(source.paths[0])
        except LabelError as error:
            remedy = "Say what the integers mean: `glioseg score … --scheme brats2023`, or `--labels 1=oedema,2=core`"
            raise LabelError(
                error.what, path=source.paths[0], found=error.found, expected=error.expected, remedy=remedy
            ) from error
    return load_labels(replace(case, labels=source), masks.scheme or scheme_named("binary"))


def on_grid(labels: LabelMap, grid: Grid, masks: Masks, case: Case, *, allowed: bool) -> tuple[LabelMap, bool]:
    """A mask on the grid of its reference, and whether it had to be brought there, by the nearest voxel.

    Raises:
        GeometryError: it lies on another grid, and that is not allowed, or the axes are not parallel.
    """
    difference = grid.difference(labels.grid)
    if difference is None:
        return labels, False
    path = masks.sources[case.id].paths[0]
    if not allowed:
        raise GeometryError(
            f"the mask of {masks.name} does not lie on the grid of its reference",
            path=path,
            found=difference,
            remedy="Write masks on the grid of the scan that was drawn on, or add `--resample` (the nearest voxel)",
        )
    try:
        return resample(labels, grid), True
    except GeometryError as error:
        raise GeometryError(
            f"the mask cannot be brought to the grid of its reference: {error.what}",
            path=path,
            found=error.found or difference,
            remedy="Resample it with the program that made it",
        ) from error


def empty_mask(labels: LabelMap) -> LabelMap:
    """What stands for a mask that is missing: nothing is found."""
    return LabelMap(np.zeros(labels.grid.shape, np.uint8), labels.scheme, labels.grid)


def all_faults(faults: Sequence[GliosegError]) -> GliosegError:
    """Every mask that cannot be scored in one error, so that they can be mended together."""
    if len(faults) == 1:
        return faults[0]
    listed = [fault.text for fault in faults[:_MOST_FAULTS]]
    listed += [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
    return ScoreError(
        "\n  ".join([f"{len(faults)} masks cannot be scored:", *listed]),
        remedy="\nNo figure is given: without these cases it would be one of another cohort",
    )


def _cohort_of(data: Data, reporter: Reporter) -> Cohort:
    """The cases that have masks."""
    try:
        cohort = read(data, reporter)
    except LayoutError as error:
        return _masks_alone(data, error)
    with_masks = tuple(case for case in cohort.cases if case.labels is not None)
    return replace(cohort, cases=with_masks) if with_masks else _masks_alone(data, None)


def _masks_alone(data: Data, error: LayoutError | None) -> Cohort:
    """A folder that is no data set; ``error`` says why it is none."""
    scheme = with_labels_file(data).scheme
    try:
        return masks_alone(data.path, scheme_given(scheme))
    except LayoutError as nothing:
        raise nothing from error


def _other_rater(name: str, data: Data, cohort: Cohort, reporter: Reporter) -> Masks:
    own_cohort = _cohort_of(data, reporter)
    if own_cohort.layout == "masks":
        matched = match_masks(read_mask_folder(data.path), cohort.cases)
        sources, unknown = matched.sources, matched.unknown
    else:
        case_ids = {case.id for case in cohort.cases}
        sources = {case.id: case.labels for case in own_cohort.cases if case.labels is not None and case.id in case_ids}
        unknown = tuple(case.id for case in own_cohort.cases if case.id not in case_ids)
    masks = Masks(name, data.path, own_cohort.scheme or cohort.scheme, sources)
    if unknown:
        raise unknown_cases(unknown, cohort.cases, data.path)
    missing = masks.missing(cohort.cases)
    if missing:
        raise LayoutError(
            f"rater {name} has not drawn every case",
            path=data.path,
            found=f"no mask of {name_some(missing)}",
            expected="the cases of the first rater",
            remedy="Score the cases that all raters drew: leave the others out of every folder",
        )
    return masks
