"""What is known of a cohort once every voxel has been looked at: data only, filled by ``explore.describe``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.summary import CaseSummary, HeatMap, Histogram
from glioseg.core import Finding, FindingKind, LabelScheme, SeriesRow
from glioseg.faces import on_command_line

GalleryKind = Literal["positive", "negative", "dark"]


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
class DoubtfulMask:
    """A case whose mask seems wrong: a telling slice Z, and the kinds of findings that say so."""

    case: str
    z: int
    kinds: tuple[FindingKind, ...]


@dataclass(frozen=True)
class ViewPoint:
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
        doubtful_masks: of the cohort's cases, in its order; all of them, whatever the number.
        views: voxels to be shown in three planes; empty where no case has an orientation.
        findings: of the reader, of every case and of the cohort; many alike are one with a count.
        series: of DICOM studies, what each series was taken for.
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
    doubtful_masks: tuple[DoubtfulMask, ...]
    views: tuple[ViewPoint, ...]
    findings: tuple[Finding, ...]
    series: tuple[SeriesRow, ...] = ()

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
                {
                    "severity": finding.severity,
                    "kind": finding.kind,
                    "case": finding.case,
                    "message": on_command_line(finding.message),
                }
                for finding in self.findings
            ],
            **({"series": [row.to_json() for row in self.series]} if self.series else {}),
        }
