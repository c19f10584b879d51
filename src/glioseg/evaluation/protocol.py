"""The evaluation of a cohort: native grid, every slice, means over cases with intervals over patients.

Whatever a recipe did to its data, these are the figures that two recipes can be compared by. What stands beside a
publication's figures is scored by that publication's protocol instead (``published``) and never mixed with these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from glioseg.core import Facts
from glioseg.errors import ScoreError, name_some
from glioseg.evaluation.calibration import N_BINS, merged
from glioseg.evaluation.cases import CaseScores, scores_of, volume_unit_of
from glioseg.evaluation.conventions import CONVENTIONS, ConventionName
from glioseg.evaluation.fitness import Fitness, fitness_of
from glioseg.evaluation.further import Further, further_of
from glioseg.evaluation.kinds import KindFigures, kind_figures
from glioseg.evaluation.lesions import LesionRule
from glioseg.evaluation.masks import NSD_TOLERANCE_MM
from glioseg.evaluation.metric import OwnMetrics, RegionMetric, RegionMetrics, VolumeUnit, with_own
from glioseg.evaluation.metrics import REGION_METRICS, region_metrics
from glioseg.evaluation.overlap import emptiness, mean_or_none
from glioseg.evaluation.published import AsPublished
from glioseg.evaluation.score import (
    EMPTY_RULES,
    EmptyRule,
    Floats,
    Integers,
    Interval,
    Score,
    interval_from_json,
    reading,
)
from glioseg.evaluation.statistics import bootstrap_intervals, spread
from glioseg.frozen import Frozen

LEVEL = 0.95
"""Of the intervals."""
INTERVAL_METHOD = "BCa bootstrap of whole patients"
CURVES = f"voxels counted in {N_BINS} bins of probability; skipped where undefined"
"""How areas under curves, Brier score and ECE are computed."""
SURFACES = (
    "voxels with a face towards the outside, distances between their middles; hd95: the larger of the two sides' 95th "
    f"percentiles; nsd: at {NSD_TOLERANCE_MM:g} mm"
)
"""How distances are measured."""


class EvaluateOptions(Frozen):
    """How a cohort's figures are averaged."""

    empty: EmptyRule = Field("skip", description="what counts where a mask is empty and a ratio is 0/0")
    n_resamples: int = Field(10_000, ge=0, description="bootstrap draws of the intervals; 0 for none")
    seed: int = Field(0, ge=0, description="number from which the draws of the bootstrap follow")
    convention: ConventionName = Field(
        "glioseg", description="whose rules hold for lesions and, unless evaluate.empty is set too, for empty masks"
    )
    pixels: bool = Field(False, description="measure distances in pixels where millimetres are unknown")

    @model_validator(mode="before")
    @classmethod
    def _empty_of_convention(cls, values: Any) -> Any:  # noqa: ANN401 - whatever is to be validated
        """A convention brings its rule for empty masks where none is named beside it."""
        if isinstance(values, dict) and "empty" not in values and values.get("convention") in CONVENTIONS:
            return {**values, "empty": CONVENTIONS[values["convention"]].empty}
        return values

    def under(self, name: ConventionName, *, pixels: bool | None = None) -> EvaluateOptions:
        """The same draws by a convention, its rule for empty masks in."""
        shown = self.pixels if pixels is None else pixels
        return EvaluateOptions(n_resamples=self.n_resamples, seed=self.seed, convention=name, pixels=shown)

    @property
    def lesions(self) -> LesionRule:
        """What counts as a lesion by the convention."""
        return CONVENTIONS[self.convention].lesions

    def metrics(self, own: OwnMetrics = ()) -> RegionMetrics:
        """What is measured of a region, metrics of the caller's own behind the others."""
        return with_own(region_metrics(self.lesions, pixels=self.pixels), own)


