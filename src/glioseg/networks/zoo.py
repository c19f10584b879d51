"""Networks of MONAI under the contract of ours: any size, one tensor of logits, weights decided by a seed alone.

MONAI is imported when one of them is built. They keep MONAI's initial weights.

References:
    [1] Zhou Z et al. UNet++: a nested U-Net architecture for medical image segmentation. DLMIA 2018.
    [2] Myronenko A. 3D MRI brain tumor segmentation using autoencoder regularization. BrainLes 2018.
    [3] Isensee F et al. nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation.
        Nature Methods 18, 2021.
    [4] Futrega M et al. Optimized U-Net for brain tumor segmentation. BrainLes 2021.
    [5] Hatamizadeh A et al. Swin UNETR: Swin transformers for semantic segmentation of brain tumors in MRI images.
        BrainLes 2021.
    [6] Liu Z et al. Swin transformer: hierarchical vision transformer using shifted windows. ICCV 2021.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from glioseg.networks.blocks import N_GROUPS, Dims, Normalisation, Upsampling, adopt
from glioseg.networks.network import Network, Stage, kernel_words

_UPSAMPLING = {"bilinear": "nontrainable", "transposed": "deconv"}
"""Ours -> MONAI's words."""


class _ZooOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    dims: Dims = 2


Options = TypeVar("Options", bound=_ZooOptions)


class UNetPlusPlusOptions(_ZooOptions):
    """UNet++ [1]: five levels, between whose paths nested blocks close the gap.

    Attributes:
        dims: spatial axes, 2 or 3.
        width: channels of the first level; each level has twice those of the one above. 32 in [1].
        normalisation: ``batch``, ``instance`` or ``group`` (of 8 groups), after each convolution.
        upsampling: ``bilinear`` (trilinear) or ``transposed`` convolution.
        dropout: share of features dropped after each convolution.
        deep_supervision: in training, logits from each of the four blocks at the full size.
    """

    kind: Literal["unet++"] = "unet++"
    width: int = Field(default=32, ge=2, multiple_of=2)
    normalisation: Normalisation = "batch"
    upsampling: Upsampling = "bilinear"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    deep_supervision: bool = False


class SegResNetOptions(_ZooOptions):
    """SegResNet [2], without its autoencoder: residual blocks with normalisation and ReLU first, skips that are added.

    Attributes:
        dims: spatial axes, 2 or 3.
        width: channels of the first level; each level has twice those of the one above. 32 in [2].
        blocks_down: residual blocks of each level on the way down.
        blocks_up: residual blocks of each level on the way up, one level fewer.
        normalisation: ``group`` (of 8 groups), ``instance`` or ``batch``, before each convolution.
        upsampling: ``bilinear`` (trilinear) or ``transposed`` convolution.
        dropout: share of features dropped after the first convolution.
    """

    kind: Literal["segresnet"] = "segresnet"
    width: int = Field(default=32, ge=1)
    blocks_down: tuple[int, ...] = Field(default=(1, 2, 2, 4), min_length=2, max_length=8)
    blocks_up: tuple[int, ...] = (1, 1, 1)
    normalisation: Normalisation = "group"
    upsampling: Upsampling = "bilinear"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _paths_meet(self) -> Self:
        if len(self.blocks_up) != len(self.blocks_down) - 1:
            raise ValueError(f"blocks_up needs {len(self.blocks_down) - 1} numbers, one fewer than blocks_down")
        if min(*self.blocks_down, *self.blocks_up) < 1:
            raise ValueError("each level of blocks_down and blocks_up needs at least one block")
        return self


class DynUNetOptions(_ZooOptions):
    """DynUNet, the network of nnU-Net [3]: strided convolutions lead down, transposed ones up, leaky ReLU.

    Attributes:
        dims: spatial axes, 2 or 3.
        width: channels of the first level; each level has twice those of the one above, up to 512 (320 in 3-D), as in
            [3], which has 32.
        depth: number of halvings.
        normalisation: ``instance``, ``batch`` or ``group`` (of 8 groups), after each convolution.
        residual: residual blocks instead of plain ones, as in [4].
        deep_supervision: in training, logits from each level of the way up, too.
    """

    kind: Literal["dynunet"] = "dynunet"
    width: int = Field(default=32, ge=1)
    depth: int = Field(default=4, ge=2, le=8)
    normalisation: Normalisation = "instance"
    residual: bool = False
    deep_supervision: bool = False


