"""What is known of a cohort once every voxel has been looked at: data only, filled by ``check`` and ``explore``.

Everything here is small (some 20 kB a case), so that the description of 1,251 volumes fits in a few ten megabytes.
Axes of arrays are named where they occur; X, Y, Z are those of the case's own grid unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from glioseg.core import Facts, Finding, LabelScheme

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
"""The quantiles that every ``Distribution`` gives, in this order."""

HEAT_CELLS = 64
"""Cells along each side of a heat map."""

GalleryKind = Literal["positive", "negative", "dark"]


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
    """

    n_voxels: int
    mean: float
    std: float
    minimum: float
    maximum: float
    quantiles: tuple[float, ...]
    histogram: Histogram


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
        non_black: (n_slices,) float32, share of the raw slice's values, over all modalities, that are not black; NaN
            where no modality could be read.
        label_voxels: (n_slices, n_labels) int32, voxels of each of ``CaseSummary.labels``; no rows without reference.
        tumour_voxels: (n_slices,) int32; no entries without reference.
    """

    non_black: npt.NDArray[np.float32]
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


@dataclass(frozen=True)
class Diagnoses:
    """Slices, and patients, with and without tumour; those without a readable reference are in neither."""

    positive_slices: int
    negative_slices: int
    positive_patients: int
    negative_patients: int


@dataclass(frozen=True)
class DarkRow:
    """What a dark-scan filter of one threshold removes.

    Args:
        threshold: slices whose share of non-black pixels is below it are removed; all-black slices always are.
        n_removed: slices removed, of which
        n_positive: show tumour,
        n_negative: have a reference without tumour.
    """

    threshold: float
    n_removed: int
    n_positive: int
    n_negative: int


@dataclass(frozen=True)
class GallerySlice:
    """A slice worth showing: Z index on the case's own grid."""

    case: str
    z: int
    kind: GalleryKind
    tumour_voxels: int
    non_black: float


@dataclass(frozen=True)
class View:
    """A voxel (X, Y, Z on the case's own grid) through which axial, coronal and sagittal views are worth showing."""

    case: str
    index: tuple[int, int, int]


@dataclass(frozen=True)
class DuplicateGroup:
    """Cases that show the same.

    Args:
        cases: their ids, sorted; at least two.
        kind: ``exact`` where all of them are equal pixel for pixel, else ``near``.
        correlation: the lowest by which a member was joined to the group (1 for equal pixels).
        categories: the classes they are in, sorted; two or more mean that the cohort contradicts itself.
        patients: the patients they are said to be of, sorted.
    """

    cases: tuple[str, ...]
    kind: Literal["exact", "near"]
    correlation: float
    categories: tuple[str, ...]
    patients: tuple[str, ...]


@dataclass(frozen=True)
class FactColumn:
    """One column of the publisher's tables.

    Args:
        name: such as ``age``.
        values: case id -> value; cases without one are absent.
        numeric: whether all values are numbers.
    """

    name: str
    values: Mapping[str, str | float | int]
    numeric: bool


@dataclass(frozen=True)
class Imbalance:
    """Voxels of cases with a reference: of the tumour (of any label where the scheme has no tumour), brain and all."""

    n_tumour: int
    n_brain: int
    n_voxels: int

    @property
    def share_of_voxels(self) -> float:
        """Tumour voxels among all voxels, 0 to 1."""
        return self.n_tumour / self.n_voxels if self.n_voxels else 0.0

    @property
    def share_of_brain(self) -> float:
        """Tumour voxels among brain voxels, 0 to 1."""
        return self.n_tumour / self.n_brain if self.n_brain else 0.0


