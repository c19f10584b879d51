"""What a built network is made of, read off the module while an image runs through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from glioseg.models.unet import UNet


@dataclass(frozen=True)
class LevelSummary:
    """One level, in the order in which images run through.

    Args:
        kind: ``input`` and ``head`` once each; ``down`` up to and with the lowest; ``up``.
        channels: at its end.
        size: of its grid.
        attention: whether the skip that enters it is gated.
    """

    kind: Literal["input", "down", "up", "head"]
    channels: int
    size: tuple[int, ...]
    attention: bool = False


def n_parameters(model: nn.Module) -> int:
    """Numbers that are trained."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


@torch.inference_mode()
def summarise_levels(model: nn.Module, size: tuple[int, ...]) -> tuple[LevelSummary, ...]:
    """The levels that an image of ``size`` runs through; the module's mode is left as it was."""
    assert isinstance(model, UNet)
    seen: list[LevelSummary] = [LevelSummary("input", model.n_channels, size)]
    handles = []

    def note(kind: Literal["down", "up", "head"]) -> object:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            gated = kind == "up" and len(model.gates) > 0
            seen.append(LevelSummary(kind, output.shape[1], tuple(output.shape[2:]), gated))

        return hook

    blocks: list[tuple[Literal["down", "up", "head"], nn.Module]] = [("down", block) for block in model.down]
    blocks += [("up", block) for block in model.up] + [("head", model.head)]
    was_training = model.training
    for kind, block in blocks:
        handles.append(block.register_forward_hook(note(kind)))  # type: ignore[arg-type]
    try:
        model.eval()
        model(torch.zeros(1, model.n_channels, *size))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return tuple(seen)