class SwinUNETROptions(_ZooOptions):
    """Swin UNETR [5]: attention within shifted windows [6] leads down, convolutions lead up.

    Attributes:
        dims: spatial axes, 2 or 3.
        feature_size: channels of the first level, a multiple of 12; each level has twice those of the one above. 48 in
            [5].
        window: edge of the windows in tokens of 2 voxels.
        blocks: transformer blocks of each of the four levels.
        heads: attention heads of each of the four levels.
        normalisation: ``instance``, ``batch`` or ``group`` (of 4 groups), after each convolution.
        dropout: share of features dropped in the transformer blocks.
        drop_path: share of transformer blocks skipped in training, growing from 0 to this with the depth.
    """

    kind: Literal["swinunetr"] = "swinunetr"
    feature_size: int = Field(default=24, ge=12, multiple_of=12)
    window: int = Field(default=7, ge=2)
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    normalisation: Normalisation = "instance"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    drop_path: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _heads_share_the_channels(self) -> Self:
        for level, (n_blocks, n_heads) in enumerate(zip(self.blocks, self.heads, strict=True)):
            channels = self.feature_size * 2**level
            if n_blocks < 1 or n_heads < 1 or channels % n_heads:
                raise ValueError(f"level {level} has {channels} channels, which {n_heads} heads cannot share")
        return self


