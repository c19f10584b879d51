"""Tables that travel with a data set: what is in a cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from glioseg.cohorts.reading.listing import list_folder
from glioseg.cohorts.reading.tables import fact_value, nearest_facts


@pytest.mark.parametrize(("text", "value"), [("1e999", "1e999"), ("inf", "inf"), ("9" * 400, "9" * 400), ("44", 44)])
def test_a_fact_is_no_infinity(text: str, value: object) -> None:
    """JSON has no word for it, and the report of a whole cohort would fail on one cell."""
    assert fact_value(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20190101123456789", "20190101123456789"),  # as a number it would end in 788
        ("9007199254740991", 9007199254740991),
        ("1e25", "1e25"),  # more than 64 bits, which no JSON of ours holds
        ("12_3", "12_3"),  # Python's own way to write 123
        ("１２", "１２"),
        ("-4.50", -4.5),
        ("+.5E1", 5),
        ("007", 7),
    ],
)
def test_a_fact_keeps_its_digits(text: str, value: object) -> None:
    assert fact_value(text) == value


def test_the_table_of_facts_is_called_so_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "Facts.CSV").write_text("case,patient,age\np1,anna,50\n,otto,60\np2,,70\n", encoding="utf-8")
    facts, patients, findings = nearest_facts(list_folder(tmp_path))
    assert facts == {"p1": {"age": 50}, "p2": {"age": 70}}
    assert patients == {"p1": "anna"}
    assert not findings
