"""The tables of BraTS 2017-2020: ``survival_info.csv`` (``survival_data.csv`` until 2019) and ``name_mapping.csv``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from glioseg.cohorts.reading.listing import Listing
from glioseg.cohorts.reading.tables import fact_value, no_such_column, read_rows
from glioseg.core import Facts, Finding

_TABLE = re.compile(r"(?:survival_(?:info|data|evaluation(?:_data)?)|name_mapping(?:_\w+)?)\.csv", re.IGNORECASE)
_PUBLISHED = ("survival_info.csv", "survival_data.csv", "name_mapping.csv")
_ID_COLUMN = re.compile(r"brats\d*(?:subject)?id")
_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "age": "age",
        "grade": "grade",
        "extentofresection": "resection",
        "resectionstatus": "resection",
        "tcgatciasubjectid": "tcia_id",
    }
)
_SURVIVAL = ("survival", "survivaldays")
_ALIVE = re.compile(r"alive\s*\((\d+)\s*days?[^)]*\)", re.IGNORECASE)
_SITES = (
    re.compile(r"brats1[789]_(?P<site>[a-z0-9]+)_.+", re.IGNORECASE),
    re.compile(r"brats_(?P<site>2013|tcia)_pat.+", re.IGNORECASE),
)


def brats_facts(listing: Listing) -> tuple[dict[str, Facts], list[Finding]]:
    """Case id (lower case) -> facts, under every name that a case had in the years of the challenge.

    The tables of the folder count, and those of the two folders above it, so that HGG or a single case gives the same
    facts as the whole set.
    """
    inside = [path for path in listing.files if _TABLE.fullmatch(path.name)]
    above = [folder / name for folder in (listing.root.parent, listing.root.parent.parent) for name in _PUBLISHED]
    facts: dict[str, dict[str, str | float | int]] = {}
    findings: list[Finding] = []
    for path in [*inside, *(path for path in above if path.is_file())]:
        rows, table_findings = read_rows(path)
        findings += table_findings
        if not table_findings and not any(_ID_COLUMN.fullmatch(_plain(column)) for row in rows for column in row):
            findings.append(no_such_column(path, "such as BraTS20ID"))
        for row in rows:
            ids = [text for column, text in row.items() if _ID_COLUMN.fullmatch(_plain(column)) and fact_value(text)]
            row_facts = _facts(row) | _site_of_any(ids)
            for name in ids:
                # The table nearest to the scans is read first and has the last word.
                facts[name.lower()] = row_facts | facts.get(name.lower(), {})
    return dict(facts), findings


def site_of(case_id: str) -> str | None:
    """The hospital or collection in the name of a case until 2019 (``CBICA``, ``TCIA04``, ``2013``)."""
    for pattern in _SITES:
        parts = pattern.fullmatch(case_id)
        if parts is not None:
            return parts["site"].upper()
    return None


def grade_of(folder: Path) -> str | None:
    """The grade that a case's folder or the one above it is named after: HGG or LGG (HG and LG until 2013)."""
    for name in folder.parts[:-3:-1]:
        if name.upper() in ("HGG", "LGG", "HG", "LG"):
            return name.upper()[:2] + "G"
    return None


def _facts(row: Mapping[str, str]) -> dict[str, str | float | int]:
    facts: dict[str, str | float | int] = {}
    for column, text in row.items():
        name = _plain(column)
        value = fact_value(text)
        if value is None or _ID_COLUMN.fullmatch(name):
            continue
        if name in _SURVIVAL:
            facts |= _survival(value)
        else:
            facts[_FACTS.get(name, column.lower().replace(" ", "_"))] = value
    return facts


def _survival(value: str | float | int) -> dict[str, str | float | int]:
    """Days until death, or until last seen alive (``ALIVE (361 days later)`` in 2020)."""
    if not isinstance(value, str):
        return {"survival_days": value, "death": 1}
    alive = _ALIVE.fullmatch(value)
    return {"survival_days": int(alive[1]), "death": 0} if alive is not None else {"survival": value}


def _site_of_any(ids: Iterable[str]) -> dict[str, str | float | int]:
    sites = [site for site in map(site_of, ids) if site is not None]
    return {"site": sites[-1]} if sites else {}


def _plain(column: str) -> str:
    return re.sub(r"[^a-z0-9]", "", column.lower())
