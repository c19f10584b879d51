"""Variations that were each trained several times, compared on the patients whom all of them scored.

A fold scores patients of its own, a seed the same patients once more. So each case counts once: with the mean of its
figure over the runs that scored it. What is left is one figure for each case, whose mean has an interval over patients
and whose differences between variations have a paired test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glioseg.evaluation.case_table import CaseTable
from glioseg.evaluation.comparison import CompareOptions
from glioseg.evaluation.score import EmptyRule, Interval
from glioseg.evaluation.statistics import (
    PairedTest,
    Spread,
    bootstrap_intervals,
    holm,
    paired_wilcoxon,
    patient_differences,
    spread,
)


@dataclass(frozen=True)
class CaseFigure:
    """A case's figure: the mean over the runs that scored it; NaN where none of them has it."""

    case: str
    patient: str
    value: float


@dataclass(frozen=True)
class AgainstFirst:
    """A variation minus the first one, patient by patient (their cases averaged).

    Args:
        test: Wilcoxon's, with mean and median difference.
        ci95: bootstrap interval of the mean difference.
        p_holm: p adjusted for the number of variations that were tested.
    """

    test: PairedTest
    ci95: Interval
    p_holm: float | None


@dataclass(frozen=True)
class VariationFigure:
    """One metric of one region of a variation.

    Args:
        spread: over cases.
        n_patients: of the cases that have the figure.
        ci95: interval of the mean, over patients.
        against_first: the test against the first variation; None for the first itself, and where none was asked for.
        cases: what it was made of.
    """

    spread: Spread
    n_patients: int
    ci95: Interval
    against_first: AgainstFirst | None
    cases: tuple[CaseFigure, ...]


def pooled_figures(
    runs: Mapping[str, Sequence[CaseTable]],
    region: str,
    metric: str,
    options: CompareOptions,
    *,
    paired: bool,
) -> dict[str, VariationFigure]:
    """One metric of one region for all variations that have the region and the metric.

    Args:
        runs: variation -> tables of cases of its runs, one table for each fold and seed.
        region: name of a region, or of another group of the tables.
        metric: name of a metric.
        options: rule for empty masks, and the bootstrap.
        paired: test each variation against the first.
    """
    every = {name: case_figures(tables, region, metric, options.empty) for name, tables in runs.items()}
    cases = {name: figures for name, figures in every.items() if figures}
    against: dict[str, AgainstFirst] = {}
    first = next(iter(runs), None)
    if paired and first in cases:
        against = {name: _against(cases[name], cases[first], options) for name in cases if name != first}
        adjusted = holm([test.test.p for test in against.values()])
        against = {name: replace(test, p_holm=p) for (name, test), p in zip(against.items(), adjusted, strict=True)}
    return {name: _figure(figures, against.get(name), options) for name, figures in cases.items()}


def case_figures(tables: Sequence[CaseTable], region: str, metric: str, rule: EmptyRule) -> tuple[CaseFigure, ...]:
    """Every case once, by id, with the mean of its figure over the tables that hold it; a table may lack the metric."""
    values: dict[str, list[float]] = defaultdict(list)
    patients: dict[str, str] = {}
    for table in tables:
        column = table.column(region, metric, rule)
        if column is None:
            continue
        for row, value in zip(table.rows, column, strict=True):
            patients[table.key(row)] = str(row["patient"])
            values[table.key(row)].append(float(value))
    return tuple(CaseFigure(case, patients[case], _mean(values[case])) for case in sorted(values))


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if not np.isnan(value)]
    return sum(finite) / len(finite) if finite else float("nan")


def _figure(cases: Sequence[CaseFigure], against: AgainstFirst | None, options: CompareOptions) -> VariationFigure:
    values = np.array([case.value for case in cases])
    patients = [case.patient for case in cases]
    (interval,) = bootstrap_intervals(values[:, None], patients, n_resamples=options.n_resamples, seed=options.seed)
    n_patients = len({case.patient for case in cases if not np.isnan(case.value)})
    return VariationFigure(spread(values), n_patients, interval, against, tuple(cases))


def _against(cases: Sequence[CaseFigure], first: Sequence[CaseFigure], options: CompareOptions) -> AgainstFirst:
    """A test over patients; a case counts where both variations have the figure."""
    by_case = {case.case: case.value for case in first}
    common = [case for case in cases if case.case in by_case]
    differences, interval = patient_differences(
        np.array([case.value - by_case[case.case] for case in common]),
        [case.patient for case in common],
        n_resamples=options.n_resamples,
        seed=options.seed,
    )
    return AgainstFirst(paired_wilcoxon(differences), interval, None)
