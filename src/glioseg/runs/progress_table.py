"""What a training shows: a bar of steps and a table row for each epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from glioseg.console import ProgressBar, Reporter
from glioseg.tasks.task import LogColumns

_FIRST = ("epoch", "train loss", "val loss")
_LAST = ("rate", "images/s", "left")
_FIRST_WIDTHS = (9, 10, 9)
_LAST_WIDTHS = (8, 8, 7)


class Watcher(Protocol):
    """Whoever may stop a training, by giving a reason."""

    def on_step(self, done: int, total: int) -> str | None:
        """A step is done."""

    def on_epoch(self, row: Mapping[str, Any]) -> str | None:
        """An epoch is done; its row of the log."""


class ProgressTable:
    """A row for each epoch, on stderr, under a header; between rows a bar where stderr is a terminal.

    Args:
        columns: those between losses and pace, which are the task's own.
        quiet: show nothing.
        epochs: of the whole training.
        max_minutes: after which it ends before that; None for no limit.
        watcher: may stop the training.
    """

    def __init__(
        self,
        columns: LogColumns,
        *,
        quiet: bool,
        epochs: int,
        max_minutes: float | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._watcher = watcher
        self._reporter = Reporter(quiet=quiet)
        self._bar: ProgressBar | None = None
        self._epochs = epochs
        self._max_minutes = max_minutes
        self._columns = columns
        self._widths = (*_FIRST_WIDTHS, *columns.widths, *_LAST_WIDTHS)
        self._started: tuple[float, int] | None = None
        self._done = 0
        self._total = 0
        self._header_shown = False

    def on_step(self, done: int, total: int) -> str | None:
        """A step is done."""
        now = time.monotonic()
        if self._started is None:
            self._started = (now, done - 1)
        self._done, self._total = done, total
        self._shown("Training", done, total)
        return None if self._watcher is None else self._watcher.on_step(done, total)

    def on_case(self, done: int, total: int) -> None:
        """A case of the validation part is done."""
        self._shown("Validating", done, total)

    def on_epoch(self, row: Mapping[str, Any]) -> str | None:
        """An epoch is done."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if not self._header_shown:
            self._header_shown = True
            self._reporter.say(self._line((*_FIRST, *self._columns.titles, *_LAST)))
        self._reporter.say(self._line((*self._first_cells(row), *self._columns.cells(row), *self._last_cells(row))))
        return None if self._watcher is None else self._watcher.on_epoch(row)

    def _shown(self, what: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = self._reporter.bar()
        self._bar.show(what, done, total)

    def _line(self, cells: tuple[str, ...]) -> str:
        return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, self._widths, strict=True))

    def _first_cells(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        val_loss = f"{row['val_loss']:.4f}" if "val_loss" in row else "-"
        return f"{row['epoch'] + 1}/{self._epochs}", f"{row['train_loss']:.4f}", val_loss

    def _last_cells(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        pace = "-" if row.get("images_per_s") is None else f"{row['images_per_s']:.1f}"
        return f"{row['learning_rate']:.1e}", pace, self._left(row)

    def _left(self, row: Mapping[str, Any]) -> str:
        if self._started is None or self._done <= self._started[1]:
            return "-"
        per_step = (time.monotonic() - self._started[0]) / (self._done - self._started[1])
        left = per_step * (self._total - self._done)
        if self._max_minutes is not None:
            left = min(left, max(60 * self._max_minutes - row["elapsed_s"], 0))
        seconds = int(left)
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
