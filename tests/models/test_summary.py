from __future__ import annotations

from torch import nn

from glioseg.models.build import build_model
from glioseg.models.summary import LevelSummary, n_parameters, summarise_levels
from glioseg.models.unet import UNetOptions


def test_the_levels_of_a_small_network() -> None:
    model = build_model(UNetOptions(width=4, depth=2), 3, 2, seed=0)
    assert summarise_levels(model, (16, 24)) == (
        LevelSummary("input", 3, (16, 24)),
        LevelSummary("down", 4, (16, 24)),
        LevelSummary("down", 8, (8, 12)),
        LevelSummary("down", 16, (4, 6)),
        LevelSummary("up", 8, (8, 12)),
        LevelSummary("up", 4, (16, 24)),
        LevelSummary("head", 2, (16, 24)),
    )


def test_gates_are_told_and_nothing_stays_behind() -> None:
    model = build_model(UNetOptions(width=4, depth=1, attention=True), 1, 1, seed=0)
    model.train()
    levels = summarise_levels(model, (8, 8))
    assert [level.attention for level in levels] == [level.kind == "up" for level in levels]
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_only_what_is_trained_counts() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 5), nn.BatchNorm2d(3))
    assert n_parameters(model) == 2 * 3 * 25 + 3 + 3 + 3
    model[1].requires_grad_(requires_grad=False)
    assert n_parameters(model) == 2 * 3 * 25 + 3


def test_the_network_of_2015_has_31_million_weights() -> None:
    """Ronneberger's has 31,030,658 with biases and without normalisation; one channel in, two classes out."""
    options = UNetOptions(width=64, depth=4, upsampling="transposed")
    model = build_model(options, 1, 2, seed=0)
    assert abs(n_parameters(model) - 31_030_658) / 31_030_658 < 0.001
