"""Layers that look at, or draw for, a whole batch whose items several processes share.

Batch normalisation takes its mean and variance over the items of all processes, and dropout drops what it would drop in
one process. PyTorch's SyncBatchNorm runs on GPUs alone; this one runs wherever gloo or NCCL does, which is how it is
tested, with PyTorch's own kernels for all but the exchange: two numbers of each channel, each way.

Source: Ioffe S, Szegedy C. Batch normalization. ICML 2015 (the gradient).
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from glioseg.training.share import BatchShare
from glioseg.training.team import Team


class Shared:
    """What the layers of a network are told of the part of the batch that is about to pass."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.part: BatchShare | None = None

    @property
    def part_at_hand(self) -> BatchShare | None:
        """The part, where this process has some of its items only."""
        return self.part if self.part is not None and self.part.is_shared else None


def share_layers(network: nn.Module, shared: Shared) -> None:
    """Let the normalisations and dropouts of a network see the whole batch; their weights stay what they are."""
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.__class__ = SharedBatchNorm
            cast(SharedBatchNorm, layer).shared = shared
        elif isinstance(layer, _DropoutNd) and not isinstance(layer, SharedDropout):
            alone, layer.__class__ = type(layer), SharedDropout
            cast(SharedDropout, layer).alone, cast(SharedDropout, layer).shared = alone, shared


class SharedBatchNorm(_BatchNorm):
    """PyTorch's batch normalisation over the items of all processes; see ``share_layers``."""

    shared: Shared

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Whatever the layer took that became this one."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name in PyTorch's own signature)
        """(B', C, *S) -> (B', C, *S), B' the items of this process."""
        part = self.shared.part_at_hand
        if not self.training or part is None:
            return super().forward(input)
        n = input.numel() // input.shape[1] // len(part.places) * part.n
        mean, variance = _statistics_of_all(input.detach(), part, self.shared.team)
        if self.track_running_stats:
            self._track(mean, variance * (n / max(n - 1, 1)))
        normalised: Tensor = _Normalised.apply(  # type: ignore[no-untyped-call]
            input, self.weight, self.bias, mean, variance, n, self.eps, self.shared.team
        )
        return normalised

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        self.running_var.lerp_(variance.to(self.running_var), share)


def _statistics_of_all(tensor: Tensor, part: BatchShare, team: Team) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) float32 of each channel over the voxels of all processes."""
    axes = (0, *range(2, tensor.dim()))
    variance, mean = torch.var_mean(tensor.float(), dim=axes, correction=0)
    theirs = team.stacked(torch.stack((mean, variance))).double()
    shares = theirs.new_tensor([len(rows) / part.n for rows in part.rows])[:, None]
    whole = (shares * theirs[:, 0]).sum(dim=0)
    spread = (shares * (theirs[:, 1] + (theirs[:, 0] - whole).square())).sum(dim=0)
    return whole.float(), spread.float()


class _Normalised(torch.autograd.Function):
    """Normalisation by a mean and a variance that depend on all items, those of other processes too."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - PyTorch's
        tensor: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        n: int,
        eps: float,
        team: Team,
    ) -> Tensor:
        """By the statistics given."""
        ctx.save_for_backward(tensor, weight, mean, variance)
        ctx.n, ctx.eps, ctx.team = n, eps, team
        return F.batch_norm(tensor, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """As if the statistics were given, less what each voxel does to them: two sums over all items [1]."""
        tensor, weight, mean, variance = ctx.saved_tensors
        plain, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, tensor, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = ctx.team.stacked(torch.stack((of_weight, of_bias)).float()).double().sum(dim=0) / ctx.n
        deviation = (variance.double() + ctx.eps).rsqrt()
        scale = deviation if weight is None else deviation * weight
        slope = -scale * sums[0] * deviation
        offset = -scale * sums[1] - slope * mean
        shape = (1, -1, *(1,) * (tensor.dim() - 2))
        through = torch.addcmul(offset.to(plain).view(shape), tensor, slope.to(plain).view(shape))
        of_affine = (of_weight, of_bias) if weight is not None else (None, None)
        return plain + through, *of_affine, None, None, None, None, None


class SharedDropout(_DropoutNd):
    """Dropout of whatever kind, by the mask that the whole batch has in one process; see ``share_layers``."""

    alone: type[_DropoutNd]
    shared: Shared

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """(B', …) -> (B', …); networks may have made several rows of an item."""
        part = self.shared.part_at_hand
        if not self.training or part is None:
            return self._drop(input)
        of_item = len(input) // len(part.places)
        whole = input.new_ones((part.n * of_item, *input.shape[1:]))
        layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(input.dim())
        if layout is not None and input.is_contiguous(memory_format=layout):
            whole = whole.contiguous(memory_format=layout)
        rows = torch.tensor(part.rows[part.own], device=input.device)
        rows = (rows[:, None] * of_item + torch.arange(of_item, device=input.device)).flatten()
        return input * self._drop(whole).index_select(0, rows)

    def _drop(self, tensor: Tensor) -> Tensor:
        dropped: Tensor = cast(Any, self.alone).forward(self, tensor)
        return dropped
