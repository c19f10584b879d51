"""What is known of a case once every voxel has been looked at: data only, filled by ``checks.check``.

Some 25 kB a case, so that the summaries of 1,251 volumes fit in a few ten megabytes. Axes of arrays are named where
they occur; X, Y, Z are those of the case's own grid unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glioseg.core import Facts, Finding

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
"""The quantiles that every ``Distribution`` gives, in this order."""

HEAT_CELLS = 64
"""Cells along each side of a heat map."""

SLICE_PLACES = 20
"""Places between the first slice with brain and the last at which a ``Distribution`` says how intensities spread."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts in bins of equal width.

    Args:
        low: lower edge of the first bin.
        high: upper edge of the last bin; values beyond either edge are counted in the outermost bin.
        counts: (n_bins,) int64 or, for shares of a mean over cases, float64.
    """

    low: float
    high: float
    counts: npt.NDArray[np.int64] | npt.NDArray[np.float64]

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """(n_bins + 1,) edges, rising."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """(n_bins,) middles of the bins."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def density(self) -> npt.NDArray[np.float64]:
        """(n_bins,) share of the counts per unit of intensity; its integral is 1, or 0 where nothing was counted."""
        total = float(self.counts.sum())
        width = (self.high - self.low) / len(self.counts)
        return np.asarray(self.counts, dtype=np.float64) / (max(total, 1e-300) * width)


@dataclass(frozen=True, eq=False)
class Distribution:
    """Intensities of one modality of one case over its brain (see ``CaseSummary.n_brain_voxels``), in file units.

    The z-score over the brain is an affine function of these, so that the normalised histogram is this one on other
    edges: ``explore.normalised`` gives it.

    Args:
        n_voxels: finite brain voxels counted.
        mean: their mean,
        std: population standard deviation,
        minimum: least and
        maximum: greatest value.
        quantiles: at ``QUANTILES``.
        histogram: up to 256 bins; one per value for 8-bit files, else between the outer quantiles.
        by_place: (SLICE_PLACES, len(QUANTILES)) float32, ``quantiles`` of the slices that touch each twentieth of
            the way from the first slice with brain to the last, in slice order; NaN where those show none; no rows
            where there are too few slices to speak of places.
    """

    n_voxels: int
    mean: float
    std: float
    minimum: float
    maximum: float
    quantiles: tuple[float, ...]
    histogram: Histogram
    by_place: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Where the tumour is, projected along one axis and scaled to the brain's bounding box.

    Args:
        plane: ``axial``, ``coronal``, ``sagittal`` where the orientation is known; for pictures ``picture`` (the plane
            of the slices) and, for stacks, ``column-slice`` and ``row-slice``.
        axes: what grows along the array's first and second axis: ``right``, ``anterior``, ``superior``, or ``column``,
            ``row`` (downwards), ``slice``.
        values: (HEAT_CELLS, HEAT_CELLS). Of a case: bool, whether tumour projects onto the cell. Of a cohort: float32,
            the share of the cases with tumour for which it does.
    """

    plane: str
    axes: tuple[str, str]
    values: npt.NDArray[np.bool_] | npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SliceTable:
    """One row per slice, in slice order (Z of the case's grid).

    Args:
        non_black: (n_slices,) float32, share of the raw slice's pixels that are not black in some modality; NaN where
            no modality could be read.
        seen: modality -> (n_slices,) float32, share of the slice's pixels at which it shows more than background and
            noise: what a viewer sees. Noise is not black, and a modality may end before others do, so that a slice
            that is empty to look at may be far from 0 above.
        label_voxels: (n_slices, n_labels) int32, voxels of each of ``CaseSummary.labels``; no rows without reference.
        tumour_voxels: (n_slices,) int32; no entries without reference.
    """

    non_black: npt.NDArray[np.float32]
    seen: Mapping[str, npt.NDArray[np.float32]]
    label_voxels: npt.NDArray[np.int32]
    tumour_voxels: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What tells copies of a case from others.

    Args:
        case: its id.
        patient: its patient; cases of one patient are not compared.
        content: digest of all decoded pixels of all modalities, or None where they are constant or unreadable.
        slices: uint64 digests of those slices of a stack that show something; none for single pictures.
        thumbnail: uint8, (64, 64) rows and columns of a single picture, or (24, 32, 32) slices, rows and columns of a
            volume; cropped to what is not dark and stretched to its own range; None where the pixels are constant.
        bits: 64-bit difference hash of the thumbnail.
    """

    case: str
    patient: str
    content: bytes | None
    slices: npt.NDArray[np.uint64]
    thumbnail: npt.NDArray[np.uint8] | None
    bits: int


@dataclass(frozen=True, eq=False)
class CaseSummary:
    """One case, looked at once.

    Args:
        case: its id.
        patient: its patient.
        category: its class in a classification cohort, else None.
        shape: voxels along X, Y, Z of the first modality (or of the reference where no modality can be read); None
            where nothing could be read.
        spacing: voxel size along X, Y, Z, in mm where ``has_mm``, else 1.
        orientation: such as ``RAS``; None for pictures.
        has_mm: whether millimetres are known.
        modalities: modality -> its intensities, for those that could be read.
        n_voxels: voxels of the grid.
        n_brain_voxels: voxels that are brighter than background and noise in some modality (``measure.tissue``).
        labels: names of the columns of ``slices.label_voxels``: the scheme's labels, then ``unknown N`` for values that
            it does not know; ``label N`` for all values where the scheme is unknown.
        has_reference: whether a reference was given and could be read.
        slices: one row per slice.
        tumour_voxels: voxels of tumour; None without reference or where the scheme has no tumour.
        tumour_ml: their volume in millilitres; None also where millimetres are unknown.
        tumour_centre: the tumour voxel (X, Y, Z) on the slice with most tumour, nearest to that slice's centre of mass.
        heat: where the tumour is; empty without tumour.
        mask_moves: how its mask would fit better, in words (``mirrored front to back``) -> how many times better; see
            ``checks.masks.better_moves``.
        correlation: (M, M) float32 between the cohort's modalities, Pearson's r over the brain voxels of the middle
            third of the slices; NaN for modalities that the case lacks or that are constant.
        fingerprint: for the search for duplicates.
        findings: what is wrong or odd.
        facts: the case's facts as the reader gave them.
    """

    case: str
    patient: str
    category: str | None
    shape: tuple[int, int, int] | None
    spacing: tuple[float, float, float] | None
    orientation: str | None
    has_mm: bool
    modalities: Mapping[str, Distribution]
    n_voxels: int
    n_brain_voxels: int
    labels: tuple[str, ...]
    has_reference: bool
    slices: SliceTable
    tumour_voxels: int | None
    tumour_ml: float | None
    tumour_centre: tuple[int, int, int] | None
    heat: tuple[HeatMap, ...]
    mask_moves: Mapping[str, float]
    correlation: npt.NDArray[np.float32]
    fingerprint: Fingerprint
    findings: tuple[Finding, ...]
    facts: Facts

    @property
    def n_slices(self) -> int:
        """Slices along Z."""
        return 0 if self.shape is None else self.shape[2]

    @property
    def n_tumour_slices(self) -> int:
        """Slices with at least one voxel of tumour."""
        return int((self.slices.tumour_voxels > 0).sum())
