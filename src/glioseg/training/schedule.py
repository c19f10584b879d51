"""The learning rate as a function of the step, so that a resumed training needs no state for it but plateau's."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from glioseg.training.options import (
    ConstantOptions,
    CosineOptions,
    OneCycleOptions,
    PlateauOptions,
    PolynomialOptions,
    TrainOptions,
)

_ONE_CYCLE_WARM_UP = 0.3
_ONE_CYCLE_START = 1 / 25
_ONE_CYCLE_END = 1e-4
_POLYNOMIAL_POWER = 0.9


@dataclass(frozen=True)
class Plateau:
    """What ReduceLROnPlateau remembers: the best score so far, validations since, and the factor reached."""

    best: float = -math.inf
    n_since: int = 0
    factor: float = 1.0

    def after(self, score: float, options: PlateauOptions) -> Plateau:
        """The state after one more validation, whose score is better when higher."""
        if score > self.best:
            return replace(self, best=score, n_since=0)
        if self.n_since + 1 > options.patience:
            return replace(self, n_since=0, factor=self.factor * options.factor)
        return replace(self, n_since=self.n_since + 1)


def learning_rate(options: TrainOptions, step: int, n_steps: int, plateau: Plateau) -> float:
    """The rate of optimiser update ``step`` (from 0) of ``n_steps``.

    Cosine falls to 0 (Loshchilov 2017, without restarts); one-cycle rises from 1/25 over the first 30 % and falls to
    1/10,000, both as cosines (Smith 2018; Adam's betas stay as they are); polynomial is (1 - t)^0.9 (nnU-Net, Isensee
    2021).
    """
    time = min(step / max(n_steps, 1), 1.0)
    match options.schedule:
        case ConstantOptions():
            return options.lr
        case PlateauOptions():
            return options.lr * plateau.factor
        case CosineOptions():
            return options.lr * _cosine(1.0, 0.0, time)
        case PolynomialOptions():
            return options.lr * float((1.0 - time) ** _POLYNOMIAL_POWER)
        case OneCycleOptions():
            if time < _ONE_CYCLE_WARM_UP:
                return options.lr * _cosine(_ONE_CYCLE_START, 1.0, time / _ONE_CYCLE_WARM_UP)
            return options.lr * _cosine(1.0, _ONE_CYCLE_END, (time - _ONE_CYCLE_WARM_UP) / (1.0 - _ONE_CYCLE_WARM_UP))


def _cosine(start: float, end: float, time: float) -> float:
    return end + (start - end) * (1.0 + math.cos(math.pi * time)) / 2.0
