"""DeepLabV3+: a residual encoder with atrous convolutions, a pyramid of rates, and a decoder with low-level features.

References:
    [1] Chen L-C et al. Encoder-decoder with atrous separable convolution for semantic image segmentation. ECCV 2018.
    [2] Chen L-C et al. Rethinking atrous convolution for semantic image segmentation. arXiv:1706.05587, 2017.
    [3] He K, Zhang X, Ren S, Sun J. Deep residual learning for image recognition. CVPR 2016.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from glioseg.frozen import Frozen
from glioseg.networks.blocks import (
    Blocks,
    DoubleConvolution,
    Normalisation,
    Padding,
    convolution,
    initialise,
    laid_out_as,
    max_pooling,
    normalisation,
)
from glioseg.networks.enlarging import enlarge
from glioseg.networks.network import Network, Stage

RATES = (6, 12, 18)
"""Of the atrous convolutions of the pyramid at output stride 16; twice these at 8 [1]."""

_STAGES = {16: ((1, 1), (2, 1), (2, 1), (1, 2)), 8: ((1, 1), (2, 1), (1, 2), (1, 4))}
"""Output stride -> stride and rate of each stage of the encoder, whose first works at a quarter of the images' size."""

_LOW_LEVEL_CHANNELS = 48
"""Channels that the low-level features are brought down to, lest they outweigh the pyramid's [1]."""


class DeepLabOptions(Frozen):
    """DeepLabV3+: all but its channels and regions, which the data decide.

    Attributes:
        dims: spatial axes; slices only.
        width: channels of the first of the four stages of the encoder; each has twice those of the one before. 64 by
            He et al. [3].
        blocks: residual blocks in each stage; (2, 2, 2, 2) is the ResNet-18 [3], (3, 4, 6, 3) the ResNet-34.
        output_stride: how much coarser than the images the encoder's grid is: 16, or 8 for finer and dearer features.
            Where a stage would go below it, its convolutions are made atrous in the place of its stride [2].
        pyramid_width: channels of each branch of the pyramid, and of the decoder; 256 by Chen et al. [1].
        normalisation: ``batch``, ``instance`` or ``group`` (of 8 groups), after each convolution but the pooled one.
        padding: what convolutions see beyond the border: ``zero`` or ``replicate`` (the border voxel).
        dropout: share of features dropped after the pyramid.
    """

    kind: Literal["deeplabv3plus"] = "deeplabv3plus"
    dims: Literal[2] = 2
    width: int = Field(default=64, ge=1)
    blocks: tuple[Blocks, Blocks, Blocks, Blocks] = (2, 2, 2, 2)
    output_stride: Literal[8, 16] = 16
    pyramid_width: int = Field(default=256, ge=1)
    normalisation: Normalisation = "batch"
    padding: Padding = "zero"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


