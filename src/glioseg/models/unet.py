"""The U-Net: one definition for slices (2-D) and volumes (3-D).

References:
    [1] Ronneberger O, Fischer P, Brox T. U-Net: convolutional networks for biomedical image segmentation. MICCAI 2015.
    [2] Çiçek Ö et al. 3D U-Net: learning dense volumetric segmentation from sparse annotation. MICCAI 2016.
    [3] Oktay O et al. Attention U-Net: learning where to look for the pancreas. MIDL 2018.
    [4] He K et al. Deep residual learning for image recognition. CVPR 2016.
    [5] Lee C-Y et al. Deeply-supervised nets. AISTATS 2015.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from glioseg.errors import GeometryError, OptionError
from glioseg.models.blocks import (
    AttentionGate,
    Dims,
    DoubleConvolution,
    Normalisation,
    Padding,
    Upsampling,
    Upsampling2x,
    convolution,
    enlarge,
    initialise,
    max_pooling,
)


class UNetSettings(BaseModel):
    """What decides a U-Net, but its channels and regions, which the data decide.

    Attributes:
        dims: spatial axes, 2 or 3.
        width: channels of the first level; each level has twice those of the one above. 64 in [1].
        depth: number of poolings; 4 in [1], 3 in [2].
        normalisation: ``batch``, ``instance`` or ``group`` (of 8 groups), after each convolution.
        upsampling: ``transposed`` convolution as in [1], or ``bilinear`` (trilinear) interpolation and a convolution.
        padding: what convolutions see beyond the border: ``zero`` or ``replicate`` (the border voxel). [1] has none
            and predicts the inner part of its input only; here the prediction has the size of the input.
        dropout: share of features dropped at the end of the two lowest levels of the contracting path, as [1] did.
        attention: additive gates on the skips [3].
        residual: residual blocks instead of plain ones [4].
        deep_supervision: in training, logits from each level of the expanding path [5].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dims: Dims = 2
    width: int = Field(default=32, ge=1)
    depth: int = Field(default=4, ge=1, le=8)
    normalisation: Normalisation = "batch"
    upsampling: Upsampling = "bilinear"
    padding: Padding = "zero"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    attention: bool = False
    residual: bool = False
    deep_supervision: bool = False


class UNetOptions(UNetSettings):
    """The U-Net [1, 2], plain unless its options say otherwise."""

    kind: Literal["unet"] = "unet"


class AttentionUNetOptions(UNetSettings):
    """The U-Net with attention gates [3]."""

    kind: Literal["attention-unet"] = "attention-unet"
    attention: bool = True


class ResUNetOptions(UNetSettings):
    """The U-Net of residual blocks [4]."""

    kind: Literal["resunet"] = "resunet"
    residual: bool = True


