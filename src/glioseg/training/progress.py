"""Where a training stands, how fast it goes and how it ended: plain values, all in the checkpoint or the log."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from glioseg.training.schedule import Plateau


@dataclass
class Progress:
    """Where a training stands; all of it goes into the checkpoint.

    ``horizon`` is the update at which the clock will have ended it (``train.max_minutes``), as last read; None where
    the epochs end it first. Schedules fall over it.
    """

    epoch: int = 0
    step: int = 0
    n_updates: int = 0
    loss_sum: float = 0.0
    n_losses: int = 0
    plateau: Plateau = field(default_factory=Plateau)
    best_score: float = -math.inf
    best_epoch: int = -1
    n_without_gain: int = 0
    elapsed_s: float = 0.0
    log_size: int = 0
    finished: bool = False
    horizon: int | None = None


@dataclass(frozen=True)
class TrainingPlace:
    """Where a training stands, for whoever shows it.

    Args:
        epoch: from 0.
        step: steps done of the epoch,
        n_steps: of so many.
        n_updates: steps done in all,
        n_total: of so many, as far as can be told: those of all epochs, or as many as the limit of time leaves.
        loss: mean over the steps of the epoch; None before the first.
        best_score: None before the first validation.
        elapsed_s: of the whole training so far.
    """

    epoch: int
    step: int
    n_steps: int
    n_updates: int
    n_total: int
    loss: float | None
    best_score: float | None
    elapsed_s: float

    @property
    def left_s(self) -> float | None:
        """Seconds that are left at the pace so far, validations counted in; None before the first step."""
        if not self.n_updates:
            return None
        return max(self.n_total - self.n_updates, 0) * self.elapsed_s / self.n_updates


@dataclass
class Pace:
    """Images that the steps of an epoch got through, and the seconds that they took, since the last resume."""

    n_images: int = 0
    elapsed_s: float = 0.0

    def add(self, n_images: int, elapsed_s: float) -> None:
        """Count a step."""
        self.n_images += n_images
        self.elapsed_s += elapsed_s

    def images_per_s(self) -> float | None:
        """Loading and augmentation counted in, validation and checkpoints not; None before any step."""
        return round(self.n_images / self.elapsed_s, 2) if self.elapsed_s > 0 else None


def progress_of(values: Mapping[str, Any]) -> Progress:
    """The progress whose ``asdict`` is ``values``; an earlier version wrote no ``horizon``.

    Raises:
        ValueError: a field is missing: its default would begin something anew in the middle of a training.
    """
    missing = {each.name for each in fields(Progress)} - {"horizon"} - set(values)
    if missing:
        raise ValueError(f"the progress lacks {', '.join(sorted(missing))}")
    return Progress(**{**values, "plateau": Plateau(**values["plateau"])})


@dataclass(frozen=True)
class Outcome:
    """How a training ended: by itself (finished), or stopped by a reason and to be continued.

    Args:
        finished: all epochs are done, or early stopping ended it.
        reason: that stopped it before.
        progress: where it stands.
        n_new: updates that this call has made; 0 where there was nothing left to do.
    """

    finished: bool
    reason: str | None
    progress: Progress
    n_new: int

    @property
    def met_limit(self) -> bool:
        """Whether a limit of the recipe (``train.max_minutes``, ``train.max_steps``) stopped it before its end."""
        return not self.finished and self.reason is not None and is_limit(self.reason)


def is_limit(reason: str) -> bool:
    """Whether a reason to stop is a limit of the recipe, which is named by its setting."""
    return reason.startswith("train.")
