"""What a built network is made of, read off the module while an image runs through it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from glioseg.errors import OptionError
from glioseg.networks.network import Joined, Stage, Staged

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "unet": "U-Net",
        "attention-unet": "Attention U-Net",
        "resunet": "ResUNet",
        "unet++": "UNet++",
        "deeplabv3plus": "DeepLabV3+",
        "segresnet": "SegResNet",
        "dynunet": "DynUNet",
        "swinunetr": "Swin UNETR",
        "mednext": "MedNeXt",
        "classifier": "Contracting path of a U-Net",
        "sharma-cnn": "Sequential CNN",
    }
)
_LAYER_WORDS: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((nn.BatchNorm2d, nn.BatchNorm3d), "batch norm"),
    ((nn.InstanceNorm2d, nn.InstanceNorm3d), "instance norm"),
    ((nn.GroupNorm,), "group norm"),
    ((nn.LayerNorm,), "layer norm"),
    ((nn.MaxPool2d, nn.MaxPool3d), "max pooling"),
    ((nn.AvgPool2d, nn.AvgPool3d), "mean pooling"),
    ((nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), "mean over all voxels"),
    ((nn.LeakyReLU,), "leaky ReLU"),
    ((nn.Linear,), "dense"),
    ((nn.Identity, nn.Dropout, nn.Dropout2d, nn.Dropout3d), ""),
)
"""Layers whose class is not named as people call them; others are called by their class."""


@dataclass(frozen=True)
class LevelSummary:
    """One level, sources before what they feed.

    Args:
        kind: ``input`` and ``head`` once each; ``down`` up to and with the lowest; ``up``.
        channels: at its end.
        size: of its grid; empty where there is none.
        attention: whether the skip that enters it is gated.
        words: what it is made of.
        sources: the levels that feed it, counted from 0, the input; the first is what it goes on from, others are
            skips.
        joined: how the skips come in.
        column: where it is drawn; None for one further than the level before.
    """

    kind: Literal["input", "down", "up", "head"]
    channels: int
    size: tuple[int, ...]
    attention: bool = False
    words: str = ""
    sources: tuple[int, ...] = ()
    joined: Joined = ""
    column: int | None = None


def n_parameters(model: nn.Module) -> int:
    """Numbers that are trained."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def dims_of_module(model: nn.Module) -> Literal[2, 3]:
    """Spatial axes of the images that a network takes: 3 where it has a 3-D convolution, else 2."""
    return 3 if any(isinstance(module, nn.Conv3d) for module in model.modules()) else 2


def network_name(options: BaseModel) -> str:
    """What the network is called, such as ``Attention U-Net``."""
    kind = str(getattr(options, "kind", type(options).__name__))
    name = _NAMES.get(kind, kind)
    if kind == "unet":
        name = "Residual " * bool(getattr(options, "residual", False)) + name
        name = "Attention " * bool(getattr(options, "attention", False)) + name
    return "3-D " * (getattr(options, "dims", 2) == 3) + name


def option_facts(options: BaseModel) -> dict[str, str]:
    """Every option of a network in words: name -> value."""
    return {
        name.replace("_", " "): _in_words(value) for name, value in options.model_dump(exclude={"kind", "dims"}).items()
    }


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(_in_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def summarise_levels(
    model: nn.Module, size: tuple[int, ...], n_channels: int | None = None
) -> tuple[LevelSummary, ...]:
    """The levels that an image of ``size`` runs through; the module's mode is left as it was.

    Args:
        model: whose levels. A ``network.Staged`` one may say what its stages are; the levels of every other module
            are read off it: the runs of layers within which the grid stays the same, one fed by the other.
        size: of the image.
        n_channels: of the image; None for the model's own ``n_channels``.

    Raises:
        OptionError: ``n_channels`` is None, and the model does not say it.
    """
    channels = getattr(model, "n_channels", None) if n_channels is None else n_channels
    if not isinstance(channels, int):
        raise OptionError(
            "how many channels the network takes is not known",
            found=f"{type(model).__name__} without n_channels",
            remedy="Give n_channels",
        )
    images = torch.zeros(1, channels, *size)
    stages = model.stages() if isinstance(model, Staged) else ()
    levels = _stated_levels(model, images, stages) if stages else _levels_by_grid(model, images)
    return (LevelSummary("input", channels, size), *levels)


def _stated_levels(model: nn.Module, images: Tensor, stages: Sequence[Stage]) -> list[LevelSummary]:
    shapes = {id(module): shape for module, shape in _results(model, images, [stage.module for stage in stages])}
    levels = []
    for stage in stages:
        _, channels, *grid = shapes[id(stage.module)]
        size = grid or [1] * (images.dim() - 2)  # a vector, as a classifier's logits are, is of the whole image
        words = stage.words or layer_words(_layers(stage.module))
        levels.append(
            LevelSummary(
                stage.kind, channels, tuple(size), stage.gated, words, stage.sources, stage.joined, stage.column
            )
        )
    return levels


def _levels_by_grid(model: nn.Module, images: Tensor) -> list[LevelSummary]:
    """One level for each run of layers whose results are of one grid: down to the coarsest, up from there, the head."""
    results = _results(model, images, _layers(model))
    runs = [list(run) for _, run in itertools.groupby(results, key=lambda result: result[1][2:])]
    voxels = [math.prod(run[-1][1][2:]) for run in runs]
    lowest = voxels.index(min(voxels))
    levels = []
    for place, run in enumerate(runs):
        _, channels, *size = run[-1][1]
        kind: Literal["down", "up"] = "down" if place <= lowest else "up"
        words = layer_words([layer for layer, _ in run])
        levels.append(LevelSummary(kind, channels, tuple(size), words=words, sources=(place,)))
    return [*levels[:-1], replace(levels[-1], kind="head")]


def _layers(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if not list(part.children())]


def layer_words(layers: Sequence[nn.Module]) -> str:
    """What layers are, one after the other, repeats counted: ``max pooling, 2 × (conv 3×3, batch norm, ReLU)``.

    Layers that change nothing in prediction (dropout, identity) are left out.
    """
    words = [word for layer in layers if (word := _layer_word(layer))]
    for start in range(len(words)):
        repeated = words[start:]
        for length in range(1, len(repeated) // 2 + 1):
            times, rest = divmod(len(repeated), length)
            if rest == 0 and repeated == repeated[:length] * times:
                block = ", ".join(repeated[:length])
                return ", ".join([*words[:start], f"{times} × ({block})" if length > 1 else f"{times} × {block}"])
    return ", ".join(words)


def _layer_word(layer: nn.Module) -> str:
    if isinstance(layer, nn.modules.conv._ConvNd):
        transposed = "transposed " * layer.transposed
        stride = f", stride {layer.stride[0]}" if not layer.transposed and layer.stride[0] > 1 else ""
        return f"{transposed}conv {'×'.join(map(str, layer.kernel_size))}{stride}"
    for kinds, word in _LAYER_WORDS:
        if isinstance(layer, kinds):
            return word
    return type(layer).__name__


@torch.inference_mode()
def _results(model: nn.Module, images: Tensor, parts: Sequence[nn.Module]) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """Parts and the shapes of the maps or vectors that they give, in the order in which the images run through them."""
    results: list[tuple[nn.Module, tuple[int, ...]]] = []

    def note(module: nn.Module, _: object, result: object) -> None:
        if isinstance(result, Tensor) and result.dim() in (2, images.dim()):  # not the tokens of an attention
            results.append((module, tuple(result.shape)))

    handles = [part.register_forward_hook(note) for part in parts]
    was_training = model.training
    try:
        model.eval()
        model(images)
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return results
