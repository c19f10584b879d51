"""Every random number of a training is a function of (seed, epoch, step, purpose), and of nothing else.

No generator lives longer than the draw it was made for, so that a training that is killed and continued draws what it
would have drawn: there is no state to save. Nor does a draw know of processes: what is drawn for a batch is drawn for
all of it in each of them, and each takes the rows of its own items. The bit streams are NumPy's Philox, seeded through
``SeedSequence``, both of which NumPy keeps stable from version to version.

Source: Salmon JK et al. Parallel random numbers: as easy as 1, 2, 3. SC 2011.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from glioseg.errors import OptionError

Purpose = Literal["initialise", "order", "augment", "dropout", "patches", "tune"]
"""What a number is drawn for: initial weights, the order of the slices, augmentation, PyTorch's generator in a step,
where patches lie, the settings of a trial."""

_ALL_PROCESSES = 0  # earlier versions drew by process: this was the first one, and the only one of a training alone
_NUMBERS = {purpose: number for number, purpose in enumerate(get_args(Purpose))}


@dataclass(frozen=True)
class Rows:
    """Some items of a batch: those that one of several processes works on.

    Args:
        own: their places in the batch.
        n: items of the whole batch.
    """

    own: tuple[int, ...]
    n: int


@dataclass(frozen=True)
class DrawKey:
    """The place of a draw in a training; equal keys draw equal numbers, different keys independent ones.

    Args:
        seed: of the training; below 2^128.
        purpose: what is drawn.
        epoch: from 0.
        step: from 0, within the epoch.
        rows: the items of the batch that are at hand, which draws nothing else than the whole batch would; None where
            it is the whole batch.

    Raises:
        OptionError: a negative number, or one too large.
    """

    seed: int
    purpose: Purpose
    epoch: int = 0
    step: int = 0
    rows: Rows | None = None

    def __post_init__(self) -> None:
        places = (self.epoch, self.step)
        if not 0 <= self.seed < 2**128 or min(places) < 0 or max(places) >= 2**32:
            raise OptionError(
                "a place in a training is given by numbers that are not negative",
                found=f"seed {self.seed}, epoch and step {places}",
                expected="a seed below 2^128, epoch and step below 2^32",
            )

    def of(self, purpose: Purpose) -> DrawKey:
        """The key of the same place for another purpose."""
        return replace(self, purpose=purpose)


def generator(key: DrawKey, *stream: int) -> np.random.Generator:
    """A fresh generator for ``key``; ``stream`` tells apart several within the key, each independent of the others."""
    return np.random.Generator(np.random.Philox(_sequence(key, *stream)))


def torch_seed(key: DrawKey, *stream: int) -> int:
    """A seed in 0 … 2^63 − 1 for a generator of PyTorch."""
    return int(_sequence(key, *stream).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _sequence(key: DrawKey, *stream: int) -> np.random.SeedSequence:
    # the spawn key, unlike a list as entropy, keeps seeds of one and of several words apart
    place = (_NUMBERS[key.purpose], key.epoch, key.step, _ALL_PROCESSES, *stream)
    return np.random.SeedSequence(key.seed, spawn_key=place)
