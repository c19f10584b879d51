"""What all networks of MONAI share under the contract of ours: any size, logits of that size, weights by a seed alone.

MONAI is imported when one of them is built, since that takes seconds. They keep MONAI's initial weights.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Generic, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from glioseg.frozen import Frozen
from glioseg.networks.blocks import Dims, Normalisation, adopt
from glioseg.networks.network import Network

MONAI_UPSAMPLING = {"bilinear": "nontrainable", "transposed": "deconv"}
"""Ours -> MONAI's words."""


class MonaiOptions(Frozen):
    """What the options of all of them share; ``dims`` are the spatial axes."""

    dims: Dims = Field(default=2, description="spatial axes, 2 or 3")


Options = TypeVar("Options", bound=MonaiOptions)


class MonaiNetwork(Network, Generic[Options]):
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


def monai_normalisation(kind: Normalisation, n_channels: int, n_groups: int) -> tuple[str, dict[str, Any]]:
    """MONAI's words for a normalisation of ``n_channels`` channels or a multiple of them.

    Groups must divide the channels of every level: the greatest common divisor of both does.
    """
    if kind == "group":
        return "group", {"num_groups": math.gcd(n_groups, n_channels)}
    return kind, {"affine": True}
