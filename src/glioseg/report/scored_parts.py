"""The evaluated parts of a run folder: files become values here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from glioseg.core import HEADLINE_ORDER
from glioseg.errors import FileError, ScoreError
from glioseg.evaluation.table import Row
from glioseg.io.text import read_json, read_text
from glioseg.report.run_facts import PartScores

_Figures = TypeVar("_Figures")


def scored_parts(
    run: Path,
    read_figures: Callable[[Mapping[str, Any]], _Figures],
    read_rows: Callable[[str, str], Sequence[Row]],
) -> dict[str, PartScores[_Figures]]:
    """The parts that were evaluated, that of the headline first.

    Args:
        run: the run folder.
        read_figures: what ``evaluation-PART.json`` holds -> figures; a ScoreError for another file.
        read_rows: text and path of ``cases-PART.csv`` -> rows; a FileError for another table.

    Raises:
        FileError: a file of the run is damaged.
    """
    scores: dict[str, PartScores[_Figures]] = {}
    for part in HEADLINE_ORDER:
        figures, table = run / f"evaluation-{part}.json", run / f"cases-{part}.csv"
        if not figures.exists() or not table.exists():
            continue
        evaluation = figures_in(figures, read_figures)
        scores[part] = PartScores(evaluation, read_rows(read_text(table), str(table)))
    return scores


def figures_in(path: Path, read_figures: Callable[[Mapping[str, Any]], _Figures]) -> _Figures:
    """The figures in an ``evaluation-PART.json``, as a task reads them.

    Raises:
        FileError: missing, damaged, or not such figures.
    """
    block = read_json(path)
    if not isinstance(block, dict):
        raise FileError("not an evaluation", path=path)
    try:
        return read_figures(block)
    except ScoreError as error:
        raise FileError(error.what, path=path, found=error.found, expected=error.expected) from error
