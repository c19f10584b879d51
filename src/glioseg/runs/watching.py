"""What a training shows: a bar of steps and a table row for each epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from glioseg.console import Bar, Reporter

_COLUMNS = ("epoch", "train loss", "val loss", "Dice", "by region", "precision", "recall", "rate", "images/s", "left")
_CLASS_COLUMNS = (*_COLUMNS[:3], "acc.", "recall by class", "balanced", "AUC", *_COLUMNS[7:])
_WIDTHS = (9, 10, 9, 6, 24, 9, 6, 8, 8, 7)


class Judge(Protocol):
    """Whoever may stop a training, by giving a reason."""

    def on_step(self, done: int, total: int) -> str | None:
        """A step is done."""

    def on_epoch(self, row: Mapping[str, Any]) -> str | None:
        """An epoch is done; its row of the log."""


class TrainingTable:
    """A row for each epoch, on stderr, under a header; between rows a bar where stderr is a terminal.

    Args:
        quiet: show nothing.
        epochs: of the whole training.
        max_minutes: after which it ends before that; None for no limit.
        judge: may stop the training.
        classifies: the network says classes; the columns are a classifier's.
    """

    def __init__(
        self,
        *,
        quiet: bool,
        epochs: int,
        max_minutes: float | None = None,
        judge: Judge | None = None,
        classifies: bool = False,
    ) -> None:
        self._judge = judge
        self._reporter = Reporter(quiet=quiet)
        self._bar: Bar | None = None
        self._epochs = epochs
        self._max_minutes = max_minutes
        self._classifies = classifies
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
        return None if self._judge is None else self._judge.on_step(done, total)

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
            self._reporter.say(_line(_CLASS_COLUMNS if self._classifies else _COLUMNS))
        self._reporter.say(_line(self._cells(row)))
        return None if self._judge is None else self._judge.on_epoch(row)

    def _shown(self, what: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = self._reporter.bar()
        self._bar.show(what, done, total)

    def _cells(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        if "classes" in row:
            return (*self._first_cells(row), *_class_cells(row["classes"]), *self._last_cells(row))
        regions = row.get("regions", {})

        def mean(metric: str) -> str:
            values = [figures[metric] for figures in regions.values() if figures[metric] is not None]
            return f"{sum(values) / len(values):.3f}" if values else "-"

        by_region = " ".join(f"{name} {_number(figures['dice'])}" for name, figures in regions.items())
        middle = (mean("dice"), by_region if len(regions) > 1 else "", mean("precision"), mean("recall"))
        return (*self._first_cells(row), *middle, *self._last_cells(row))

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


def _class_cells(found: Mapping[str, Any]) -> tuple[str, ...]:
    recalls = " ".join(f"{name} {_number(value)}" for name, value in found["recall"].items())
    return _number(found["accuracy"]), recalls, _number(found["balanced_accuracy"]), _number(found["auc"])


def _line(cells: tuple[str, ...]) -> str:
    return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
