"""A stack of slices through a 2-D network: batched, without the slices that show nothing, flipped views averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glioseg.console import Step
from glioseg.inference.activation import finite, n_logits, probabilities_of
from glioseg.inference.backends import layout_of
from glioseg.inference.options import Activation
from glioseg.machine.device import autocast
from glioseg.networks.boxed import AT_ONCE, Boxed, box_of, mirrored
from glioseg.preparation.slices import with_neighbours


def to_nobody(done: int, of: int) -> None:
    """Nobody wants to be told."""


Take = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]]
"""Slice indices (B,) -> images (B, C, Y, X)."""

FLIPS: Mapping[str, tuple[tuple[int, ...], ...]] = MappingProxyType(
    {"none": ((),), "lr": ((), (3,)), "all": ((), (3,), (2,), (2, 3))}
)
"""Views at test time, by the axes of (B, C, Y, X) that are flipped."""


@torch.inference_mode()
def predict_slices(
    model: nn.Module,
    take: Take,
    indices: npt.NDArray[np.int64],
    *,
    n_slices: int,
    bf16: bool,
    batch_size: int = 16,
    flips: Sequence[tuple[int, ...]] = ((),),
    activation: Activation = "sigmoid",
    told: Step = to_nobody,
) -> npt.NDArray[np.float32]:
    """Probabilities of every region on a stack.

    Args:
        model: in evaluation mode; (B, C, Y, X) -> logits (B, L, Y, X).
        take: gives the images of slices.
        indices: slices that show something; the others keep probability 0.
        n_slices: of the stack.
        bf16: run under bfloat16 autocast.
        batch_size: slices at a time.
        flips: views whose probabilities are averaged.
        activation: what turns logits into probabilities.
        told: after each batch.

    Returns:
        (R, Z, Y, X) float32 in 0..1.
    """
    device, layout = next(model.parameters()).device, layout_of(model, 2)

    def predict_batch(batch: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        images = torch.from_numpy(take(batch)).to(device).contiguous(memory_format=layout)
        with autocast(device, bf16=bf16):
            probabilities = mean_over_views(model, images, flips, activation)
        return np.asarray(np.moveaxis(probabilities.cpu().numpy(), 0, 1))

    # how many regions there are is known from the first batch, even of a stack that shows nothing
    first = predict_batch(indices[:batch_size] if len(indices) else np.zeros(1, dtype=np.int64))
    stack = np.zeros((len(first), n_slices, *first.shape[2:]), dtype=np.float32)
    if len(indices):
        stack[:, indices[:batch_size]] = first
    told(min(batch_size, len(indices)), len(indices))
    for start in range(batch_size, len(indices), batch_size):
        batch = indices[start : start + batch_size]
        stack[:, batch] = predict_batch(batch)
        told(start + len(batch), len(indices))
    return stack


@torch.inference_mode()
def predict_boxes(
    boxed: Boxed,
    images: npt.NDArray[np.float16],
    shown: npt.NDArray[np.bool_],
    indices: npt.NDArray[np.int64],
    *,
    n_neighbours: int,
    bf16: bool,
    flips: Sequence[tuple[int, ...]] = ((),),
    activation: Activation = "sigmoid",
    told: Step = to_nobody,
) -> npt.NDArray[np.float32]:
    """Probabilities of every region where a stack shows something, of a network that is computed in boxes.

    Args:
        boxed: the network; it ``takes`` the slices.
        images: (Z, C, Y, X).
        shown: (Z, Y, X) where any channel is not 0.
        indices: slices that show something; the others keep probability 0.
        n_neighbours: slices on each side that are shown too.
        bf16: run under bfloat16 autocast.
        flips: views whose probabilities are averaged.
        activation: what turns logits into probabilities.
        told: after each group of slices that share a box.

    Returns:
        (R, Z, Y, X) float32 in 0..1; 0 where the stack shows nothing.
    """
    device, size = next(boxed.parameters()).device, shown.shape[1:]
    n_regions = boxed.network.n_regions - n_logits(0, activation)  # of the logits one may be that of the background
    stack = np.zeros((n_regions, *shown.shape), dtype=np.float32)
    if not len(indices):
        told(0, 0)
    for start in range(0, len(indices), AT_ONCE):
        batch = indices[start : start + AT_ONCE]
        box = box_of(
            torch.from_numpy(shown[max(0, batch[0] - n_neighbours) : batch[-1] + n_neighbours + 1].any(axis=0))
        )
        if box is not None:
            frames = [boxed.frame(size, device, mirrored(box, size, axes)) for axes in flips]
            some = torch.from_numpy(with_neighbours(images[frames[0].box], batch, n_neighbours)).to(device)
            asks = [partial(boxed.logits, frame=frame) for frame in frames]
            with autocast(device, bf16=bf16):
                probabilities = np.moveaxis(mean_of_views(asks, some, flips, activation).cpu().numpy(), 0, 1)
            within = (batch, *frames[0].box[1:])
            # what a box says beside the head means nothing; memory that no box lies in is never touched
            np.multiply(probabilities, shown[within], out=probabilities)
            stack[(slice(None), *within)] = probabilities
        told(start + len(batch), len(indices))
    return stack


def mean_over_views(
    model: nn.Module, images: Tensor, flips: Sequence[tuple[int, ...]], activation: Activation
) -> Tensor:
    """(B, C, *S) -> (B, R, *S): the mean of the probabilities that flipped views give, flipped back.

    Raises:
        NetworkError: see ``finite``.
    """
    layout = layout_of(model, images.dim() - 2)

    def ask(view: Tensor) -> Tensor:
        logits: Tensor = model(view.contiguous(memory_format=layout))
        return logits

    return mean_of_views([ask] * len(flips), images, flips, activation)


def mean_of_views(
    asks: Sequence[Callable[[Tensor], Tensor]], images: Tensor, flips: Sequence[tuple[int, ...]], activation: Activation
) -> Tensor:
    """As ``mean_over_views``, each view asked in a way of its own: images (B, C, *S) -> logits (B, L, *S)."""

    def of_view(ask: Callable[[Tensor], Tensor], axes: tuple[int, ...]) -> Tensor:
        view = torch.flip(images, axes) if axes else images
        probabilities = probabilities_of(finite(ask(view)), activation)
        return torch.flip(probabilities, axes) if axes else probabilities

    total = of_view(asks[0], flips[0])
    for ask, axes in zip(asks[1:], flips[1:], strict=True):
        total = total + of_view(ask, axes)
    return total / len(flips)
