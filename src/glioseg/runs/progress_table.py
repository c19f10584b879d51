"""What a training shows: a table row for each epoch, and between the rows one line that lives."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Protocol

from glioseg.console import ProgressBar, Reporter
from glioseg.runs.table_lines import TableLines
from glioseg.tasks.task import LogColumns
from glioseg.training.log import LogRow
from glioseg.training.progress import TrainingPlace

_FIRST = ("epoch", "train", "val")
_LAST = ("rate", "images/s", "left")
_WIDTHS = {"epoch": 7, "train": 6, "val": 6, "rate": 7, "left": 7}
_LINE_EVERY_S = 60.0


class Watcher(Protocol):
    """Whoever may stop a training, by giving a reason."""

    def on_step(self, n_done: int, n_total: int) -> str | None:
        """A step is done."""

    def on_epoch(self, row: LogRow) -> str | None:
        """An epoch is done; its row of the log."""


class ProgressTable:
    """A row for each epoch, on stderr, under a header; between rows epoch, step, loss, best score and the time left.

    On a terminal that is one line with a bar; elsewhere it is written once a minute.

    Args:
        columns: those between losses and pace, which are the task's own.
        quiet: show nothing.
        epochs: of the whole training.
        score: name of the score that picks the best model.
        max_minutes: after which it ends before that; None for no limit.
        watcher: may stop the training.
    """

    def __init__(
        self,
        columns: LogColumns,
        *,
        quiet: bool,
        epochs: int,
        score: str = "score",
        max_minutes: float | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._watcher = watcher
        self._reporter = Reporter(quiet=quiet)
        self._bar: ProgressBar | None = None
        self._epochs = epochs
        self._score = score
        self._max_minutes = max_minutes
        self._columns = columns
        least = dict(zip(columns.titles, columns.widths, strict=True))
        self._lines = TableLines(("images/s", "rate", *columns.spare), _WIDTHS | least)
        self._place: TrainingPlace | None = None
        self._said_at = time.monotonic()

    def on_start(self, place: TrainingPlace) -> None:
        """Say where a training goes on that was begun before, and how its scores are counted where not as usual."""
        self._place = place
        if self._columns.words:
            self._reporter.say(self._columns.words)
        if place.n_updates and place.epoch < self._epochs:
            step = f", step {place.step + 1}" if place.step else ""
            self._reporter.say(f"Continuing at epoch {place.epoch + 1}{step}")

    def on_step(self, place: TrainingPlace) -> str | None:
        """A step is done."""
        self._place = place
        self._show_bar(f"Epoch {place.epoch + 1}/{self._epochs}", place.step, place.n_steps, self._words(place))
        self._say_now_and_then(place)
        return None if self._watcher is None else self._watcher.on_step(place.n_updates, place.n_total)

    def on_case(self, n_done: int, n_total: int) -> None:
        """A case of the validation part is done."""
        self._show_bar("Validating", n_done, n_total, f"case {n_done}/{n_total}")

    def on_epoch(self, row: LogRow) -> str | None:
        """An epoch is done."""
        self.close()
        titles = (*_FIRST, *self._columns.titles, *_LAST)
        cells = (*self._first_cells(row), *self._columns.cells(row), *self._last_cells(row))
        for line in self._lines.of(dict(zip(titles, cells, strict=True))):
            self._reporter.say(line)
        self._said_at = time.monotonic()
        return None if self._watcher is None else self._watcher.on_epoch(row)

    def close(self) -> None:
        """Take the live line away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show_bar(self, label: str, n_done: int, n_total: int, words: str) -> None:
        if self._bar is None:
            self._bar = self._reporter.bar()
        self._bar.show(label, n_done, n_total, words)

    def _say_now_and_then(self, place: TrainingPlace) -> None:
        if self._reporter.console.is_terminal or time.monotonic() - self._said_at < _LINE_EVERY_S:
            return
        self._said_at = time.monotonic()
        self._reporter.say(f"Epoch {place.epoch + 1}/{self._epochs}, {self._words(place)}")

    def _words(self, place: TrainingPlace) -> str:
        words = [f"step {place.step}/{place.n_steps}"]
        if place.loss is not None:
            words.append(f"loss {place.loss:.4f}")
        if place.best_score is not None:
            words.append(f"best {self._score} {place.best_score:.3f}")
        return ", ".join([*words, f"left {self._time_left(place)}"])

    def _first_cells(self, row: LogRow) -> tuple[str, ...]:
        val_loss = "-" if row.val_loss is None else f"{row.val_loss:.4f}"
        return f"{row.epoch + 1}/{self._epochs}", f"{row.train_loss:.4f}", val_loss

    def _last_cells(self, row: LogRow) -> tuple[str, ...]:
        pace = "-" if row.images_per_s is None else f"{row.images_per_s:.1f}"
        left = "-" if self._place is None else self._time_left(replace(self._place, elapsed_s=row.elapsed_s))
        return f"{row.learning_rate:.1e}", pace, left

    def _time_left(self, place: TrainingPlace) -> str:
        left_s = place.left_s
        if left_s is None:
            return "-"
        if self._max_minutes is not None:
            left_s = min(left_s, max(60 * self._max_minutes - place.elapsed_s, 0))
        seconds = int(left_s)
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
