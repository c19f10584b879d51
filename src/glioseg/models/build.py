"""The closed table from model options to modules: whoever adds a network adds a row."""

from __future__ import annotations

from glioseg.models.unet import UNet, UNetOptions

ModelOptions = UNetOptions
"""The options of every network that can be built; ``kind`` tells them apart."""

_NETWORKS = {"unet": UNet}


def build_model(options: ModelOptions, n_channels: int, n_regions: int, *, seed: int) -> UNet:
    """The network that ``options`` describe, on the CPU, in training mode, its weights decided by ``seed`` alone.

    Args:
        options: what decides the network.
        n_channels: channels of the images.
        n_regions: logits per voxel.
        seed: of the initial weights.

    Raises:
        OptionError: fewer than one channel or region.
    """
    return _NETWORKS[options.kind](options, n_channels, n_regions, seed=seed)
