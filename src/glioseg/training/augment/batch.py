"""A batch and its table: what is changed, in order, all items at once."""

from __future__ import annotations

import torch
from torch import Tensor

from glioseg.errors import GeometryError
from glioseg.training.augment.geometry import permute_voxels, resample
from glioseg.training.augment.intensity import change_intensities, take_away
from glioseg.training.augment.options import AugmentOptions
from glioseg.training.augment.table import AugmentTable, ChannelLayout, draw
from glioseg.training.randomness import DrawKey

Batch = tuple[Tensor, Tensor, Tensor | None]


def augment(
    images: Tensor,
    regions: Tensor,
    weights: Tensor | None,
    key: DrawKey,
    *,
    options: AugmentOptions,
    channels: ChannelLayout,
) -> Batch:
    """Draw a table for the batch and apply it; arguments and errors as of ``draw`` and ``apply``.

    Of a part of a batch (``key.rows``) the table of the whole is drawn, so that an item is changed in the same way
    whichever process has it.
    """
    n_items = len(images) if key.rows is None else key.rows.n
    table = draw(options, key, n_items=n_items, size=images.shape[2:], channels=channels)
    return apply(table if key.rows is None else table.taken(key.rows.own), images, regions, weights)


@torch.no_grad()
def apply(table: AugmentTable, images: Tensor, regions: Tensor, weights: Tensor | None = None) -> Batch:
    """Change a batch by its table, on the device where it is; on one kind of device the same comes out, bit for bit.

    Args:
        table: the parameters.
        images: (B, C, *S) of a floating type; not written to.
        regions: (B, R, *S) 0 or 1, of any type.
        weights: (B, K, *S) weight maps of a floating type, or None.

    Returns:
        images as float32; regions and weights of the types they came in.

    Raises:
        GeometryError: shapes that do not fit the table.
    """
    _check(table, images, regions, weights)
    with torch.autocast(images.device.type, enabled=False):
        images = permute_voxels(images.to(torch.float32, copy=True), table)
        regions = permute_voxels(regions, table)
        weights = None if weights is None else permute_voxels(weights, table)
        images, regions, weights = resample(images, regions, weights, table)
        return take_away(change_intensities(images.contiguous(), table), table), regions, weights


def _check(table: AugmentTable, images: Tensor, regions: Tensor, weights: Tensor | None) -> None:
    expected = (table.n_items, table.n_channels, *table.size)
    if tuple(images.shape) != expected:
        raise GeometryError("the table was drawn for another batch", found=tuple(images.shape), expected=expected)
    for name, tensor in (("regions", regions), ("weight maps", weights)):
        if tensor is not None and (len(tensor) != table.n_items or tuple(tensor.shape[2:]) != table.size):
            raise GeometryError(
                f"images and {name} differ in shape",
                found=tuple(tensor.shape),
                expected=(table.n_items, "R", *table.size),
            )
