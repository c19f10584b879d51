"""DynUNet, nnU-Net's network, as MONAI builds it.

References:
    [1] Isensee F et al. nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation.
        Nature Methods 18, 2021.
    [2] Futrega M et al. Optimized U-Net for brain tumor segmentation. BrainLes 2021.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from glioseg.networks.blocks import N_GROUPS, Normalisation
from glioseg.networks.from_monai import MonaiNetwork, MonaiOptions, monai_normalisation
from glioseg.networks.network import Stage, kernel_words


class DynUNetOptions(MonaiOptions):
    """DynUNet, the network of nnU-Net [1]: strided convolutions lead down, transposed ones up, leaky ReLU.

    Attributes:
        dims: spatial axes, 2 or 3.
        width: channels of the first level; each level has twice those of the one above, up to 512 (320 in 3-D), as by
            Isensee et al. [1], who have 32.
        depth: number of halvings.
        normalisation: ``instance``, ``batch`` or ``group`` (of 8 groups), after each convolution.
        residual: residual blocks instead of plain ones, as by Futrega et al. [2].
        deep_supervision: in training, logits from each level of the way up, too.
    """

    kind: Literal["dynunet"] = "dynunet"
    width: int = Field(default=32, ge=1)
    depth: int = Field(default=4, ge=2, le=8)
    normalisation: Normalisation = "instance"
    residual: bool = False
    deep_supervision: bool = False


class DynUNet(MonaiNetwork[DynUNetOptions]):
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
            norm_name=monai_normalisation(options.normalisation, math.gcd(*filters), N_GROUPS),
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
        stages = [
            Stage("down", module, f"{block}{', the first of stride 2' if level else ''}", (level,))
            for level, module in enumerate(down)
        ]
        for step, layer in enumerate(reversed(layers)):
            sources = (len(down) + step, len(down) - 1 - step)
            stages.append(Stage("up", layer.upsample, f"transposed, {block}", sources, "concatenated"))
        head = Stage("head", self.network.output_block, f"conv {kernel_words(self.dims, 1)}", (len(stages),))
        return (*stages, head)
