"""Linear enlargement whose gradient repeats bit for bit on a GPU, at the speed of PyTorch's own.

The forward pass is PyTorch's kernel, which repeats. Its backward kernel adds up in whatever order its threads arrive;
with ``train.deterministic`` PyTorch takes the gradient apart into indexed sums instead, several times slower in 2-D,
and refuses it in 3-D. For a factor that is even the gradient is a short sum of shifted slices along each axis, always
in one order.

With ``align_corners=False`` voxel j of the result lies at (j + ½) / f − ½ among the voxels of the tensor, and takes of
each of them the share 1 − |distance| where that is positive; beyond the border the border voxel goes on. So voxel i
gets the gradients of the 2f voxels that lie around it, each by that share, mirrored where the border is between.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def enlarge(tensor: Tensor, factor: int) -> Tensor:
    """(B, C, *S) -> (B, C, *factor·S), linear between voxel centres."""
    if _must_repeat(tensor) and factor % 2 == 0:
        enlarged: Tensor = RepeatingEnlargement.apply(tensor, factor)  # type: ignore[no-untyped-call]
        return enlarged
    return F.interpolate(tensor, scale_factor=float(factor), mode=_mode(tensor), align_corners=False)


def _must_repeat(tensor: Tensor) -> bool:
    """Whether PyTorch's own gradient would be slow or refused."""
    return tensor.device.type == "cuda" and torch.are_deterministic_algorithms_enabled() and tensor.requires_grad


def _mode(tensor: Tensor) -> str:
    return "bilinear" if tensor.dim() == 4 else "trilinear"


class RepeatingEnlargement(torch.autograd.Function):
    """Enlargement by an even factor; see the module."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, factor: int) -> Tensor:  # noqa: ANN401 - PyTorch's
        """PyTorch's own kernel, past ``F.interpolate``, which would take it apart."""
        ctx.factor = factor
        factors = [float(factor)] * (tensor.dim() - 2)
        kernel = torch.ops.aten.upsample_bilinear2d if tensor.dim() == 4 else torch.ops.aten.upsample_trilinear3d
        enlarged: Tensor = kernel.vec(tensor, None, False, factors)
        return enlarged

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """(B, C, *factor·S) -> (B, C, *S), along one axis after the other, in float32 at least."""
        summed = gradient if gradient.dtype == torch.float64 else gradient.float()
        for axis in range(2, gradient.dim()):
            summed = _gathered(summed, axis, ctx.factor)
        return summed.to(gradient.dtype), None


def _gathered(gradient: Tensor, axis: int, factor: int) -> Tensor:
    """The gradients of one axis: those of the 2·factor voxels around each, each by its share."""
    n, reach = gradient.shape[axis], factor // 2
    below, above = gradient.narrow(axis, 0, reach), gradient.narrow(axis, n - reach, reach)
    around = torch.cat((below.flip(axis), gradient, above.flip(axis)), dim=axis)
    total = None
    for place in range(2 * factor):
        share = 1 - abs((place + 0.5) / factor - 1)
        taken = around.narrow(axis, place, n - factor + 1)
        each = taken[(slice(None),) * axis + (slice(None, None, factor),)] * share
        total = each if total is None else total + each
    assert total is not None
    return total
