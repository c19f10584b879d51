"""Figures of variations that were each trained several times: every case counts once."""

from __future__ import annotations

import math

import pytest

from glioseg.evaluation.case_table import RegionTable
from glioseg.evaluation.comparison import CompareOptions
from glioseg.evaluation.replicates import case_figures, pooled_figures
from glioseg.evaluation.table import Row

OPTIONS = CompareOptions(n_resamples=200)


def _row(case: str, tp: int, fp: int, fn: int, patient: str | None = None) -> Row:
    counts = {"WT.tp": tp, "WT.fp": fp, "WT.fn": fn, "WT.tn": 100}
    return {"case": case, "patient": patient or case, "n_slices": 1, "n_voxels": 100, "WT.status": "ok", **counts}


def _table(*rows: Row) -> RegionTable:
    return RegionTable(rows)


def test_a_case_counts_once_with_the_mean_over_its_runs() -> None:
    """a: 2·1/(2·1+1+1) = 0.5 with one seed and 2·3/(6+2+0) = 0.75 with the other; b in one run only: 2/2 = 1."""
    first, second = [_row("a", 1, 1, 1), _row("b", 1, 0, 0)], [_row("a", 3, 2, 0)]
    figures = case_figures([RegionTable(first), RegionTable(second)], "WT", "dice", "skip")
    assert [(figure.case, figure.value) for figure in figures] == [("a", pytest.approx(0.625)), ("b", 1.0)]


def test_an_empty_case_has_no_figure_but_in_the_runs_that_give_one() -> None:
    both_empty, false_alarm = _row("a", 0, 0, 0), _row("a", 0, 4, 0)
    (skipped,) = case_figures([_table(both_empty)], "WT", "dice", "skip")
    assert math.isnan(skipped.value)
    (mixed,) = case_figures([_table(both_empty), _table(false_alarm)], "WT", "dice", "skip")
    assert mixed.value == 0.0
    (counted,) = case_figures([_table(both_empty), _table(false_alarm)], "WT", "dice", "both_empty_1")
    assert counted.value == 0.5


def test_rows_are_tested_against_the_first_on_common_patients() -> None:
    """First: a 0.5, b 0.5, c 0.5. Second, which lacks c: a 1 and b 1, so +0.5 twice; two patients give p = 0.5."""
    half, whole = (1, 1, 1), (1, 0, 0)
    runs = {
        "first": [_table(*(_row(case, *half) for case in "abc"))],
        "second": [_table(_row("a", *whole)), _table(_row("b", *whole))],
        "third": [_table(*(_row(case, *half) for case in "abc"))],
    }
    figures = pooled_figures(runs, "WT", "dice", OPTIONS, paired=True)
    assert figures["first"].against_first is None
    assert figures["first"].spread.mean == pytest.approx(0.5)
    second, third = figures["second"].against_first, figures["third"].against_first
    assert second is not None
    assert third is not None
    assert second.test.n == 2
    assert second.test.mean_difference == pytest.approx(0.5)
    assert second.test.p == pytest.approx(0.5)
    assert second.p_holm == pytest.approx(1.0)  # two tests: 2 · 0.5
    assert third.test.method == "no difference"
    assert figures["second"].n_patients == 2
    assert all(
        figure.against_first is None for figure in pooled_figures(runs, "WT", "dice", OPTIONS, paired=False).values()
    )


def test_cases_of_one_patient_are_one_pair() -> None:
    runs = {
        "first": [_table(_row("a1", 1, 1, 1, "a"), _row("a2", 1, 0, 0, "a"), _row("b", 1, 1, 1))],
        "second": [_table(_row("a1", 1, 0, 0, "a"), _row("a2", 1, 0, 0, "a"), _row("b", 1, 0, 0))],
    }
    against = pooled_figures(runs, "WT", "dice", OPTIONS, paired=True)["second"].against_first
    assert against is not None
    assert against.test.n == 2
    assert against.test.mean_difference == pytest.approx((0.25 + 0.5) / 2)  # a: (0.5 + 0) / 2, b: 0.5


def test_a_variation_without_the_region_is_left_out() -> None:
    runs: dict[str, list[RegionTable]] = {
        "first": [_table(_row("a", 1, 0, 0))],
        "other": [_table({"case": "a", "patient": "a", "ET.status": "ok"})],
        "none": [],
    }
    assert list(pooled_figures(runs, "WT", "dice", OPTIONS, paired=True)) == ["first"]