@dataclass(frozen=True, eq=False)
class CohortDescription:
    """A whole cohort, looked at once.

    Args:
        name: the folder's name.
        layout: the reader that recognised it, and
        reason: why, in words.
        modalities: in the cohort's order.
        categories: class -> number of cases; empty unless for classification.
        scheme: meaning of the labels, None where unknown or without labels.
        cases: one summary per case, in the cohort's order.
        labels: label -> voxels over all cases.
        regions: region -> voxels over all cases.
        region_cases: region -> number of cases that show it.
        diagnoses: slices and patients with and without tumour.
        imbalance: how rare tumour voxels are.
        heat: mean over the cases with tumour, one per plane.
        raw: modality -> histogram over all cases, file units, each case weighing the same.
        normalised: modality -> histogram of the z-score over each case's brain, each case weighing the same.
        correlation: (M, M) float64, mean over the cases that have both modalities; NaN where none has.
        dark: what dark-scan filters of several thresholds remove.
        dark_threshold: the one that is used unless another is stated.
        dark_slices: case id -> Z indices that ``dark_threshold`` removes; cases without are absent.
        facts: age, survival, grade, … where a table gave them.
        duplicates: groups of cases that show the same.
        gallery: slices to be shown.
        views: voxels to be shown in three planes; empty where no case has an orientation.
        findings: of the reader, of every case and of the cohort; many alike are one with a count.
    """

    name: str
    layout: str
    reason: str
    modalities: tuple[str, ...]
    categories: Mapping[str, int]
    scheme: LabelScheme | None
    cases: tuple[CaseSummary, ...]
    labels: Mapping[str, int]
    regions: Mapping[str, int]
    region_cases: Mapping[str, int]
    diagnoses: Diagnoses
    imbalance: Imbalance
    heat: tuple[HeatMap, ...]
    raw: Mapping[str, Histogram]
    normalised: Mapping[str, Histogram]
    correlation: npt.NDArray[np.float64]
    dark: tuple[DarkRow, ...]
    dark_threshold: float
    dark_slices: Mapping[str, tuple[int, ...]]
    facts: tuple[FactColumn, ...]
    duplicates: tuple[DuplicateGroup, ...]
    gallery: tuple[GallerySlice, ...]
    views: tuple[View, ...]
    findings: tuple[Finding, ...]

    @property
    def patients(self) -> tuple[str, ...]:
        """The patients, each once, sorted."""
        return tuple(sorted({case.patient for case in self.cases}))

    @property
    def n_slices(self) -> int:
        """Slices of all cases."""
        return sum(case.n_slices for case in self.cases)

    @property
    def n_tumour_slices(self) -> int:
        """Slices of all cases with at least one voxel of tumour."""
        return sum(case.n_tumour_slices for case in self.cases)

    @property
    def has_errors(self) -> bool:
        """Whether some finding is of severity ``error``, by which ``inspect`` exits with 1."""
        return any(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, object]:
        """What ``inspect --json`` prints: plain values, no NaN, no paths."""
        return {
            "name": self.name,
            "layout": self.layout,
            "reason": self.reason,
            "scheme": None if self.scheme is None else self.scheme.name,
            "cases": len(self.cases),
            "patients": len(self.patients),
            "slices": self.n_slices,
            "tumour_slices": self.n_tumour_slices,
            "modalities": list(self.modalities),
            "categories": dict(self.categories),
            "labels": dict(self.labels),
            "regions": {
                name: {"voxels": voxels, "cases": self.region_cases[name]} for name, voxels in self.regions.items()
            },
            "diagnoses": vars(self.diagnoses).copy(),
            "imbalance": {
                **vars(self.imbalance),
                "share_of_voxels": self.imbalance.share_of_voxels,
                "share_of_brain": self.imbalance.share_of_brain,
            },
            "dark": {
                "threshold": self.dark_threshold,
                "slices": sum(len(slices) for slices in self.dark_slices.values()),
                "by_threshold": [vars(row).copy() for row in self.dark],
            },
            "duplicates": [
                {"cases": list(group.cases), "kind": group.kind, "correlation": round(group.correlation, 4)}
                for group in self.duplicates
            ],
            "findings": [
                {"severity": found.severity, "kind": found.kind, "case": found.case, "message": found.message}
                for found in self.findings
            ],
        }
