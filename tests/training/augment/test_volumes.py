"""Batches of volumes (B, C, D, H, W): the three axes are treated alike, images and regions stay together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from glioseg.training.augment import AugmentTable, ChannelLayout, apply, augment, draw
from glioseg.training.augment.options import AugmentOptions
from tests.training.augment.helpers import GEOMETRY, INTENSITY, KEY, options_of

_SIZE = (6, 8, 10)
_LAYOUT = ChannelLayout(4, flair=3)


def _volumes(n: int = 2, size: tuple[int, ...] = _SIZE) -> torch.Tensor:
    return torch.randn(n, 4, *size, generator=torch.Generator().manual_seed(1))


def _blob(size: tuple[int, ...] = (20, 24, 28)) -> torch.Tensor:
    """(2, 1, D, H, W) uint8: an off-centre ball of radius 6."""
    axes = [torch.arange(n) - (n - 1) / 2 - 1 for n in size]
    squares = sum(axis.square() for axis in torch.meshgrid(*axes, indexing="ij"))
    return (torch.as_tensor(squares) < 36).to(torch.uint8).expand(2, 1, *size).clone()


@pytest.mark.parametrize("name", [name for name in GEOMETRY if name != "turn"])
def test_regions_go_where_images_go(name: str) -> None:
    """The image is the region: after the change, a linear share above one half is inside, but for voxels at the rim."""
    regions = _blob()
    options = options_of(name)
    if name == "flip":
        flip = options.flip.model_copy(update={"axes": ("width", "height", "depth")})
        options = options.model_copy(update={"flip": flip})
    images, moved, weights = augment(
        regions.float(), regions, regions.float(), KEY, options=options, channels=ChannelLayout(1)
    )
    assert weights is not None
    torch.testing.assert_close(weights, images)
    assert not torch.equal(images, regions.float())
    assert ((images > 0.5) != (moved > 0)).float().mean() < 0.01


def _transposed(table: AugmentTable) -> AugmentTable:
    """The table for volumes whose axes D, H, W became W, D, H."""
    return replace(table, size=(_SIZE[2], _SIZE[0], _SIZE[1]), biases=table.biases.transpose(0, 1, 4, 2, 3))


@pytest.mark.parametrize("name", [name for name in INTENSITY if name != "noise"])
def test_intensities_change_alike_along_all_axes(name: str) -> None:
    images, regions = _volumes(), torch.zeros(2, 1, *_SIZE)
    table = draw(options_of(name), KEY, n_items=2, size=_SIZE, channels=_LAYOUT)
    changed, _, _ = apply(table, images, regions)
    turned, _, _ = apply(_transposed(table), images.permute(0, 1, 4, 2, 3), regions.permute(0, 1, 4, 2, 3))
    assert not torch.equal(changed, images)
    torch.testing.assert_close(turned, changed.permute(0, 1, 4, 2, 3), atol=1e-5, rtol=1e-4)


def test_everything_at_once_with_missing_modalities() -> None:
    """Half of the items lose modalities to zeros, half to copies of FLAIR, the last channel."""
    names = [name for name in (*GEOMETRY, *INTENSITY, "missing") if name != "turn"]
    size = (6, 8, 8)
    options = options_of(*names)
    images, regions, _ = augment(
        _volumes(8, size), torch.ones(8, 3, *size, dtype=torch.uint8), None, KEY, options=options, channels=_LAYOUT
    )
    assert images.shape == (8, 4, *size)
    assert torch.isfinite(images).all()
    assert regions.shape == (8, 3, *size)
    assert regions.all()  # beyond the border its voxels go on
    empty = (images == 0).flatten(2).all(dim=2)
    copied = (images[:, :3] == images[:, 3:]).flatten(2).all(dim=2)
    assert empty.any()
    assert copied.any()
    assert not (empty.any(dim=1) & (copied & ~empty[:, :3]).any(dim=1)).any()


def test_quarter_turns_need_rows_as_long_as_columns_whatever_the_depth() -> None:
    options = AugmentOptions.model_validate({"turn": {"probability": 1}})
    table = draw(options, KEY, n_items=3, size=(6, 8, 8), channels=ChannelLayout(4))
    images = _volumes(3, (6, 8, 8))
    changed, _, _ = apply(table, images, torch.zeros(3, 1, 6, 8, 8))
    for item, turns in enumerate(table.turns):
        assert torch.equal(changed[item], torch.rot90(images[item], int(turns), (-2, -1)))
    assert np.all(table.turns > 0)
