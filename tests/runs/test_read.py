"""What stands in a folder and cannot be used is said by whoever reads it: no case goes missing without a word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glioseg.console import Reporter
from glioseg.runs.inspect import inspect
from glioseg.runs.read import Data, read
from tests.fakes.brats import write_2023


class _Told(Reporter):
    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Cases, one of which has a name that no terminal can print, and another a named pipe for an image."""
    root = write_2023(tmp_path / "data")
    first, second = sorted(path for path in root.iterdir() if path.is_dir())[:2]
    first.rename(first.with_name(f"{first.name}\x1b[31m"))
    flair = next(second.glob("*t2f*"))
    flair.unlink()
    os.mkfifo(flair)
    return root


def test_what_cannot_be_used_is_said(folder: Path) -> None:
    told = _Told()
    read(Data(folder), told)
    unprintable, pipe = sorted(told.lines, key=lambda line: "pipe" in line)
    assert "\\u001b[31m is left out: its name is not UTF-8 or has control characters; rename it" in unprintable
    assert unprintable.startswith("error: ")
    assert "is a named pipe, a socket or a device, and was not opened; remove it" in pipe


def test_a_report_of_all_findings_says_them_once(folder: Path) -> None:
    told = _Told()
    assert {finding.kind for finding in inspect(Data(folder), None, told).findings} >= {"special-file"}
    assert told.lines == []


def test_many_errors_are_counted(tmp_path: Path) -> None:
    root, told = write_2023(tmp_path / "data"), _Told()
    for number in range(13):
        (root / f"bad-{number}\x07").mkdir()
        (root / f"bad-{number}\x07" / "a_t2f.nii.gz").touch()
    read(Data(root), told)
    assert len(told.lines) == 11
    assert told.lines[-1] == "… and 3 more errors; `glioseg inspect` lists them"
