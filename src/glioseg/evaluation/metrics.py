"""Every metric, once: its name, its unit, which way is better, its words, and the function that computes it.

A new metric is a function, an entry here and a test. Scores of cases, evaluations, tables, comparisons, studies and
reports go through these tables and show what they find, with its unit; none of them knows a metric by name that it
does not single out on purpose (a chart of Dice, a column of recall).

Segmentation (``REGION_METRICS``): a figure of one region of one case. What it is made of decides where it exists:

- confusion counts (``of_counts``): of a slice, of a case and, where ``pooled``, of the voxels of a cohort together;
- a histogram of probabilities (``of_probabilities``): of a case and of a cohort, where probabilities are at hand;
- the two masks (``of_masks``): of a case alone. A distance cannot be pooled, so its figures lack the keys ``pooled``
  and ``slice_mean``.

Classification (``CLASS_METRICS``): a figure of many items, of each class against all others or of all classes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import AfterValidator

from glioseg.errors import ScoreError
from glioseg.evaluation import class_items, overlap, volume
from glioseg.evaluation.calibration import CurveFigure, ProbabilityHistogram, average_precision, roc_auc
from glioseg.evaluation.class_items import ItemOutcomes, WeightedItems
from glioseg.evaluation.score import OF_RATIOS, EmptyRule, EmptyValues, Flags, Floats, Integers, apply_rule

MetricUnit = Literal["ratio", "number", "ml", "voxels", "mm"]
Better = Literal["higher", "lower", "nearer to 0", "neither"]
VolumeUnit = Literal["ml", "voxels"]
_WITHOUT_UNIT: tuple[MetricUnit, ...] = ("ratio", "number")


@dataclass(frozen=True)
class Metric:
    """What tables, files and pages need to know of a figure.

    Args:
        name: in JSON and CSV and in options.
        words: in tables and on pages, without the unit.
        about: what it is, as a formula where it has one.
        unit: ``ratio`` for shares (0 to 1), ``number`` for other figures without a unit.
        better: which way.
        digits: decimals that are shown.
        picks_best: whether the best model can be picked by it; it is then better when higher.

    Raises:
        ScoreError: a metric that picks the best model and is not better when higher.
    """

    name: str
    words: str
    about: str
    unit: MetricUnit = "ratio"
    better: Better = "higher"
    digits: int = 3
    picks_best: bool = False

    def __post_init__(self) -> None:
        if self.picks_best and self.better != "higher":
            raise ScoreError(f"{self.name} cannot pick the best model", found=f"better: {self.better}")

    @property
    def title(self) -> str:
        """The words with the unit: ``HD95 (mm)``; shares and bare numbers have none."""
        return self.words if self.unit in _WITHOUT_UNIT else f"{self.words} ({self.unit})"

    @property
    def unit_beside(self) -> MetricUnit | None:
        """The unit where JSON and CSV have to write it beside the figure: it has one, and its name does not say it."""
        named = self.unit in _WITHOUT_UNIT or self.name.endswith(f"_{self.unit}")
        return None if named else self.unit


@dataclass(frozen=True, eq=False)
class MaskPair:
    """One region of a case as metrics of shape see it.

    All metrics of a case get the same pair, so that what several of them need (surfaces, components) can be a cached
    property here, computed once.

    Args:
        reference: (X, Y, Z) the expert's mask.
        prediction: the same of the model, on the same grid.
        spacing_mm: of the voxels along X, Y, Z; None where millimetres are unknown.
    """

    reference: Flags
    prediction: Flags
    spacing_mm: tuple[float, float, float] | None


@dataclass(frozen=True)
class RegionMetric(Metric):
    """A figure of one region of one case. Exactly one of the functions is given.

    Args:
        of_counts: (..., 4) TP, FP, FN, TN -> (...), NaN where undefined. Volumes come in voxels and are multiplied by
            the size of a voxel where ``unit`` is ``ml``.
        of_probabilities: histogram -> area under a curve, None where undefined.
        of_masks: masks -> value in ``unit``, None where undefined.
        pooled: whether the counts of several slices or cases can be put together to a figure of them all.
        empty: what a rule for empty masks gives an undefined figure; None: it is left out under every rule.
        millimetres: ``needed``: shown where all cases have them; ``unknown``: in their place, where some case lacks
            them; ``any``: in both.
        in_results: whether it has a row in a report's table of results; volumes have a chart of their own.

    Raises:
        ScoreError: not exactly one function.
    """

    of_counts: Callable[[Integers], Floats] | None = None
    of_probabilities: Callable[[ProbabilityHistogram], CurveFigure | None] | None = None
    of_masks: Callable[[MaskPair], float | None] | None = None
    pooled: bool = False
    empty: EmptyValues | None = None
    millimetres: Literal["any", "needed", "unknown"] = "any"
    in_results: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        functions = (self.of_counts, self.of_probabilities, self.of_masks)
        if sum(function is not None for function in functions) != 1:
            raise ScoreError(f"the metric {self.name} needs one function: of counts, of probabilities or of masks")
        if self.pooled and self.of_counts is None:
            raise ScoreError(f"the metric {self.name} is not made of counts, which alone can be pooled")

    @property
    def has_voxel_keys(self) -> bool:
        """Whether its figures have the keys ``pooled`` and ``slice_mean``, be it with null."""
        return self.of_masks is None

    def fits(self, unit: VolumeUnit) -> bool:
        """Whether it is shown where volumes are in ml (all cases have millimetres), or in voxels (some lack them)."""
        return self.millimetres != ("unknown" if unit == "ml" else "needed")

    def ruled(self, values: Floats, reference_empty: Flags, prediction_empty: Flags, rule: EmptyRule) -> Floats:
        """Its values (...) under a rule for empty masks; NaN where one does not count."""
        if self.empty is None:
            return values
        return apply_rule(values, reference_empty, prediction_empty, rule, self.empty)


@dataclass(frozen=True)
class ClassMetric(Metric):
    """A figure of classified items, for B weightings of them at once; either ``of_items`` or ``of_each_class``.

    Args:
        of_items: -> (B,), NaN where undefined.
        of_each_class: -> (B, K), each class against all others; of two classes the second counts, of more their mean.
        of_outcomes: of each item alone (N,), for comparisons item by item; None where it has no such value.

    Raises:
        ScoreError: not exactly one function.
    """

    of_items: Callable[[WeightedItems], Floats] | None = None
    of_each_class: Callable[[WeightedItems], Floats] | None = None
    of_outcomes: Callable[[ItemOutcomes], Floats] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.of_items is None) == (self.of_each_class is None):
            raise self._needs_one_function()

    def values(self, items: WeightedItems) -> Floats:
        """(B,) its value for each weighting; NaN where undefined."""
        if self.of_items is not None:
            return self.of_items(items)
        if self.of_each_class is not None:
            by_class = self.of_each_class(items)
            return by_class[:, 1] if by_class.shape[1] == 2 else class_items.mean_of_defined(by_class)
        raise self._needs_one_function()

    def _needs_one_function(self) -> ScoreError:
        return ScoreError(f"the metric {self.name} needs one function: of items or of each class")


_M = TypeVar("_M", bound=Metric)
RegionMetrics = Mapping[str, RegionMetric]


def table_of(metrics: Iterable[_M]) -> Mapping[str, _M]:
    """The metrics by name, in their order.

    Raises:
        ScoreError: two of one name.
    """
    listed = list(metrics)
    table = {metric.name: metric for metric in listed}
    if len(table) < len(listed):
        raise ScoreError("two metrics have one name", found=[metric.name for metric in listed])
    return MappingProxyType(table)


OwnMetrics = Sequence[Metric]
"""Metrics that a caller brings along, besides those of the tables here."""


def with_own(table: Mapping[str, _M], own: OwnMetrics) -> Mapping[str, _M]:
    """A table with the metrics of one's own behind it.

    Raises:
        ScoreError: a name that is taken, or a metric of the other task.
    """
    kind = type(next(iter(table.values())))
    for metric in own:
        if not isinstance(metric, kind):
            raise ScoreError(
                f"the metric {metric.name} is of another task",
                found=type(metric).__name__,
                expected=f"{kind.__name__}, as these figures are made of",
            )
        if metric.name in table:
            raise ScoreError(f"there is a metric {metric.name} already", remedy="Give yours another name")
    return table_of((*table.values(), *(metric for metric in own if isinstance(metric, kind)))) if own else table


def _ratio(name: str, words: str, about: str, function: Callable[[Integers], Floats]) -> RegionMetric:
    return RegionMetric(name, words, about, picks_best=True, of_counts=function, pooled=True, empty=OF_RATIOS)


def _volumes(unit: VolumeUnit) -> Iterable[RegionMetric]:
    """In ml where all cases have millimetres, else in voxels; the unit is part of the name."""
    entries: tuple[tuple[str, str, str, Better, Callable[[Integers], Floats]], ...] = (
        ("volume_reference", "Reference volume", "TP + FN", "neither", volume.reference_voxels),
        ("volume_prediction", "Predicted volume", "TP + FP", "neither", volume.prediction_voxels),
        ("volume_error", "Volume error", "prediction − reference", "nearer to 0", volume.error_voxels),
        ("volume_error_abs", "Absolute volume error", "|error|", "lower", volume.absolute_error_voxels),
    )
    for name, words, about, better, function in entries:
        yield RegionMetric(
            f"{name}_{unit}",
            words,
            about,
            unit,
            better,
            of_counts=function,
            millimetres="needed" if unit == "ml" else "unknown",
            in_results=False,
        )


REGION_METRICS: RegionMetrics = table_of(
    (
        _ratio("dice", "Dice", "2 TP / (2 TP + FP + FN)", overlap.dice),
        _ratio("iou", "IoU", "TP / (TP + FP + FN)", overlap.iou),
        _ratio("precision", "Precision", "TP / (TP + FP)", overlap.precision),
        _ratio("recall", "Recall (sensitivity)", "TP / (TP + FN)", overlap.recall),
        _ratio("specificity", "Specificity", "TN / (TN + FP)", overlap.specificity),
        _ratio("accuracy", "Accuracy", "(TP + TN) / all", overlap.accuracy),
        _ratio("f1", "F1", "harmonic mean of precision and recall, which is Dice", overlap.dice),
        *_volumes("ml"),
        *_volumes("voxels"),
        RegionMetric(
            "volume_error_ratio",
            "Relative volume error",
            "volume error / reference volume",
            better="nearer to 0",
            of_counts=volume.error_ratio,
            in_results=False,
        ),
        RegionMetric(
            "roc_auc",
            "ROC-AUC (voxels)",
            "chance that a voxel inside has a higher probability than one outside",
            of_probabilities=roc_auc,
        ),
        RegionMetric(
            "average_precision",
            "Average precision",
            "Σ (recall_k − recall_(k−1)) · precision_k over thresholds",
            of_probabilities=average_precision,
        ),
    )
)
"""Figures of a region, in the order of tables and files."""

CLASS_METRICS: Mapping[str, ClassMetric] = table_of(
    (
        ClassMetric(
            "accuracy",
            "Accuracy",
            "right / all",
            picks_best=True,
            of_items=class_items.accuracy,
            of_outcomes=class_items.is_right,
        ),
        ClassMetric(
            "balanced_accuracy",
            "Balanced accuracy",
            "mean recall of the classes",
            picks_best=True,
            of_items=class_items.balanced_accuracy,
        ),
        ClassMetric("precision", "Precision", "TP / (TP + FP)", of_each_class=class_items.precision),
        ClassMetric("recall", "Recall (sensitivity)", "TP / (TP + FN)", of_each_class=class_items.recall),
        ClassMetric("specificity", "Specificity", "TN / (TN + FP)", of_each_class=class_items.specificity),
        ClassMetric("f1", "F1", "2 TP / (2 TP + FP + FN)", picks_best=True, of_each_class=class_items.f1),
        ClassMetric(
            "auc",
            "ROC-AUC",
            "chance that an item of the class has a higher probability than another",
            picks_best=True,
            of_each_class=class_items.auc,
        ),
        ClassMetric(
            "average_precision",
            "Average precision",
            "Σ (recall_k − recall_(k−1)) · precision_k over thresholds",
            picks_best=True,
            of_each_class=class_items.average_precision,
        ),
        ClassMetric(
            "log_loss",
            "Log loss",
            "mean of −ln(probability of the true class)",
            "number",
            "lower",
            of_items=class_items.log_loss,
            of_outcomes=class_items.own_log_loss,
        ),
        ClassMetric(
            "brier",
            "Brier score",
            "mean over items of the sum over classes of (probability − 1 or 0)²",
            "number",
            "lower",
            of_items=class_items.brier,
        ),
        ClassMetric(
            "ece",
            "Calibration error (ECE)",
            "mean gap between confidence and accuracy over bins of confidence",
            better="lower",
            of_items=class_items.calibration_error,
        ),
        ClassMetric(
            "confidence",
            "Mean confidence",
            "mean probability of the class that was said",
            better="neither",
            of_items=class_items.mean_confidence,
            of_outcomes=class_items.own_confidence,
        ),
    )
)
"""Figures of classified items, in the order of files."""

OVERLAP_METRICS: tuple[str, ...] = tuple(name for name, metric in REGION_METRICS.items() if metric.pooled)
"""Those that can be scored over slices, batches, cases and pooled voxels alike, as publications do."""
REGION_SCORES: tuple[str, ...] = tuple(name for name, metric in REGION_METRICS.items() if metric.picks_best)
CLASS_SCORES: tuple[str, ...] = tuple(name for name, metric in CLASS_METRICS.items() if metric.picks_best)
"""Those by which the best model can be picked."""


def ratio(counts: Integers, name: str) -> Floats:
    """One of ``OVERLAP_METRICS``: (..., 4) TP, FP, FN, TN -> (...) in 0..1; NaN where it is 0/0."""
    function = REGION_METRICS[name].of_counts
    if function is None:
        raise ScoreError(f"{name} is not made of confusion counts", expected=f"one of {', '.join(OVERLAP_METRICS)}")
    return function(counts)


def ruled_ratio(counts: Integers, name: str, rule: EmptyRule) -> Floats:
    """``ratio`` with the rule for empty masks applied: (..., 4) counts -> (...) values, NaN where one is left out."""
    reference_empty, prediction_empty = overlap.emptiness(counts)
    return REGION_METRICS[name].ruled(ratio(counts, name), reference_empty, prediction_empty, rule)


def value_or_none(value: float) -> float | None:
    """None in place of NaN, as strict JSON wants it."""
    return None if np.isnan(value) else float(value)


def _one_of(names: tuple[str, ...]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"there is no metric {name} here: one of {', '.join(names)}")
        return name

    return AfterValidator(check)


OverlapMetricName = Annotated[str, _one_of(OVERLAP_METRICS)]
MetricName = Annotated[str, _one_of(tuple(dict.fromkeys((*REGION_METRICS, *CLASS_METRICS))))]
ClassMetricName = Annotated[str, _one_of(tuple(CLASS_METRICS))]
ScoreName = Annotated[str, _one_of(tuple(dict.fromkeys((*REGION_SCORES, *CLASS_SCORES))))]
"""Names in options: the tables are closed, so that an unknown one is an error that lists those that there are."""
