from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from glioseg.errors import GeometryError
from glioseg.training.augment import AugmentOptions, ChannelLayout, apply, augment, draw
from glioseg.training.randomness import DrawKey, Rows
from tests.training.augment.helpers import GEOMETRY, INTENSITY, KEY, options_of

_ALL = options_of(*GEOMETRY, *INTENSITY, "missing", probability=0.7)
_LAYOUT = ChannelLayout(3, flair=1)


def _batch(*size: int, n_items: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    images = torch.randn(n_items, 3, *size, generator=source)
    return (
        images,
        torch.rand(n_items, 2, *size, generator=source) > 0.5,
        torch.rand(n_items, 1, *size, generator=source),
    )


def _same(one: tuple[Tensor, Tensor, Tensor | None], other: tuple[Tensor, Tensor, Tensor | None]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None)


@pytest.mark.parametrize("size", [(16, 16), (6, 12, 12)], ids=str)
def test_a_place_in_the_training_has_one_result_bit_for_bit(size: tuple[int, ...]) -> None:
    batch = _batch(*size)
    torch.manual_seed(1)
    first = augment(*batch, KEY, options=_ALL, channels=_LAYOUT)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = augment(*batch, KEY, options=_ALL, channels=_LAYOUT)
    assert _same(first, again)
    assert torch.equal(torch.get_rng_state(), before)
    assert not _same(first, augment(*batch, DrawKey(0, "augment", step=1), options=_ALL, channels=_LAYOUT))


def test_augment_is_draw_and_apply() -> None:
    batch = _batch(16, 16)
    table = draw(_ALL, KEY, n_items=6, size=(16, 16), channels=_LAYOUT)
    assert _same(augment(*batch, KEY, options=_ALL, channels=_LAYOUT), apply(table, *batch))


@pytest.mark.parametrize("own", [(0, 2, 4), (1, 3, 5), (4,)])
def test_an_item_is_changed_alike_whichever_process_has_it(own: tuple[int, ...]) -> None:
    batch = _batch(16, 16)
    options = options_of(*INTENSITY, *GEOMETRY, probability=0.6)
    whole = augment(*batch, KEY, options=options, channels=_LAYOUT)
    images, regions, weights = (each[list(own)] for each in batch)
    part = augment(images, regions, weights, replace(KEY, rows=Rows(own, 6)), options=options, channels=_LAYOUT)
    for one, other in zip(whole, part, strict=True):
        assert one is not None
        assert other is not None
        torch.testing.assert_close(one[list(own)], other, rtol=0, atol=1e-5)  # products of other sizes round otherwise


def test_the_batch_given_is_not_written_to() -> None:
    batch = _batch(16, 16)
    kept = tuple(tensor.clone() for tensor in batch)
    augment(*batch, KEY, options=_ALL, channels=_LAYOUT)
    assert all(torch.equal(one, other) for one, other in zip(batch, kept, strict=True))


def test_without_options_a_batch_comes_back_as_it_is() -> None:
    batch = _batch(9, 7)
    assert _same(augment(*batch, KEY, options=AugmentOptions(), channels=_LAYOUT), batch)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_of_any_type_become_float32(dtype: torch.dtype) -> None:
    images, regions, weights = _batch(16, 16)
    rough = images.to(dtype)
    found = augment(rough, regions, weights.half(), KEY, options=_ALL, channels=_LAYOUT)
    assert [None if one is None else one.dtype for one in found] == [torch.float32, torch.bool, torch.float16]
    assert torch.equal(found[0], augment(rough.float(), regions, weights, KEY, options=_ALL, channels=_LAYOUT)[0])


def test_channels_last_and_autocast_make_no_difference() -> None:
    images, regions, weights = _batch(16, 16)
    plain = augment(images, regions, weights, KEY, options=_ALL, channels=_LAYOUT)
    laid_out = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        other = augment(laid_out, regions, weights, KEY, options=_ALL, channels=_LAYOUT)
    torch.testing.assert_close(plain[0], other[0])
    assert torch.equal(plain[1], other[1])


def test_no_gradients_are_kept() -> None:
    images, regions, _ = _batch(8, 8)
    found = augment(images.requires_grad_(), regions, None, KEY, options=_ALL, channels=_LAYOUT)
    assert not found[0].requires_grad
    assert found[2] is None


@given(
    names=st.sets(st.sampled_from([*GEOMETRY, *INTENSITY, "missing"])),
    probability=st.floats(0, 1),
    seed=st.integers(0, 2**64),
    n_items=st.integers(1, 5),
    edge=st.integers(1, 17),
    dims=st.sampled_from([2, 3]),
)
def test_any_choice_gives_finite_images_and_masks_of_the_same_shape(
    names: set[str], probability: float, seed: int, n_items: int, edge: int, dims: int
) -> None:
    images, regions, weights = _batch(*(edge,) * dims, n_items=n_items)
    options = options_of(*names, probability=probability)
    found = augment(images, regions, weights, DrawKey(seed, "augment"), options=options, channels=_LAYOUT)
    assert found[2] is not None
    assert [one.shape for one in (found[0], found[1], found[2])] == [images.shape, regions.shape, weights.shape]
    assert torch.isfinite(found[0]).all()
    assert np.isin(found[1].numpy(), [False, True]).all()
    assert found[2].min() >= 0
    assert found[2].max() <= 1 + 1e-5


def test_refuses_a_batch_that_the_table_was_not_drawn_for() -> None:
    images, regions, weights = _batch(8, 8)
    table = draw(_ALL, KEY, n_items=6, size=(8, 8), channels=_LAYOUT)
    for wrong in (images[:5], images[:, :2], images[..., :7], images[..., None]):
        with pytest.raises(GeometryError, match="another batch"):
            apply(table, wrong, regions)
    with pytest.raises(GeometryError, match="images and regions"):
        apply(table, images, regions[:5])
    with pytest.raises(GeometryError, match="images and weight maps"):
        apply(table, images, regions, weights[..., :4])