class UNet(nn.Module):
    """Contracting and expanding path with skip connections between their levels.

    Level ``i`` of ``0 … depth`` has ``width · 2^i`` channels at ``1 / 2^i`` of the size. Each level has two 3×3(×3)
    convolutions with normalisation and ReLU; 2×2(×2) max pooling leads down; up-sampling, which halves the channels,
    leads up, where the skip is concatenated; a 1×1 convolution gives one logit per region.

    Inputs of any size are accepted: inside, the border voxels are repeated up to a multiple of ``2^depth``, and the
    logits are cropped to the input's size again.

    Args:
        options: what decides the network.
        n_channels: channels of the images.
        n_regions: logits per voxel; regions may overlap, each has a sigmoid of its own.
        seed: decides the initial weights, together with nothing else.

    Raises:
        OptionError: fewer than one channel or region.
    """

    def __init__(self, options: UNetSettings, n_channels: int, n_regions: int, *, seed: int = 0) -> None:
        super().__init__()
        if n_channels < 1 or n_regions < 1:
            raise OptionError(
                "a network needs at least one channel and one region", found=f"{n_channels} and {n_regions}"
            )
        self.options = options
        self.n_channels = n_channels
        self.n_regions = n_regions
        self.widths = tuple(options.width * 2**level for level in range(options.depth + 1))
        with torch.random.fork_rng(devices=[]):  # PyTorch's constructors draw weights that are replaced below
            self._build()
            initialise(self, seed)

    def _build(self) -> None:
        options, widths, dims = self.options, self.widths, self.options.dims
        self.down = nn.ModuleList(
            self._block(n_in, n_out, dropout=options.dropout if level >= options.depth - 1 else 0.0)
            for level, (n_in, n_out) in enumerate(zip((self.n_channels, *widths), widths, strict=False))
        )
        self.pool = max_pooling(dims)
        # the expanding path from its lowest level to the highest, as it runs
        steps = [(widths[level + 1], widths[level]) for level in reversed(range(options.depth))]
        self.enlarge = nn.ModuleList(Upsampling2x(dims, low, high, options.upsampling) for low, high in steps)
        self.up = nn.ModuleList(self._block(2 * high, high) for _, high in steps)
        self.gates = nn.ModuleList(AttentionGate(dims, high, low) for low, high in steps if options.attention)
        self.head = convolution(dims, widths[0], self.n_regions, size=1, bias=True)
        self.coarse_heads = nn.ModuleList(
            convolution(dims, high, self.n_regions, size=1, bias=True)
            for _, high in steps[:-1]
            if options.deep_supervision
        )

    def _block(self, n_in: int, n_out: int, dropout: float = 0.0) -> DoubleConvolution:
        options = self.options
        return DoubleConvolution(
            options.dims,
            n_in,
            n_out,
            normal=options.normalisation,
            padding=options.padding,
            residual=options.residual,
            dropout=dropout,
        )

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(B, n_channels, *S) -> logits (B, n_regions, *S), S = (H, W) or (D, H, W), any size.

        With deep supervision and in training mode: a tuple of such logits, that of the full grid first, then from finer
        to coarser levels, each enlarged linearly to the size of the input, so that every loss applies to each of them.

        Raises:
            GeometryError: another number of axes or channels than the network was built for, or an empty axis.
        """
        self._check(images)
        size = images.shape[2:]
        levels = self._decode(self._encode(pad_to_multiple(images, self.options.depth)))
        logits = crop_to(self.head(levels[-1]), size)
        if not (self.training and self.options.deep_supervision):
            return logits
        coarse = [
            crop_to(enlarge(head(features), 2 ** (self.options.depth - 1 - step)), size)
            for step, (head, features) in enumerate(zip(self.coarse_heads, levels[:-1], strict=True))
        ]
        return (logits, *reversed(coarse))

    def _encode(self, tensor: Tensor) -> list[Tensor]:
        """The features of each level of the contracting path, from the full grid to the coarsest."""
        levels = [self.down[0](tensor)]
        for block in self.down[1:]:
            levels.append(block(self.pool(levels[-1])))
        return levels

    def _decode(self, encoded: list[Tensor]) -> list[Tensor]:
        """The features of each level of the expanding path, from the second coarsest to the full grid."""
        features, decoded = encoded[-1], []
        for step, (widen, block) in enumerate(zip(self.enlarge, self.up, strict=True)):
            skip = encoded[-2 - step]
            if self.options.attention:
                skip = self.gates[step](skip, features)
            features = block(torch.cat((skip, widen(features)), dim=1))
            decoded.append(features)
        return decoded

    def _check(self, images: Tensor) -> None:
        dims = self.options.dims
        if images.dim() != dims + 2 or images.shape[1] != self.n_channels or 0 in images.shape:
            raise GeometryError(
                "the network was built for images of another shape",
                found=tuple(images.shape),
                expected=("B", self.n_channels, *("D", "H", "W")[3 - dims :]),
            )


def padded_size(size: tuple[int, ...], depth: int) -> tuple[int, ...]:
    """The size at which an input of ``size`` runs through ``depth`` poolings: the next multiple of ``2^depth``.

    Where the coarsest level would be one single voxel, the last axis becomes one step longer: a normalisation has no
    variance to take from one voxel.
    """
    step = 2**depth
    padded = [-(-length // step) * step for length in size]
    if all(length == step for length in padded):
        padded[-1] += step
    return tuple(padded)


def pad_to_multiple(tensor: Tensor, depth: int) -> Tensor:
    """(B, C, *S) -> (B, C, *padded_size(S, depth)): the last voxels of each axis repeated."""
    size = tuple(tensor.shape[2:])
    margins = [after - before for before, after in zip(size, padded_size(size, depth), strict=True)]
    if not any(margins):
        return tensor
    return F.pad(tensor, [n for margin in reversed(margins) for n in (0, margin)], mode="replicate")


def crop_to(tensor: Tensor, size: tuple[int, ...] | torch.Size) -> Tensor:
    """(B, C, *padded) -> (B, C, *size): what ``pad_to_multiple`` added is cut off again."""
    for axis, length in enumerate(size, start=2):
        tensor = tensor.narrow(axis, 0, length)
    return tensor
