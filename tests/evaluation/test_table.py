"""The table of cases: what goes in comes out."""

from __future__ import annotations

import numpy as np
import pytest

from glioseg.errors import FileError
from glioseg.evaluation import case_rows, rows_from_csv, rows_to_csv, score_case
from glioseg.evaluation.table import regions_of
from tests.evaluation.drawing import counted, labels

CASES = [
    score_case("b", "q, the second", labels("ee."), labels("e.e"), ["WT", "ET"], np.full((2, 3, 1, 1), 0.3)),
    score_case("a", "p", labels("..."), labels("..."), ["WT", "ET"], np.full((2, 3, 1, 1), 0.1)),
]


def test_rows_by_hand() -> None:
    first, second = case_rows(CASES)
    assert (first["case"], second["case"]) == ("a", "b")
    assert (first["WT.dice"], first["WT.status"], first["WT.specificity"]) == (None, "both_empty", 1.0)
    assert [second[f"WT.{name}"] for name in ("tp", "fp", "fn", "tn")] == [1, 1, 1, 0]
    assert (second["WT.dice"], second["WT.status"]) == (0.5, "ok")
    assert (second["ET.status"], second["ET.volume_error_ml"]) == ("both_empty", 0)
    assert (second["n_slices"], second["n_voxels"]) == (1, 3)
    assert second["pixel_accuracy"] == pytest.approx(1 / 3)


def test_csv_round_trip_is_exact() -> None:
    table = case_rows([*CASES, score_case("c", "r", labels("eee"), labels("e.e"), ["WT", "ET"], np.ones((2, 3, 1, 1)))])
    text = rows_to_csv(table)
    assert rows_from_csv(text, "cases.csv") == table
    assert "nan" not in text.lower()
    assert regions_of(table) == ["WT", "ET"]


def test_an_empty_table_has_a_header() -> None:
    assert rows_from_csv(rows_to_csv([]), "cases.csv") == []
    assert regions_of([]) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "not a table of cases"),
        (lambda text: text.replace("case,patient", "name,patient"), "not a table of cases"),
        (lambda text: text.replace("WT.tn", "WT.nothing"), "without the counts of a region"),
        (lambda text: text[:-30], "row 2 has 15 cells for 22 columns"),
        (lambda text: text.rstrip("\n") + ",7\n", "row 2 has 23 cells for 22 columns"),
        (lambda text: text.replace(",10,", ",ten,"), "line 2, column n_voxels"),
    ],
)
def test_a_damaged_table_is_refused(damage, message: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    text = rows_to_csv(case_rows([counted("a", (3, 1, 1, 5))]))
    with pytest.raises(FileError, match=message) as caught:
        rows_from_csv(damage(text), "cases-val.csv")
    assert str(caught.value).startswith("cases-val.csv")
