"""Which slices of a cohort are worth showing: chosen by rule, the same for the same cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.description import DoubtfulMask, GalleryKind, GallerySlice, ViewPoint
from glioseg.cohorts.summary import CaseSummary
from glioseg.core import Finding, FindingKind

_N_POSITIVE = 8
_N_NEGATIVE = 4
_N_DARK = 8
_N_VIEWS = 4

_DOUBTS: tuple[FindingKind, ...] = (
    "inverted-mask",
    "brain-mask",
    "mask-outside-head",
    "mirrored-mask",
    "unclear-mask",
)

_T = TypeVar("_T")


def choose_slices(cases: Sequence[CaseSummary], dark: Mapping[str, Sequence[int]]) -> tuple[GallerySlice, ...]:
    """Slices with tumour, from the smallest to the largest; slices without, that show much; dark ones.

    Each is of another case as far as there are enough. A case is shown by its slice with most tumour; a slice without
    tumour is the fullest of its case.

    Args:
        cases: the cohort's.
        dark: case -> slices that the dark-scan filter removes.
    """
    positive = sorted((case for case in cases if case.n_tumour_slices), key=lambda case: case.tumour_voxels or 0)
    slices = [
        _slice(case, int(np.argmax(case.slices.tumour_voxels)), "positive") for case in spread(positive, _N_POSITIVE)
    ]
    negative = [(case, z) for case in cases for z in [_fullest_without(case)] if z is not None]
    slices += [_slice(case, z, "negative") for case, z in spread(negative, _N_NEGATIVE)]
    by_name = {case.case: case for case in cases}
    removed = [(by_name[name], z) for name, places in dark.items() for z in places]
    slices += [_slice(case, z, "dark") for case, z in spread(removed, _N_DARK)]
    return tuple(slices)


def choose_doubtful_masks(cases: Sequence[CaseSummary], findings: Sequence[Finding]) -> tuple[DoubtfulMask, ...]:
    """Each case of whose mask ``findings`` say that it cannot be right, by a slice that shows much of mask and head."""
    kinds: dict[str | None, list[FindingKind]] = {}
    for finding in findings:
        if finding.kind in _DOUBTS:
            kinds.setdefault(finding.case, []).append(finding.kind)
    return tuple(
        DoubtfulMask(case.case, _telling(case), tuple(dict.fromkeys(kinds[case.case])))
        for case in cases
        if case.case in kinds and len(case.slices.tumour_voxels)
    )


def _telling(case: CaseSummary) -> int:
    """Of the slices with at least half as much tumour as any, the one that shows most."""
    areas, shown = case.slices.tumour_voxels, _seen(case)
    return int(np.argmax(np.where(2 * areas >= areas.max(), shown, -1.0)))


def _seen(case: CaseSummary) -> npt.NDArray[np.float32]:
    """How much a slice shows, the mean over the modalities: (n_slices,)."""
    shares = list(case.slices.seen.values())
    return np.mean(shares, axis=0, dtype=np.float32) if shares else np.zeros(case.n_slices, dtype=np.float32)


def choose_views(cases: Sequence[CaseSummary]) -> tuple[ViewPoint, ...]:
    """The middle of the tumour, of cases from the smallest tumour to the largest whose orientation is known; where no
    case has tumour, the middle of the volume.
    """
    oriented = [
        case for case in cases if case.has_mm and case.shape is not None and min(case.shape) > 1 and case.modalities
    ]
    with_tumour = sorted(
        (case for case in oriented if case.tumour_centre is not None), key=lambda case: case.tumour_voxels or 0
    )
    views = []
    for case in spread(with_tumour or oriented, _N_VIEWS):
        x, y, z = case.shape or (1, 1, 1)
        views.append(ViewPoint(case.case, case.tumour_centre or (x // 2, y // 2, z // 2)))
    return tuple(views)


def spread(items: Sequence[_T], n: int) -> list[_T]:
    """``n`` of the items at equal distances, the first and the last among them; all where there are no more."""
    if len(items) <= n:
        return list(items)
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, n).round()]


def _fullest_without(case: CaseSummary) -> int | None:
    """The slice without tumour that shows most; None where all have tumour or nothing is known."""
    shown = _seen(case)
    if case.tumour_voxels is None or not case.slices.seen:
        return None
    shown = np.where(case.slices.tumour_voxels > 0, -1.0, shown)
    best = int(np.argmax(shown))
    return best if shown[best] > 0 else None


def _slice(case: CaseSummary, z: int, kind: GalleryKind) -> GallerySlice:
    n_tumour = int(case.slices.tumour_voxels[z]) if len(case.slices.tumour_voxels) else 0
    return GallerySlice(case.case, z, kind, n_tumour, float(case.slices.non_black[z]))