@dataclass(frozen=True)
class Summary:
    """One metric of one region over a cohort; None where it has no meaning or no case has it.

    Args:
        n_cases: cases that count under the rule for empty masks.
        case_mean: mean over cases.
        case_median: their median.
        case_quartiles: their 25th and 75th percentile.
        case_ci95: interval of the mean, by bootstrap over patients; None with fewer than two patients.
        pooled: from the voxels of all cases together.
        slice_mean: mean over all slices of all cases.
        pooled_error_bound: how far ``pooled`` may be off; only for figures from histograms.
        unit: of the figures, where the metric's name does not say it and it is no ratio.
        has_voxel_keys: whether ``pooled`` and ``slice_mean`` can exist; the JSON of figures that are measured on whole
            masks lacks them.
    """

    n_cases: int
    case_mean: float | None
    case_median: float | None
    case_quartiles: tuple[float, float] | None
    case_ci95: Interval
    pooled: float | None
    slice_mean: float | None
    pooled_error_bound: float | None = None
    unit: str | None = None
    has_voxel_keys: bool = True

    def to_json(self) -> dict[str, object]:
        """The fields by name; lists for pairs, null for None. Keys that the metric does not have are absent."""
        values: dict[str, object] = {} if self.unit is None else {"unit": self.unit}
        values |= {
            "n_cases": self.n_cases,
            "case_mean": self.case_mean,
            "case_median": self.case_median,
            "case_quartiles": None if self.case_quartiles is None else list(self.case_quartiles),
            "case_ci95": None if self.case_ci95 is None else list(self.case_ci95),
        }
        if self.has_voxel_keys:
            values |= {"pooled": self.pooled, "slice_mean": self.slice_mean}
        if self.pooled_error_bound is not None:
            values["pooled_error_bound"] = self.pooled_error_bound
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote.

        Raises:
            ScoreError: not such figures.
        """
        with reading("figures of a metric"):
            return cls(
                n_cases=int(values["n_cases"]),
                case_mean=values["case_mean"],
                case_median=values["case_median"],
                case_quartiles=interval_from_json(values["case_quartiles"]),
                case_ci95=interval_from_json(values["case_ci95"]),
                pooled=values.get("pooled"),
                slice_mean=values.get("slice_mean"),
                pooled_error_bound=values.get("pooled_error_bound"),
                unit=values.get("unit"),
                has_voxel_keys="pooled" in values,
            )


@dataclass(frozen=True)
class Evaluation:
    """A cohort's figures.

    Args:
        options: how they were averaged.
        n_cases: cases scored.
        n_patients: their patients.
        n_slices: their slices.
        volume_unit: of the volumes.
        regions: region -> metric -> summary.
        masks: region -> status -> number of cases.
        pixel_accuracy: correct / all voxels of the label map.
        as_published: the same predictions by a publication's protocol, where the recipe follows one.
        kinds: how often the kind of a case is right, where a network says it.
        fitness: region -> metric -> why it is not fit for these cases.
        further: agreement of volumes, reliability, lesions over thresholds, subgroups and contributions.
    """

    options: EvaluateOptions
    n_cases: int
    n_patients: int
    n_slices: int
    volume_unit: VolumeUnit
    regions: Mapping[str, Mapping[str, Summary]]
    masks: Mapping[str, Mapping[str, int]]
    pixel_accuracy: Summary
    as_published: AsPublished | None = None
    kinds: KindFigures | None = None
    fitness: Fitness = field(default_factory=dict)
    further: Further = field(default_factory=Further)

    def to_json(self) -> dict[str, object]:
        """What ``evaluate --json`` prints; strict JSON, undefined figures are null."""
        block: dict[str, object] = {
            "protocol": self._protocol(),
            "n_cases": self.n_cases,
            "n_patients": self.n_patients,
            "n_slices": self.n_slices,
            "regions": {
                region: {metric: summary.to_json() for metric, summary in metrics.items()}
                for region, metrics in self.regions.items()
            },
            "masks": {region: dict(counts) for region, counts in self.masks.items()},
            "label_map": {"pixel_accuracy": self.pixel_accuracy.to_json()},
            "fitness": {region: dict(notes) for region, notes in self.fitness.items()},
        }
        block |= self.further.to_json()
        if self.kinds is not None:
            block["kinds"] = self.kinds.to_json()
        if self.as_published is not None:
            block["as_published"] = self.as_published.to_json()
        return block

    def summary_rows(self) -> list[dict[str, Any]]:
        """A row for each region and metric: mean, median and 95 % interval over cases, and pooled where it can be."""
        return [
            {
                "region": region,
                "metric": name,
                "mean": summary.case_mean,
                "ci95_low": None if summary.case_ci95 is None else summary.case_ci95[0],
                "ci95_high": None if summary.case_ci95 is None else summary.case_ci95[1],
                "median": summary.case_median,
                "pooled": summary.pooled,
                "n_cases": summary.n_cases,
            }
            for region, metrics in self.regions.items()
            for name, summary in metrics.items()
        ]

    def _protocol(self) -> dict[str, object]:
        """How the figures came about, in words."""
        convention = CONVENTIONS[self.options.convention]
        return {
            "unit": "case",
            "empty": self.options.empty,
            "empty_meaning": EMPTY_RULES[self.options.empty],
            "grid": "native",
            "slices": "all",
            "slice_axis": "Z",
            "volume_unit": self.volume_unit,
            "interval": {
                "level": LEVEL,
                "method": INTERVAL_METHOD,
                "n_resamples": self.options.n_resamples,
                "seed": self.options.seed,
            },
            "curves": CURVES,
            "surfaces": SURFACES,
            "pixels": self.options.pixels,
            "lesions": convention.lesions.describe(),
            "convention": self.options.convention,
            "convention_follows": convention.follows,
            "convention_differs": list(convention.differs),
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote, as ``evaluation-PART.json`` has it; keys that others have added are left alone.

        Raises:
            ScoreError: not an evaluation.
        """
        with reading("an evaluation"):
            protocol, published_block = block["protocol"], block.get("as_published")
            interval = protocol["interval"]
            return cls(
                options=EvaluateOptions(
                    empty=protocol["empty"],
                    n_resamples=interval["n_resamples"],
                    seed=interval["seed"],
                    convention=protocol.get("convention", "glioseg"),
                    pixels=protocol.get("pixels", False),
                ),
                n_cases=int(block["n_cases"]),
                n_patients=int(block["n_patients"]),
                n_slices=int(block["n_slices"]),
                volume_unit=protocol["volume_unit"],
                regions={
                    region: {name: Summary.from_json(values) for name, values in metrics.items()}
                    for region, metrics in block["regions"].items()
                },
                masks={region: dict(counts) for region, counts in block["masks"].items()},
                pixel_accuracy=Summary.from_json(block["label_map"]["pixel_accuracy"]),
                as_published=None if published_block is None else AsPublished.from_json(published_block),
                kinds=KindFigures.from_json(block["kinds"]) if "kinds" in block else None,
                fitness={region: dict(notes) for region, notes in block.get("fitness", {}).items()},
                further=Further.from_json(block),
            )


