"""Evaluated parts and the kept epoch, as reports read them from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glioseg.errors import FileError
from glioseg.evaluation.protocol import Evaluation
from glioseg.evaluation.table import rows_from_csv, rows_to_csv
from glioseg.report.scored_parts import scored_parts
from glioseg.runs.report import kept_epoch
from glioseg.training.log import LogRow
from tests.report.made_run import part_scores, reference, scored, shifted


def test_the_kept_epoch_is_the_first_of_the_best_or_the_last_validated() -> None:
    rows = [
        LogRow(epoch, train_loss=0.5, learning_rate=0.1, elapsed_s=1.0, val_score=score)
        for epoch, score in enumerate((0.1, 0.7, 0.7, None))
    ]
    assert kept_epoch(rows, "best") == 1
    assert kept_epoch(rows, "last") == 2
    assert kept_epoch(rows[3:], "best") is None


def _write_part(folder: Path, part: str) -> None:
    scores = part_scores(scored({"a": (reference(0), shifted(reference(0), 1))}))
    text = json.dumps(scores.evaluation.to_json())
    (folder / f"evaluation-{part}.json").write_text(text, encoding="utf-8")
    (folder / f"cases-{part}.csv").write_text(rows_to_csv(scores.rows), encoding="utf-8")


def test_parts_are_read_as_they_were_written(tmp_path: Path) -> None:
    for part in ("val", "test"):
        _write_part(tmp_path, part)
    (tmp_path / "evaluation-train.json").write_text("{}", encoding="utf-8")  # its table is not there yet
    parts = scored_parts(tmp_path, Evaluation.from_json, rows_from_csv)
    assert list(parts) == ["test", "val"]
    written = part_scores(scored({"a": (reference(0), shifted(reference(0), 1))}))
    assert parts["test"].evaluation == written.evaluation
    assert list(parts["test"].rows) == list(written.rows)


@pytest.mark.parametrize("text", ["[]", '{"protocol": {}}', "{"])
def test_damaged_figures_are_named(tmp_path: Path, text: str) -> None:
    _write_part(tmp_path, "test")
    (tmp_path / "evaluation-test.json").write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=r"evaluation-test\.json"):
        scored_parts(tmp_path, Evaluation.from_json, rows_from_csv)


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    _write_part(tmp_path, "test")
    (tmp_path / "cases-test.csv").write_text("case\nx\n", encoding="utf-8")
    with pytest.raises(FileError, match=r"cases-test\.csv"):
        scored_parts(tmp_path, Evaluation.from_json, rows_from_csv)
