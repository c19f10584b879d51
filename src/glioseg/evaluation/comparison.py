"""Runs side by side on the same patients: every metric of their tables, with paired tests.

A test is over patients, whose cases are averaged: two cases of one patient are no independent evidence. The mean that
stands beside it is over cases, as everywhere else, so that the difference of two means and the mean difference of the
test agree only where every patient has as many cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from pydantic import Field

from glioseg.errors import ScoreError, name_some
from glioseg.evaluation.case_table import CaseTable
from glioseg.evaluation.metric import Metric
from glioseg.evaluation.score import EMPTY_RULES, EmptyRule, Floats, Interval
from glioseg.evaluation.statistics import (
    PairedTest,
    Spread,
    bootstrap_intervals,
    by_patient,
    holm,
    paired_wilcoxon,
    patient_differences,
    spread,
)
from glioseg.frozen import Frozen


class CompareOptions(Frozen):
    """How runs are compared."""

    metrics: tuple[str, ...] | None = Field(
        None, min_length=1, description="names of metrics; None for those that are usual for the task"
    )
    empty: EmptyRule = Field("skip", description="what counts where a mask is empty and a ratio is 0/0")
    n_resamples: int = Field(10_000, ge=0, description="bootstrap draws of the intervals; 0 for none")
    seed: int = Field(0, ge=0, description="of the bootstrap")


@dataclass(frozen=True)
class RunFigure:
    """A run's figure over the common cases: spread over cases, interval of the mean over patients."""

    run: str
    spread: Spread
    ci95: Interval

    def to_json(self) -> dict[str, object]:
        """Its fields by name, but the run's; null for None."""
        return {
            "n_cases": self.spread.n,
            "case_mean": self.spread.mean,
            "case_median": self.spread.median,
            "case_quartiles": _pair_json(self.spread.quartiles),
            "case_ci95": _pair_json(self.ci95),
        }


@dataclass(frozen=True)
class PairFigure:
    """Two runs: Wilcoxon's test over patients (their cases averaged), first minus second.

    Args:
        first: name of a run.
        second: of another.
        test: the test, with the mean and median difference.
        ci95: bootstrap interval of the mean difference.
        p_holm: p adjusted for the number of pairs of runs.
    """

    first: str
    second: str
    test: PairedTest
    ci95: Interval
    p_holm: float | None

    def to_json(self) -> dict[str, object]:
        """Its fields by name; null for None."""
        return {
            "first": self.first,
            "second": self.second,
            "n_patients": self.test.n,
            "n_without_difference": self.test.n_zero,
            "mean_difference": self.test.mean_difference,
            "mean_difference_ci95": _pair_json(self.ci95),
            "median_difference": self.test.median_difference,
            "rank_biserial": self.test.rank_biserial,
            "p": self.test.p,
            "p_holm": self.p_holm,
            "p_smallest": self.test.p_smallest,
            "method": self.test.method,
        }


@dataclass(frozen=True)
class MetricComparison:
    """One metric of one region: every run, and every pair of runs."""

    region: str
    metric: Metric
    runs: tuple[RunFigure, ...]
    pairs: tuple[PairFigure, ...]

    def to_json(self) -> dict[str, object]:
        """Region, metric, figures by run, and pairs; the unit where the metric's name does not say it."""
        unit = self.metric.unit_beside
        return {
            "region": self.region,
            "metric": self.metric.name,
            **({} if unit is None else {"unit": unit}),
            "runs": {figure.run: figure.to_json() for figure in self.runs},
            "pairs": [pair.to_json() for pair in self.pairs],
        }


@dataclass(frozen=True)
class Comparison:
    """Runs on the cases that all of them scored.

    Args:
        options: how they were compared.
        runs: their names.
        n_cases: common cases.
        n_patients: their patients.
        left_out: run -> its cases that some other run lacks.
        regions_left_out: run -> its regions that some other run lacks.
        results: one per common region and metric.
    """

    options: CompareOptions
    runs: tuple[str, ...]
    n_cases: int
    n_patients: int
    left_out: Mapping[str, tuple[str, ...]]
    regions_left_out: Mapping[str, tuple[str, ...]]
    results: tuple[MetricComparison, ...]

    def to_json(self) -> dict[str, object]:
        """What ``compare --json`` prints; strict JSON, undefined figures are null."""
        return {
            "protocol": {
                "unit": "case",
                "test": "Wilcoxon signed-rank over patients, two-sided, zeros after Pratt",
                "adjusted": "Holm, over the pairs of runs",
                "empty": self.options.empty,
                "empty_meaning": EMPTY_RULES[self.options.empty],
                "n_resamples": self.options.n_resamples,
                "seed": self.options.seed,
            },
            "runs": list(self.runs),
            "n_cases": self.n_cases,
            "n_patients": self.n_patients,
            "left_out": {run: list(cases) for run, cases in self.left_out.items()},
            "regions_left_out": {run: list(regions) for run, regions in self.regions_left_out.items()},
            "results": [result.to_json() for result in self.results],
        }


