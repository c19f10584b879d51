"""What a training shows: a bar of steps and a table row for each epoch."""

from __future__ import annotations

import time
from typing import Protocol

from glioseg.console import ProgressBar, Reporter
from glioseg.tasks.task import LogColumns
from glioseg.training.log import LogRow

_FIRST = ("epoch", "train loss", "val loss")
_LAST = ("rate", "images/s", "left")
_FIRST_WIDTHS = (9, 10, 9)
_LAST_WIDTHS = (8, 8, 7)


class Watcher(Protocol):
    """Whoever may stop a training, by giving a reason."""

    def on_step(self, n_done: int, n_total: int) -> str | None:
        """A step is done."""

    def on_epoch(self, row: LogRow) -> str | None:
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
        self._n_done = 0
        self._n_total = 0
        self._header_shown = False

    def on_step(self, n_done: int, n_total: int) -> str | None:
        """A step is done."""
        time_s = time.monotonic()
        if self._started is None:
            self._started = (time_s, n_done - 1)
        self._n_done, self._n_total = n_done, n_total
        self._show_bar("Training", n_done, n_total)
        return None if self._watcher is None else self._watcher.on_step(n_done, n_total)

    def on_case(self, n_done: int, n_total: int) -> None:
        """A case of the validation part is done."""
        self._show_bar("Validating", n_done, n_total)

    def on_epoch(self, row: LogRow) -> str | None:
        """An epoch is done."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if not self._header_shown:
            self._header_shown = True
            self._reporter.say(self._line((*_FIRST, *self._columns.titles, *_LAST)))
        self._reporter.say(self._line((*self._first_cells(row), *self._columns.cells(row), *self._last_cells(row))))
        return None if self._watcher is None else self._watcher.on_epoch(row)

    def _show_bar(self, label: str, n_done: int, n_total: int) -> None:
        if self._bar is None:
            self._bar = self._reporter.bar()
        self._bar.show(label, n_done, n_total)

    def _line(self, cells: tuple[str, ...]) -> str:
        return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, self._widths, strict=True))

    def _first_cells(self, row: LogRow) -> tuple[str, ...]:
        val_loss = "-" if row.val_loss is None else f"{row.val_loss:.4f}"
        return f"{row.epoch + 1}/{self._epochs}", f"{row.train_loss:.4f}", val_loss

    def _last_cells(self, row: LogRow) -> tuple[str, ...]:
        pace = "-" if row.images_per_s is None else f"{row.images_per_s:.1f}"
        return f"{row.learning_rate:.1e}", pace, self._time_left(row)

    def _time_left(self, row: LogRow) -> str:
        if self._started is None or self._n_done <= self._started[1]:
            return "-"
        per_step = (time.monotonic() - self._started[0]) / (self._n_done - self._started[1])
        left_s = per_step * (self._n_total - self._n_done)
        if self._max_minutes is not None:
            left_s = min(left_s, max(60 * self._max_minutes - row.elapsed_s, 0))
        seconds = int(left_s)
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
