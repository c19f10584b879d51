"""The running mean of the weights (Polyak 1992; Tarvainen 2017), validated and saved in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class WeightMean:
    """Exponential mean of all floating-point entries of a module's state; counters are copied.

    In the first steps the decay is (1 + t) / (10 + t), so that the random initial weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.n_updates = 0
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step towards the weights as they are now."""
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        self.n_updates += 1
        current = model.state_dict()
        floats = [name for name, value in current.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.state[name] for name in floats], [current[name] for name in floats], 1.0 - decay)
        for name in current.keys() - set(floats):
            self.state[name].copy_(current[name])

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """The module carries the mean inside the block and its own weights again after it."""
        weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.state)
        try:
            yield
        finally:
            model.load_state_dict(weights)