def aggregate(
    cases: Sequence[CaseScores],
    options: EvaluateOptions,
    as_published: AsPublished | None = None,
    metrics: RegionMetrics = REGION_METRICS,
    kinds: Sequence[str] = (),
    facts: Mapping[str, Facts] | None = None,
) -> Evaluation:
    """A cohort's evaluation from its cases; their order does not matter.

    Args:
        cases: scored on the native grid, the same regions in each.
        options: how to average.
        as_published: the second block, from ``published``.
        metrics: what to average; left out where the cases lack what a metric is made of.
        kinds: regions of which a case shows one, if any; their figures are added then.
        facts: case -> what is known of it, by which subgroups are made.

    Raises:
        ScoreError: no case, a case twice, differing regions, another grid than the native one, or histograms or
            measures for some cases only.
    """
    ordered = _checked(cases)
    unit = volume_unit_of(ordered)
    scored = [scores_of(case, unit, metrics) for case in ordered]
    _require_same_metrics(ordered, scored)
    accuracy = np.array([case.pixel_accuracy for case in ordered])
    columns = _columns(ordered, scored, metrics, options.empty)
    intervals = _intervals([*columns.values(), accuracy], [case.patient for case in ordered], options)
    return Evaluation(
        options=options,
        n_cases=len(ordered),
        n_patients=len({case.patient for case in ordered}),
        n_slices=sum(case.n_slices for case in ordered),
        volume_unit=unit,
        regions=_summaries(ordered, columns, intervals, metrics, options.empty),
        masks={
            region: dict(sorted(Counter(case.statuses[row] for case in ordered).items()))
            for row, region in enumerate(ordered[0].regions)
        },
        pixel_accuracy=_pixel_accuracy(ordered, accuracy, intervals[-1]),
        as_published=as_published,
        kinds=kind_figures(ordered, kinds, options.n_resamples, options.seed) if kinds else None,
        fitness=fitness_of(ordered, options.empty),
        further=further_of(ordered, facts or {}, options.empty, options.n_resamples, options.seed),
    )


def mean_over_regions(evaluation: Evaluation, metric: str) -> float | None:
    """The mean over regions of a metric's case mean, which picks the best model; None where no region has one.

    Raises:
        ScoreError: the evaluation has no such metric.
    """
    first = next(iter(evaluation.regions.values()))
    if metric not in first:
        raise ScoreError(f"there is no metric {metric}", expected=f"one of {', '.join(first)}")
    means = [metrics[metric].case_mean for metrics in evaluation.regions.values()]
    return mean_or_none(np.array([np.nan if mean is None else mean for mean in means]))


def _checked(cases: Sequence[CaseScores]) -> list[CaseScores]:
    """The cases by id, once it is certain that they belong together."""
    if not cases:
        raise ScoreError("there is no case to evaluate")
    ordered = sorted(cases, key=lambda case: case.case)
    twice = sorted(name for name, n in Counter(case.case for case in cases).items() if n > 1)
    if twice:
        raise ScoreError("a case was scored twice", found=name_some(twice))
    first = ordered[0]
    for case in ordered:
        if case.regions != first.regions:
            raise ScoreError(
                f"case {case.case} was scored on other regions", found=case.regions, expected=first.regions
            )
        if case.grid != "native":
            raise ScoreError(f"case {case.case} was not scored on its native grid", found=f"the {case.grid} grid")
        if (case.detections is None) != (first.detections is None):
            raise ScoreError("lesions were counted in some cases only", found=f"{first.case} against {case.case}")
        if [each.changed for each in case.changed] != [each.changed for each in first.changed]:
            raise ScoreError("modalities were left out of some cases only", found=f"{first.case} against {case.case}")
        if (case.histograms is None) != (first.histograms is None):
            raise ScoreError("probabilities are at hand for some cases only", found=f"{first.case} against {case.case}")
    return ordered


