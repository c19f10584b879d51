from __future__ import annotations

from pathlib import Path

import pytest

from glioseg.errors import FileError
from glioseg.training.log import append_log, cut_log, read_log


def test_rows_come_back(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    sizes = [append_log(path, {"epoch": epoch}) for epoch in range(3)]
    assert read_log(path) == [{"epoch": 0}, {"epoch": 1}, {"epoch": 2}]
    assert sizes == [13, 26, 39]  # {"epoch": 0} and a line feed
    cut_log(path, sizes[1])
    assert read_log(path) == [{"epoch": 0}, {"epoch": 1}]


def test_half_a_row_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"epoch": 0}\n{"epo', encoding="utf-8")
    assert read_log(tmp_path / "log.jsonl") == [{"epoch": 0}]


def test_a_row_without_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_log(tmp_path / "log.jsonl", {"loss": float("nan")})


def test_lost_rows_are_noticed(tmp_path: Path) -> None:
    append_log(tmp_path / "log.jsonl", {"epoch": 0})
    with pytest.raises(FileError, match="found 13 bytes; expected 14 bytes"):
        cut_log(tmp_path / "log.jsonl", 14)
    with pytest.raises(FileError, match="found 0 bytes"):
        cut_log(tmp_path / "no.jsonl", 1)
    cut_log(tmp_path / "no.jsonl", 0)
    assert not (tmp_path / "no.jsonl").exists()


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_log(tmp_path / "log.jsonl")
    with pytest.raises(FileError, match="cannot be written"):
        append_log(tmp_path / "no" / "log.jsonl", {})
