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

from glioseg.evaluation.overlap import OVERLAP_METRICS, Integers, OverlapMetric, ruled_ratio
from glioseg.evaluation.paired import CompareOptions, Interval
from glioseg.evaluation.score import EmptyRule
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
    runs: Mapping[str, Sequence[Sequence[Row]]],
    region: str,
    metric: OverlapMetric,
    options: CompareOptions,
    *,
    paired: bool,
) -> dict[str, VariationFigure]:
    """One metric of one region for all variations that have the region.

    Args:
        runs: variation -> tables of cases of its runs, one table for each fold and seed.
        region: name of a region.
        metric: of overlap, from the counts of the tables.
        options: rule for empty masks, and the bootstrap.
        paired: test each variation against the first.
    """
    cases = {name: case_figures(tables, region, metric, options.empty) for name, tables in runs.items()}
    cases = {name: found for name, found in cases.items() if found}
    against: dict[str, AgainstFirst] = {}
    first = next(iter(runs), None)
    if paired and first in cases:
        against = {name: _against(cases[name], cases[first], options) for name in cases if name != first}
        adjusted = holm([one.test.p for one in against.values()])
        against = {name: replace(one, p_holm=p) for (name, one), p in zip(against.items(), adjusted, strict=True)}
    return {name: _figure(found, against.get(name), options) for name, found in cases.items()}


def case_figures(
    tables: Sequence[Sequence[Row]], region: str, metric: OverlapMetric, rule: EmptyRule
) -> tuple[CaseFigure, ...]:
    """Every case once, by id, with the mean of its figure over the tables that hold it."""
    values: dict[str, list[float]] = defaultdict(list)
    patients: dict[str, str] = {}
    for rows in tables:
        if region not in regions_of(rows):
            continue
        counts: Integers = np.array([[int(row[f"{region}.{count}"] or 0) for count in COUNTS] for row in rows])
        for row, value in zip(rows, ruled_ratio(counts, metric, rule), strict=True):
            patients[str(row["case"])] = str(row["patient"])
            values[str(row["case"])].append(float(value))
    return tuple(CaseFigure(case, patients[case], _mean(values[case])) for case in sorted(values))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return sum(known) / len(known) if known else float("nan")


def _figure(cases: Sequence[CaseFigure], against: AgainstFirst | None, options: CompareOptions) -> VariationFigure:
    values = np.array([case.value for case in cases])
    patients = [case.patient for case in cases]
    (interval,) = bootstrap_intervals(values[:, None], patients, n_resamples=options.n_resamples, seed=options.seed)
    n_patients = len({case.patient for case in cases if not np.isnan(case.value)})
    return VariationFigure(spread(values), n_patients, interval, against, tuple(cases))


def _against(cases: Sequence[CaseFigure], first: Sequence[CaseFigure], options: CompareOptions) -> AgainstFirst:
    """A test over patients; a case counts where both variations have the figure."""
    known = {case.case: case.value for case in first}
    common = [case for case in cases if case.case in known]
    apart = np.array([case.value - known[case.case] for case in common])
    names, sums, counts = by_patient(apart.reshape(-1, 1), [case.patient for case in common])
    has = counts[:, 0] > 0
    differences = sums[has, 0] / counts[has, 0]
    interval = None
    if differences.size:
        owners = [name for name, used in zip(names, has, strict=True) if used]
        (interval,) = bootstrap_intervals(
            differences[:, None], owners, n_resamples=options.n_resamples, seed=options.seed
        )
    return AgainstFirst(paired_wilcoxon(differences), interval, None)
