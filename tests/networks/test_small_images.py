"""Images that are smaller than a kernel."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from glioseg.networks.small_images import widen_small_images

_SIZES = ((1, 1, 1), (2, 8, 8), (2, 2, 2), (4, 16, 16), (3, 5, 4), (9, 9, 9))


def _convolution(dims: int, kernel: int, groups: int, stride: int) -> nn.Conv2d | nn.Conv3d:
    kind = nn.Conv2d if dims == 2 else nn.Conv3d
    torch.manual_seed(0)
    return kind(8, 8, kernel, stride=stride, padding=kernel // 2, groups=groups)


def _gradients(convolution: nn.Module, images: Tensor) -> list[Tensor]:
    """Of the weights and of the images, and what comes out."""
    images = images.clone().requires_grad_()
    features = convolution(images)
    features.square().sum().backward()
    weights, own = convolution.weight.grad, images.grad
    assert isinstance(weights, Tensor)
    assert own is not None
    return [features.detach(), weights, own]


@pytest.mark.parametrize(
    ("dims", "kernel", "groups", "stride"), list(itertools.product((2, 3), (1, 3, 5), (1, 8), (1, 2))), ids=str
)
def test_what_is_computed_stays_the_same(dims: int, kernel: int, groups: int, stride: int) -> None:
    convolution = _convolution(dims, kernel, groups, stride).double()
    widening = copy.deepcopy(convolution)
    widen_small_images(nn.Sequential(widening))
    assert widening.state_dict().keys() == convolution.state_dict().keys()
    for size in _SIZES:
        images = torch.randn(2, 8, *size[:dims], dtype=torch.float64)
        convolution.zero_grad()
        widening.zero_grad()
        for found, expected in zip(_gradients(widening, images), _gradients(convolution, images), strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("dims", "groups", "size"), list(itertools.product((2, 3), (1, 8), _SIZES)), ids=str)
def test_gradients_in_bfloat16_are_those_of_float32(dims: int, groups: int, size: tuple[int, int, int]) -> None:
    """Freed memory that is full of large numbers shows what a kernel reads without having written it."""
    kernel = 5 if groups == 8 else 3
    exact = _convolution(dims, kernel, groups, 1).double()
    rough = copy.deepcopy(exact).bfloat16()
    widen_small_images(nn.Sequential(rough))
    memory = torch.channels_last if dims == 2 else torch.channels_last_3d
    images = torch.randn(2, 8, *size[:dims], generator=torch.Generator().manual_seed(1)).bfloat16()
    _, expected, _ = _gradients(exact, images.double())
    written = [torch.full((n,), 1e4) for n in range(16, 3000, 4)]
    del written
    rough.to(memory_format=memory)  # type: ignore[call-overload]
    _, found, _ = _gradients(rough, images.contiguous(memory_format=memory))
    assert (found.double() - expected).abs().max() < 0.05 * expected.abs().max()


def test_other_paddings_and_other_modules_are_left_alone() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate"), nn.Conv2d(1, 1, 3, padding="same"))
    kinds = [type(module) for module in network]
    widen_small_images(network)
    assert [type(module) for module in network] == kinds
