"""How well classes are told apart: figures, intervals, curves, for pictures, slices and patients alike.

Two classes: precision, recall, specificity, F1, ROC-AUC and average precision are those of the second class (``yes``).
More than two: each class against all others, and the mean over the classes (macro). A figure that is 0/0 is undefined
and left out of such means. Intervals [1] are of whole patients (or groups of copies), drawn with replacement [2].

References:
    [1] Efron B. Better bootstrap confidence intervals. JASA 82:171-185, 1987 (BCa).
    [2] Field CA, Welsh AH. Bootstrapping clustered data. JRSS B 69:369-390, 2007 (whole units are drawn).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from glioseg.evaluation.class_items import ItemClasses, WeightedItems
from glioseg.evaluation.metric import ClassMetric
from glioseg.evaluation.metrics import CLASS_METRICS, value_or_none
from glioseg.evaluation.reliability import Reliability, reliability
from glioseg.evaluation.score import Flags, Floats, Integers, Interval, interval_from_json, reading
from glioseg.evaluation.statistics import bca_interval, draws

_NUMBERS_AT_ONCE = 2_000_000  # weights in memory at a time: 16 MB
_MOST_POINTS = 200  # of a curve in JSON


@dataclass(frozen=True)
class Estimate:
    """A metric's value and its 95 % interval; None where it is undefined."""

    value: float | None
    ci95: Interval

    def to_json(self) -> dict[str, object]:
        """``{"value", "ci95"}``."""
        return {"value": self.value, "ci95": None if self.ci95 is None else list(self.ci95)}

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote; a key that is missing is a KeyError."""
        return cls(block["value"], interval_from_json(block["ci95"]))


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """All figures of a set of items.

    Args:
        n_items: how many.
        n_units: patients or groups of copies among them.
        classes: names.
        metrics: metric -> value and interval.
        per_class: class -> metric -> value, each class against all others; ``n`` its items.
        confusion: (K, K) items by reference (rows) and decision (columns).
        reliability: confidence against accuracy.
        roc: class -> (points, 2) false and true positive rate,
        pr: class -> (points, 2) recall and precision; for two classes of the second alone.
    """

    n_items: int
    n_units: int
    classes: tuple[str, ...]
    metrics: Mapping[str, Estimate]
    per_class: Mapping[str, Mapping[str, float | None]]
    confusion: Integers
    reliability: Reliability
    roc: Mapping[str, Floats]
    pr: Mapping[str, Floats]

    def to_json(self) -> dict[str, Any]:
        """Strict JSON; undefined figures are null, curves of many points are thinned."""
        return {
            "n_items": self.n_items,
            "n_units": self.n_units,
            "classes": list(self.classes),
            "metrics": {name: figure.to_json() for name, figure in self.metrics.items()},
            "confusion": self.confusion.tolist(),
            "per_class": {name: dict(values) for name, values in self.per_class.items()},
            "reliability": self.reliability.to_json(),
            "roc": {name: _thinned(points) for name, points in self.roc.items()},
            "pr": {name: _thinned(points) for name, points in self.pr.items()},
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote; curves have the points that were left of them.

        Raises:
            ScoreError: not such figures.
        """
        with reading("figures of classes"):
            return cls(
                n_items=int(block["n_items"]),
                n_units=int(block["n_units"]),
                classes=tuple(block["classes"]),
                metrics={name: Estimate.from_json(values) for name, values in block["metrics"].items()},
                per_class={name: dict(values) for name, values in block["per_class"].items()},
                confusion=np.array(block["confusion"], dtype=np.int64),
                reliability=Reliability.from_json(block["reliability"]),
                roc={name: np.array(points, dtype=np.float64) for name, points in block["roc"].items()},
                pr={name: np.array(points, dtype=np.float64) for name, points in block["pr"].items()},
            )


