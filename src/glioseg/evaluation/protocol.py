"""The evaluation of a cohort: native grid, every slice, means over cases with intervals over patients.

Whatever a recipe did to its data, these are the figures that two recipes can be compared by. What stands beside a
publication's figures is scored by that publication's protocol instead (``published``) and never mixed with these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from glioseg.errors import ScoreError, name_some
from glioseg.evaluation.calibration import N_BINS, CurveFigure, merged
from glioseg.evaluation.cases import (
    CURVES,
    CaseScores,
    VolumeUnit,
    curve_figure,
    scores_of,
    volume_unit_of,
)
from glioseg.evaluation.overlap import OVERLAP_METRICS, Integers, OverlapMetric, mean_or_none, ruled_ratio
from glioseg.evaluation.published import Published
from glioseg.evaluation.score import EMPTY_RULES, EmptyRule, Floats, Score
from glioseg.evaluation.statistics import bootstrap_intervals, spread

_LEVEL = 0.95


class EvaluateOptions(BaseModel):
    """How a cohort's figures are averaged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    empty: EmptyRule = Field("skip", description="what counts where a mask is empty and a ratio is 0/0")
    n_resamples: int = Field(10_000, ge=0, description="bootstrap draws of the intervals; 0 for none")
    seed: int = Field(0, ge=0, description="of the bootstrap")


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
    """

    n_cases: int
    case_mean: float | None
    case_median: float | None
    case_quartiles: tuple[float, float] | None
    case_ci95: tuple[float, float] | None
    pooled: float | None
    slice_mean: float | None
    pooled_error_bound: float | None = None

    def to_json(self) -> dict[str, object]:
        """The fields by name; lists for pairs, null for None."""
        values: dict[str, object] = {
            "n_cases": self.n_cases,
            "case_mean": self.case_mean,
            "case_median": self.case_median,
            "case_quartiles": None if self.case_quartiles is None else list(self.case_quartiles),
            "case_ci95": None if self.case_ci95 is None else list(self.case_ci95),
            "pooled": self.pooled,
            "slice_mean": self.slice_mean,
        }
        if self.pooled_error_bound is not None:
            values["pooled_error_bound"] = self.pooled_error_bound
        return values


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
    """

    options: EvaluateOptions
    n_cases: int
    n_patients: int
    n_slices: int
    volume_unit: VolumeUnit
    regions: Mapping[str, Mapping[str, Summary]]
    masks: Mapping[str, Mapping[str, int]]
    pixel_accuracy: Summary
    as_published: Published | None = None

    def to_json(self) -> dict[str, object]:
        """What ``evaluate --json`` prints; strict JSON, undefined figures are null."""
        block: dict[str, object] = {
            "protocol": {
                "unit": "case",
                "empty": self.options.empty,
                "empty_meaning": EMPTY_RULES[self.options.empty],
                "grid": "native",
                "slices": "all",
                "slice_axis": "Z",
                "volume_unit": self.volume_unit,
                "interval": {
                    "level": _LEVEL,
                    "method": "BCa bootstrap of whole patients",
                    "n_resamples": self.options.n_resamples,
                    "seed": self.options.seed,
                },
                "curves": f"voxels counted in {N_BINS} bins of probability; skipped where undefined",
            },
            "n_cases": self.n_cases,
            "n_patients": self.n_patients,
            "n_slices": self.n_slices,
            "regions": {
                region: {metric: summary.to_json() for metric, summary in metrics.items()}
                for region, metrics in self.regions.items()
            },
            "masks": {region: dict(counts) for region, counts in self.masks.items()},
            "label_map": {"pixel_accuracy": self.pixel_accuracy.to_json()},
        }
        if self.as_published is not None:
            block["as_published"] = self.as_published.to_json()
        return block


