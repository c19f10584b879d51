"""Words and figures that several parts of a cohort's report share."""

from __future__ import annotations

from glioseg.cohorts.description import CohortDescription
from glioseg.cohorts.summary import CaseSummary
from glioseg.report import style

BRAIN = "voxels that are brighter than the background and its noise in some modality; the head, where it is in the scan"
"""What the word brain means in a report."""

MOST_ROWS = 3000
"""Rows of the longest table that a page holds."""


def grid_words(case: CaseSummary) -> tuple[str, str, str]:
    """A case's voxels, spacing in mm and orientation, as a table shows them."""
    if case.shape is None:
        return "unreadable", "–", "–"
    shape = " × ".join(map(str, case.shape))
    if not case.has_mm or case.spacing is None:
        return shape, "unknown", "unknown"
    return shape, " × ".join(f"{step:.3g}" for step in case.spacing), case.orientation or "unknown"


def amount(value: float, unit: str) -> str:
    """``71.2 ml``; voxels are counted, never rounded."""
    return f"{style.number(value) if unit == 'ml' else format(value, ',.0f')} {unit}"


def region_words(about: CohortDescription, name: str) -> str:
    """``TC = NCR + ET``; the name alone where the region is one label of that name."""
    members = () if about.scheme is None else about.scheme.regions[name]
    return name if [member.lower() for member in members] == [name.lower()] else f"{name} = {' + '.join(members)}"


def left_out(count: int, elsewhere: str = "inspect.json has all of them.") -> str:
    """What a table's caption says where it could not list all of ``count`` rows; else nothing."""
    return f"The first {MOST_ROWS:,} of {count:,} are listed; {elsewhere}" if count > MOST_ROWS else ""


def tumour_sizes(about: CohortDescription) -> tuple[list[float], str]:
    """The size of every tumour that there is: in ml where millimetres are known, else in voxels."""
    volumes = [case.tumour_ml for case in about.cases if case.tumour_ml]
    if volumes:
        return volumes, "ml"
    return [float(case.tumour_voxels) for case in about.cases if case.tumour_voxels], "voxels"
