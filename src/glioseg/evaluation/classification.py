"""How well classes are told apart: figures, intervals, curves, for pictures, slices and patients alike.

Two classes: precision, recall, specificity, F1, ROC-AUC and average precision are those of the second class (``yes``).
More than two: each class against all others, and the mean over the classes (macro). A figure that is 0/0 is undefined
and left out of such means. Intervals are of whole patients (or groups of copies), drawn with replacement.

References:
    [1] Brodersen KH et al. The balanced accuracy and its posterior distribution. ICPR 2010.
    [2] Hanley JA, McNeil BJ. The meaning and use of the area under a ROC curve. Radiology 1982 (ties count half).
    [3] Guo C et al. On calibration of modern neural networks. ICML 2017 (expected calibration error, reliability).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from glioseg.errors import ScoreError
from glioseg.evaluation.reliability import N_BINS, Reliability, bin_of, reliability
from glioseg.evaluation.score import Floats
from glioseg.evaluation.statistics import bca_interval

Integers = npt.NDArray[np.int64]
ClassMetric = Literal[
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "auc",
    "average_precision",
    "log_loss",
    "ece",
    "confidence",
]
PickingMetric = Literal["accuracy", "balanced_accuracy", "f1", "auc", "average_precision"]
"""Scores that are better when higher, by which a best model can be picked."""
CLASS_METRICS: tuple[ClassMetric, ...] = get_args(ClassMetric)
PICKING_METRICS: tuple[PickingMetric, ...] = get_args(PickingMetric)
_OF_EACH_CLASS = ("precision", "recall", "specificity", "f1", "auc", "average_precision")
_NUMBERS_AT_ONCE = 2_000_000
_MOST_POINTS = 200
_SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class ClassPredictions:
    """N items (pictures, slices or patients) and what was said of them.

    Args:
        classes: names of the K classes, in index order.
        items: (N) names, each once.
        units: (N) what is drawn in the bootstrap: patient, or group of copies.
        reference: (N,) the class of each item.
        probabilities: (N, K) in 0..1, each row summing to 1.
        decided: (N,) the class that was said.

    Raises:
        ScoreError: no item, an item twice, shapes or values that do not fit.
    """

    classes: tuple[str, ...]
    items: tuple[str, ...]
    units: tuple[str, ...]
    reference: Integers
    probabilities: Floats
    decided: Integers

    def __post_init__(self) -> None:
        n, k = len(self.items), len(self.classes)
        if n == 0:
            raise ScoreError("there is no case to evaluate")
        if len(set(self.items)) != n:
            raise ScoreError("an item was scored twice", found=f"{n - len(set(self.items))} names that repeat")
        shapes = (len(self.units), self.reference.shape, self.probabilities.shape, self.decided.shape)
        if k < 2 or shapes != (n, (n,), (n, k), (n,)):
            raise ScoreError("one unit, class, decision and K probabilities for each item are needed", found=shapes)
        if not (np.isfinite(self.probabilities).all() and np.allclose(self.probabilities.sum(axis=1), 1, atol=1e-4)):
            raise ScoreError("the probabilities of an item are finite and sum to 1")
        if min(self.reference.min(), self.decided.min()) < 0 or max(self.reference.max(), self.decided.max()) >= k:
            raise ScoreError("a class index beyond the classes", expected=f"0 to {k - 1}")

    @property
    def confidence(self) -> Floats:
        """(N,) the probability of the class that was said."""
        return np.asarray(self.probabilities[np.arange(len(self.items)), self.decided])


@dataclass(frozen=True)
class Figure:
    """A metric and its 95 % interval; None where it is undefined."""

    value: float | None
    ci95: tuple[float, float] | None

    def to_json(self) -> dict[str, object]:
        """``{"value", "ci95"}``."""
        return {"value": self.value, "ci95": None if self.ci95 is None else list(self.ci95)}


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """All figures of a set of items.

    Args:
        n_items: how many.
        n_units: patients or groups of copies among them.
        classes: names.
        metrics: metric -> figure.
        per_class: class -> metric -> value, each class against all others; ``n`` its items.
        confusion: (K, K) items by reference (rows) and decision (columns).
        reliability: confidence against accuracy.
        roc: class -> (points, 2) false and true positive rate,
        pr: class -> (points, 2) recall and precision; for two classes of the second alone.
    """

    n_items: int
    n_units: int
    classes: tuple[str, ...]
    metrics: Mapping[ClassMetric, Figure]
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


def score_classes(predictions: ClassPredictions, *, n_resamples: int = 10_000, seed: int = 0) -> ClassFigures:
    """Every figure of a set of items, with intervals by the BCa bootstrap over units; none for 0 resamples."""
    n, k = len(predictions.items), len(predictions.classes)
    whole = _metrics(predictions, np.ones((1, n)))
    names, unit = np.unique(np.asarray(predictions.units), return_inverse=True)
    intervals: Mapping[str, tuple[float, float] | None] = {}
    if n_resamples and len(names) > 1:
        intervals = _intervals(
            predictions, unit, {name: float(value[0]) for name, value in whole.items()}, n_resamples, seed
        )
    each = _of_classes(predictions, np.ones((1, n)))
    counts = np.bincount(predictions.reference, minlength=k)
    shown = _shown_classes(predictions.classes)
    return ClassFigures(
        n_items=n,
        n_units=len(names),
        classes=predictions.classes,
        metrics={name: Figure(_known(whole[name][0]), intervals.get(name)) for name in CLASS_METRICS},
        per_class={
            name: {"n": int(counts[row])} | {metric: _known(each[metric][0, row]) for metric in _OF_EACH_CLASS}
            for row, name in enumerate(predictions.classes)
        },
        confusion=_confusion(predictions, np.ones((1, n)))[0].astype(np.int64),
        reliability=reliability(predictions.confidence, predictions.decided == predictions.reference),
        roc=_curves(predictions, shown, roc_curve),
        pr=_curves(predictions, shown, precision_recall_curve),
    )


def roc_curve(positive: npt.NDArray[np.bool_], scores: Floats) -> Floats:
    """(points, 2): false and true positive rate as the threshold falls, from (0, 0) to (1, 1)."""
    hits, false = _cumulated(positive, scores)
    return np.column_stack([np.r_[0.0, false / false[-1]], np.r_[0.0, hits / hits[-1]]])


def precision_recall_curve(positive: npt.NDArray[np.bool_], scores: Floats) -> Floats:
    """(points, 2): recall and precision as the threshold falls."""
    hits, false = _cumulated(positive, scores)
    return np.column_stack([hits / hits[-1], hits / (hits + false)])


def _cumulated(positive: npt.NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """Items of the class and others at or above each different score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(scores[order])), len(scores) - 1]
    return np.cumsum(positive[order])[last].astype(np.float64), np.cumsum(~positive[order])[last].astype(np.float64)


