"""Lesions found against false ones over thresholds of probability: the free-response ROC curve (FROC) [1].

At each threshold the components of what lies above it are matched with the lesions of the reference by the rules of
``lesions``. Sensitivity is over the lesions of all cases together, false positives are a mean over cases. A figure "at
two false positives per case" is that of the threshold which finds most among those that have no more, without
interpolation: a threshold that can be set.

References:
    [1] Bunch PC, Hamilton JF, Sanderson GK, Simmons AH. A free-response approach to the measurement and
        characterization of radiographic-observer performance. SPIE 127, 1977.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from glioseg.evaluation.lesions import LesionRule, count_detections
from glioseg.evaluation.score import Flags, Floats, Integers, Interval, interval_from_json
from glioseg.evaluation.statistics import bca_interval, by_patient, resampled_sums

THRESHOLDS: tuple[float, ...] = tuple(round(0.1 * step, 1) for step in range(1, 10))
FALSE_PER_CASE: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
"""At which sensitivity is said."""


@dataclass(frozen=True, eq=False)
class LesionDetections:
    """The lesions of one region of a case, at each of ``THRESHOLDS``.

    Args:
        n_lesions: of the reference, those that count.
        found: (T,) of these.
        false: (T,) components that belong to none.
    """

    n_lesions: int
    found: Integers
    false: Integers


@dataclass(frozen=True)
class SensitivityAt:
    """What is found at no more than so many false positives a case.

    Args:
        false_per_case: the bound.
        threshold: that finds most within it; None where no threshold keeps it, as are
        sensitivity: there,
        ci95: and its interval, by the bootstrap over patients.
    """

    false_per_case: float
    threshold: float | None
    sensitivity: float | None
    ci95: Interval

    def to_json(self) -> dict[str, object]:
        """Its fields."""
        return {
            "false_per_case": self.false_per_case,
            "threshold": self.threshold,
            "sensitivity": self.sensitivity,
            "ci95": None if self.ci95 is None else list(self.ci95),
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote."""
        return cls(block["false_per_case"], block["threshold"], block["sensitivity"], interval_from_json(block["ci95"]))


@dataclass(frozen=True)
class Froc:
    """The curve of a region over a cohort.

    Args:
        n_cases: cases,
        n_lesions: and the lesions that count in them.
        thresholds: rising, and at each of them
        sensitivity: found / lesions, and
        false_per_case: false components / cases.
        at: sensitivity at given false positives.
    """

    n_cases: int
    n_lesions: int
    thresholds: tuple[float, ...]
    sensitivity: tuple[float, ...]
    false_per_case: tuple[float, ...]
    at: tuple[SensitivityAt, ...]

    def to_json(self) -> dict[str, object]:
        """Its fields with their units."""
        return {
            "n_cases": self.n_cases,
            "n_lesions": self.n_lesions,
            "units": {"sensitivity": "found / lesions", "false_per_case": "lesions / case"},
            "threshold": list(self.thresholds),
            "sensitivity": list(self.sensitivity),
            "false_per_case": list(self.false_per_case),
            "sensitivity_at": [each.to_json() for each in self.at],
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote."""
        return cls(
            int(block["n_cases"]),
            int(block["n_lesions"]),
            tuple(map(float, block["threshold"])),
            tuple(map(float, block["sensitivity"])),
            tuple(map(float, block["false_per_case"])),
            tuple(SensitivityAt.from_json(each) for each in block["sensitivity_at"]),
        )

    def rows(self, region: str) -> list[dict[str, str | int | float | None]]:
        """A row for each threshold, as ``froc-PART.csv`` has it."""
        return [
            {
                "region": region,
                "threshold": threshold,
                "lesion_sensitivity": sensitivity,
                "false_lesions_per_case": false,
                "n_lesions": self.n_lesions,
                "n_cases": self.n_cases,
            }
            for threshold, sensitivity, false in zip(
                self.thresholds, self.sensitivity, self.false_per_case, strict=True
            )
        ]


def detections_of(
    reference: Flags, probabilities: npt.NDArray[np.floating], rule: LesionRule, voxel_mm3: float
) -> LesionDetections:
    """Count at every threshold.

    Args:
        reference: (X, Y, Z) the expert's mask.
        probabilities: (X, Y, Z) of the region.
        rule: what counts as a lesion.
        voxel_mm3: the size of a voxel; 1 where it is unknown.
    """
    return LesionDetections(*count_detections(reference, probabilities, THRESHOLDS, rule, voxel_mm3))


def froc_of(
    cases: Sequence[LesionDetections], patients: Sequence[str], *, n_resamples: int = 10_000, seed: int = 0
) -> Froc | None:
    """The curve of a region; None where the references have no lesion that counts.

    Args:
        cases: of a cohort,
        patients: and whose they are.
        n_resamples: bootstrap draws of the intervals; 0 for none.
        seed: of the draws.
    """
    n_lesions = sum(case.n_lesions for case in cases)
    if not n_lesions:
        return None
    n = len(THRESHOLDS)
    table = np.array([[*case.found, *case.false, case.n_lesions, 1] for case in cases], dtype=np.float64)
    _, sums, _ = by_patient(table, patients)
    whole = table.sum(axis=0)
    values, best = _at_bounds(whole[None])
    intervals: list[Interval] = [None] * len(FALSE_PER_CASE)
    if n_resamples and len(sums) > 1:
        replicates = _at_bounds(resampled_sums(sums, n_resamples, seed))[0]
        left_out = _at_bounds(whole - sums)[0]
        intervals = [
            None if np.isnan(value) else bca_interval(replicates[:, column], float(value), left_out[:, column])
            for column, value in enumerate(values[0])
        ]
    points = tuple(
        SensitivityAt(bound, None, None, None)
        if np.isnan(value)
        else SensitivityAt(bound, THRESHOLDS[place], float(value), interval)
        for bound, value, place, interval in zip(FALSE_PER_CASE, values[0], best[0].tolist(), intervals, strict=True)
    )
    sensitivity, false = whole[:n] / n_lesions, whole[n : 2 * n] / len(cases)
    return Froc(len(cases), n_lesions, THRESHOLDS, tuple(sensitivity.tolist()), tuple(false.tolist()), points)


def _at_bounds(sums: Floats) -> tuple[Floats, Integers]:
    """(B, 2T + 2) found, false, lesions and cases -> (B, K) sensitivity at each bound, NaN without; and the threshold.

    Of several thresholds that find as many the one with the fewest false positives is meant.
    """
    n = len(THRESHOLDS)
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity = sums[:, :n] / sums[:, 2 * n : 2 * n + 1]
        false = sums[:, n : 2 * n] / sums[:, 2 * n + 1 :]
    values = np.full((len(sums), len(FALSE_PER_CASE)), np.nan)
    places = np.zeros(values.shape, dtype=np.int64)
    for column, bound in enumerate(FALSE_PER_CASE):
        order = np.where(false <= bound, sensitivity - 1e-9 * false, -np.inf)
        places[:, column] = order.argmax(axis=1)
        at_bound = np.take_along_axis(sensitivity, places[:, column : column + 1], axis=1)[:, 0]
        values[:, column] = np.where(np.isfinite(order).any(axis=1), at_bound, np.nan)
    return values, places
