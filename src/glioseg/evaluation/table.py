"""One row per case: what ``cases-PART.csv`` holds, what the report sorts, and what runs are compared by.

Columns: ``case, patient, n_slices, n_voxels, pixel_accuracy`` and, for each region, ``REGION.status``, the counts
``REGION.tp fp fn tn``, and its metrics; where a metric has a unit that its name does not say, ``REGION.METRIC.unit``
stands beside it. No rule for empty masks is applied: an undefined figure is an empty cell, and
the status beside it says why, so that any rule can be applied later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from glioseg.errors import FileError, ScoreError
from glioseg.evaluation.cases import CaseScores, scores_of, volume_unit_of
from glioseg.evaluation.metric import RegionMetric, RegionMetrics
from glioseg.evaluation.metrics import REGION_METRICS
from glioseg.evaluation.overlap import emptiness
from glioseg.evaluation.score import EmptyRule, Floats, Integers
from glioseg.io.text import csv_rows, table_csv

Cell = str | int | float | None
Row = Mapping[str, Cell]
COUNTS = ("tp", "fp", "fn", "tn")
_FIRST = ("case", "patient", "n_slices", "n_voxels", "pixel_accuracy")
_TEXT = ("case", "patient")
_UNIT = ".unit"


def case_rows(cases: Sequence[CaseScores], metrics: RegionMetrics = REGION_METRICS) -> list[dict[str, Cell]]:
    """The rows, by case id; metrics are left out where the cases lack what they are made of."""
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
        figures = scores_of(case, unit, metrics)
        for region, status, counts in zip(case.regions, case.statuses, case.counts, strict=True):
            row[f"{region}.status"] = status
            row |= {f"{region}.{name}": int(count) for name, count in zip(COUNTS, counts, strict=True)}
            for name, score in figures[region].items():
                row[f"{region}.{name}"] = score.value
                if metrics[name].unit_beside is not None:
                    row[f"{region}.{name}{_UNIT}"] = score.unit
        rows.append(row)
    return rows


def rows_to_csv(rows: Sequence[Row]) -> str:
    """CSV text with a header; numbers are written in full, None as an empty cell."""
    return table_csv(list(rows[0]) if rows else _FIRST, rows)


def rows_from_csv(text: str, path: str) -> list[dict[str, Cell]]:
    """What ``rows_to_csv`` wrote.

    Args:
        text: the file's text.
        path: its name, for messages.

    Raises:
        FileError: not such a table.
    """
    try:
        columns, lines = csv_rows(text)
    except ValueError as error:
        raise FileError("not a table of cases", path=path, found=error) from error
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
    return [
        {column: _parsed(column, cell, path, line) for column, cell in cells.items()}
        for line, cells in enumerate(lines, start=2)
    ]


def regions_of(rows: Sequence[Row]) -> list[str]:
    """The regions that a table has, in its order."""
    return [column.removesuffix(".status") for column in rows[0] if column.endswith(".status")] if rows else []


def counts_in(rows: Sequence[Row], region: str) -> Integers:
    """(N, 4) TP, FP, FN, TN of a region in each row."""
    return np.array([[int(row[f"{region}.{count}"] or 0) for count in COUNTS] for row in rows], dtype=np.int64)


def has_metric(rows: Sequence[Row], region: str, metric: RegionMetric) -> bool:
    """Whether the table knows a metric: by the counts that it is made of, or by a column of its own."""
    return metric.pooled or all(f"{region}.{metric.name}" in row for row in rows)


def metric_named(name: str, rows: Sequence[Row], region: str, metrics: RegionMetrics, whose: str) -> RegionMetric:
    """The metric, once it is certain that a table has it.

    Args:
        name: of the metric.
        rows: of the table.
        region: of the table.
        metrics: that there are.
        whose: the table is, for messages.

    Raises:
        ScoreError: there is no such metric, or the table lacks it.
    """
    metric = metrics.get(name)
    if metric is None or not has_metric(rows, region, metric):
        known = [other.name for other in metrics.values() if has_metric(rows, region, other)]
        raise ScoreError(f"{whose} has no metric {name}", expected=f"one of {', '.join(known)}")
    return metric


def metric_column(rows: Sequence[Row], region: str, metric: RegionMetric, rule: EmptyRule) -> Floats:
    """(N,) values of a metric under a rule for empty masks; NaN where a case does not count.

    What is made of counts is computed from them, so that tables which were written before a metric was known have it.
    """
    counts = counts_in(rows, region)
    if metric.pooled and metric.of_counts is not None:
        values = metric.of_counts(counts)
    else:
        cells = (row[f"{region}.{metric.name}"] for row in rows)
        values = np.array([np.nan if cell is None else float(cell) for cell in cells])
    return metric.ruled(values, *emptiness(counts), rule)


def _parsed(column: str, cell: str, path: str, line: int) -> Cell:
    if column in _TEXT or column.endswith((".status", _UNIT)):
        return cell
    if not cell:
        return None
    try:
        return int(cell) if column.startswith("n_") or column.rpartition(".")[2] in COUNTS else float(cell)
    except ValueError as error:
        raise FileError(
            f"line {line}, column {column} of the table of cases is not a number", path=path, found=cell
        ) from error
