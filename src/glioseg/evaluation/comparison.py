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
from pydantic import BaseModel, ConfigDict, Field

from glioseg.errors import ScoreError, name_some
from glioseg.evaluation.metrics import REGION_METRICS, RegionMetric, RegionMetrics
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
from glioseg.evaluation.table import Cell, Row, metric_column, metric_named, regions_of


class CompareOptions(BaseModel):
    """How runs are compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: tuple[str, ...] = Field(("dice",), min_length=1, description="names of metrics of regions")
    empty: EmptyRule = Field("skip", description="what counts where a mask is empty and a ratio is 0/0")
    n_resamples: int = Field(10_000, ge=1, description="bootstrap draws of the intervals")
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
    metric: RegionMetric
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


def compare(
    runs: Mapping[str, Sequence[Row]], options: CompareOptions, metrics: RegionMetrics = REGION_METRICS
) -> Comparison:
    """Compare runs on the cases that all of them scored.

    Cases and regions that only some runs have are left out and named.

    Args:
        runs: name -> rows, as ``case_rows`` makes them or ``rows_from_csv`` reads them.
        options: what to compare, and how.
        metrics: those that there are.

    Raises:
        ScoreError: fewer than two runs, no common case or region, a case twice, a metric that a run lacks, or a common
            case whose patient or reference differs between runs.
    """
    if len(runs) < 2:
        raise ScoreError("a comparison needs two runs or more", found=len(runs))
    tables = {name: _by_case(name, rows) for name, rows in runs.items()}
    cases = _common_cases(tables)
    common = {name: [table[case] for case in cases] for name, table in tables.items()}
    owned = {name: regions_of(rows) for name, rows in common.items()}
    regions = [region for region in next(iter(owned.values())) if all(region in own for own in owned.values())]
    if not regions:
        raise ScoreError("the runs have no region in common", found=owned)
    _require_same_references(common, regions)
    patients = [str(row["patient"]) for row in next(iter(common.values()))]
    return Comparison(
        options=options,
        runs=tuple(runs),
        n_cases=len(cases),
        n_patients=len(set(patients)),
        left_out={name: tuple(sorted(set(table) - set(cases))) for name, table in tables.items()},
        regions_left_out={name: tuple(r for r in own if r not in regions) for name, own in owned.items()},
        results=tuple(
            _compare_metric(common, patients, region, _common_metric(common, region, name, metrics), options)
            for region in regions
            for name in options.metrics
        ),
    )


def values_by_patient(
    runs: Mapping[str, Sequence[Row]], comparison: Comparison, result: MetricComparison
) -> tuple[list[str], dict[str, Floats]]:
    """What a test has compared: the P patients, sorted, and each run's values (P,), NaN where a patient has none.

    Args:
        runs: what ``comparison`` was made of.
        comparison: the comparison.
        result: one of its results.
    """
    names: list[str] = []
    values: dict[str, Floats] = {}
    for run, rows in runs.items():
        left_out = set(comparison.left_out[run])
        common = sorted((row for row in rows if row["case"] not in left_out), key=lambda row: str(row["case"]))
        column = metric_column(common, result.region, result.metric, comparison.options.empty)
        names, sums, counts = by_patient(column[:, None], [str(row["patient"]) for row in common])
        values[run] = np.divide(sums[:, 0], counts[:, 0], out=np.full(len(names), np.nan), where=counts[:, 0] > 0)
    return names, values


def _common_cases(tables: Mapping[str, Mapping[str, Row]]) -> list[str]:
    cases = sorted(set.intersection(*(set(table) for table in tables.values())))
    if not cases:
        raise ScoreError(
            "the runs have no case in common",
            found="; ".join(f"{name}: {name_some(sorted(table), 3)}" for name, table in tables.items()),
            remedy="Evaluate them on the same part of the same split",
        )
    return cases


def _by_case(name: str, rows: Sequence[Row]) -> dict[str, Row]:
    table = {str(row["case"]): row for row in rows}
    if len(table) != len(rows):
        raise ScoreError(f"run {name} has a case twice")
    return table


def _require_same_references(common: Mapping[str, Sequence[Row]], regions: Sequence[str]) -> None:
    """The same case must be the same patient's, on the same grid, against the same reference."""
    (first, expected_rows), *others = common.items()
    for name, rows in others:
        for expected_row, row in zip(expected_rows, rows, strict=True):
            facts = zip(_facts(expected_row, regions).items(), _facts(row, regions).values(), strict=True)
            for (what, expected), value in facts:
                if value != expected:
                    raise ScoreError(
                        f"case {row['case']} is not the same in {first} and {name}: {what} differs",
                        found=value,
                        expected=expected,
                        remedy="Compare runs that were evaluated on the same data",
                    )


def _facts(row: Row, regions: Sequence[str]) -> dict[str, Cell]:
    """What must be the same of a case in every run: in words -> value."""
    sizes: dict[str, Cell] = {f"reference of {region}": _size(row, region) for region in regions}
    return {"patient": row["patient"], "voxels": row["n_voxels"], **sizes}


def _size(row: Row, region: str) -> int:
    return int(row[f"{region}.tp"] or 0) + int(row[f"{region}.fn"] or 0)


def _compare_metric(
    common: Mapping[str, Sequence[Row]],
    patients: Sequence[str],
    region: str,
    metric: RegionMetric,
    options: CompareOptions,
) -> MetricComparison:
    columns = {name: metric_column(rows, region, metric, options.empty) for name, rows in common.items()}
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


def _common_metric(common: Mapping[str, Sequence[Row]], region: str, name: str, metrics: RegionMetrics) -> RegionMetric:
    """The metric of that name, once it is certain that every run has it."""
    wanted = [metric_named(name, rows, region, metrics, f"run {run}") for run, rows in common.items()]
    return wanted[0]


def _pair_json(pair: Interval) -> list[float] | None:
    return None if pair is None else list(pair)
