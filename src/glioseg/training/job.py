"""What the loop works on: items, the functions of a task, and what the recipe decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from glioseg.console import Step
from glioseg.training.checkpoint import Identity
from glioseg.training.log import LogRow
from glioseg.training.options import TrainOptions
from glioseg.training.progress import TrainingPlace
from glioseg.training.randomness import DrawKey


class Batch(NamedTuple):
    """Images (B, C, *S), the targets of the loss, and, where the loss has them, weight maps like the targets.

    Images are float32, or float16 where they are to be sent to a GPU as they are kept.

    S is (H, W) for slices, (D, H, W) for patches. Targets are what the task makes of them: regions (B, R, *S) uint8
    0/1, or classes (B, K) uint8, one of them 1.
    """

    images: npt.NDArray[np.float32] | npt.NDArray[np.float16]
    targets: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32] | None = None


class Items(Protocol):
    """What a training takes its batches from: slices or patches of the training part."""

    @property
    def is_positive(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each item shows what is looked for: tumour, or another class than the first."""

    def take(self, indices: npt.NDArray[np.int64], key: DrawKey) -> Batch:
        """The items of a batch, read from the cache.

        Args:
            indices: (B,) which items.
            key: the place in the training, for items that are drawn; in one epoch an item is the same whichever step
                and process takes it.
        """

    def name(self, index: int) -> str:
        """The case and slice, or patch, of an item, for messages."""


class Validation(NamedTuple):
    """The loss, the score that picks the best model, and the task's own figures for the log, as JSON values."""

    loss: float
    score: float
    figures: Mapping[str, Any]


R = TypeVar("R")


class CaseValidation(ABC, Generic[R]):
    """A validation case by case, which several processes can share: called with the network in evaluation mode."""

    on_case: Step
    """Called with (cases done, cases) of this process."""

    @property
    @abstractmethod
    def n_cases(self) -> int:
        """Cases of the validation part."""

    @abstractmethod
    def look(self, model: nn.Module, number: int) -> R:
        """What there is to say of one case, small enough to be sent to another process."""

    @abstractmethod
    def conclude(self, looks: Sequence[R]) -> Validation:
        """The figures, from what was said of each case, in order."""

    def __call__(self, model: nn.Module) -> Validation:
        """All cases, in this process."""
        return self.conclude(self.looks(model, range(self.n_cases)))

    def looks(self, model: nn.Module, numbers: Sequence[int]) -> list[R]:
        """Some of the cases."""
        looks = []
        for n_done, number in enumerate(numbers, start=1):
            looks.append(self.look(model, number))
            self.on_case(n_done, len(numbers))
        return looks


Augment = Callable[[Tensor, Tensor, Tensor | None, DrawKey], tuple[Tensor, Tensor, Tensor | None]]
Loss = Callable[[Tensor | Sequence[Tensor], Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Job:
    """A training, as the recipe and the data decide it.

    Args:
        options: of the loop.
        items: the training part.
        augment: (images, targets, weights, key) -> the same, augmented, on the device.
        loss: (logits, targets, weights) -> scalar.
        loss_is_mean: whether the loss of a batch is the mean of those of its items, so that several processes need not
            send each other what their networks say.
        validate: the network in evaluation mode -> figures on whole cases; a ``CaseValidation`` is shared among the
            processes, any other function is called in the first one.
        identity: what must not change between the parts of a training.
        run: the run folder.
        on_epoch: called in the first process with each row of the log; a reason stops the training as Ctrl-C does.
        on_step: called in the first process after each step; likewise.
        on_start: called in the first process once it is known where the training goes on.
    """

    options: TrainOptions
    items: Items
    augment: Augment
    loss: Loss
    validate: Callable[[nn.Module], Validation]
    identity: Identity
    run: Path
    on_epoch: Callable[[LogRow], str | None]
    on_step: Callable[[TrainingPlace], str | None]
    on_start: Callable[[TrainingPlace], None]
    loss_is_mean: bool = False
