"""A U-Net that computes only where its images show something, and says there what it says of whole images.

Around a brain a slice is black, and what a network makes of black is known before it sees the slice. Let ``B`` be the
smallest box outside of which a batch of images is 0. Two 3×3 convolutions carry what is in it two voxels further, then
the grid is halved: at level ``l``, whose cells are ``2^l`` voxels wide, features differ from those of an empty image
within ``B`` and some ``5·2^l`` voxels around it, and nowhere else. So level ``l`` is computed in a box of its own, a
margin larger than what is touched there and than what the expanding path asks of it, and what comes from the finer
level's box is set into the features of an empty image (``E``), which hold all that the image's own border does:

    x[l + 1] = inside · pad(pool(x[l])) + (1 − inside) · E[l + 1]

``inside`` leaves out the outermost cell of the finer box where that ends within the image: there the convolutions saw
zeros that the whole image does not have. The expanding path cuts the finer box out of the coarser one again. Levels
from the third on see nearly all of a slice and are computed whole. Within ``B`` nothing is approximated: logits differ
from the network's by rounding alone, wherever the box lies. Outside of ``B`` they are not the network's.

It holds for what is local: convolutions, pooling, enlargement, and normalisations that do not look at the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import TypeGuard

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from glioseg.networks.blocks import is_traced
from glioseg.networks.network import crop_to, pad_to_multiple, padded_size
from glioseg.networks.unet import UNet

Span = tuple[int, int]
"""First voxel along an axis, and the one after the last."""
Box = tuple[Span, Span]
"""Rows and columns."""

_MOST_BOXED = 4
"""Levels that have boxes: those below see nearly all of a slice."""
AT_ONCE = 8
"""Images that share a box: enough of them to keep a processor busy, few enough for the box to be small."""
_KEPT_SIZES = 4
"""Sizes of images whose empty features are kept: scans of a cohort share a few, pictures may each have their own."""
_RING = 2
"""Cells next to the edge of a level's box that its two 3×3 convolutions get wrong."""


def is_local(network: nn.Module) -> TypeGuard[UNet]:
    """Whether a network's logits can be computed box by box: a plain or residual U-Net of slices with batch norm."""
    if not isinstance(network, UNet):
        return False
    options = network.options
    return options.dims == 2 and options.normalisation == "batch" and not options.attention


def n_boxed(network: UNet) -> int:
    """How many levels have boxes, the finest first."""
    return min(_MOST_BOXED, network.options.depth)


def spans_of(shown: Span, length: int, n_levels: int) -> list[Span]:
    """Along one axis, the box of each level and the whole that follows them, in voxels.

    Args:
        shown: outside of which images are 0.
        length: of the axis, a multiple of ``2^n_levels``.
        n_levels: that have boxes.

    Returns:
        ``n_levels + 1`` spans, each within the next; level ``l`` begins and ends on multiples of ``2^(l + 1)``.
    """
    spans = []
    touched = asked = _wider(shown, _RING)
    for level in range(n_levels):
        cell = 2**level
        right = min(touched[0], asked[0]), max(touched[1], asked[1])
        low, high = _rounded(_wider(right, _RING * cell), 2 * cell)
        spans.append((max(low, 0), min(high, length)))
        touched = _wider(_rounded(touched, 2 * cell), _RING * 2 * cell)
        asked = _wider(_rounded(_wider(asked, cell), 2 * cell), _RING * 2 * cell)  # a cell more: enlarging blends two
    return [*spans, (0, length)]


def _wider(span: Span, by: int) -> Span:
    return span[0] - by, span[1] + by


def _rounded(span: Span, step: int) -> Span:
    """Outwards."""
    return span[0] // step * step, -(-span[1] // step) * step


