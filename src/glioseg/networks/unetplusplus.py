"""UNet++, as MONAI builds it.

References:
    [1] Zhou Z et al. UNet++: a nested U-Net architecture for medical image segmentation. DLMIA 2018.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from glioseg.networks.blocks import N_GROUPS, Normalisation, Upsampling
from glioseg.networks.from_monai import MONAI_UPSAMPLING, MonaiNetwork, MonaiOptions, monai_normalisation
from glioseg.networks.network import Stage, kernel_words


class UNetPlusPlusOptions(MonaiOptions):
    """UNet++ [1]: five levels, between whose paths nested blocks close the gap.

    Attributes:
        dims: spatial axes, 2 or 3.
        width: channels of the first level; each level has twice those of the one above. 32 by Zhou et al. [1].
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


class UNetPlusPlus(MonaiNetwork[UNetPlusPlusOptions]):
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
            norm=monai_normalisation(options.normalisation, options.width, N_GROUPS),
            bias=False,
            dropout=options.dropout,
            upsample=MONAI_UPSAMPLING[options.upsampling],
            deep_supervision=True,
        )
        if not options.deep_supervision:
            for number in (1, 2, 3):
                setattr(network, f"final_conv_0_{number}", nn.Identity())
        return network

    def padded_logits(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(B, n_channels, *S) -> logits (B, n_regions, *S); with deep supervision those of [1]'s four, best first."""
        *shallower, logits = self.network(images)
        if self.training and self.options.deep_supervision:
            return (logits, *reversed(shallower))
        full: Tensor = logits
        return full

    def stages(self) -> tuple[Stage, ...]:
        """The blocks X(i, j) of [1], by diagonals; each is fed by the block below and all before it in its row."""
        kernel, normal = kernel_words(self.dims, 3), self.options.normalisation
        block = f"2 × (conv {kernel}, {normal} norm, leaky ReLU)"
        stages: list[Stage] = []
        place: dict[tuple[int, int], int] = {}
        for diagonal in range(5):
            for j in range(diagonal + 1):
                i = diagonal - j
                place[i, j] = len(stages) + 1
                column = i + 2 * j
                if j == 0:
                    words = f"max pooling, {block}" if i else block
                    module = getattr(self.network, f"conv_{i}_0")
                    stages.append(Stage("down", module, words, (place[i - 1, 0] if i else 0,), column=column))
                    continue
                sources = (place[i + 1, j - 1], *(place[i, before] for before in reversed(range(j))))
                module = getattr(self.network, f"upcat_{i}_{j}")
                words = f"{self.options.upsampling}, {block}"
                stages.append(Stage("up", module, words, sources, "concatenated", column=column))
        head = Stage("head", self.network.final_conv_0_4, f"conv {kernel_words(self.dims, 1)}", (place[0, 4],))
        return (*stages, head)
