"""What a built network is made of, read off the module while an image runs through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from glioseg.networks.network import Joined, Network, Stage

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
        "classifier": "Contracting path of a U-Net",
        "sharma-cnn": "Sequential CNN",
    }
)


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
        name.replace("_", " "): _said(value) for name, value in options.model_dump(exclude={"kind", "dims"}).items()
    }


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(_said, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def summarise_levels(model: nn.Module, size: tuple[int, ...]) -> tuple[LevelSummary, ...]:
    """The levels that an image of ``size`` runs through; the module's mode is left as it was.

    Args:
        model: has ``n_channels``. A ``network.Network`` says what its stages are; those of another module are the runs
            of layers within which the grid stays the same, one fed by the other.
        size: of the image.
    """
    assert isinstance(model.n_channels, int)
    first = LevelSummary("input", model.n_channels, size)
    images = torch.zeros(1, model.n_channels, *size)
    if isinstance(model, Network):
        stages = model.stages()
        results = _results(model, images, [stage.module for stage in stages])
        given = {id(module): shape for module, shape in results}
        return (first, *(_level(stage, given[id(stage.module)]) for stage in stages))
    layers = [module for module in model.modules() if not list(module.children())]
    shapes = [shape for _, shape in _results(model, images, layers)]
    ends = [
        shape for place, shape in enumerate(shapes) if place + 1 == len(shapes) or shape[2:] != shapes[place + 1][2:]
    ]
    *down, head = [LevelSummary("down", shape[1], shape[2:], sources=(place,)) for place, shape in enumerate(ends)]
    return (first, *down, replace(head, kind="head"))


def _level(stage: Stage, shape: tuple[int, ...]) -> LevelSummary:
    return LevelSummary(
        stage.kind, shape[1], shape[2:], stage.gated, stage.words, stage.sources, stage.joined, stage.column
    )


@torch.inference_mode()
def _results(model: nn.Module, images: Tensor, parts: Sequence[nn.Module]) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """Each part and the shape of what it gives, in the order in which the images run through them."""
    met: list[tuple[nn.Module, tuple[int, ...]]] = []

    def note(module: nn.Module, _: object, result: Tensor) -> None:
        met.append((module, tuple(result.shape)))

    handles = [part.register_forward_hook(note) for part in parts]
    was_training = model.training
    try:
        model.eval()
        model(images)
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return met
