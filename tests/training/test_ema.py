"""The running mean of the weights, worked out by hand for one weight."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glioseg.training.ema import WeightMean


def _set(model: nn.Linear, value: float) -> None:
    with torch.no_grad():
        model.weight.fill_(value)


def test_the_mean_of_three_steps() -> None:
    model = nn.Linear(1, 1, bias=False)
    _set(model, 100.0)
    mean = WeightMean(model, decay=0.15)
    # decay min(0.15, (1 + t) / (10 + t)): 0.1, then 2/11 > 0.15
    for value, expected in ((1.0, 0.1 * 100 + 0.9), (2.0, 0.15 * 10.9 + 0.85 * 2), (2.0, 0.15 * 3.335 + 0.85 * 2)):
        _set(model, value)
        mean.update(model)
        assert mean.state["weight"].item() == pytest.approx(expected, rel=1e-6)


def test_counters_are_copied() -> None:
    model = nn.BatchNorm2d(2)
    mean = WeightMean(model, 0.9)
    for _ in range(3):
        model(torch.rand(4, 2, 3, 3))
    mean.update(model)
    assert mean.state["num_batches_tracked"].item() == 3
    assert 0 < mean.state["running_mean"][0] < model.running_mean[0]  # type: ignore[index]


def test_a_module_carries_the_mean_only_inside() -> None:
    model = nn.Linear(1, 1, bias=False)
    _set(model, 0.0)
    mean = WeightMean(model, 0.5)
    _set(model, 8.0)

    def fail_inside() -> None:
        with mean.in_place_of(model):
            assert model.weight.item() == 0.0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert model.weight.item() == 8.0
    assert mean.state["weight"].item() == 0.0
