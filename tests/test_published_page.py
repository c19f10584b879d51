"""The page of the published works says what the kept runs say."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
SCRIPT = runpy.run_path(str(DOCS / "make_published_page.py"))
KEPT = sorted(DOCS.glob("published/*.json"))


def test_the_page_is_that_of_the_runs() -> None:
    assert SCRIPT["PAGE"].read_text(encoding="utf-8") == SCRIPT["page"]()


def test_every_kept_run_has_a_row() -> None:
    assert {path.stem for path in KEPT} <= {row.key for row in SCRIPT["ROWS"]}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_nobody_is_named(path: Path) -> None:
    for run in json.loads(path.read_text(encoding="utf-8"))["runs"]:
        assert all(isinstance(case["patient"], int) for case in run["cases"])
        assert len(run["cases"]) == run["n_cases"]


def test_an_interval_stands_only_where_patients_are_known() -> None:
    for result in SCRIPT["results"]():
        line = next(
            line
            for line in SCRIPT["page"]().splitlines()
            if line.startswith(f"| **{result.row.work}**: {result.row.what} |")
        )
        assert (" patients)" in line) == result.row.knows_patients