def aggregate(
    cases: Sequence[CaseScores], options: EvaluateOptions, as_published: Published | None = None
) -> Evaluation:
    """A cohort's evaluation from its cases; their order does not matter.

    Args:
        cases: scored on the native grid, the same regions in each.
        options: how to average.
        as_published: the second block, from ``published``.

    Raises:
        ScoreError: no case, a case twice, differing regions, another grid than the native one, or histograms for some
            cases only.
    """
    ordered = _checked(cases)
    unit = volume_unit_of(ordered)
    scored = [scores_of(case, unit) for case in ordered]
    correct = np.concatenate([case.slices.correct for case in ordered])
    areas = np.concatenate([case.slices.regions[:, 0].sum(axis=1) for case in ordered])
    accuracy = np.array([case.pixel_accuracy for case in ordered])
    columns = _columns(ordered, scored, options.empty)
    intervals = _intervals([*columns.values(), accuracy], [case.patient for case in ordered], options)
    return Evaluation(
        options=options,
        n_cases=len(ordered),
        n_patients=len({case.patient for case in ordered}),
        n_slices=len(correct),
        volume_unit=unit,
        regions=_summaries(ordered, columns, intervals, options.empty),
        masks={
            region: dict(sorted(Counter(one[region]["dice"].status for one in scored).items()))
            for region in ordered[0].regions
        },
        pixel_accuracy=_summary(
            accuracy, intervals[-1], float(correct.sum() / areas.sum()), float((correct / areas).mean())
        ),
        as_published=as_published,
    )


def mean_over_regions(evaluation: Evaluation, metric: str) -> float | None:
    """The mean over regions of a metric's case mean, which picks the best model; None where no region has one.

    Raises:
        ScoreError: the evaluation has no such metric.
    """
    known = next(iter(evaluation.regions.values()))
    if metric not in known:
        raise ScoreError(f"there is no metric {metric}", expected=f"one of {', '.join(known)}")
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
        if (case.histograms is None) != (first.histograms is None):
            raise ScoreError("probabilities are at hand for some cases only", found=f"{first.case} against {case.case}")
    return ordered


def _columns(
    cases: Sequence[CaseScores], scored: Sequence[Mapping[str, Mapping[str, Score]]], rule: EmptyRule
) -> dict[tuple[str, str], Floats]:
    """(region, metric) -> (N,) values of the cases, NaN where one does not count."""
    counts = np.stack([case.counts for case in cases])
    columns: dict[tuple[str, str], Floats] = {}
    for row, region in enumerate(cases[0].regions):
        for ratio_name in OVERLAP_METRICS:
            columns[region, ratio_name] = ruled_ratio(counts[:, row], ratio_name, rule)
        for metric in scored[0][region]:
            if (region, metric) not in columns:
                values = (one[region][metric].value for one in scored)
                columns[region, metric] = np.array([np.nan if value is None else value for value in values])
    return columns


def _intervals(
    columns: Sequence[Floats], patients: Sequence[str], options: EvaluateOptions
) -> list[tuple[float, float] | None]:
    if not options.n_resamples:
        return [None] * len(columns)
    return bootstrap_intervals(
        np.stack(columns, axis=1), patients, n_resamples=options.n_resamples, level=_LEVEL, seed=options.seed
    )


def _summaries(
    cases: Sequence[CaseScores],
    columns: Mapping[tuple[str, str], Floats],
    intervals: Sequence[tuple[float, float] | None],
    rule: EmptyRule,
) -> dict[str, dict[str, Summary]]:
    slices = np.concatenate([case.slices.regions for case in cases])
    summaries: dict[str, dict[str, Summary]] = {region: {} for region in cases[0].regions}
    for ((region, metric), column), interval in zip(columns.items(), intervals, strict=False):
        pooled, slice_mean, bound = _over_voxels(cases, slices, region, metric, rule)
        summaries[region][metric] = _summary(column, interval, pooled, slice_mean, bound)
    return summaries


def _over_voxels(
    cases: Sequence[CaseScores], slices: Integers, region: str, metric: str, rule: EmptyRule
) -> tuple[float | None, float | None, float | None]:
    """A metric pooled over voxels, its mean over slices, and the error bound of the pooled one."""
    row = cases[0].regions.index(region)
    overlap: dict[str, OverlapMetric] = {name: name for name in OVERLAP_METRICS}
    if metric in overlap:
        own = slices[:, row]
        pooled = mean_or_none(ruled_ratio(own.sum(axis=0, keepdims=True), overlap[metric], rule))
        return pooled, mean_or_none(ruled_ratio(own, overlap[metric], rule)), None
    if metric in CURVES:
        figure: CurveFigure | None = curve_figure(
            merged(case.histograms[row] for case in cases if case.histograms is not None), metric
        )
        return (None, None, None) if figure is None else (figure.value, None, figure.error_bound)
    return None, None, None


def _summary(
    column: Floats,
    interval: tuple[float, float] | None,
    pooled: float | None,
    slice_mean: float | None,
    bound: float | None = None,
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
    )
