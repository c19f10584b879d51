"""What all networks that give logits for each voxel share: any size goes in, logits of the same size come out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from glioseg.errors import GeometryError, OptionError
from glioseg.networks.blocks import Dims, is_traced

StageKind = Literal["down", "up", "head"]
Joined = Literal["", "concatenated", "added"]


@dataclass(frozen=True, eq=False)
class Stage:
    """A part of a network that a drawing of it shows as one box.

    Args:
        kind: ``down`` from the images to the coarsest grid, ``up`` from there on, ``head`` for the logits.
        module: whose result the box stands for.
        words: what it is made of; where it is empty, ``summary`` reads it off the module's layers.
        sources: what it is fed with, by place in the network's stages counted from 1; 0 are the images. The first is
            what it goes on from, the others are skips.
        joined: how the skips come in.
        gated: whether an attention gate stands in the skips.
        column: where it is drawn, counted from 0 on the left; None for one further than the stage before.
    """

    kind: StageKind
    module: nn.Module
    words: str
    sources: tuple[int, ...]
    joined: Joined = ""
    gated: bool = False
    column: int | None = None


class Staged(nn.Module):
    """A module that may say which of its parts a drawing shows."""

    def stages(self) -> Sequence[Stage]:
        """The parts that a drawing shows, sources before what they feed, the head last.

        None unless a network says them: ``summary`` then reads the levels off the grids that the layers work on, which
        shows no skips.
        """
        return ()


class Network(Staged, ABC):
    """A network that gives logits for each voxel of images of any size.

    Inside, the border voxels are repeated up to a multiple of ``2^n_halvings``; the logits are cropped to the images'
    size again.

    Args:
        dims: spatial axes of the images.
        n_channels: channels of the images.
        n_regions: logits per voxel.
        n_halvings: how many times the grid is halved on the way to the coarsest one.

    Raises:
        OptionError: fewer than one channel or region.
    """

    traces_any_size: ClassVar[bool] = True
    """Whether the operations that images of one size run through are those that every other size needs."""

    def __init__(self, dims: Dims, n_channels: int, n_regions: int, n_halvings: int) -> None:
        super().__init__()
        if n_channels < 1 or n_regions < 1:
            raise OptionError(
                "a network needs at least one channel and one region", found=f"{n_channels} and {n_regions}"
            )
        self.dims = dims
        self.n_channels = n_channels
        self.n_regions = n_regions
        self.n_halvings = n_halvings

    @abstractmethod
    def padded_logits(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(B, n_channels, *S) -> logits (B, n_regions, *S), or several; S are multiples of ``2^n_halvings``."""

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(B, n_channels, *S) -> logits (B, n_regions, *S), S = (H, W) or (D, H, W), any size.

        With deep supervision and in training mode: a tuple of such logits, those of the finest features first, so that
        every loss applies to each of them.

        Raises:
            GeometryError: another number of axes or channels than the network was built for, or an empty axis.
        """
        self._check(images)
        size = images.shape[2:]
        logits = self.padded_logits(pad_to_multiple(images, self.n_halvings))
        if isinstance(logits, tuple):
            return tuple(crop_to(level, size) for level in logits)
        return crop_to(logits, size)

    def _check(self, images: Tensor) -> None:
        if images.dim() != self.dims + 2 or images.shape[1] != self.n_channels or 0 in images.shape:
            raise GeometryError(
                "the network was built for images of another shape",
                found=tuple(images.shape),
                expected=("B", self.n_channels, *("D", "H", "W")[3 - self.dims :]),
            )


def padded_size(size: Sequence[int], n_halvings: int) -> tuple[int, ...]:
    """The size at which an input of ``size`` runs through a network: the next multiple of ``2^n_halvings``.

    Where the coarsest level would be one single voxel, the last axis becomes one step longer: a normalisation has no
    variance to take from one voxel. Without a branch or a negative number, whose division ONNX rounds the other way, so
    that an exported network does the same for every size.
    """
    step = 2**n_halvings
    n_steps = [(length + step - 1) // step for length in size]
    n_steps[-1] = n_steps[-1] + 1 // math.prod(n_steps)
    return tuple(step * n for n in n_steps)


def pad_to_multiple(tensor: Tensor, n_halvings: int) -> Tensor:
    """(B, C, *S) -> (B, C, *padded_size(S, n_halvings)): the last voxels of each axis repeated."""
    size = tuple(tensor.shape[2:])
    margins = [after - before for before, after in zip(size, padded_size(size, n_halvings), strict=True)]
    if not is_traced() and not any(margins):
        return tensor
    return F.pad(tensor, [n for margin in reversed(margins) for n in (0, margin)], mode="replicate")


def crop_to(tensor: Tensor, size: Sequence[int]) -> Tensor:
    """(B, C, *padded) -> (B, C, *size): what ``pad_to_multiple`` added is cut off again."""
    for axis, length in enumerate(size, start=2):
        tensor = tensor.narrow(axis, 0, length)
    return tensor


def kernel_words(dims: Dims, size: int) -> str:
    """``3×3`` or ``3×3×3``."""
    return "×".join([str(size)] * dims)
