"""The marked tables of the results say what the measured files say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from glioseg.inference.shipped import SHIPPED

SCRIPT = runpy.run_path(str(Path(__file__).parent.parent / "docs" / "make_results_tables.py"))
PAGE = SCRIPT["PAGE"].read_text(encoding="utf-8")


def test_the_page_has_every_table_as_it_was_measured() -> None:
    assert re.findall("<!-- measured: (.*) -->", PAGE) == list(SCRIPT["TABLES"])
    assert SCRIPT["page"](PAGE) == PAGE


def test_what_stands_between_the_marks_is_written_anew_and_nothing_else() -> None:
    text = "before\n<!-- measured: tissues -->\n| 0.999 |\n<!-- end -->\nafter 0.999\n"
    page = SCRIPT["page"](text)
    assert page.startswith("before\n<!-- measured: tissues -->\n| tissue |")
    assert page.endswith("| 0.92 |\n<!-- end -->\nafter 0.999\n")


def test_a_table_that_nobody_measured_is_refused() -> None:
    with pytest.raises(KeyError, match="guessed"):
        SCRIPT["page"]("<!-- measured: guessed -->\n<!-- end -->")


def test_every_shipped_network_has_a_goal() -> None:
    assert {goal.model for goal in SCRIPT["GOALS"]} == set(SHIPPED)


@pytest.mark.parametrize(("goal", "text"), [(0.8, "0.80"), (0.985, "0.985"), (0.92, "0.92")])
def test_goals_are_short(goal: float, text: str) -> None:
    assert SCRIPT["_short"](goal) == text