def _require_same_metrics(cases: Sequence[CaseScores], scored: Sequence[Mapping[str, Mapping[str, Score]]]) -> None:
    """What was measured on one case's masks and not on another's would be a mean over some cases."""
    region = cases[0].regions[0]
    for case, figures in zip(cases, scored, strict=True):
        if list(figures[region]) != list(scored[0][region]):
            names = sorted(set(figures[region]) ^ set(scored[0][region]))
            raise ScoreError(f"{name_some(names)} at hand for some cases only", found=f"{cases[0].case}, {case.case}")


def _columns(
    cases: Sequence[CaseScores],
    scored: Sequence[Mapping[str, Mapping[str, Score]]],
    metrics: RegionMetrics,
    rule: EmptyRule,
) -> dict[tuple[str, str], Floats]:
    """(region, metric) -> (N,) values of the cases, NaN where one does not count."""
    reference_empty, prediction_empty = emptiness(np.stack([case.counts for case in cases]))
    columns: dict[tuple[str, str], Floats] = {}
    for row, region in enumerate(cases[0].regions):
        for name in scored[0][region]:
            scores = (figures[region][name].value for figures in scored)
            values = np.array([np.nan if value is None else value for value in scores])
            columns[region, name] = metrics[name].ruled(values, reference_empty[:, row], prediction_empty[:, row], rule)
    return columns


def _intervals(columns: Sequence[Floats], patients: Sequence[str], options: EvaluateOptions) -> list[Interval]:
    return bootstrap_intervals(
        np.stack(columns, axis=1), patients, n_resamples=options.n_resamples, level=LEVEL, seed=options.seed
    )


def _summaries(
    cases: Sequence[CaseScores],
    columns: Mapping[tuple[str, str], Floats],
    intervals: Sequence[Interval],
    metrics: RegionMetrics,
    rule: EmptyRule,
) -> dict[str, dict[str, Summary]]:
    slices = np.concatenate([case.slices.regions for case in cases])
    summaries: dict[str, dict[str, Summary]] = {region: {} for region in cases[0].regions}
    for ((region, name), column), interval in zip(columns.items(), intervals, strict=False):
        row, metric = cases[0].regions.index(region), metrics[name]
        pooled, slice_mean, bound = _over_voxels(cases, slices[:, row], row, metric, rule)
        summaries[region][name] = _summary(column, interval, pooled, slice_mean, bound, metric)
    return summaries


def _pixel_accuracy(cases: Sequence[CaseScores], column: Floats, interval: Interval) -> Summary:
    correct = np.concatenate([case.slices.correct for case in cases])
    areas = np.concatenate([case.slices.regions[:, 0].sum(axis=1) for case in cases])
    return _summary(column, interval, float(correct.sum() / areas.sum()), float((correct / areas).mean()))


def _over_voxels(
    cases: Sequence[CaseScores], slices: Integers, row: int, metric: RegionMetric, rule: EmptyRule
) -> tuple[float | None, float | None, float | None]:
    """A metric pooled over voxels, its mean over slices, and the error bound of the pooled one.

    Args:
        cases: all of them.
        slices: (S, 4) counts of the region in all their slices.
        row: of the region.
        metric: which.
        rule: for empty masks.
    """
    if metric.of_counts is not None and metric.pooled:
        whole = slices.sum(axis=0, keepdims=True)
        over_all, over_slices = (
            mean_or_none(metric.ruled(metric.of_counts(counts), *emptiness(counts), rule)) for counts in (whole, slices)
        )
        return over_all, over_slices, None
    if metric.of_probabilities is not None:
        area = metric.of_probabilities(merged(case.histograms[row] for case in cases if case.histograms is not None))
        return (None, None, None) if area is None else (area.value, None, area.error_bound)
    return None, None, None


def _summary(
    column: Floats,
    interval: Interval,
    pooled: float | None,
    slice_mean: float | None,
    bound: float | None = None,
    metric: RegionMetric | None = None,
) -> Summary:
    over_cases = spread(column)
    return Summary(
        n_cases=over_cases.n,
        case_mean=over_cases.mean,
        case_median=over_cases.median,
        case_quartiles=over_cases.quartiles,
        case_ci95=interval,
        pooled=pooled,
        slice_mean=slice_mean,
        pooled_error_bound=bound,
        unit=None if metric is None else metric.unit_beside,
        has_voxel_keys=metric is None or metric.has_voxel_keys,
    )
