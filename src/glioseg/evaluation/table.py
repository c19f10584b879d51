"""One row per case: what ``cases-PART.csv`` holds, what the report sorts, and what runs are compared by.

Columns: ``case, patient, n_slices, n_voxels, pixel_accuracy`` and, for each region, ``REGION.status``, the counts
``REGION.tp fp fn tn``, and its metrics. No rule for empty masks is applied: an undefined figure is an empty cell, and
the status beside it says why, so that any rule can be applied later.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from glioseg.errors import FileError
from glioseg.evaluation.cases import CaseScores, scores_of, volume_unit_of

Cell = str | int | float | None
Row = Mapping[str, Cell]
COUNTS = ("tp", "fp", "fn", "tn")
_FIRST = ("case", "patient", "n_slices", "n_voxels", "pixel_accuracy")
_TEXT = ("case", "patient")


def case_rows(cases: Sequence[CaseScores]) -> list[dict[str, Cell]]:
    """The rows, by case id."""
    unit = volume_unit_of(cases)
    rows = []
    for case in sorted(cases, key=lambda case: case.case):
        row: dict[str, Cell] = {
            "case": case.case,
            "patient": case.patient,
            "n_slices": case.n_slices,
            "n_voxels": case.n_voxels,
            "pixel_accuracy": case.pixel_accuracy,
        }
        for (region, metrics), counts in zip(scores_of(case, unit).items(), case.counts, strict=True):
            row[f"{region}.status"] = metrics["dice"].status
            row |= {f"{region}.{name}": int(count) for name, count in zip(COUNTS, counts, strict=True)}
            row |= {f"{region}.{metric}": score.value for metric, score in metrics.items()}
        rows.append(row)
    return rows


def rows_to_csv(rows: Sequence[Row]) -> str:
    """CSV text with a header; numbers are written in full, None as an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else list(_FIRST), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def rows_from_csv(text: str, path: str) -> list[dict[str, Cell]]:
    """What ``rows_to_csv`` wrote.

    Args:
        text: the file's text.
        path: its name, for messages.

    Raises:
        FileError: not such a table.
    """
    reader = csv.DictReader(io.StringIO(text))
    columns = list(reader.fieldnames or [])
    if not set(_FIRST) <= set(columns):
        raise FileError("not a table of cases", path=path, found=columns[:6], expected=f"columns {', '.join(_FIRST)} …")
    needed = {
        f"{column.removesuffix('status')}{count}"
        for column in columns
        if column.endswith(".status")
        for count in COUNTS
    }
    if not needed <= set(columns):
        raise FileError(
            "a table of cases without the counts of a region", path=path, found=sorted(needed - set(columns))
        )
    rows = []
    for line, cells in enumerate(reader, start=2):
        if len(cells) != len(columns) or None in cells.values():
            raise FileError(f"line {line} of the table of cases has not one cell per column", path=path)
        rows.append({column: _parsed(column, cell, path, line) for column, cell in cells.items()})
    return rows


def regions_of(rows: Sequence[Row]) -> list[str]:
    """The regions that a table has, in its order."""
    return [column.removesuffix(".status") for column in rows[0] if column.endswith(".status")] if rows else []


def _parsed(column: str, cell: str, path: str, line: int) -> Cell:
    if column in _TEXT or column.endswith(".status"):
        return cell
    if not cell:
        return None
    try:
        return int(cell) if column.startswith("n_") or column.rpartition(".")[2] in COUNTS else float(cell)
    except ValueError as error:
        raise FileError(
            f"line {line}, column {column} of the table of cases is not a number", path=path, found=cell
        ) from error
