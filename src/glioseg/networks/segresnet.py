"""SegResNet, as MONAI builds it.

References:
    [1] Myronenko A. 3D MRI brain tumor segmentation using autoencoder regularization. BrainLes 2018.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import nn

from glioseg.networks.blocks import N_GROUPS, Blocks, Normalisation, Upsampling
from glioseg.networks.from_monai import MONAI_UPSAMPLING, MonaiNetwork, MonaiOptions, monai_normalisation
from glioseg.networks.network import Stage, kernel_words


class SegResNetOptions(MonaiOptions):
    """SegResNet [1], without its autoencoder: residual blocks with normalisation and ReLU first, skips that are added.

    Attributes:
        dims: spatial axes, 2 or 3.
        width: channels of the first level; each level has twice those of the one above. 32 by Myronenko [1].
        blocks_down: residual blocks of each level on the way down.
        blocks_up: residual blocks of each level on the way up, one level fewer.
        normalisation: ``group`` (of 8 groups), ``instance`` or ``batch``, before each convolution.
        upsampling: ``bilinear`` (trilinear) or ``transposed`` convolution.
        dropout: share of features dropped after the first convolution.
    """

    kind: Literal["segresnet"] = "segresnet"
    width: int = Field(default=32, ge=1)
    blocks_down: tuple[Blocks, ...] = Field(default=(1, 2, 2, 4), min_length=2, max_length=8)
    blocks_up: tuple[Blocks, ...] = (1, 1, 1)
    normalisation: Normalisation = "group"
    upsampling: Upsampling = "bilinear"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _paths_meet(self) -> Self:
        if len(self.blocks_up) != len(self.blocks_down) - 1:
            raise ValueError(f"blocks_up needs {len(self.blocks_down) - 1} numbers, one fewer than blocks_down")
        return self


class SegResNet(MonaiNetwork[SegResNetOptions]):
    """MONAI's ``SegResNet``."""

    @staticmethod
    def halvings_of(options: SegResNetOptions) -> int:
        """One between each two levels."""
        return len(options.blocks_down) - 1

    def built(self) -> nn.Module:
        """The network."""
        from monai.networks.nets import SegResNet as Theirs

        options = self.options
        network: nn.Module = Theirs(
            spatial_dims=options.dims,
            init_filters=options.width,
            in_channels=self.n_channels,
            out_channels=self.n_regions,
            dropout_prob=options.dropout or None,
            norm=monai_normalisation(options.normalisation, options.width, N_GROUPS),
            blocks_down=options.blocks_down,
            blocks_up=options.blocks_up,
            upsample_mode=MONAI_UPSAMPLING[options.upsampling],
        )
        return network

    def stages(self) -> tuple[Stage, ...]:
        """Each level of either path, and the head."""
        options, network = self.options, self.network
        block = f"residual 2 × ({options.normalisation} norm, ReLU, conv {kernel_words(self.dims, 3)})"
        stages: list[Stage] = []
        for level, n_blocks in enumerate(options.blocks_down):
            before = f"conv {kernel_words(self.dims, 3)}{', stride 2' if level else ''}"
            stages.append(Stage("down", network.down_layers[level], f"{before}, {n_blocks} × {block}", (level,)))
        n_levels = len(stages)
        for step, n_blocks in enumerate(options.blocks_up):
            sources = (n_levels + step, n_levels - 1 - step)
            words = f"conv {kernel_words(self.dims, 1)}, {options.upsampling}, {n_blocks} × {block}"
            stages.append(Stage("up", network.up_layers[step], words, sources, "added"))
        words = f"{options.normalisation} norm, ReLU, conv {kernel_words(self.dims, 1)}"
        return (*stages, Stage("head", network.conv_final, words, (len(stages),)))