# -- figures of many weightings at once --------------------------------------------------------------------------------


def _metrics(predictions: ClassPredictions, weights: Floats) -> dict[str, Floats]:
    """Metric -> (B,) for B weightings of the items, (B, N); NaN where undefined."""
    total = weights.sum(axis=1)
    confusion = _confusion(predictions, weights)
    each = _of_classes(predictions, weights, confusion)
    found = {
        "accuracy": np.trace(confusion, axis1=1, axis2=2) / total,
        "balanced_accuracy": _mean(each["recall"]),
    }
    for name in _OF_EACH_CLASS:
        found[name] = each[name][:, 1] if len(predictions.classes) == 2 else _mean(each[name])
    of_reference = predictions.probabilities[np.arange(len(predictions.items)), predictions.reference]
    found["log_loss"] = -(weights @ np.log(np.maximum(of_reference, _SMALLEST))) / total
    right = predictions.decided == predictions.reference
    gaps = np.zeros((len(right), N_BINS))
    gaps[np.arange(len(right)), bin_of(predictions.confidence)] = predictions.confidence - right
    found["ece"] = np.abs(weights @ gaps).sum(axis=1) / total
    found["confidence"] = (weights @ predictions.confidence) / total
    return found


def _confusion(predictions: ClassPredictions, weights: Floats) -> Floats:
    """(B, K, K)."""
    k = len(predictions.classes)
    cells = np.eye(k * k)[predictions.reference * k + predictions.decided]
    return np.asarray((weights @ cells).reshape(-1, k, k))


