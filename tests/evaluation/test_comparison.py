"""Runs side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from glioseg.errors import ScoreError
from glioseg.evaluation import CompareOptions, case_rows, rows_from_csv, rows_to_csv
from glioseg.evaluation import comparison as comparing
from glioseg.evaluation.case_table import RegionTable
from glioseg.evaluation.comparison import Comparison
from glioseg.evaluation.table import Cell
from tests.evaluation.drawing import counted

FAST = CompareOptions(n_resamples=300)
Table = list[dict[str, Cell]]


def run(hits: Sequence[int], patients: Mapping[int, str] | None = None, regions: tuple[str, ...] = ("WT",)) -> Table:
    """Cases of 10 reference and 10 predicted voxels of 100, so many of them shared: Dice = hits / 10."""
    names = patients or {}
    return case_rows(
        [
            counted(
                f"case{i}", (tp, 10 - tp, 10 - tp, 80 + tp), patient=names.get(i), regions=regions, voxel_ml=0.5
            )
            for i, tp in enumerate(hits)
        ]
    )  # fmt: skip


def compare(runs: Mapping[str, Table], options: CompareOptions) -> Comparison:
    """Of tables by region."""
    return comparing.compare({name: RegionTable(rows) for name, rows in runs.items()}, options)


def test_two_runs_by_hand() -> None:
    """Differences 0.1 0.2 0.3 0.4 0.5, all for the second: p = 2/32, effect −1."""
    result = compare({"plain": run([5, 5, 5, 5, 5]), "better": run([6, 7, 8, 9, 10])}, FAST)
    (figures,) = result.results
    assert (figures.region, figures.metric.name, result.n_cases, result.n_patients) == ("WT", "dice", 5, 5)
    assert [(one.run, one.spread.mean, one.spread.median) for one in figures.runs] == [
        ("plain", 0.5, 0.5),
        ("better", pytest.approx(0.8), pytest.approx(0.8)),
    ]
    (pair,) = figures.pairs
    assert (pair.first, pair.second, pair.test.method) == ("plain", "better", "exact")
    assert pair.test.p == pair.p_holm == pytest.approx(2 / 32)
    assert pair.test.rank_biserial == -1
    assert pair.test.mean_difference == pytest.approx(-0.3)
    assert pair.ci95 is not None
    assert -0.5 <= pair.ci95[0] < -0.3 < pair.ci95[1] <= -0.1


def test_a_run_against_itself_differs_in_nothing() -> None:
    rows = run([3, 6, 9])
    pair = compare({"one": rows, "two": rows}, FAST).results[0].pairs[0]
    assert (pair.test.p, pair.test.n_zero, pair.test.method) == (1.0, 3, "no difference")


def test_three_runs_are_adjusted_for_three_tests() -> None:
    runs = {"a": run([1, 2, 3, 4, 5, 6]), "b": run([2, 4, 6, 8, 9, 10]), "c": run([1, 2, 3, 4, 5, 6])}
    pairs = compare(runs, FAST).results[0].pairs
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.test.p for pair in pairs] == pytest.approx([2 / 64, 1, 2 / 64])
    assert [pair.p_holm for pair in pairs] == pytest.approx([6 / 64, 1, 6 / 64])


def test_cases_of_a_patient_are_one_piece_of_evidence() -> None:
    """Three cases of one patient differ by 0.1 0.2 0.6, their mean 0.3; with two other patients there are 3 pairs."""
    patients = {0: "p", 1: "p", 2: "p"}
    result = compare({"one": run([1, 1, 1, 1, 1], patients), "two": run([2, 3, 7, 2, 3], patients)}, FAST)
    test = result.results[0].pairs[0].test
    assert (result.n_cases, result.n_patients, test.n) == (5, 3, 3)
    assert test.mean_difference == pytest.approx(-(0.3 + 0.1 + 0.2) / 3)
    assert test.p == pytest.approx(2 / 8)


def test_cases_that_a_run_lacks_are_left_out_and_named() -> None:
    result = compare({"all": run([5, 6, 7, 8]), "some": run([5, 6, 7, 8])[1:3]}, FAST)
    assert result.n_cases == 2
    assert result.left_out == {"all": ("case0", "case3"), "some": ()}
    assert result.to_json()["left_out"] == {"all": ["case0", "case3"], "some": []}


def test_regions_that_a_run_lacks_are_left_out_and_named() -> None:
    result = compare({"three": run([5, 6], regions=("WT", "TC", "ET")), "two": run([5, 7], regions=("ET", "WT"))}, FAST)
    assert [one.region for one in result.results] == ["WT", "ET"]
    assert result.regions_left_out == {"three": ("TC",), "two": ()}


def test_other_metrics_and_rules() -> None:
    one, other = (
        case_rows([counted("a", (0, fp, 0, 10 - fp), voxel_ml=0.5), counted("b", (4, 0, fn, 6 - fn), voxel_ml=0.5)])
        for fp, fn in ((0, 0), (2, 0))
    )
    options = CompareOptions(metrics=("dice", "volume_error_abs_ml"), n_resamples=100)
    dice, volume = compare({"one": one, "other": other}, options).results
    assert [figure.spread.mean for figure in dice.runs] == [1.0, 0.5]  # "a" counts in the second run only
    assert dice.pairs[0].test.n == 1
    assert [figure.spread.mean for figure in volume.runs] == [0, 0.5]
    ruled = compare({"one": one, "other": other}, CompareOptions(empty="both_empty_1", n_resamples=100)).results[0]
    assert [figure.spread.mean for figure in ruled.runs] == [1.0, 0.5]
    assert ruled.pairs[0].test.n == 2


def test_nothing_to_compare_is_null() -> None:
    empty = case_rows([counted("a", (0, 0, 0, 10))])
    text = json.dumps(compare({"one": empty, "two": empty}, FAST).to_json(), allow_nan=False)
    pair = json.loads(text)["results"][0]["pairs"][0]
    assert (pair["n_patients"], pair["p"], pair["p_holm"], pair["method"]) == (0, None, None, "no pairs")


def test_tables_from_files_give_the_same_comparison() -> None:
    rng = np.random.default_rng(0)
    reference = rng.integers(4, 9, 12)
    runs = {name: run([int(hit) for hit in reference + rng.integers(-3, 2, 12)]) for name in ("a", "b")}
    read = {name: rows_from_csv(rows_to_csv(rows), f"{name}.csv") for name, rows in runs.items()}
    one, other = compare(runs, FAST).to_json(), compare(read, FAST).to_json()
    assert one == other
    assert json.loads(json.dumps(one, allow_nan=False)) == one


def test_runs_that_cannot_be_compared_are_refused() -> None:
    rows = run([5, 6, 7])
    with pytest.raises(ScoreError, match="two runs or more"):
        compare({"one": rows}, FAST)
    elsewhere = [{**row, "case": f"other-{row['case']}"} for row in rows]
    with pytest.raises(ScoreError, match=r"no case in common; found a: case0, case1, case2; b: other-case0"):
        compare({"a": rows, "b": elsewhere}, FAST)
    with pytest.raises(ScoreError, match="run b has a case twice"):
        compare({"a": rows, "b": [*rows, rows[0]]}, FAST)
    with pytest.raises(ScoreError, match="no region in common"):
        compare({"a": rows, "b": run([5, 6, 7], regions=("ET",))}, FAST)
    with pytest.raises(ScoreError, match="run a has no metric dise"):
        compare({"a": rows, "b": rows}, CompareOptions(metrics=("dise",)))
    with pytest.raises(ValidationError):
        CompareOptions.model_validate({"metric": "dice"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patient": "someone else"}, "patient differs"),
        ({"n_voxels": 99}, "voxels differs"),
        ({"WT.fn": 9}, "reference of WT differs"),
    ],
)
def test_a_case_that_is_not_the_same_is_refused(change: dict[str, Cell], message: str) -> None:
    rows = run([5, 6, 7])
    with pytest.raises(ScoreError, match=f"case1 is not the same in a and b: {message}"):
        compare({"a": rows, "b": [rows[0], {**rows[1], **change}, rows[2]]}, FAST)
