from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from glioseg.training.augment import ChannelLayout, apply, draw
from glioseg.training.augment.intensity import averaging_operator, gaussian_operator
from tests.training.augment.helpers import INTENSITY, KEY, neutral_table, options_of


def _changed(images: Tensor, **values: Any) -> Tensor:
    """(B, C, *S) after the change of a table written by hand."""
    table = neutral_table(images.shape[0], *images.shape[2:], n_channels=images.shape[1], **values)
    return apply(table, images, torch.zeros(len(images), 1, *images.shape[2:]))[0]


def _row(*values: float) -> Tensor:
    return torch.tensor([[[[float(value) for value in values]]]])


def _random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


# By hand. The statistics of a channel leave out its zeros: of 0, 1, 3, 5 the mean is 3 and the variance 8/3.


def test_contrast_stretches_about_the_mean() -> None:
    torch.testing.assert_close(_changed(_row(0, 1, 3, 5), contrasts=2), _row(0, -1, 3, 7))


def test_brightness_adds_standard_deviations() -> None:
    step = 0.5 * math.sqrt(8 / 3)
    torch.testing.assert_close(_changed(_row(0, 1, 3, 5), brightnesses=0.5), _row(0, 1 + step, 3 + step, 5 + step))


def test_contrast_and_brightness_together() -> None:
    step = 0.5 * math.sqrt(8 / 3)
    together = _changed(_row(0, 1, 3, 5), contrasts=2, brightnesses=0.5)
    torch.testing.assert_close(together, _row(0, -1 + step, 3 + step, 7 + step))


def test_gamma_raises_to_a_power_between_smallest_and_largest() -> None:
    # shares of the range -1 … 3 are 0, 1/2, 3/4, 1; squared 0, 1/4, 9/16, 1
    torch.testing.assert_close(_changed(_row(-1, 1, 2, 3), gammas=2), _row(-1, 0, 1.25, 3))


def test_an_even_bias_field_multiplies_what_lies_above_the_smallest() -> None:
    torch.testing.assert_close(_changed(_row(-1, 1, 2, 3), biases=math.log(2)), _row(-1, 3, 5, 7))


def test_a_bias_field_is_smooth_and_as_strong_as_drawn() -> None:
    table = draw(options_of("bias"), KEY, n_items=4, size=(32, 32), channels=ChannelLayout(1))
    images = torch.ones(4, 1, 32, 32)
    images[:, :, 0, 0] = -1  # the smallest value
    changed, _, _ = apply(table, images, images > 0)
    field = ((changed[:, :, 1:] + 1) / 2).log()
    bound = np.abs(table.biases).max(axis=(1, 2, 3))
    for item in range(4):
        assert field[item].abs().max() <= bound[item]
        assert field[item].std() > 0.05 * bound[item]
        assert field[item].diff(dim=-1).abs().max() < 0.15 * bound[item]


def test_low_resolution_by_hand() -> None:
    # four voxels become two with the means 0 and 4; their centres lie between voxels 0 and 1, and 2 and 3
    picture = torch.tensor([[-1.0, 1.0, 3.0, 5.0]]).expand(4, 4)[None, None]
    torch.testing.assert_close(
        _changed(picture, low_resolutions=2)[0, 0, 0], torch.tensor([0.0, 1.0, 3.0, 4.0]), atol=1e-6, rtol=0
    )


def test_low_resolution_shares_voxels_that_two_larger_ones_cut() -> None:
    # three voxels become two of 1.5: means (a + b/2) / 1.5 and (b/2 + c) / 1.5, centres at 0.25 and 1.75
    operator = averaging_operator(torch.tensor([1.5]), 3)[0]
    left, right = torch.tensor([2.0, 1.0, 0.0]) / 3, torch.tensor([0.0, 1.0, 2.0]) / 3
    torch.testing.assert_close(operator, torch.stack([left, (left + right) / 2, right]))


@pytest.mark.parametrize("length", [1, 2, 7, 32])
@pytest.mark.parametrize("factor", [1.0, 1.3, 2.0, 8.0])
def test_operators_keep_constants_and_are_neutral_where_they_should(length: int, factor: float) -> None:
    for operator in (
        averaging_operator(torch.tensor([factor]), length),
        gaussian_operator(torch.tensor([factor]), length),
    ):
        assert operator.shape == (1, length, length)
        assert (operator >= 0).all()
        torch.testing.assert_close(operator.sum(dim=2), torch.ones(1, length))
    torch.testing.assert_close(averaging_operator(torch.tensor([1.0]), length)[0], torch.eye(length))
    torch.testing.assert_close(gaussian_operator(torch.tensor([0.0]), length)[0], torch.eye(length))


