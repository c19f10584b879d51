"""A network and a loss from outside are shown one item before a training: what does not fit is said in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from glioseg.errors import OptionError
from glioseg.runs.own_parts import OwnParts
from glioseg.training.job import Batch
from glioseg.training.randomness import DrawKey
from tests.runs.conftest import TinyRun, _one_thread, class_pictures, tiny, tiny_runs

__all__ = ["_one_thread", "class_pictures", "tiny", "tiny_runs"]


class _Items:
    """Items of two modalities and three regions, in the number format of the cache where a GPU will take them."""

    is_positive = np.ones(1, np.bool_)

    def __init__(self, number: type[np.float32] | type[np.float16] = np.float32) -> None:
        self._number = number

    def take(self, indices: npt.NDArray[np.int64], key: DrawKey) -> Batch:
        n = len(indices)
        images: Any = np.ones((n, 2, 4, 6), self._number)
        return Batch(images, np.ones((n, 3, 4, 6), np.uint8))

    def name(self, index: int) -> str:
        return "an item"


def _entropy(logits: Any, targets: Tensor, weights: Tensor | None) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, targets.float())


def _fits() -> nn.Module:
    return nn.Sequential(nn.Dropout(0.5), nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (
            nn.Conv2d(1, 3, 1),
            r"the network does not take the images; found RuntimeError: .*expected logits \(1, 3, 4, 6\) of images "
            r"\(1, 2, 4, 6\)",
        ),
        (nn.Conv2d(2, 1, 1), r"the network gives something else; found \(1, 1, 4, 6\); expected logits \(1, 3, 4, 6\)"),
        (nn.Conv2d(2, 3, 3), r"found \(1, 3, 2, 4\)"),
    ],
)
def test_a_network_that_does_not_fit(network: nn.Module, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        OwnParts(network).try_out(network, _Items())
    assert network.training


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda logits, targets: logits.mean(), "the loss fails; found TypeError.*takes 2 positional arguments"),
        (lambda logits, targets, weights: logits, r"the loss gives something else; found a tensor \(1, 3, 4, 6\);"),
        (lambda logits, targets, weights: 1.0, r"found float 1\.0; expected a scalar tensor of \(logits"),
        (lambda logits, targets, weights: logits.detach().mean(), r"found a tensor \(\), without a gradient"),
        (
            lambda logits, targets, weights: nn.functional.binary_cross_entropy_with_logits(logits, targets),
            r"the loss fails; found RuntimeError.*targets \(1, 3, 4, 6\) uint8, weights None\)",
        ),
    ],
)
def test_a_loss_that_does_not_fit(loss: Callable[..., Any], said: str) -> None:
    network = _fits()
    with pytest.raises(OptionError, match=said):
        OwnParts(None, loss).try_out(network, _Items())


@pytest.mark.parametrize("number", [np.float32, np.float16])
def test_what_fits_is_left_as_it_was(number: type[np.float32] | type[np.float16]) -> None:
    torch.manual_seed(3)
    network = _fits()
    before, generator = {name: value.clone() for name, value in network.state_dict().items()}, torch.get_rng_state()
    OwnParts(network, _entropy).try_out(network, _Items(number))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_training_tries_them_out(tiny: TinyRun, tmp_path: Any) -> None:
    import glioseg

    with pytest.raises(glioseg.GliosegError, match=r"the network gives something else; found \(1, 1, 48, 48\)|found"):
        glioseg.train(tiny.recipe, tiny.data, tmp_path / "run", cache=tiny.cache, network=nn.Conv2d(6, 1, 1))