def compare(runs: Mapping[str, CaseTable], options: CompareOptions) -> Comparison:
    """Compare runs on the cases that all of them scored.

    Cases and regions (classes) that only some runs have are left out and named.

    Args:
        runs: name -> table, all of one kind.
        options: what to compare, and how.

    Raises:
        ScoreError: fewer than two runs, no common case or region, a case twice, a metric that a run lacks, or a common
            case whose patient or reference differs between runs.
    """
    if len(runs) < 2:
        raise ScoreError("a comparison needs two runs or more", found=len(runs))
    _require_one_kind(runs)
    keys = {name: _keys(name, table) for name, table in runs.items()}
    cases = _common_cases(keys)
    common = {name: table.of_keys(cases) for name, table in runs.items()}
    owned = {name: table.groups for name, table in common.items()}
    regions = [region for region in next(iter(owned.values())) if all(region in groups for groups in owned.values())]
    if not regions:
        raise ScoreError("the runs have no region in common", found=owned)
    _require_same_references(common, regions)
    first = next(iter(common.values()))
    patients = [str(row["patient"]) for row in first.rows]
    return Comparison(
        options=options,
        runs=tuple(runs),
        n_cases=len(cases),
        n_patients=len(set(patients)),
        left_out={name: tuple(sorted(set(run_keys) - set(cases))) for name, run_keys in keys.items()},
        regions_left_out={name: tuple(r for r in run_groups if r not in regions) for name, run_groups in owned.items()},
        results=tuple(
            _compare_metric(common, patients, region, _common_metric(common, region, name), options)
            for region in regions
            for name in options.metrics or first.usual_metrics
        ),
    )


def values_by_patient(
    runs: Mapping[str, CaseTable], comparison: Comparison, result: MetricComparison
) -> tuple[list[str], dict[str, Floats]]:
    """What a test has compared: the P patients, sorted, and each run's values (P,), NaN where a patient has none.

    Args:
        runs: what ``comparison`` was made of.
        comparison: the comparison.
        result: one of its results.
    """
    names: list[str] = []
    values: dict[str, Floats] = {}
    for run, table in runs.items():
        left_out = set(comparison.left_out[run])
        common = table.of_keys(sorted(key for row in table.rows if (key := table.key(row)) not in left_out))
        column = _column(common, result.region, result.metric.name, comparison.options.empty)
        names, sums, counts = by_patient(column[:, None], [str(row["patient"]) for row in common.rows])
        values[run] = np.divide(sums[:, 0], counts[:, 0], out=np.full(len(names), np.nan), where=counts[:, 0] > 0)
    return names, values


def _require_one_kind(runs: Mapping[str, CaseTable]) -> None:
    kinds = {name: type(table) for name, table in runs.items()}
    (first, expected), *others = kinds.items()
    for name, kind in others:
        if kind is not expected:
            raise ScoreError(
                f"{first} and {name} are of different tasks: one draws regions, the other says classes",
                remedy="Compare networks that were asked for the same",
            )


def _keys(name: str, table: CaseTable) -> list[str]:
    keys = [table.key(row) for row in table.rows]
    if len(set(keys)) != len(keys):
        raise ScoreError(f"run {name} has a case twice")
    return keys


def _common_cases(keys: Mapping[str, Sequence[str]]) -> list[str]:
    cases = sorted(set.intersection(*(set(run_keys) for run_keys in keys.values())))
    if not cases:
        raise ScoreError(
            "the runs have no case in common",
            found="; ".join(f"{name}: {name_some(sorted(run_keys), 3)}" for name, run_keys in keys.items()),
            remedy="Evaluate them on the same part of the same split",
        )
    return cases


def _require_same_references(common: Mapping[str, CaseTable], regions: Sequence[str]) -> None:
    """The same case must be the same patient's, on the same grid, against the same reference."""
    (first, expected_table), *others = common.items()
    for name, table in others:
        for expected_row, row in zip(expected_table.rows, table.rows, strict=True):
            facts = zip(
                expected_table.facts(expected_row, regions).items(), table.facts(row, regions).values(), strict=True
            )
            for (what, expected), value in facts:
                if value != expected:
                    raise ScoreError(
                        f"case {row['case']} is not the same in {first} and {name}: {what} differs",
                        found=value,
                        expected=expected,
                        remedy="Compare runs that were evaluated on the same data",
                    )


def _compare_metric(
    common: Mapping[str, CaseTable],
    patients: Sequence[str],
    region: str,
    metric: Metric,
    options: CompareOptions,
) -> MetricComparison:
    columns = {name: _column(table, region, metric.name, options.empty) for name, table in common.items()}
    intervals = bootstrap_intervals(
        np.stack(list(columns.values()), axis=1), patients, n_resamples=options.n_resamples, seed=options.seed
    )
    runs = tuple(
        RunFigure(name, spread(values), interval)
        for (name, values), interval in zip(columns.items(), intervals, strict=True)
    )
    pairs = [_pair(columns, patients, first, second, options) for first, second in combinations(columns, 2)]
    adjusted = holm([pair.test.p for pair in pairs])
    return MetricComparison(
        region, metric, runs, tuple(replace(pair, p_holm=p) for pair, p in zip(pairs, adjusted, strict=True))
    )


def _pair(
    columns: Mapping[str, Floats], patients: Sequence[str], first: str, second: str, options: CompareOptions
) -> PairFigure:
    """A test over patients; a case counts where both runs have the figure."""
    differences, interval = patient_differences(
        columns[first] - columns[second], patients, n_resamples=options.n_resamples, seed=options.seed
    )
    return PairFigure(first, second, paired_wilcoxon(differences), interval, None)


def _common_metric(common: Mapping[str, CaseTable], region: str, name: str) -> Metric:
    """The metric of that name, once it is certain that every run has it."""
    metrics = [table.metric(name, region, f"run {run}") for run, table in common.items()]
    return metrics[0]


def _column(table: CaseTable, region: str, metric: str, rule: EmptyRule) -> Floats:
    column = table.column(region, metric, rule)
    if column is None:
        raise ScoreError(f"a table has no {metric} of {region}")
    return column


def _pair_json(pair: Interval) -> list[float] | None:
    return None if pair is None else list(pair)
