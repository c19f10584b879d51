"""The log as events for TensorBoard (``tensorboard --logdir RUNS``); never a source of anything, only a copy of it."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.errors import OptionError
from glioseg.io.files import cannot_write
from glioseg.training.log import LOG, LogRow, read_log

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

EVENTS = "tensorboard"


def require_tensorboard() -> None:
    """Say before any work that TensorBoard is missing.

    Raises:
        OptionError: it is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise OptionError(
            "`--tensorboard` needs the package tensorboard, which is not installed",
            remedy='Install it with: pip install "glioseg[track]"',
        )


def scalars(row: LogRow) -> Iterator[tuple[str, float]]:
    """Tags and values of a row of the log; undefined figures are left out."""
    values = {
        "loss/training": row.train_loss,
        "loss/validation": row.val_loss,
        "dice/mean": row.figure("val_dice"),
        "score": row.val_score,
        "learning_rate": row.learning_rate,
        "images_per_s": row.images_per_s,
    }
    values |= {
        f"{metric}/{region}": row.figure("regions", region, metric)
        for region in row.names("regions")
        for metric in row.names("regions", region)
    }
    yield from ((tag, float(value)) for tag, value in values.items() if value is not None)


class EventLog:
    """Writes one point per epoch and scalar.

    A log that was cut back when its training was resumed has lost rows that the events of the earlier process still
    hold; so events are written anew from the log before the first row is added, and no epoch is there twice.

    Args:
        run: the run folder, whose ``log.jsonl`` holds a row already when it is given to ``on_epoch``.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._writer: SummaryWriter | None = None

    def on_epoch(self, row: LogRow) -> None:
        """Add a row of the log.

        Raises:
            FileError: the run folder cannot be written to.
        """
        try:
            if self._writer is None:
                self._writer = self._rewritten()
            else:
                _add(self._writer, row, time.time())
            self._writer.flush()
        except OSError as error:
            raise cannot_write(self._run / EVENTS, error) from error

    def close(self) -> None:
        """End the events; those of a training that had no epoch left are written from its log.

        Raises:
            FileError: the run folder cannot be written to.
        """
        try:
            if self._writer is None and (self._run / LOG).exists():
                self._writer = self._rewritten()
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            raise cannot_write(self._run / EVENTS, error) from error

    def _rewritten(self) -> SummaryWriter:
        from torch.utils.tensorboard.writer import SummaryWriter  # takes seconds, and few ask for it

        rows = read_log(self._run / LOG)
        if (self._run / EVENTS).exists():
            shutil.rmtree(self._run / EVENTS)
        writer = SummaryWriter(str(self._run / EVENTS))
        written_at = time.time()
        for row in rows:
            _add(writer, row, written_at - rows[-1].elapsed_s + row.elapsed_s)
        return writer


def _add(writer: SummaryWriter, row: LogRow, at: float) -> None:
    """Epochs count from 1 here, as in tables and reports."""
    for tag, value in scalars(row):
        writer.add_scalar(tag, value, row.epoch + 1, walltime=at)