class BoxedLevels(nn.Module):
    """The network itself, level by level in boxes: what other libraries are given to compute.

    Args:
        network: a U-Net that ``is_local``, in evaluation mode.
    """

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network
        self.training = network.training  # an exporter puts a module back into the mode that it says it had

    def forward(self, images: Tensor, places: Tensor, *around: Tensor) -> Tensor:
        """Logits (B, n_regions, h, w) in the box of the finest level.

        Args:
            images: (B, n_channels, h, w) in that box.
            places: (n, 2) int64, on the CPU: where each level's box begins in that of the next, in cells of the next.
            around: for the levels from the second on two tensors each: ``inside`` (1, 1, h, w) and
                ``(1 − inside) · E`` (1, C, h, w) in their boxes.
        """
        network, n = self.network, len(around) // 2
        levels = [network.down[0](images)]
        for level, block in enumerate(network.down[1:]):
            pooled = network.pool(levels[-1])
            if level < n:
                pooled = _set_into(pooled, _corner(places, level), *around[2 * level : 2 * level + 2])
            levels.append(block(pooled))
        features = levels.pop()
        for widen, block in zip(network.enlarge, network.up, strict=True):
            skip = levels.pop()
            if len(levels) < n:
                top, left = _corner(places, len(levels))
                features = features[:, :, top : top + skip.shape[2] // 2, left : left + skip.shape[3] // 2]
            features = block(torch.cat((skip, widen(features)), dim=1))
        logits: Tensor = network.head(features)
        return logits


def _corner(places: Tensor, level: int) -> Sequence[int]:
    """Row and column; unknowns of the graph while it is written down, to which they are integers too."""
    corner = places[level]
    return corner.unbind() if is_traced() else corner.tolist()  # type: ignore[return-value]


def _set_into(pooled: Tensor, corner: Sequence[int], inside: Tensor, outside: Tensor) -> Tensor:
    top, left = corner
    below, right = (inside.shape[axis] - pooled.shape[axis] - at for axis, at in ((2, top), (3, left)))
    return F.pad(pooled, [left, right, top, below]) * inside + outside


@dataclass(frozen=True, eq=False)
class Frame:
    """Where the levels' boxes lie in an image, and what is around them.

    Args:
        rows: spans of the levels, see ``spans_of``.
        columns: likewise.
        places: see ``BoxedLevels``.
        around: likewise.
    """

    rows: Sequence[Span]
    columns: Sequence[Span]
    places: Tensor
    around: tuple[Tensor, ...]

    @property
    def box(self) -> tuple[EllipsisType | slice, ...]:
        """Of the finest level, as an index of (…, H, W)."""
        return ..., slice(*self.rows[0]), slice(*self.columns[0])


def frame_of(empty: Sequence[Tensor], rows: Sequence[Span], columns: Sequence[Span]) -> Frame:
    """The frame of boxes.

    Args:
        empty: (1, C, H / 2^l, W / 2^l) for levels 1 to n: what an empty image shows the level, see ``empty_features``.
        rows: spans of levels 0 to n.
        columns: likewise.
    """
    places, around = [], []
    for level, features in enumerate(empty):
        cell = 2 ** (level + 1)
        inner, outer = ([axis[at] for axis in (rows, columns)] for at in (level, level + 1))
        places.append([(low - begin) // cell for (low, _), (begin, _) in zip(inner, outer, strict=True)])
        inside = features.new_zeros((1, 1, *features.shape[2:]))
        size = [length * cell for length in features.shape[2:]]
        right = [_without_ring(span, cell, length) for span, length in zip(inner, size, strict=True)]
        inside[:, :, slice(*right[0]), slice(*right[1])] = 1
        (top, below), (left, right_of) = outer
        box = ..., slice(top // cell, below // cell), slice(left // cell, right_of // cell)
        around += [inside[box], ((1 - inside) * features)[box]]
    return Frame(rows, columns, torch.tensor(places), tuple(tensor.contiguous() for tensor in around))


def _without_ring(span: Span, cell: int, length: int) -> Span:
    """In cells: a box without its outermost one, but where it ends with the image."""
    low, high = span
    return low // cell + (low > 0), high // cell - (high < length)


@torch.no_grad()
def empty_features(network: UNet, size: Sequence[int], n_levels: int) -> tuple[Tensor, ...]:
    """What an image of zeros shows the levels 1 to n: (1, C, H / 2^l, W / 2^l).

    Away from the border it is one value per channel: a small image is computed, and its middle repeated.

    Args:
        network: see ``BoxedLevels``.
        size: (H, W), multiples of ``2^n_levels``.
        n_levels: n.
    """
    small = 2 ** (n_levels + 3)  # its half is more than the border reaches, 2.5 cells of level n
    weights = network.head.weight
    features = weights.new_zeros((1, network.n_channels, *(min(length, small) for length in size)))
    by_level = []
    with torch.autocast(weights.device.type, enabled=False):
        for level, block in enumerate(network.down[:n_levels]):
            features = network.pool(block(features))
            by_level.append(_stretched(features, [length // 2 ** (level + 1) for length in size]))
    return tuple(by_level)


def _stretched(features: Tensor, size: Sequence[int]) -> Tensor:
    for axis, length in enumerate(size, start=2):
        have = features.shape[axis]
        repeats = features.new_ones(have, dtype=torch.int64)
        repeats[have // 2] += length - have
        features = features.repeat_interleave(repeats, dim=axis)
    return features


def shown_box(images: Tensor) -> Box | None:
    """Rows and columns outside of which (B, C, H, W) is 0; None where it is 0 all over."""
    # a third of the time of any(images != 0)
    return box_of((images.amax(dim=(0, 1)) != 0) | (images.amin(dim=(0, 1)) != 0))


def box_of(seen: Tensor) -> Box | None:
    """Rows and columns outside of which (H, W) is False; None where it is False all over."""
    rows, columns = (seen.any(dim=axis).nonzero().flatten().tolist() for axis in (1, 0))
    return ((rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)) if rows else None


def mirrored(box: Box, size: Sequence[int], axes: Sequence[int]) -> Box:
    """The box in images (B, C, *size) that are flipped along ``axes``."""
    rows, columns = (
        (length - high, length - low) if axis in axes else (low, high)
        for axis, length, (low, high) in zip((2, 3), size, box, strict=True)
    )
    return rows, columns


class Boxed(nn.Module):
    """A network that computes only where its images show something.

    Images are looked at a few at a time: slices that follow each other show something in nearly the same place.

    Args:
        network: a U-Net that ``is_local``, in evaluation mode.
        levels: what computes ``BoxedLevels`` of it; None for PyTorch.
    """

    def __init__(self, network: UNet, levels: Callable[..., Tensor] | None = None) -> None:
        super().__init__()
        self.network = network
        self.training = network.training
        self._levels = _channels_last(BoxedLevels(network)) if levels is None else levels
        self._empty: dict[tuple[tuple[int, ...], torch.device], tuple[Tensor, ...]] = {}

    def forward(self, images: Tensor) -> Tensor:
        """(B, n_channels, H, W) of any size -> logits (B, n_regions, H, W).

        They are the network's where the image shows something, and mean nothing elsewhere: whoever asks paints nothing
        there.
        """
        padded = pad_to_multiple(images, self.network.n_halvings)
        size = tuple(padded.shape[2:])
        logits = padded.new_zeros((len(images), self.network.n_regions, *size))
        for some, some_logits in zip(torch.split(padded, AT_ONCE), torch.split(logits, AT_ONCE), strict=True):
            shown = shown_box(some)
            if shown is not None:
                frame = self.frame(size, some.device, shown)
                some_logits[frame.box] = self.logits(some[frame.box], frame)
        return crop_to(logits, images.shape[2:])

    def logits(self, images: Tensor, frame: Frame) -> Tensor:
        """(B, n_channels, h, w) in ``frame.box`` of whole images -> logits (B, n_regions, h, w)."""
        return self._levels(images, frame.places, *frame.around)

    def takes(self, size: Sequence[int]) -> bool:
        """Whether images (H, W) need no padding, so that boxes lie in a flipped view where they lie in the image."""
        return padded_size(size, self.network.n_halvings) == tuple(size)

    def frame(self, size: tuple[int, ...], device: torch.device, shown: Box) -> Frame:
        """The boxes for images (H, W), multiples of the network's step, that are 0 outside of ``shown``."""
        n = n_boxed(self.network)
        empty = self._empty.get((size, device))
        if empty is None:
            if len(self._empty) >= _KEPT_SIZES:
                self._empty.pop(next(iter(self._empty)), None)
            empty = self._empty[size, device] = empty_features(self.network, size, n)
        rows, columns = (spans_of(span, length, n) for span, length in zip(shown, size, strict=True))
        return frame_of(empty, rows, columns)


def _channels_last(levels: BoxedLevels) -> Callable[..., Tensor]:
    def computed(images: Tensor, *frame: Tensor) -> Tensor:
        logits: Tensor = levels(images.contiguous(memory_format=torch.channels_last), *frame)
        return logits

    return computed