class _ZooNetwork(Network, Generic[Options]):
    """A network of MONAI.

    Args:
        options: what decides the network.
        n_channels: channels of the images.
        n_regions: logits per voxel.
        seed: decides the initial weights, together with nothing else.

    Raises:
        OptionError: fewer than one channel or region.
    """

    def __init__(self, options: Options, n_channels: int, n_regions: int, *, seed: int = 0) -> None:
        super().__init__(options.dims, n_channels, n_regions, self.halvings_of(options))
        self.options = options
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # MONAI's constructors draw from it, and from no other
            self.network: Any = self.built()
        adopt(self.network)

    @staticmethod
    @abstractmethod
    def halvings_of(options: Any) -> int:  # noqa: ANN401 - the options of the network at hand
        """How many times the grid is halved."""

    @abstractmethod
    def built(self) -> nn.Module:
        """MONAI's network, its weights drawn from PyTorch's global generator."""

    def padded_logits(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(B, n_channels, *S) -> logits (B, n_regions, *S)."""
        logits: Tensor = self.network(images)
        return logits


class UNetPlusPlus(_ZooNetwork[UNetPlusPlusOptions]):
    """MONAI's ``BasicUNetPlusPlus``."""

    @staticmethod
    def halvings_of(options: UNetPlusPlusOptions) -> int:
        """Five levels, always."""
        return 4

    def built(self) -> nn.Module:
        """The network; without deep supervision also without the heads that would have no part in the logits."""
        from monai.networks.nets import BasicUNetPlusPlus

        options = self.options
        network: nn.Module = BasicUNetPlusPlus(
            spatial_dims=options.dims,
            in_channels=self.n_channels,
            out_channels=self.n_regions,
            features=tuple(options.width * factor for factor in (1, 2, 4, 8, 16, 1)),
            norm=_normalisation(options.normalisation, options.width, N_GROUPS),
            bias=False,
            dropout=options.dropout,
            upsample=_UPSAMPLING[options.upsampling],
            deep_supervision=True,
        )
        if not options.deep_supervision:
            for number in (1, 2, 3):
                setattr(network, f"final_conv_0_{number}", nn.Identity())
        return network

    def padded_logits(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(B, n_channels, *S) -> logits (B, n_regions, *S); with deep supervision those of [1]'s four, best first."""
        *others, logits = self.network(images)
        if self.training and self.options.deep_supervision:
            return (logits, *reversed(others))
        full: Tensor = logits
        return full

    def stages(self) -> tuple[Stage, ...]:
        """The blocks X(i, j) of [1], by diagonals; each is fed by the block below and all before it in its row."""
        kernel, normal = kernel_words(self.dims, 3), self.options.normalisation
        block = f"2 × (conv {kernel}, {normal} norm, leaky ReLU)"
        found: list[Stage] = []
        place: dict[tuple[int, int], int] = {}
        for diagonal in range(5):
            for j in range(diagonal + 1):
                i = diagonal - j
                place[i, j] = len(found) + 1
                column = i + 2 * j
                if j == 0:
                    words = f"max pooling, {block}" if i else block
                    module = getattr(self.network, f"conv_{i}_0")
                    found.append(Stage("down", module, words, (place[i - 1, 0] if i else 0,), column=column))
                    continue
                sources = (place[i + 1, j - 1], *(place[i, before] for before in reversed(range(j))))
                module = getattr(self.network, f"upcat_{i}_{j}")
                words = f"{self.options.upsampling}, {block}"
                found.append(Stage("up", module, words, sources, "concatenated", column=column))
        head = Stage("head", self.network.final_conv_0_4, f"conv {kernel_words(self.dims, 1)}", (place[0, 4],))
        return (*found, head)


class SegResNet(_ZooNetwork[SegResNetOptions]):
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
            norm=_normalisation(options.normalisation, options.width, N_GROUPS),
            blocks_down=options.blocks_down,
            blocks_up=options.blocks_up,
            upsample_mode=_UPSAMPLING[options.upsampling],
        )
        return network

    def stages(self) -> tuple[Stage, ...]:
        """Each level of either path, and the head."""
        options, network = self.options, self.network
        block = f"residual 2 × ({options.normalisation} norm, ReLU, conv {kernel_words(self.dims, 3)})"
        found: list[Stage] = []
        for level, n_blocks in enumerate(options.blocks_down):
            before = f"conv {kernel_words(self.dims, 3)}{', stride 2' if level else ''}"
            found.append(Stage("down", network.down_layers[level], f"{before}, {n_blocks} × {block}", (level,)))
        n_levels = len(found)
        for step, n_blocks in enumerate(options.blocks_up):
            sources = (n_levels + step, n_levels - 1 - step)
            words = f"conv {kernel_words(self.dims, 1)}, {options.upsampling}, {n_blocks} × {block}"
            found.append(Stage("up", network.up_layers[step], words, sources, "added"))
        words = f"{options.normalisation} norm, ReLU, conv {kernel_words(self.dims, 1)}"
        return (*found, Stage("head", network.conv_final, words, (len(found),)))


class DynUNet(_ZooNetwork[DynUNetOptions]):
    """MONAI's ``DynUNet``."""

    @staticmethod
    def halvings_of(options: DynUNetOptions) -> int:
        """The depth."""
        return options.depth

    def built(self) -> nn.Module:
        """The network, its levels held once.

        MONAI holds them twice, in lists and nested in each other; a state dict with each weight under two names can be
        written to no safetensors file.
        """
        from monai.networks.nets import DynUNet as Theirs

        options = self.options
        widest = 320 if options.dims == 3 else 512
        filters = [max(options.width, min(options.width * 2**level, widest)) for level in range(options.depth + 1)]
        network: nn.Module = Theirs(
            spatial_dims=options.dims,
            in_channels=self.n_channels,
            out_channels=self.n_regions,
            kernel_size=[3] * (options.depth + 1),
            strides=[1, *[2] * options.depth],
            upsample_kernel_size=[2] * options.depth,
            filters=filters,
            norm_name=_normalisation(options.normalisation, math.gcd(*filters), N_GROUPS),
            deep_supervision=options.deep_supervision,
            deep_supr_num=options.depth - 1,
            res_block=options.residual,
        )
        for name in ("input_block", "downsamples", "bottleneck", "upsamples", "deep_supervision_heads"):
            if hasattr(network, name):
                delattr(network, name)
        return network

    def padded_logits(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(B, n_channels, *S) -> logits (B, n_regions, *S).

        With deep supervision and in training mode, further logits from finer to coarser levels, enlarged by MONAI.
        """
        logits: Tensor = self.network(images)
        if not (self.training and self.options.deep_supervision):
            return logits
        levels = logits.unbind(dim=1)
        self.network.heads[:] = [logits.new_zeros(1)] * len(self.network.heads)  # lest it hold on to all features
        return levels

    def stages(self) -> tuple[Stage, ...]:
        """Each level of either path, and the head."""
        options, kernel = self.options, kernel_words(self.dims, 3)
        block = f"{'residual ' * options.residual}2 × (conv {kernel}, {options.normalisation} norm, leaky ReLU)"
        layers = [self.network.skip_layers]
        while hasattr(layers[-1].next_layer, "next_layer"):
            layers.append(layers[-1].next_layer)
        down = [*(layer.downsample for layer in layers), layers[-1].next_layer]
        found = [
            Stage("down", module, f"{block}{', the first of stride 2' if level else ''}", (level,))
            for level, module in enumerate(down)
        ]
        for step, layer in enumerate(reversed(layers)):
            sources = (len(down) + step, len(down) - 1 - step)
            found.append(Stage("up", layer.upsample, f"transposed, {block}", sources, "concatenated"))
        head = Stage("head", self.network.output_block, f"conv {kernel_words(self.dims, 1)}", (len(found),))
        return (*found, head)


class SwinUNETR(_ZooNetwork[SwinUNETROptions]):
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
            norm_name=_normalisation(options.normalisation, options.feature_size, 4),
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
        found = [
            Stage("down", network.encoder1, block, (0,)),
            Stage("down", swin.patch_embed, f"tokens of {tokens} voxels (conv {tokens}, stride 2)", (0,)),
        ]
        levels = (swin.layers1, swin.layers2, swin.layers3, swin.layers4)
        for level, layer in enumerate(levels):
            words = f"{options.blocks[level]} × attention of {options.heads[level]} heads in windows of {window} tokens"
            found.append(Stage("down", layer[0], f"{words}, then {tokens} tokens become one", (level + 2,)))
        decoders = (network.decoder5, network.decoder4, network.decoder3, network.decoder2, network.decoder1)
        for step, decoder in enumerate(decoders):
            sources = (6 + step, 5 - step)
            found.append(Stage("up", decoder, f"transposed, {block}", sources, "concatenated"))
        return (*found, Stage("head", network.out, f"conv {kernel_words(self.dims, 1)}", (11,)))


def _normalisation(kind: Normalisation, n_channels: int, n_groups: int) -> tuple[str, dict[str, Any]]:
    """MONAI's words for a normalisation of ``n_channels`` channels or a multiple of them."""
    if kind == "group":
        return "group", {"num_groups": math.gcd(n_groups, n_channels)}
    return kind, {"affine": True}
