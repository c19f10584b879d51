"""Runs side by side on the same patients, with paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from glioseg.errors import ScoreError, name_some
from glioseg.evaluation.overlap import OVERLAP_METRICS, Integers, OverlapMetric, ruled_ratio
from glioseg.evaluation.score import EMPTY_RULES, EmptyRule, Floats
from glioseg.evaluation.statistics import (
    PairedTest,
    Spread,
    bootstrap_intervals,
    by_patient,
    holm,
    paired_wilcoxon,
    spread,
)
from glioseg.evaluation.table import COUNTS, Row, regions_of

_OVERLAP: Mapping[str, OverlapMetric] = {name: name for name in OVERLAP_METRICS}
Interval = tuple[float, float] | None


class CompareOptions(BaseModel):
    """How runs are compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: tuple[str, ...] = Field(("dice",), min_length=1, description="columns of the tables of cases")
    empty: EmptyRule = Field("skip", description="what counts where a mask is empty and a ratio is 0/0")
    n_resamples: int = Field(10_000, ge=1, description="bootstrap draws of the intervals")
    seed: int = Field(0, ge=0, description="of the bootstrap")


@dataclass(frozen=True)
class RunFigure:
    """A run's figure over the common cases: spread over cases, interval of the mean over patients."""

    run: str
    spread: Spread
    ci95: Interval


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


@dataclass(frozen=True)
class MetricComparison:
    """One metric of one region: every run, and every pair of runs."""

    region: str
    metric: str
    runs: tuple[RunFigure, ...]
    pairs: tuple[PairFigure, ...]


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
            "results": [_result_json(result) for result in self.results],
        }


def compare(runs: Mapping[str, Sequence[Row]], options: CompareOptions) -> Comparison:
    """Compare runs on the cases that all of them scored.

    Cases and regions that only some runs have are left out and named.

    Args:
        runs: name -> rows, as ``case_rows`` makes them or ``rows_from_csv`` reads them.
        options: what to compare, and how.

    Raises:
        ScoreError: fewer than two runs, no common case or region, a case twice, a metric that a run lacks, or a common
            case whose patient or reference differs between runs.
    """
    if len(runs) < 2:
        raise ScoreError("a comparison needs two runs or more", found=len(runs))
    tables = {name: _by_case(name, rows) for name, rows in runs.items()}
    cases = sorted(set.intersection(*(set(table) for table in tables.values())))
    if not cases:
        raise ScoreError(
            "the runs have no case in common",
            found="; ".join(f"{name}: {name_some(sorted(table), 3)}" for name, table in tables.items()),
            remedy="Evaluate them on the same part of the same split",
        )
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
            _compare_metric(common, patients, region, metric, options)
            for region in regions
            for metric in options.metrics
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
        kept = sorted((row for row in rows if row["case"] not in left_out), key=lambda row: str(row["case"]))
        column = _column(run, kept, result.region, result.metric, comparison.options.empty)
        names, sums, counts = by_patient(column[:, None], [str(row["patient"]) for row in kept])
        values[run] = np.divide(sums[:, 0], counts[:, 0], out=np.full(len(names), np.nan), where=counts[:, 0] > 0)
    return names, values


def _by_case(name: str, rows: Sequence[Row]) -> dict[str, Row]:
    table = {str(row["case"]): row for row in rows}
    if len(table) != len(rows):
        raise ScoreError(f"run {name} has a case twice")
    return table


def _require_same_references(common: Mapping[str, Sequence[Row]], regions: Sequence[str]) -> None:
    """The same case must be the same patient's, on the same grid, against the same reference."""
    first, *others = common.items()
    for name, rows in others:
        for one, other in zip(first[1], rows, strict=True):
            keys = [("patient", one["patient"], other["patient"]), ("voxels", one["n_voxels"], other["n_voxels"])]
            keys += [(f"reference of {region}", _size(one, region), _size(other, region)) for region in regions]
            for what, expected, found in keys:
                if found != expected:
                    raise ScoreError(
                        f"case {one['case']} is not the same in {first[0]} and {name}: {what} differs",
                        found=found,
                        expected=expected,
                        remedy="Compare runs that were evaluated on the same data",
                    )


def _size(row: Row, region: str) -> int:
    return int(row[f"{region}.tp"] or 0) + int(row[f"{region}.fn"] or 0)


def _compare_metric(
    common: Mapping[str, Sequence[Row]], patients: Sequence[str], region: str, metric: str, options: CompareOptions
) -> MetricComparison:
    columns = {name: _column(name, rows, region, metric, options.empty) for name, rows in common.items()}
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
    names, sums, counts = by_patient((columns[first] - columns[second])[:, None], patients)
    has = counts[:, 0] > 0
    differences = sums[has, 0] / counts[has, 0]
    interval = None
    if differences.size:
        owners = [name for name, used in zip(names, has, strict=True) if used]
        interval = bootstrap_intervals(
            differences[:, None], owners, n_resamples=options.n_resamples, seed=options.seed
        )[0]
    return PairFigure(first, second, paired_wilcoxon(differences), interval, None)


def _column(name: str, rows: Sequence[Row], region: str, metric: str, rule: EmptyRule) -> Floats:
    """(N,) values of one run; NaN where a case does not count."""
    if metric in _OVERLAP:
        counts: Integers = np.array([[int(row[f"{region}.{count}"] or 0) for count in COUNTS] for row in rows])
        return ruled_ratio(counts, _OVERLAP[metric], rule)
    key = f"{region}.{metric}"
    if any(key not in row for row in rows):
        known = [column.removeprefix(f"{region}.") for column in rows[0] if column.startswith(f"{region}.")]
        raise ScoreError(f"run {name} has no metric {metric}", expected=f"one of {', '.join(known)}")
    return np.array([np.nan if (value := row[key]) is None else float(value) for row in rows])


def _result_json(result: MetricComparison) -> dict[str, object]:
    return {
        "region": result.region,
        "metric": result.metric,
        "runs": {
            figure.run: {
                "n_cases": figure.spread.n,
                "case_mean": figure.spread.mean,
                "case_median": figure.spread.median,
                "case_quartiles": None if figure.spread.quartiles is None else list(figure.spread.quartiles),
                "case_ci95": None if figure.ci95 is None else list(figure.ci95),
            }
            for figure in result.runs
        },
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "n_patients": pair.test.n,
                "n_without_difference": pair.test.n_zero,
                "mean_difference": pair.test.mean_difference,
                "mean_difference_ci95": None if pair.ci95 is None else list(pair.ci95),
                "median_difference": pair.test.median_difference,
                "rank_biserial": pair.test.rank_biserial,
                "p": pair.test.p,
                "p_holm": pair.p_holm,
                "p_smallest": pair.test.p_smallest,
                "method": pair.test.method,
            }
            for pair in result.pairs
        ],
    }
