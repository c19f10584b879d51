"""Small CSV tables that travel with a data set."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from glioseg.cohorts.reading.listing import Listing
from glioseg.core import Facts, Finding
from glioseg.errors import FileError
from glioseg.io.files import write_text
from glioseg.io.text import read_table, table_csv

FACTS_TABLE = "facts.csv"
"""Table of our own that the writers put beside layouts whose publishers ship none: case, patient, then one fact a
column."""

_NOTHING = frozenset({"", "na", "n/a", "nan", "none"})
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE | re.ASCII)
_MOST_EXACT = 1 << 53
"""Whole numbers beyond it are not exact in double precision, in which every reader of JSON may hold them."""


def read_rows(path: Path) -> tuple[list[dict[str, str]], list[Finding]]:
    """The rows of a table, column -> text without blanks around it.

    A table that cannot be read is a finding, never an error: the scans are good without it.
    """
    try:
        return read_table(path), []
    except FileError as error:
        return [], [Finding("warning", "unreadable-table", f"{path.name} cannot be read: {error.text}")]


def no_such_column(path: Path, columns: str) -> Finding:
    """What is said of a table that lacks the column by which its rows are known."""
    message = f"{path.name} has no column {columns}, or no rows: what it says is not used"
    return Finding("warning", "unreadable-table", message)


def fact_value(text: str) -> str | float | int | None:
    """A cell as a number where it is one; None where it says that nothing is known (empty, NA).

    What Python alone takes for a number (``12_3``) is a text, and so is one that would lose digits: an identifier.
    """
    if text.lower() in _NOTHING:
        return None
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    if abs(number) >= _MOST_EXACT:  # 1e999, or a thousand digits: no figure, and nothing that JSON has
        return text
    return int(number) if number.is_integer() else number


def nearest_facts(listing: Listing) -> tuple[dict[str, Facts], dict[str, str], list[Finding]]:
    """Case id -> facts and case id -> patient, from the ``facts.csv`` nearest to a listing's root.

    For layouts that do not say whom their cases show, the table is the user's way to say it: columns ``case`` and
    ``patient``, others as there are.
    """
    facts: dict[str, Facts] = {}
    patients: dict[str, str] = {}
    for path in listing.named(FACTS_TABLE)[:1]:
        rows, findings = read_rows(path)
        by_case = {row["case"]: row for row in rows if row.get("case")}
        if not findings and not by_case:
            findings = [no_such_column(path, "case")]
        for case, row in by_case.items():
            values = {name: fact_value(text) for name, text in row.items() if name not in ("case", "patient")}
            facts[case] = {name: value for name, value in values.items() if value is not None}
            if row.get("patient"):
                patients[case] = row["patient"]
        return facts, patients, findings
    return facts, patients, []


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table in one piece; a row's missing cells stay empty.

    Raises:
        FileError: the file cannot be written.
    """
    write_text(path, table_csv(columns, rows))


def fact_columns(facts: Iterable[Facts]) -> list[str]:
    """The names of all facts, in the order in which they first appear."""
    return list(dict.fromkeys(name for columns in facts for name in columns))
