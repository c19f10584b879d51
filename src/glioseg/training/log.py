"""``log.jsonl``: one JSON object per epoch; cut back to the checkpoint when a training resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from glioseg.errors import FileError
from glioseg.io.files import cannot_write
from glioseg.io.text import parse_json, read_text

LOG = "log.jsonl"
_OF_ALL_TASKS = ("epoch", "train_loss", "learning_rate", "images_per_s", "val_loss", "val_score", "elapsed_s")


@dataclass(frozen=True)
class LogRow:
    """What one epoch came to.

    Args:
        epoch: from 0.
        train_loss: mean over its steps.
        learning_rate: of its last step.
        elapsed_s: of the whole training so far, what lay before a resume counted in.
        images_per_s: that its steps got through; None where none was measured.
        val_loss: None in epochs without validation, as is
        val_score: the score that picks the best model.
        figures: what the task adds to a validation, as JSON values: ``val_dice`` and ``regions``, or ``classes``, or
            whatever a task of one's own logs; undefined figures are None.
    """

    epoch: int
    train_loss: float
    learning_rate: float
    elapsed_s: float
    images_per_s: float | None = None
    val_loss: float | None = None
    val_score: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    def figure(self, *place: str) -> float | None:
        """One of the task's figures by where it stands: ``figure("regions", "WT", "dice")``; None where it is not."""
        value: Any = self.figures
        for name in place:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value if isinstance(value, int | float) else None

    def names(self, *place: str) -> tuple[str, ...]:
        """What stands below a place, in the order of the log: ``names("regions")`` are the regions."""
        value: Any = self.figures
        for name in place:
            value = value.get(name, {}) if isinstance(value, Mapping) else {}
        return tuple(value) if isinstance(value, Mapping) else ()

    def to_json(self) -> dict[str, Any]:
        """The row as ``log.jsonl`` holds it; figures of a validation are there only where there was one."""
        row: dict[str, Any] = {
            "epoch": self.epoch,
            "train_loss": self.train_loss,
            "learning_rate": self.learning_rate,
            "images_per_s": self.images_per_s,
        }
        if self.val_loss is not None:
            row |= {"val_loss": self.val_loss, "val_score": self.val_score, **self.figures}
        return row | {"elapsed_s": self.elapsed_s}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """The row that ``to_json`` gave, or an earlier version wrote.

        Raises:
            KeyError: it lacks a field.
            TypeError, ValueError: it is no row, or a field is no number.
        """
        for name in _OF_ALL_TASKS:
            if not isinstance(row.get(name, 0), int if name == "epoch" else int | float | None):
                raise ValueError(f"{name} is {row[name]!r:.40}")
        return cls(
            epoch=row["epoch"],
            train_loss=row["train_loss"],
            learning_rate=row["learning_rate"],
            elapsed_s=row["elapsed_s"],
            images_per_s=row.get("images_per_s"),
            val_loss=row.get("val_loss"),
            val_score=row.get("val_score"),
            figures={name: value for name, value in row.items() if name not in _OF_ALL_TASKS},
        )


def append_log(path: Path, row: LogRow) -> int:
    """Add one row and return the size of the log in bytes, which the next checkpoint remembers."""
    try:
        with path.open("ab") as file:
            file.write(json.dumps(row.to_json(), allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            return file.tell()
    except OSError as error:
        raise cannot_write(path, error) from error


def require_log(path: Path, size: int) -> int:
    """The size of a log in bytes, which must be no smaller than the ``size`` that its checkpoint remembers.

    Raises:
        FileError: it is, so that rows are lost.
    """
    have = path.stat().st_size if path.exists() else 0
    if have < size:
        raise FileError(
            "the log is shorter than its checkpoint remembers",
            path=path,
            found=f"{have} bytes",
            expected=f"{size} bytes",
            remedy="Restore the run folder, or begin anew with `--restart`",
        )
    return have


def cut_log(path: Path, size: int) -> None:
    """Drop what was written after a checkpoint that knew ``size`` bytes; errors as ``require_log``."""
    if require_log(path, size) > size:
        os.truncate(path, size)


def read_log(path: Path) -> list[LogRow]:
    """All rows; a last line that was cut off by a crash is left out.

    Raises:
        FileError: no such file, or one whose rows are not a training's.
    """
    rows = []
    for number, line in enumerate(read_text(path).split("\n")[:-1], start=1):
        try:
            rows.append(LogRow.from_json(_object(parse_json(line, path))))
        except (FileError, KeyError, TypeError, ValueError) as error:
            found = f"line {number}: {error.found if isinstance(error, FileError) else error}"
            remedy = "Restore the run folder, or begin anew with `--restart`"
            raise FileError("not the log of a training", path=path, found=found, remedy=remedy) from error
    return rows


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r:.40} is no row")
    return value


def log_of(run: Path) -> list[LogRow]:
    """The rows of a run folder; none before its first epoch has ended. Errors as ``read_log``."""
    path = run / LOG
    return read_log(path) if path.exists() else []