def score_classes(
    items: ItemClasses,
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
    metrics: Mapping[str, ClassMetric] = CLASS_METRICS,
) -> ClassFigures:
    """Every figure of a set of items, with intervals by the BCa bootstrap over units; none for 0 resamples."""
    n = len(items.items)
    whole = WeightedItems(items, np.ones((1, n)))
    estimates = {name: float(metric.values(whole)[0]) for name, metric in metrics.items()}
    names, unit = np.unique(np.asarray(items.units), return_inverse=True)
    intervals: Mapping[str, Interval] = {}
    if n_resamples and len(names) > 1:
        intervals = _intervals(items, unit, metrics, estimates, n_resamples, seed)
    shown = _shown_classes(items.classes)
    return ClassFigures(
        n_items=n,
        n_units=len(names),
        classes=items.classes,
        metrics={name: Estimate(value_or_none(value), intervals.get(name)) for name, value in estimates.items()},
        per_class=_of_each_class(whole, metrics),
        confusion=whole.confusion[0].astype(np.int64),
        reliability=reliability(items.confidence, items.decided == items.reference),
        roc=_curves(items, shown, roc_curve),
        pr=_curves(items, shown, precision_recall_curve),
    )


def _of_each_class(whole: WeightedItems, metrics: Mapping[str, ClassMetric]) -> dict[str, dict[str, float | None]]:
    """Class -> metric -> value, with ``n``, its items, first."""
    by_metric = {name: metric.of_each_class(whole)[0] for name, metric in metrics.items() if metric.of_each_class}
    n_items = np.bincount(whole.items.reference, minlength=len(whole.items.classes))
    return {
        name: {"n": int(n_items[row])} | {metric: value_or_none(values[row]) for metric, values in by_metric.items()}
        for row, name in enumerate(whole.items.classes)
    }


def roc_curve(positive: Flags, scores: Floats) -> Floats:
    """(points, 2): false and true positive rate as the threshold falls, from (0, 0) to (1, 1)."""
    hits, false = _cumulated(positive, scores)
    return np.column_stack([np.r_[0.0, false / false[-1]], np.r_[0.0, hits / hits[-1]]])


def precision_recall_curve(positive: Flags, scores: Floats) -> Floats:
    """(points, 2): recall and precision as the threshold falls."""
    hits, false = _cumulated(positive, scores)
    return np.column_stack([hits / hits[-1], hits / (hits + false)])


def _cumulated(positive: Flags, scores: Floats) -> tuple[Floats, Floats]:
    """Items of the class and others at or above each different score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(scores[order])), len(scores) - 1]
    return np.cumsum(positive[order])[last].astype(np.float64), np.cumsum(~positive[order])[last].astype(np.float64)


def _intervals(
    items: ItemClasses,
    unit: Integers,
    metrics: Mapping[str, ClassMetric],
    estimates: Mapping[str, float],
    n_resamples: int,
    seed: int,
) -> dict[str, Interval]:
    """Intervals of whole units drawn with replacement, and the jackknife over units that BCa's acceleration takes."""
    n_units = int(unit.max()) + 1
    rows = max(1, _NUMBERS_AT_ONCE // max(len(unit), n_units))
    left_out = (np.arange(start, min(start + rows, n_units))[:, None] for start in range(0, n_units, rows))
    replicates = _values(items, metrics, (times[:, unit] for times in draws(n_units, n_resamples, seed, rows)))
    without_one = _values(items, metrics, ((units != unit).astype(np.float64) for units in left_out))
    return {
        name: None if np.isnan(value) else bca_interval(replicates[name], value, without_one[name])
        for name, value in estimates.items()
    }


def _values(items: ItemClasses, metrics: Mapping[str, ClassMetric], weightings: Iterable[Floats]) -> dict[str, Floats]:
    """Metric -> (B,) its values under all weightings (B, N), which come some at a time."""
    parts = []
    for weights in weightings:
        weighted = WeightedItems(items, weights)
        parts.append({name: metric.values(weighted) for name, metric in metrics.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in metrics}


def _shown_classes(classes: Sequence[str]) -> list[int]:
    return [1] if len(classes) == 2 else list(range(len(classes)))


def _curves(items: ItemClasses, shown: Sequence[int], curve: Callable[[Flags, Floats], Floats]) -> dict[str, Floats]:
    """By class; a class that no item or every item has no curve of."""
    curves = {}
    for row in shown:
        positive = items.reference == row
        if positive.any() and not positive.all():
            curves[items.classes[row]] = curve(positive, items.probabilities[:, row])
    return curves


def _thinned(points: Floats) -> list[list[float]]:
    rows = np.unique(np.linspace(0, len(points) - 1, min(len(points), _MOST_POINTS)).round().astype(int))
    return [[round(float(x), 6), round(float(y), 6)] for x, y in points[rows]]
