"""Paths and machinery of a run: everything that is not in the recipe."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from glioseg.machine.launched import Launched


@dataclass(frozen=True)
class RunOptions:
    """Where a training writes, what it starts from, and on which device it runs.

    Args:
        run: the run folder.
        cache: where prepared cohorts are kept; None for ``cache`` beside the run.
        split: a split to be used in place of a drawn one,
        fold: and which of its folds, where it is nnU-Net's file of several.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        n_devices: processes that train together.
        restart: begin anew where a run is there already.
        evaluate: end with evaluation and report.
        tensorboard: also write the log as events for TensorBoard.
        score_train: evaluate on the training part too.
        initial: a run or bundle whose weights the training starts from, in place of what the recipe names.
        launched: what started this process as one of several that train together; None for one by itself.
    """

    run: Path
    cache: Path | None = None
    split: Path | None = None
    fold: int | None = None
    device: str = "auto"
    n_devices: int = 1
    restart: bool = False
    evaluate: bool = True
    tensorboard: bool = False
    score_train: bool = False
    initial: Path | None = None
    launched: Launched | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.launched is None or self.launched.rank == 0

    @property
    def cache_folder(self) -> Path:
        """Where prepared cohorts are kept."""
        run = self.run if self.run.name not in ("", "..") else Path(os.path.normpath(self.run.absolute()))
        return self.cache or run.parent / "cache"
