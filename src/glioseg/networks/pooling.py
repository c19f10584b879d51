"""Max pooling of volumes whose gradient repeats bit for bit on a GPU, where PyTorch's own is refused.

Windows that do not overlap need no sums at all: each gradient goes to the one voxel that was the largest.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class RepeatingMaxPool3d(nn.MaxPool3d):
    """PyTorch's max pooling of 2×2×2 voxels, with a gradient of ours where results must repeat on CUDA."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name in PyTorch's own signature)
        """(B, C, D, H, W) -> (B, C, D/2, H/2, W/2)."""
        if _must_repeat(input):
            pooled: Tensor = RepeatingPooling.apply(input)  # type: ignore[no-untyped-call]
            return pooled
        plain: Tensor = super().forward(input)
        return plain


def _must_repeat(tensor: Tensor) -> bool:
    return tensor.device.type == "cuda" and torch.are_deterministic_algorithms_enabled() and tensor.requires_grad


class RepeatingPooling(torch.autograd.Function):
    """Max pooling of 2×2×2 voxels; see the module."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ANN401 - PyTorch's
        """PyTorch's own kernel, with the place of each largest voxel."""
        pooled, places = F.max_pool3d_with_indices(tensor, (2, 2, 2))
        ctx.save_for_backward(places)
        ctx.size = tensor.shape
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        """To the largest voxel of each window, which is one of its eight corners."""
        (places,) = ctx.saved_tensors
        height, width = ctx.size[3:]
        corner_of = (places // (height * width) % 2, places // width % height % 2, places % width % 2)
        spread = gradient.new_zeros(ctx.size)
        depth, rows, columns = gradient.shape[2:]
        for corner in product(range(2), repeat=3):
            is_there = torch.stack([at == each for at, each in zip(corner_of, corner, strict=True)]).all(dim=0)
            ends = (2 * depth, 2 * rows, 2 * columns)
            place = tuple(slice(begin, end, 2) for begin, end in zip(corner, ends, strict=True))
            spread[(slice(None), slice(None), *place)] = gradient * is_there
        return spread