@pytest.mark.parametrize("size", [(30, 24), (20, 21, 22)], ids=str)
def test_blur_agrees_with_scipy_away_from_the_border(size: tuple[int, ...]) -> None:
    images = _random(2, 2, *size)
    sigmas = np.array([[0.6, 1.2], [0.0, 1.0]])
    blurred = _changed(images, blurs=sigmas)
    inner = (slice(8, -8),) * len(size)
    for item, channel in np.ndindex(2, 2):
        expected = ndimage.gaussian_filter(images[item, channel].numpy(), sigmas[item, channel], truncate=8)
        np.testing.assert_allclose(blurred[item, channel].numpy()[inner], expected[inner], atol=1e-5)
    assert torch.equal(blurred[1, 0], images[1, 0])


def test_noise_is_as_strong_as_drawn_and_new_in_each_channel() -> None:
    images = 5 * _random(2, 2, 64, 64) + 20
    noise = _changed(images, noises=0.1, noise_seed=3) - images
    for item, channel in np.ndindex(2, 2):
        assert noise[item, channel].std().item() == pytest.approx(0.1 * 5, rel=0.05)
    pairs = torch.corrcoef(noise.flatten(0, 1).flatten(1)) - torch.eye(4)
    assert pairs.abs().max() < 0.06
    other = _changed(images, noises=0.1, noise_seed=4) - images
    assert not torch.equal(noise, other)


# What holds for all ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INTENSITY)
def test_zeros_stay_zeros_and_the_rest_changes(name: str) -> None:
    images = _random(4, 3, 16, 16)
    images[:, :, :5] = 0
    table = draw(options_of(name), KEY, n_items=4, size=(16, 16), channels=ChannelLayout(3))
    changed, _, _ = apply(table, images, images > 0)
    assert not changed[:, :, :5].any()
    assert (changed[:, :, 5:] != images[:, :, 5:]).float().mean() > 0.9


@pytest.mark.parametrize("name", INTENSITY)
def test_only_the_chosen_items_change(name: str) -> None:
    images = _random(30, 2, 8, 8)
    chosen = draw(options_of(name, probability=0.4), KEY, n_items=30, size=(8, 8), channels=ChannelLayout(2))
    changed, _, _ = apply(chosen, images, images > 0)
    neutral = neutral_table(30, 8, 8, n_channels=2)
    columns = {"gamma": "gammas", "bias": "biases", "contrast": "contrasts", "brightness": "brightnesses"}
    column = columns.get(name, f"{name}s")
    drawn = (getattr(chosen, column) != getattr(neutral, column)).reshape(30, -1).any(axis=1)
    same = [torch.equal(one, other) for one, other in zip(images, changed, strict=True)]
    np.testing.assert_array_equal(same, ~drawn)
    assert 3 < drawn.sum() < 27


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_constant_channels_stay_finite(value: float) -> None:
    images = torch.full((2, 2, 8, 8), value)
    table = draw(options_of(*INTENSITY), KEY, n_items=2, size=(8, 8), channels=ChannelLayout(2))
    changed, _, _ = apply(table, images, images > 0)
    assert torch.isfinite(changed).all()


# A missing modality ---------------------------------------------------------------------------------------------------


def test_channels_become_zeros_or_copies_of_the_final_flair() -> None:
    images = _random(3, 3, 8, 8)
    sources = [[0, 1, 2], [-1, 1, -1], [1, 1, 2]]
    changed = _changed(images, contrasts=2.0, noises=0.3, sources=sources)
    full = _changed(images, contrasts=2.0, noises=0.3)
    assert torch.equal(changed[0], full[0])
    assert not changed[1, 0].any()
    assert not changed[1, 2].any()
    assert torch.equal(changed[1, 1], full[1, 1])
    assert torch.equal(changed[2, 0], full[2, 1])  # to the last bit, noise included, as in the published files
    assert torch.equal(changed[2, 1:], full[2, 1:])
