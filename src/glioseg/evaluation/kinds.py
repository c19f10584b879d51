"""Of which kind the tumour of a case is, where a network draws one outline and says its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from glioseg.evaluation.cases import CaseScores
from glioseg.evaluation.score import Floats, Integers, Interval, interval_from_json, reading
from glioseg.evaluation.statistics import bootstrap_intervals

NONE = "none"
"""The kind of a case without any."""


@dataclass(frozen=True, eq=False)
class KindFigures:
    """How often the kind of a case is said rightly. The kind of a mask is that of most of its voxels.

    Args:
        kinds: names, ``none`` first.
        confusion: (K, K) cases by reference (rows) and prediction (columns).
        accuracy: share of cases whose kind is right, and its 95 % interval.
        accuracy_ci95: BCa bootstrap over patients.
    """

    kinds: tuple[str, ...]
    confusion: Integers
    accuracy: float
    accuracy_ci95: Interval

    @property
    def recall(self) -> dict[str, float | None]:
        """Kind -> share of its cases that are said to be of it; None where no case is of it."""
        totals = self.confusion.sum(axis=1)
        return {
            kind: None if total == 0 else float(self.confusion[row, row] / total)
            for row, (kind, total) in enumerate(zip(self.kinds, totals, strict=True))
        }

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the kinds that there are."""
        return float(np.mean([value for value in self.recall.values() if value is not None]))

    def to_json(self) -> dict[str, Any]:
        """Strict JSON."""
        return {
            "kinds": list(self.kinds),
            "decided": "the kind of most voxels of a case; none where the mask is empty",
            "accuracy": {"value": self.accuracy, "ci95": None if self.accuracy_ci95 is None else [*self.accuracy_ci95]},
            "balanced_accuracy": self.balanced_accuracy,
            "recall": self.recall,
            "confusion": self.confusion.tolist(),
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote.

        Raises:
            ScoreError: not such figures.
        """
        with reading("figures of kinds"):
            return cls(
                kinds=tuple(block["kinds"]),
                confusion=np.array(block["confusion"], dtype=np.int64),
                accuracy=float(block["accuracy"]["value"]),
                accuracy_ci95=interval_from_json(block["accuracy"]["ci95"]),
            )


def kind_figures(cases: Sequence[CaseScores], kinds: Sequence[str], n_resamples: int, seed: int) -> KindFigures:
    """The figures of cases that were scored on regions which include the kinds."""
    reference = np.array([_kind(case, kinds, of_reference=True) for case in cases])
    predicted = np.array([_kind(case, kinds, of_reference=False) for case in cases])
    confusion = np.zeros((len(kinds) + 1, len(kinds) + 1), dtype=np.int64)
    np.add.at(confusion, (reference, predicted), 1)
    right: Floats = (reference == predicted).astype(np.float64)
    patients = [case.patient for case in cases]
    (interval,) = bootstrap_intervals(right[:, None], patients, n_resamples=n_resamples, seed=seed)
    return KindFigures((NONE, *kinds), confusion, float(right.mean()), interval)


def _kind(case: CaseScores, kinds: Sequence[str], *, of_reference: bool) -> int:
    """0 for none, else 1 + the kind with most voxels, on a tie the earlier."""
    tp, fp, fn, _ = (case.counts[[case.regions.index(kind) for kind in kinds]]).T
    n_voxels = tp + (fn if of_reference else fp)
    return 0 if not n_voxels.any() else 1 + int(np.argmax(n_voxels))
