"""Tables of classified items as comparisons read them; those of regions are tested with what reads them."""

from __future__ import annotations

import math

import pytest

from glioseg.errors import FileError, ScoreError
from glioseg.evaluation.case_table import ALL_CLASSES, ClassTable, RegionTable, case_table
from glioseg.evaluation.comparison import CompareOptions, compare
from glioseg.evaluation.replicates import pooled_figures
from glioseg.evaluation.table import Row, rows_to_csv


def _row(case: str, reference: str, yes: float, patient: str | None = None) -> Row:
    """An item of which ``yes`` is said with that probability, or ``no``."""
    predicted = "yes" if yes > 0.5 else "no"
    return {
        "case": case,
        "patient": patient or case,
        "slice": 1,
        "reference": reference,
        "predicted": predicted,
        "right": int(predicted == reference),
        "confidence": max(yes, 1 - yes),
        "p.no": 1 - yes,
        "p.yes": yes,
    }


_PLAIN = ClassTable([_row("a", "yes", 0.8), _row("b", "yes", 0.4), _row("c", "no", 0.25)])


def _values(group: str, metric: str) -> list[float]:
    column = _PLAIN.column(group, metric, "skip")
    assert column is not None
    return [float(value) for value in column]


def test_each_item_has_a_value_in_all_classes_and_in_its_own() -> None:
    """Right: a and c. Of yes one in two; −ln of the true class's probability: 0.8, 0.4, 0.75."""
    assert _PLAIN.groups == (ALL_CLASSES, "no", "yes")
    assert _values(ALL_CLASSES, "accuracy") == [1, 0, 1]
    assert _values("yes", "accuracy") == pytest.approx([1, 0, math.nan], nan_ok=True)
    assert _values("no", "log_loss") == pytest.approx([math.nan, math.nan, -math.log(0.75)], nan_ok=True)
    assert _values(ALL_CLASSES, "confidence") == pytest.approx([0.8, 0.6, 0.75])


def test_what_a_single_item_has_not_is_not_compared() -> None:
    assert _PLAIN.column(ALL_CLASSES, "auc", "skip") is None
    assert _PLAIN.column("maybe", "accuracy", "skip") is None
    with pytest.raises(ScoreError, match=r"run a has no metric auc of single items; .*accuracy, log_loss"):
        compare({"a": _PLAIN, "b": _PLAIN}, CompareOptions(metrics=("auc",)))


def test_classifiers_are_compared_patient_by_patient() -> None:
    """The second is right on b too: of three patients one differs, by 1; mean accuracies 2/3 and 1."""
    better = ClassTable([_row("a", "yes", 0.9), _row("b", "yes", 0.7), _row("c", "no", 0.1)])
    comparison = compare({"plain": _PLAIN, "better": better}, CompareOptions(n_resamples=50))
    first = comparison.results[0]
    assert (first.region, first.metric.name, comparison.n_cases) == (ALL_CLASSES, "accuracy", 3)
    assert [run.spread.mean for run in first.runs] == [pytest.approx(2 / 3), 1.0]
    assert first.pairs[0].test.mean_difference == pytest.approx(-1 / 3)
    assert first.pairs[0].test.n_zero == 2
    assert [result.region for result in comparison.results if result.metric.name == "accuracy"] == [
        ALL_CLASSES,
        "no",
        "yes",
    ]


def test_another_true_class_is_another_reference() -> None:
    other = ClassTable([_row("a", "no", 0.8), _row("b", "yes", 0.4), _row("c", "no", 0.25)])
    with pytest.raises(ScoreError, match=r"case a is not the same in plain and other: true class differs"):
        compare({"plain": _PLAIN, "other": other}, CompareOptions(n_resamples=20))


def test_networks_of_different_tasks_are_not_compared() -> None:
    with pytest.raises(ScoreError, match="a and b are of different tasks"):
        compare({"a": _PLAIN, "b": RegionTable([])}, CompareOptions())


def test_items_are_pooled_over_the_runs_of_a_study() -> None:
    again = ClassTable([_row("a", "yes", 0.3)])
    figures = pooled_figures({"row": [_PLAIN, again]}, "yes", "accuracy", CompareOptions(n_resamples=20), paired=False)
    assert [case.value for case in figures["row"].cases[:2]] == [0.5, 0.0]  # a: right once in two runs


def test_the_kind_of_a_file_is_told_by_its_columns() -> None:
    table = case_table(rows_to_csv(_PLAIN.rows), "cases.csv")
    assert isinstance(table, ClassTable)
    assert table.rows == _PLAIN.rows
    with pytest.raises(FileError, match="not a table of cases"):
        case_table("a,b\n1,2\n", "cases.csv")
