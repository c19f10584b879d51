"""Where a training stands, how fast it goes and how it ended: plain values, all in the checkpoint or the log."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glioseg.training.schedule import Plateau


@dataclass
class Progress:
    """Where a training stands; all of it goes into the checkpoint."""

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
    """The progress whose ``asdict`` is ``values``."""
    return Progress(**{**values, "plateau": Plateau(**values["plateau"])})


@dataclass(frozen=True)
class Outcome:
    """How a training ended: by itself (finished), or stopped by a reason and to be continued."""

    finished: bool
    reason: str | None
    progress: Progress

    @property
    def met_limit(self) -> bool:
        """Whether a limit of the recipe (``train.max_minutes``, ``train.max_steps``) stopped it before its end."""
        return not self.finished and (self.reason or "").startswith("train.")
