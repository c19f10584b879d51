"""MedNeXt, as MONAI builds it.

References:
    [1] Roy S et al. MedNeXt: transformer-driven scaling of ConvNets for medical image segmentation. MICCAI 2023.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from glioseg.networks.blocks import Blocks
from glioseg.networks.from_monai import MonaiNetwork, MonaiOptions
from glioseg.networks.network import Stage, kernel_words

Kernel = Literal[3, 5, 7]


class MedNeXtOptions(MonaiOptions):
    """MedNeXt [1]: ConvNeXt blocks (depth-wise convolution, widened by ``expansion``, narrowed), skips that are added.

    Attributes:
        width: channels of the first level; each level has twice those of the one above. 32 by Roy et al. [1].
        blocks: of each level on the way down, and in reverse on the way up; one halving follows each.
        bottleneck: blocks of the lowest level.
        expansion: how many times wider a block is inside.
        kernel: of the depth-wise convolutions, in voxels.
    """

    kind: Literal["mednext"] = "mednext"
    width: int = Field(default=32, ge=1)
    blocks: tuple[Blocks, ...] = Field(default=(2, 2, 2, 2), min_length=1, max_length=7)
    bottleneck: int = Field(default=2, ge=1, le=64)
    expansion: int = Field(default=2, ge=1, le=64)
    kernel: Kernel = 3


class MedNeXt(MonaiNetwork[MedNeXtOptions]):
    """MONAI's ``MedNeXt``, with residual blocks."""

    @staticmethod
    def halvings_of(options: MedNeXtOptions) -> int:
        """One after each level of the way down."""
        return len(options.blocks)

    def built(self) -> nn.Module:
        """The network."""
        from monai.networks.nets import MedNeXt as Theirs

        options = self.options
        network: nn.Module = Theirs(
            spatial_dims=options.dims,
            init_filters=options.width,
            in_channels=self.n_channels,
            out_channels=self.n_regions,
            encoder_expansion_ratio=options.expansion,
            decoder_expansion_ratio=options.expansion,
            bottleneck_expansion_ratio=options.expansion,
            kernel_size=options.kernel,
            use_residual_connection=True,
            blocks_down=options.blocks,
            blocks_bottleneck=options.bottleneck,
            blocks_up=options.blocks[::-1],
        )
        return network

    def stages(self) -> tuple[Stage, ...]:
        """Each level of either path, and the head."""
        options, network = self.options, self.network
        block = f"(depth-wise conv {kernel_words(self.dims, options.kernel)}, widened × {options.expansion}, narrowed)"
        stages: list[Stage] = []
        for level, n_blocks in enumerate(options.blocks):
            before = "stride 2, " if level else f"conv {kernel_words(self.dims, 1)}, "
            stages.append(Stage("down", network.enc_stages[level], f"{before}{n_blocks} × {block}", (level,)))
        lowest = f"stride 2, {options.bottleneck} × {block}"
        stages.append(Stage("down", network.bottleneck, lowest, (len(stages),)))
        n_down = len(stages)
        for step, n_blocks in enumerate(options.blocks[::-1]):
            sources = (n_down + step, n_down - 1 - step)
            words = f"transposed, {n_blocks} × {block}"
            stages.append(Stage("up", network.dec_stages[step], words, sources, "added"))
        words = f"conv {kernel_words(self.dims, 1)}"
        return (*stages, Stage("head", network.out_0, words, (len(stages),)))
