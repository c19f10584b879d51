"""The closed table from model options to modules: whoever adds a network adds a row, and its options to the union."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Discriminator, Tag
from torch import nn

from glioseg.core.targets import TaskName
from glioseg.errors import OptionError
from glioseg.networks.classifier import (
    ClassifierOptions,
    PathClassifier,
    SharmaCNN,
    SharmaCNNOptions,
)
from glioseg.networks.deeplab import DeepLab, DeepLabOptions
from glioseg.networks.dynunet import DynUNet, DynUNetOptions
from glioseg.networks.mednext import MedNeXt, MedNeXtOptions
from glioseg.networks.segresnet import SegResNet, SegResNetOptions
from glioseg.networks.swinunetr import SwinUNETR, SwinUNETROptions
from glioseg.networks.unet import AttentionUNetOptions, ResUNetOptions, UNet, UNetOptions
from glioseg.networks.unetplusplus import UNetPlusPlus, UNetPlusPlusOptions

DEFAULT_KIND = "unet"


def kind_of(options: Any) -> str:  # noqa: ANN401 - whatever stands under [model], valid or not
    """The network that options name, the U-Net where they name none."""
    return str(
        options.get("kind", DEFAULT_KIND) if isinstance(options, Mapping) else getattr(options, "kind", DEFAULT_KIND)
    )


ModelOptions = Annotated[
    Annotated[UNetOptions, Tag("unet")]
    | Annotated[AttentionUNetOptions, Tag("attention-unet")]
    | Annotated[ResUNetOptions, Tag("resunet")]
    | Annotated[UNetPlusPlusOptions, Tag("unet++")]
    | Annotated[DeepLabOptions, Tag("deeplabv3plus")]
    | Annotated[SegResNetOptions, Tag("segresnet")]
    | Annotated[DynUNetOptions, Tag("dynunet")]
    | Annotated[SwinUNETROptions, Tag("swinunetr")]
    | Annotated[MedNeXtOptions, Tag("mednext")]
    | Annotated[SharmaCNNOptions, Tag("sharma-cnn")]
    | Annotated[ClassifierOptions, Tag("classifier")],
    Discriminator(kind_of),
]
"""The options of every network that can be built; ``kind`` tells them apart."""

_NETWORKS: Mapping[type[BaseModel], Any] = MappingProxyType(
    {
        UNetOptions: UNet,
        AttentionUNetOptions: UNet,
        ResUNetOptions: UNet,
        UNetPlusPlusOptions: UNetPlusPlus,
        DeepLabOptions: DeepLab,
        SegResNetOptions: SegResNet,
        DynUNetOptions: DynUNet,
        SwinUNETROptions: SwinUNETR,
        MedNeXtOptions: MedNeXt,
        SharmaCNNOptions: SharmaCNN,
        ClassifierOptions: PathClassifier,
    }
)
_TASKS: Mapping[type[BaseModel], TaskName] = MappingProxyType(
    {SharmaCNNOptions: "classify", ClassifierOptions: "classify"}
)
"""What networks are asked for that do not segment."""
MOST_PARAMETERS = 1_000_000_000
"""Of a network: 4 GB of weights, and 16 GB with what an optimiser keeps of each."""
_DRAWN_AT_ONCE = (SwinUNETROptions,)
"""Networks whose weights are drawn as they are built, so that their size is not told before; options bound it."""
_ONE_SIZE = (SharmaCNNOptions,)
"""Networks with a dense layer over all pixels."""
OPTIONS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {str(options.model_fields["kind"].default): options for options in _NETWORKS}
)
"""Kind -> its options."""


def task_of(options: ModelOptions) -> TaskName:
    """Whether the network draws regions of each voxel, or says one class of a whole picture."""
    return _TASKS.get(type(options), "segment")


def kinds_of(task: TaskName) -> tuple[str, ...]:
    """The networks of a task."""
    return tuple(kind for kind, options in OPTIONS.items() if _TASKS.get(options, "segment") == task)


def needs_size(options: ModelOptions) -> bool:
    """Whether all its pictures must be of one size, which it is built for."""
    return isinstance(options, _ONE_SIZE)


def dims_of(options: ModelOptions) -> int:
    """Spatial axes of a network: 3 where its options say so, else 2, slices."""
    return int(getattr(options, "dims", 2))


def build_model(
    options: ModelOptions, n_channels: int, n_targets: int, *, seed: int, size: int | None = None
) -> nn.Module:
    """The network that ``options`` describe, on the CPU, in training mode, its weights decided by ``seed`` alone.

    Args:
        options: what decides the network.
        n_channels: channels of the images.
        n_targets: logits per voxel or, of a network that says classes, per picture.
        seed: of the initial weights.
        size: rows and columns of the pictures, where they are all square and alike; only a dense layer needs it.

    Raises:
        OptionError: fewer than one channel or target, no ``size`` for a dense layer, or more than ``MOST_PARAMETERS``.
    """
    sized = {"size": size} if needs_size(options) else {}
    network = _NETWORKS[type(options)]
    if type(options) not in _DRAWN_AT_ONCE:
        with torch.device("meta"):  # which has shapes and no memory
            n = sum(each.numel() for each in network(options, n_channels, n_targets, seed=seed, **sized).parameters())
        if n > MOST_PARAMETERS:
            raise OptionError(
                "the network would have more parameters than can be held",
                found=f"{n:,}",
                expected=f"at most {MOST_PARAMETERS:,}",
                remedy="Set a smaller width or depth (model.width, model.depth)",
            )
    module: nn.Module = network(options, n_channels, n_targets, seed=seed, **sized)
    return module


def settings_for(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of another network's settings that the network ``kind`` has too, for a recipe whose network is exchanged.

    Raises:
        OptionError: there is no such network.
    """
    if kind not in OPTIONS:
        raise OptionError(f"there is no network {kind}", expected=f"one of {', '.join(OPTIONS)}")
    shared = {name: value for name, value in settings.items() if name in OPTIONS[kind].model_fields}
    return shared | {"kind": kind}