def _of_classes(predictions: ClassPredictions, weights: Floats, confusion: Floats | None = None) -> dict[str, Floats]:
    """Metric -> (B, K), each class against all others."""
    counts = _confusion(predictions, weights) if confusion is None else confusion
    hits = np.diagonal(counts, axis1=1, axis2=2)
    missed, false = counts.sum(axis=2) - hits, counts.sum(axis=1) - hits
    rest = counts.sum(axis=(1, 2))[:, None] - hits - missed - false
    curves = [
        _areas(weights, predictions.reference == row, predictions.probabilities[:, row])
        for row in range(len(predictions.classes))
    ]
    return {
        "precision": _ratio(hits, hits + false),
        "recall": _ratio(hits, hits + missed),
        "specificity": _ratio(rest, rest + false),
        "f1": _ratio(2 * hits, 2 * hits + false + missed),
        "auc": np.column_stack([auc for auc, _ in curves]),
        "average_precision": np.column_stack([precision for _, precision in curves]),
    }


def _areas(weights: Floats, positive: npt.NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """(B,) ROC-AUC [2] and (B,) average precision Σ (recall_k − recall_(k−1)) · precision_k, without interpolation."""
    order = np.argsort(-scores, kind="stable")
    starts = np.r_[0, np.flatnonzero(np.diff(scores[order])) + 1]
    inside = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)
    outside = np.add.reduceat(weights[:, order] * ~positive[order], starts, axis=1)
    hits, false = np.cumsum(inside, axis=1), np.cumsum(outside, axis=1)
    below = false[:, -1:] - false
    auc = _ratio((inside * (below + outside / 2)).sum(axis=1), hits[:, -1] * false[:, -1])
    precision = np.nan_to_num(_ratio(hits, hits + false))
    return auc, _ratio((inside * precision).sum(axis=1), hits[:, -1])


def _intervals(
    predictions: ClassPredictions, unit: Integers, estimates: Mapping[str, float], n_resamples: int, seed: int
) -> dict[str, tuple[float, float] | None]:
    n_units = int(unit.max()) + 1
    rng = np.random.default_rng(seed)
    rows = max(1, _NUMBERS_AT_ONCE // max(len(unit), n_units))

    def drawn(size: int) -> Floats:
        picked = rng.integers(0, n_units, (size, n_units)) + np.arange(size)[:, None] * n_units
        return np.bincount(picked.ravel(), minlength=size * n_units).reshape(size, n_units).astype(np.float64)

    replicates = _in_parts(lambda start, end: _metrics(predictions, drawn(end - start)[:, unit]), n_resamples, rows)
    without = _in_parts(
        lambda start, end: _metrics(predictions, (np.arange(start, end)[:, None] != unit).astype(np.float64)),
        n_units,
        rows,
    )
    return {
        name: None if np.isnan(value) else bca_interval(replicates[name], value, without[name])
        for name, value in estimates.items()
    }


def _in_parts(make: Callable[[int, int], dict[str, Floats]], n: int, rows: int) -> dict[str, Floats]:
    parts = [make(start, min(start + rows, n)) for start in range(0, n, rows)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Part / whole, NaN where whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0))


def _mean(values: Floats) -> Floats:
    """(B, K) -> (B,) mean of what is defined; NaN where nothing is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))


def _shown_classes(classes: Sequence[str]) -> list[int]:
    return [1] if len(classes) == 2 else list(range(len(classes)))


def _curves(
    predictions: ClassPredictions, shown: Sequence[int], curve: Callable[[npt.NDArray[np.bool_], Floats], Floats]
) -> dict[str, Floats]:
    """By class; a class that no item or every item has no curve of."""
    found = {}
    for row in shown:
        positive = predictions.reference == row
        if positive.any() and not positive.all():
            found[predictions.classes[row]] = curve(positive, predictions.probabilities[:, row])
    return found


def _thinned(points: Floats) -> list[list[float]]:
    rows = np.unique(np.linspace(0, len(points) - 1, min(len(points), _MOST_POINTS)).round().astype(int))
    return [[round(float(x), 6), round(float(y), 6)] for x, y in points[rows]]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
