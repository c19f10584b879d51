"""What a metric is: its name, its unit, which way is better, its words, and the function that computes it.

The tables of them are in ``metrics``. What a metric of a region is made of decides where it exists:

- confusion counts (``of_counts``): of a slice, of a case and, where ``pooled``, of the voxels of a cohort together;
- a histogram of probabilities (``of_probabilities``): of a case and of a cohort, where probabilities are at hand;
- the two masks (``of_masks``): of a case alone. A distance cannot be pooled, so its figures lack the keys ``pooled``
  and ``slice_mean``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeVar

from glioseg.errors import ScoreError
from glioseg.evaluation import class_items
from glioseg.evaluation.calibration import CurveFigure, ProbabilityHistogram
from glioseg.evaluation.class_items import ItemOutcomes, WeightedItems
from glioseg.evaluation.masks import MaskPair
from glioseg.evaluation.score import EmptyRule, EmptyValues, Flags, Floats, Integers, apply_rule

MetricUnit = Literal["ratio", "number", "ml", "voxels", "mm", "pixels"]
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
        source: the publication that defines it; empty where it is plain counting.
        picks_best: whether a recipe can pick the best model by it (``train.score``), which names none from outside; it
            is then better when higher.

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
    source: str = ""

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
        says_unit = self.unit in _WITHOUT_UNIT or self.name.endswith(f"_{self.unit}")
        return None if says_unit else self.unit


@dataclass(frozen=True)
class RegionMetric(Metric):
    """A figure of one region of one case. Exactly one of the functions is given.

    Args:
        of_counts: (..., 4) TP, FP, FN, TN -> (...), NaN where undefined. Volumes come in voxels and are multiplied by
            the size of a voxel where ``unit`` is ``ml``.
        of_probabilities: histogram -> a figure with its bounds, None where undefined.
        of_masks: masks -> value in ``unit``, None where undefined.
        pooled: whether the counts of several slices or cases can be put together to a figure of them all.
        empty: what a rule for empty masks gives an undefined figure; None: it is left out under every rule.
        millimetres: ``needed``: shown where all cases have them; ``unknown``: in their place, where some case lacks
            them; ``any``: in both.
        only_tumour: whether it says something of tumours alone: tissues have no lesions.
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
    only_tumour: bool = False
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
        ScoreError: a name that is taken, a metric of the other task, or one that would pick the best model.
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
        if metric.picks_best:
            raise ScoreError(
                "the recipe says what picks the best model, and names no metric from outside",
                found=f"{metric.name} with picks_best=True",
                expected=f"train.score, one of {', '.join(each.name for each in table.values() if each.picks_best)}",
                remedy="Leave picks_best out",
            )
    return table_of((*table.values(), *(metric for metric in own if isinstance(metric, kind)))) if own else table
