from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glioseg.errors import FileError
from glioseg.training.log import LOG, LogRow, append_log, cut_log, read_log

_LINE = '{"epoch": 0, "train_loss": 0.5, "learning_rate": 0.1, "images_per_s": null, "elapsed_s": 2.0}'
_ROW = LogRow(epoch=0, train_loss=0.5, learning_rate=0.1, elapsed_s=2.0)


def test_rows_come_back(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    rows = [replace(_ROW, epoch=epoch) for epoch in range(3)]
    sizes = [append_log(path, row) for row in rows]
    assert read_log(path) == rows
    assert path.read_text(encoding="utf-8").splitlines()[0] == _LINE
    assert sizes == [len(_LINE) + 1, 2 * (len(_LINE) + 1), 3 * (len(_LINE) + 1)]
    cut_log(path, sizes[1])
    assert read_log(path) == rows[:2]


def test_a_validation_stands_between_pace_and_time(tmp_path: Path) -> None:
    """The order of the file, which runs written before have too; undefined figures are null."""
    regions = {"WT": {"dice": 0.5}, "ET": {"dice": None}}
    row = replace(_ROW, val_loss=0.25, val_score=0.5, images_per_s=8.0, figures={"val_dice": 0.5, "regions": regions})
    append_log(tmp_path / "log.jsonl", row)
    assert (tmp_path / "log.jsonl").read_text(encoding="utf-8") == (
        '{"epoch": 0, "train_loss": 0.5, "learning_rate": 0.1, "images_per_s": 8.0, "val_loss": 0.25, '
        '"val_score": 0.5, "val_dice": 0.5, "regions": {"WT": {"dice": 0.5}, "ET": {"dice": null}}, "elapsed_s": 2.0}\n'
    )
    (again,) = read_log(tmp_path / "log.jsonl")
    assert again == row
    assert again.figure("val_dice") == 0.5
    assert again.figure("regions", "WT", "dice") == 0.5
    assert again.figure("regions", "ET", "dice") is None
    assert again.figure("regions", "TC", "dice") is None
    assert again.names("regions") == ("WT", "ET")
    assert again.names("regions", "WT") == ("dice",)
    assert again.names("classes") == again.names("val_dice") == ()


def test_half_a_row_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(f'{_LINE}\n{{"epo', encoding="utf-8")
    assert read_log(tmp_path / "log.jsonl") == [_ROW]


@pytest.mark.parametrize("line", ['{"epoch": 0}', "[1]", "no JSON"])
def test_another_file_is_no_log(tmp_path: Path, line: str) -> None:
    (tmp_path / "log.jsonl").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(FileError, match=r"log.jsonl: not the log of a training"):
        read_log(tmp_path / "log.jsonl")


def test_a_row_without_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_log(tmp_path / "log.jsonl", replace(_ROW, train_loss=float("nan")))


def test_lost_rows_are_noticed(tmp_path: Path) -> None:
    append_log(tmp_path / "log.jsonl", _ROW)
    with pytest.raises(FileError, match="found 94 bytes; expected 95 bytes"):
        cut_log(tmp_path / "log.jsonl", 95)
    with pytest.raises(FileError, match="found 0 bytes"):
        cut_log(tmp_path / "no.jsonl", 1)
    cut_log(tmp_path / "no.jsonl", 0)
    assert not (tmp_path / "no.jsonl").exists()


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_log(tmp_path / "log.jsonl")
    with pytest.raises(FileError, match="cannot be written"):
        append_log(tmp_path / "no" / "log.jsonl", _ROW)


@pytest.mark.parametrize(
    "line",
    [
        *("5", "[]", '"epoch"', "null", "{", "[" * 5000, '{"epoch": 1}'),
        '{"epoch": Infinity, "train_loss": 1, "learning_rate": 1, "elapsed_s": 1}',
        '{"epoch": "one", "train_loss": 1, "learning_rate": 1, "elapsed_s": 1}',
        '{"epoch": 1, "train_loss": null, "learning_rate": [], "elapsed_s": 1}',
        '{"epoch": 1, "train_loss": 1, "learning_rate": 1, "elapsed_s": 1, "val_loss": {}}',
        '{"epoch": 1' + "0" * 30 + ', "train_loss": 1, "learning_rate": 1, "elapsed_s": 1}',
    ],
)
def test_a_line_that_is_no_row(tmp_path: Path, line: str) -> None:
    append_log(tmp_path / LOG, LogRow(epoch=0, train_loss=1.0, learning_rate=0.1, elapsed_s=1.0))
    with (tmp_path / LOG).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(FileError, match=r"not the log of a training; found line 2: .*restart=True"):
        read_log(tmp_path / LOG)