class _Unit(nn.Module):
    """A convolution, normalisation and ReLU."""

    def __init__(
        self, options: DeepLabOptions, n_in: int, n_out: int, *, size: int = 1, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.convolution = convolution(
            2, n_in, n_out, size=size, stride=stride, dilation=dilation, padding=options.padding
        )
        self.normal = normalisation(options.normalisation, 2, n_out)

    def forward(self, tensor: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H / stride, W / stride)."""
        return F.relu(self.normal(self.convolution(tensor)), inplace=True)


class _PooledUnit(nn.Module):
    """The mean over the picture, a 1×1 convolution and ReLU, spread over the grid again.

    There is one number per channel and item: a batch normalisation would have no variance to take from a batch of one,
    the others none from any; so a bias stands in the place of a normalisation.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.convolution = convolution(2, n_in, n_out, size=1, bias=True)

    def forward(self, tensor: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H, W)."""
        pooled = F.relu(self.convolution(tensor.mean(dim=(2, 3), keepdim=True)), inplace=True)
        return laid_out_as(tensor, pooled.expand(-1, -1, *tensor.shape[2:]), torch.channels_last)


class AtrousPyramid(nn.Module):
    """What the grid shows at several rates at once, and as a whole [2, 1].

    A 1×1 convolution, three atrous ones, and the mean over the picture, concatenated and brought together by a 1×1
    convolution; each of ``pyramid_width`` channels.
    """

    def __init__(self, options: DeepLabOptions, n_in: int) -> None:
        super().__init__()
        width = options.pyramid_width
        factor = 16 // options.output_stride
        branches: list[nn.Module] = [_Unit(options, n_in, width)]
        branches += [_Unit(options, n_in, width, size=3, dilation=factor * rate) for rate in RATES]
        self.branches = nn.ModuleList([*branches, _PooledUnit(n_in, width)])
        self.together = _Unit(options, len(self.branches) * width, width)
        self.dropout: nn.Module = nn.Dropout(options.dropout) if options.dropout > 0 else nn.Identity()

    def forward(self, tensor: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, pyramid_width, H, W)."""
        features: Tensor = self.dropout(self.together(torch.cat([branch(tensor) for branch in self.branches], dim=1)))
        return features


class DeepLab(Network):
    """DeepLabV3+ on a ResNet of basic blocks.

    A 7×7 convolution of stride 2 and 2×2 max pooling bring the images to a quarter of their size; four stages of
    residual blocks follow, of which those that may halve the grid once more, down to the output stride, do. The pyramid
    looks at the last stage. Its features, enlarged to a quarter of the images' size and joined with those of the first
    stage, go through two 3×3 convolutions; a 1×1 convolution gives the logits, which are enlarged four times.

    Args:
        options: what decides the network.
        n_channels: channels of the images.
        n_regions: logits per voxel.
        seed: decides the initial weights, together with nothing else.

    Raises:
        OptionError: fewer than one channel or region.
    """

    def __init__(self, options: DeepLabOptions, n_channels: int, n_regions: int, *, seed: int = 0) -> None:
        super().__init__(2, n_channels, n_regions, {8: 3, 16: 4}[options.output_stride])
        self.options = options
        with torch.random.fork_rng(devices=[]):  # PyTorch's constructors draw weights that are replaced below
            self._build()
            initialise(self, seed)

    def _build(self) -> None:
        options, width = self.options, self.options.pyramid_width
        self.stem = _Unit(options, self.n_channels, options.width, size=7, stride=2)
        self.pool = max_pooling(2)
        self.encoder = nn.ModuleList()
        n_in = options.width
        for number, (stride, dilation) in enumerate(_STAGES[options.output_stride]):
            n_out = options.width * 2**number
            self.encoder.append(self._stage(n_in, n_out, options.blocks[number], stride, dilation))
            n_in = n_out
        self.pyramid = AtrousPyramid(options, n_in)
        self.low_level = _Unit(options, options.width, _LOW_LEVEL_CHANNELS)
        self.decoder = DoubleConvolution(
            2, width + _LOW_LEVEL_CHANNELS, width, normal=options.normalisation, padding=options.padding, residual=False
        )
        enlarging = nn.Upsample(scale_factor=4.0, mode="bilinear")
        self.head = nn.Sequential(convolution(2, width, self.n_regions, size=1, bias=True), enlarging)

    def _stage(self, n_in: int, n_out: int, n_blocks: int, stride: int, dilation: int) -> nn.Sequential:
        options = self.options
        return nn.Sequential(
            *(
                DoubleConvolution(
                    2,
                    n_out if number else n_in,
                    n_out,
                    normal=options.normalisation,
                    padding=options.padding,
                    residual=True,
                    stride=1 if number else stride,
                    dilation=dilation,
                )
                for number in range(n_blocks)
            )
        )

    def padded_logits(self, images: Tensor) -> Tensor:
        """(B, n_channels, H, W) -> logits (B, n_regions, H, W)."""
        features = self.pool(self.stem(images))
        low = features = self.encoder[0](features)
        for stage in list(self.encoder)[1:]:
            features = stage(features)
        wide = enlarge(self.pyramid(features), self.options.output_stride // 4)
        logits: Tensor = self.head(self.decoder(torch.cat((wide, self.low_level(low)), dim=1)))
        return logits

    def stages(self) -> tuple[Stage, ...]:
        """The stem, the four stages, the pyramid, the decoder and the head."""
        options = self.options
        end = f"{options.normalisation} norm, ReLU"
        stages = [Stage("down", self.stem, f"conv 7×7, stride 2, {end}", (0,))]
        for number, (stride, rate) in enumerate(_STAGES[options.output_stride]):
            changes = (stride > 1) * ", the first of stride 2" + (rate > 1) * f", atrous at rate {rate}"
            before = "max pooling, " if number == 0 else ""
            words = f"{before}{options.blocks[number]} × residual 2 × (conv 3×3, {end}){changes}"
            stages.append(Stage("down", self.encoder[number], words, (number + 1,)))
        rates = ", ".join(str(rate * 16 // options.output_stride) for rate in RATES)
        words = f"conv 1×1, conv 3×3 at the rates {rates} and the mean over the picture, together by conv 1×1, {end}"
        stages.append(Stage("down", self.pyramid, f"pyramid: {words}", (5,)))
        stages.append(Stage("up", self.decoder, f"bilinear, 2 × (conv 3×3, {end})", (6, 2), "concatenated"))
        return (*stages, Stage("head", self.head, "conv 1×1, bilinear", (7,)))
