"""Charts of intensities in a cohort's report: over all cases, of each, along the slices, between modalities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from glioseg.cohorts.description import CohortDescription
from glioseg.cohorts.summary import CaseSummary
from glioseg.errors import plural
from glioseg.io.raster import COLOURS
from glioseg.report import style
from glioseg.report.figures import intensities
from glioseg.report.figures.intensities import Spread
from glioseg.report.html import Block, Cell, Column, Section, Table, saved_picture

_T = TypeVar("_T")
_EQUAL = 0.999
"""Colours that correlate more than this are the same grey, but for what a JPEG made of it."""
_ENDS = {
    "S": ("inferior", "superior"),
    "A": ("posterior", "anterior"),
    "R": ("left", "right"),
    "": ("first slice", "last slice"),
}
"""Direction in which slices follow each other -> what the first and the last of them are."""
_TURNED = {"I": "S", "P": "A", "L": "R"}


def _with_one_grey(about: CohortDescription) -> CohortDescription:
    """A cohort whose three colours are equal, which is grey stored as colour, as one of grey pictures."""
    if tuple(about.modalities) != COLOURS or not np.all(about.correlation > _EQUAL):
        return about
    first, *rest = COLOURS

    def grey(by_modality: Mapping[str, _T]) -> dict[str, _T]:
        return {("grey" if name == first else name): value for name, value in by_modality.items() if name not in rest}

    return replace(
        about,
        modalities=("grey",),
        raw=grey(about.raw),
        normalised=grey(about.normalised),
        correlation=about.correlation[:1, :1],
        cases=tuple(replace(case, modalities=grey(case.modalities)) for case in about.cases),
    )


def intensity(about: CohortDescription, folder: Path) -> Section:
    """Distributions of intensities and what ties modalities together; equal colours are shown once, as grey."""
    about = _with_one_grey(about)
    raw = {name: histogram for name, histogram in about.raw.items() if histogram.counts.sum() > 0}
    if not raw:
        return Section("intensities", "Intensities", "", ())
    normalised = {name: about.normalised[name] for name in raw if name in about.normalised}
    blocks: list[Block] = [
        saved_picture(
            folder,
            "intensities",
            intensities.distributions(raw, normalised),
            "chart",
            title="Raw and normalised intensities",
            caption="Density over the brain, every case with the same weight. Raw "
            "intensities are in the files' own units; normalised ones have mean 0 and variance 1 over each case. "
            "An arrow marks a peak that is cut off because it would flatten the rest.",
        )
    ]
    if len(about.cases) > 1:
        blocks.append(
            saved_picture(
                folder,
                "intensities-by-case",
                intensities.by_patient(about.cases, list(raw)),
                "chart",
                title="Intensities of every case",
                caption="One mark per case: median (dark), middle half (thick) and 1st to 99th percentile (thin). "
                "Left: as stored; right: after z-scoring each case over its brain.",
            )
        )
    blocks += _along_slices(about, list(raw), folder)
    if len(raw) > 1:
        blocks.append(
            saved_picture(
                folder,
                "correlation",
                intensities.correlation(about.correlation, about.modalities),
                "map",
                title="Correlation between modalities",
                caption="Pearson's r over the brain voxels of the middle third of the slices, averaged over the cases "
                "that have both modalities. A value of 1.00 between two of them is a copy.",
                half=True,
            )
        )
        blocks.append(_intensity_table(about, list(raw)))
    return Section(
        "intensities",
        "Intensities",
        "MRI intensities have no unit: look here for scanners that disagree.",
        tuple(blocks),
    )


def _along_slices(about: CohortDescription, names: Sequence[str], folder: Path) -> list[Block]:
    """How raw intensities spread from the first slices to the last; nothing for single pictures."""
    stacks = [case for case in about.cases if any(len(modality.by_place) for modality in case.modalities.values())]
    if not stacks:
        return []
    (direction, n_cases), *_ = Counter(_direction(case)[0] for case in stacks).most_common()
    alike = [case for case in stacks if _direction(case)[0] == direction]
    spreads = {name: spread for name in names if (spread := middle_spread(alike, name)) is not None}
    start, end = _ENDS[direction]
    caption = (
        f"Raw intensities over the brain, in the files' own units, in each twentieth of the way from the first slice "
        f"that shows brain (0 %, {start}) to the last (100 %, {end}): median (dark), middle half and 1st to 99th "
        f"percentile (bands). "
    )
    caption += (
        f"Each is the median of {plural(n_cases, 'case')}, all with the same weight." if n_cases > 1 else "One case."
    )
    left_out = len(stacks) - n_cases
    caption += f" {plural(left_out, 'case')} sliced in another direction left out." if left_out else ""
    figure = intensities.by_slice(spreads, (start, end))
    return [
        saved_picture(
            folder, "intensities-by-slice", figure, "chart", title="Raw intensities by slice", caption=caption
        )
    ]


def _direction(case: CaseSummary) -> tuple[str, bool]:
    """Where a case's slices lead (S, A, R or, unknown, nothing), and whether in the order opposite to that."""
    towards = case.orientation[2] if case.orientation else ""
    return _TURNED.get(towards, towards), towards in _TURNED


def middle_spread(cases: Sequence[CaseSummary], name: str) -> Spread | None:
    """(SLICE_PLACES, len(QUANTILES)) the median case's quantiles at each place, all cases laid the same way up.

    Args:
        cases: their slices follow each other along one axis, be it up or down.
        name: a modality; None is returned where no case has it in slices.
    """
    tables = [
        case.modalities[name].by_place[:: -1 if _direction(case)[1] else 1]
        for case in cases
        if name in case.modalities and len(case.modalities[name].by_place)
    ]
    if not tables:
        return None
    masked = np.ma.masked_invalid(np.stack(tables).astype(np.float64))
    middle: Spread = np.ma.median(masked, axis=0).filled(np.nan)  # type: ignore[no-untyped-call]
    return middle


def _intensity_table(about: CohortDescription, names: Sequence[str]) -> Table:
    """Raw intensities of each modality in figures: the median case, and how far cases are apart."""
    rows = []
    for name in names:
        distributions = [case.modalities[name] for case in about.cases if name in case.modalities]
        means = [case.mean for case in distributions]
        figures = (np.median(means), min(means), max(means), np.median([case.std for case in distributions]))
        numbers = tuple(Cell(style.number(float(value)), float(value)) for value in figures)
        rows.append((Cell(style.modality_title(name)), *numbers))
    titles = ("Mean", "lowest", "highest", "SD")
    columns = (Column("Modality"), *(Column(title, numeric=True) for title in titles))
    caption = (
        "Raw intensities over the brain: the mean of the median case, the means of the cases at either end, the "
        "standard deviation of the median case."
    )
    return Table(columns, tuple(rows), caption, half=True)
