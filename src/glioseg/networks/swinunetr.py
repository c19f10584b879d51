"""Swin UNETR, as MONAI builds it.

References:
    [1] Hatamizadeh A et al. Swin UNETR: Swin transformers for semantic segmentation of brain tumors in MRI images.
        BrainLes 2021.
    [2] Liu Z et al. Swin transformer: hierarchical vision transformer using shifted windows. ICCV 2021.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import nn

from glioseg.networks.blocks import Blocks, Normalisation
from glioseg.networks.from_monai import MonaiNetwork, MonaiOptions, monai_normalisation
from glioseg.networks.network import Stage, kernel_words


class SwinUNETROptions(MonaiOptions):
    """Swin UNETR [1]: attention within shifted windows [2] leads down, convolutions lead up.

    Attributes:
        dims: spatial axes, 2 or 3.
        feature_size: channels of the first level, a multiple of 12; each level has twice those of the one above. 48 in
            [1].
        window: edge of the windows in tokens of 2 voxels.
        blocks: transformer blocks of each of the four levels.
        heads: attention heads of each of the four levels.
        normalisation: ``instance``, ``batch`` or ``group`` (of 4 groups), after each convolution.
        dropout: share of features dropped in the transformer blocks.
        drop_path: share of transformer blocks skipped in training, growing from 0 to this with the depth.
    """

    kind: Literal["swinunetr"] = "swinunetr"
    feature_size: int = Field(default=24, ge=12, le=192, multiple_of=12)
    window: int = Field(default=7, ge=2, le=64)
    blocks: tuple[Blocks, Blocks, Blocks, Blocks] = (2, 2, 2, 2)
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    normalisation: Normalisation = "instance"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    drop_path: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _heads_share_the_channels(self) -> Self:
        for level, n_heads in enumerate(self.heads):
            channels = self.feature_size * 2**level
            if n_heads < 1 or channels % n_heads:
                raise ValueError(f"level {level} has {channels} channels, which {n_heads} heads cannot share")
        return self


class SwinUNETR(MonaiNetwork[SwinUNETROptions]):
    """MONAI's ``SwinUNETR``, whose windows and their masks are laid out in Python for the size at hand."""

    traces_any_size: ClassVar[bool] = False

    @staticmethod
    def halvings_of(options: SwinUNETROptions) -> int:
        """Once for the tokens, once after each of the four levels."""
        return 5

    def built(self) -> nn.Module:
        """The network."""
        from monai.networks.nets import SwinUNETR as Theirs

        options = self.options
        network: nn.Module = Theirs(
            in_channels=self.n_channels,
            out_channels=self.n_regions,
            depths=options.blocks,
            num_heads=options.heads,
            window_size=options.window,
            feature_size=options.feature_size,
            norm_name=monai_normalisation(options.normalisation, options.feature_size, 4),
            drop_rate=options.dropout,
            dropout_path_rate=options.drop_path,
            spatial_dims=options.dims,
        )
        return network

    def stages(self) -> tuple[Stage, ...]:
        """The convolutions at full size, the tokens, the four levels of attention, the way up and the head."""
        options, network = self.options, self.network
        block = f"residual 2 × (conv {kernel_words(self.dims, 3)}, {options.normalisation} norm, leaky ReLU)"
        swin, tokens = network.swinViT, kernel_words(self.dims, 2)
        window = kernel_words(self.dims, options.window)
        stages = [
            Stage("down", network.encoder1, block, (0,)),
            Stage("down", swin.patch_embed, f"tokens of {tokens} voxels (conv {tokens}, stride 2)", (0,)),
        ]
        levels = (swin.layers1, swin.layers2, swin.layers3, swin.layers4)
        for level, layer in enumerate(levels):
            words = f"{options.blocks[level]} × attention of {options.heads[level]} heads in windows of {window} tokens"
            stages.append(Stage("down", layer[0], f"{words}, then {tokens} tokens become one", (level + 2,)))
        decoders = (network.decoder5, network.decoder4, network.decoder3, network.decoder2, network.decoder1)
        for step, decoder in enumerate(decoders):
            sources = (6 + step, 5 - step)
            stages.append(Stage("up", decoder, f"transposed, {block}", sources, "concatenated"))
        return (*stages, Stage("head", network.out, f"conv {kernel_words(self.dims, 1)}", (11,)))
