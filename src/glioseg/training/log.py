"""``log.jsonl``: one JSON object per epoch; cut back to the checkpoint when a training resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glioseg.errors import FileError
from glioseg.io.files import cannot_read, cannot_write


def append_log(path: Path, row: Mapping[str, Any]) -> int:
    """Add one row and return the size of the log in bytes, which the next checkpoint remembers."""
    try:
        with path.open("ab") as file:
            file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            return file.tell()
    except OSError as error:
        raise cannot_write(path, error) from error


def cut_log(path: Path, size: int) -> None:
    """Drop what was written after a checkpoint that knew ``size`` bytes.

    Raises:
        FileError: the log is shorter than the checkpoint remembers, so that rows are lost.
    """
    have = path.stat().st_size if path.exists() else 0
    if have < size:
        raise FileError(
            "the log is shorter than its checkpoint remembers",
            path=path,
            found=f"{have} bytes",
            expected=f"{size} bytes",
            remedy="Restore the run folder, or begin anew with --restart",
        )
    if have > size:
        os.truncate(path, size)


def read_log(path: Path) -> list[dict[str, Any]]:
    """All rows; a last line that was cut off by a crash is left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError as error:
        raise cannot_read(path, error) from error
    return [json.loads(line) for line in lines if line.endswith("\n")]
