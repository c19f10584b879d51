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
from pydantic import Field
from torch import Tensor, nn

from glioseg.frozen import Frozen
from glioseg.networks.blocks import (
    AttentionGate,
    Dims,
    DoubleConvolution,
    Normalisation,
    Padding,
    Upsampling,
    Upsampling2x,
    convolution,
    initialise,
    max_pooling,
)
from glioseg.networks.enlarging import enlarge
from glioseg.networks.network import Network, Stage, kernel_words


class UNetSettings(Frozen):
    """A U-Net: all but its channels and regions, which the data decide.

    Attributes:
        dims: spatial axes, 2 or 3.
        width: channels of the first level; each level has twice those of the one above. 64 by Ronneberger et al. [1].
        depth: number of poolings; 4 by Ronneberger et al. [1], 3 by Çiçek et al. [2].
        normalisation: ``batch``, ``instance`` or ``group`` (of 8 groups), after each convolution.
        upsampling: ``transposed`` convolution as by Ronneberger et al. [1], or ``bilinear`` (trilinear) interpolation
            and a convolution.
        padding: what convolutions see beyond the border: ``zero`` or ``replicate`` (the border voxel). [1] has none
            and predicts the inner part of its input only; here the prediction has the size of the input.
        dropout: share of features dropped at the end of the two lowest levels of the contracting path, as [1] did.
        attention: additive gates on the skips [3].
        residual: residual blocks instead of plain ones [4].
        deep_supervision: in training, logits from each level of the expanding path [5].
    """

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


class UNet(Network):
    """Contracting and expanding path with skip connections between their levels.

    Level ``i`` of ``0 … depth`` has ``width · 2^i`` channels at ``1 / 2^i`` of the size. Each level has two 3×3(×3)
    convolutions with normalisation and ReLU; 2×2(×2) max pooling leads down; up-sampling, which halves the channels,
    leads up, where the skip is concatenated; a 1×1 convolution gives one logit per region.

    Args:
        options: what decides the network.
        n_channels: channels of the images.
        n_regions: logits per voxel; regions may overlap, each has a sigmoid of its own.
        seed: decides the initial weights, together with nothing else.

    Raises:
        OptionError: fewer than one channel or region.
    """

    def __init__(self, options: UNetSettings, n_channels: int, n_regions: int, *, seed: int = 0) -> None:
        super().__init__(options.dims, n_channels, n_regions, options.depth)
        self.options = options
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

    def padded_logits(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(B, n_channels, *S) -> logits (B, n_regions, *S).

        With deep supervision and in training mode, further logits from finer to coarser levels, each enlarged linearly.
        """
        levels = self._decode(self._encode(images))
        logits: Tensor = self.head(levels[-1])
        if not (self.training and self.options.deep_supervision):
            return logits
        coarse = [
            enlarge(head(features), 2 ** (self.options.depth - 1 - step))
            for step, (head, features) in enumerate(zip(self.coarse_heads, levels[:-1], strict=True))
        ]
        return (logits, *reversed(coarse))

    def stages(self) -> tuple[Stage, ...]:
        """Each level of either path, and the head."""
        options, kernel = self.options, kernel_words(self.dims, 3)
        block = f"{'residual ' * options.residual}2 × (conv {kernel}, {options.normalisation} norm, ReLU)"
        down = [
            Stage("down", module, block if place == 0 else f"max pooling, {block}", (place,))
            for place, module in enumerate(self.down)
        ]
        up = [
            Stage(
                "up",
                module,
                f"{options.upsampling}, {block}",
                (place, place - 1 - 2 * step),
                "concatenated",
                gated=options.attention,
            )
            for step, (place, module) in enumerate(enumerate(self.up, start=len(down)))
        ]
        return (*down, *up, Stage("head", self.head, f"conv {kernel_words(self.dims, 1)}", (len(down) + len(up),)))

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
