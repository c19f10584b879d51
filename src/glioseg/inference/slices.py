"""A stack of slices through a 2-D network: batched, without the slices that show nothing, flipped views averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glioseg.inference.activation import finite, probabilities_of
from glioseg.inference.backends import layout_of
from glioseg.inference.options import Activation
from glioseg.machine.device import autocast

Take = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]]
"""Slice indices (B,) -> images (B, C, Y, X)."""

FLIPS: Mapping[str, tuple[tuple[int, ...], ...]] = MappingProxyType(
    {"none": ((),), "lr": ((), (3,)), "all": ((), (3,), (2,), (2, 3))}
)
"""Views at test time, by the axes of (B, C, Y, X) that are flipped."""


_STEP = 32
"""Pixels, a multiple of what networks halve their grids to."""

_BATCH_IN_A_BOX = 4
"""Slices at a time, where a batch is cut to what it shows: neighbours show nearly the same."""


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
    margin: int | None = None,
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
        margin: rows and columns that are shown around what a batch of slices shows, the rest is left out and keeps
            probability 0; None shows whole slices.

    Returns:
        (R, Z, Y, X) float32 in 0..1.
    """
    device, layout = next(model.parameters()).device, layout_of(model, 2)

    def predict_batch(batch: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        whole = take(batch)
        rows, columns = box_of(whole, margin)
        images = torch.from_numpy(whole[..., rows, columns]).to(device).contiguous(memory_format=layout)
        with autocast(device, bf16=bf16):
            within = np.moveaxis(mean_over_views(model, images, flips, activation).cpu().numpy(), 0, 1)
        if within.shape[2:] == whole.shape[2:]:
            return np.asarray(within)
        probabilities = np.zeros((*within.shape[:2], *whole.shape[2:]), dtype=np.float32)
        probabilities[..., rows, columns] = within
        return probabilities

    # how many regions there are is known from the first batch, even of a stack that shows nothing
    if margin is not None:
        batch_size = min(batch_size, _BATCH_IN_A_BOX)
    first = predict_batch(indices[:batch_size] if len(indices) else np.zeros(1, dtype=np.int64))
    stack = np.zeros((len(first), n_slices, *first.shape[2:]), dtype=np.float32)
    if len(indices):
        stack[:, indices[:batch_size]] = first
    for start in range(batch_size, len(indices), batch_size):
        batch = indices[start : start + batch_size]
        stack[:, batch] = predict_batch(batch)
    return stack


def box_of(images: npt.NDArray[np.float32], margin: int | None) -> tuple[slice, slice]:
    """Rows and columns in which some of the images (B, C, Y, X) is not 0, and a margin around them.

    Lengths are multiples of ``_STEP``, so that few sizes occur: a network is made ready for each size anew.
    """
    rows, columns = images.shape[2:]
    if margin is None:
        return slice(0, rows), slice(0, columns)
    shown = (images != 0).any(axis=(0, 1))
    return _grown(np.asarray(shown.any(axis=1)), margin), _grown(np.asarray(shown.any(axis=0)), margin)


def _grown(shown: npt.NDArray[np.bool_], margin: int) -> slice:
    n, filled = len(shown), np.flatnonzero(shown)
    if not len(filled):
        return slice(0, n)
    low, high = int(filled[0]) - margin, int(filled[-1]) + 1 + margin
    length = -(-(high - low) // _STEP) * _STEP
    if length >= n:
        return slice(0, n)
    start = min(max(low - (length - (high - low)) // 2, 0), n - length)
    return slice(start, start + length)


def mean_over_views(
    model: nn.Module, images: Tensor, flips: Sequence[tuple[int, ...]], activation: Activation
) -> Tensor:
    """(B, C, *S) -> (B, R, *S): the mean of the probabilities that flipped views give, flipped back.

    Raises:
        NetworkError: see ``finite``.
    """
    layout = layout_of(model, images.dim() - 2)

    def of_view(axes: tuple[int, ...]) -> Tensor:
        view = torch.flip(images, axes).contiguous(memory_format=layout) if axes else images
        probabilities = probabilities_of(finite(model(view)), activation)
        return torch.flip(probabilities, axes) if axes else probabilities

    total = of_view(flips[0])
    for axes in flips[1:]:
        total = total + of_view(axes)
    return total / len(flips)
