"""Changes of intensity, each to those channels only for which it was drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glioseg.training.augment.geometry import spline, to_device
from glioseg.training.augment.table import AugmentTable


@dataclass(frozen=True)
class Statistics:
    """Of each channel, (B·C, 1, …): ``mean`` and ``deviation`` over voxels that are not 0, and the extremes."""

    mean: Tensor
    deviation: Tensor
    lowest: Tensor
    highest: Tensor


def change_intensities(images: Tensor, table: AugmentTable) -> Tensor:
    """(B, C, *S) float32 -> the same with the table's changes; ``images`` may be written to.

    What is exactly 0 stays 0. The order: gamma, bias field, contrast, brightness, blur, low resolution, noise; what the
    anatomy and the scanner's coil do first, then what the image's resolution does, then the noise.
    """
    sizes = (table.gammas, 1), (table.biases, 0), (table.contrasts, 1), (table.brightnesses, 0), (table.noises, 0)
    if any((values != neutral).any() for values, neutral in sizes):
        statistics = _statistics(images)
    elif not ((table.blurs != 0).any() or (table.low_resolutions != 1).any()):
        return images
    else:
        statistics = None
    outside = images == 0
    channels = images.flatten(0, 1)
    if statistics is not None:
        channels = _gamma(channels, table, statistics)
        channels = _bias_contrast_brightness(channels, table, statistics)
    channels = _smooth(channels, table.blurs, 0, gaussian_operator)
    channels = _smooth(channels, table.low_resolutions, 1, averaging_operator)
    if statistics is not None:
        channels = _noise(channels, table, statistics)
    return channels.view_as(images).masked_fill_(outside, 0)


def take_away(images: Tensor, table: AugmentTable) -> Tensor:
    """(B, C, *S), written to: channels that became zeros or copies of another."""
    sources = table.sources
    channels = images.flatten(0, 1)
    identity = np.arange(sources.shape[1])
    zeroed = np.flatnonzero(sources.ravel() < 0)
    copied = np.flatnonzero(((sources >= 0) & (sources != identity)).ravel())
    if len(copied):
        first = (copied // sources.shape[1]) * sources.shape[1]
        source_rows = to_device(first + sources.ravel()[copied], images.device)
        channels.index_copy_(0, to_device(copied, images.device), channels.index_select(0, source_rows))
    if len(zeroed):
        channels.index_fill_(0, to_device(zeroed, images.device), 0.0)
    return images


def _statistics(images: Tensor) -> Statistics:
    flat = images.flatten(2).flatten(0, 1)
    shape = (-1, *(1,) * (images.dim() - 2))
    n_inside = torch.count_nonzero(flat, dim=1).clamp(min=1)
    mean = flat.sum(dim=1) / n_inside
    variance = flat.square().sum(dim=1) / n_inside - mean.square()
    lowest, highest = torch.aminmax(flat, dim=1)
    deviation = variance.clamp(min=0).sqrt()
    return Statistics(*(value.view(shape) for value in (mean, deviation, lowest, highest)))


def _rows(values: npt.NDArray[np.generic], neutral: float) -> npt.NDArray[np.intp]:
    """(B, C, …) -> the numbers b · C + c of the channels for which something else than ``neutral`` was drawn."""
    flat = values.reshape(values.shape[0] * values.shape[1], -1)
    return np.flatnonzero((flat != neutral).any(axis=1))


def _on_rows(channels: Tensor, rows: npt.NDArray[np.intp], change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``change(selected channels, their numbers)`` put back into its place."""
    if not len(rows):
        return channels
    numbers = to_device(rows, channels.device)
    if len(rows) == len(channels):
        return change(channels, numbers)
    return channels.index_copy_(0, numbers, change(channels.index_select(0, numbers), numbers))


def _column(values: npt.NDArray[np.generic], rows: npt.NDArray[np.intp], like: Tensor) -> Tensor:
    """The parameters of ``rows``, one for each channel, to go with (B·C, *S)."""
    return to_device(values.ravel()[rows], like.device).view(-1, *(1,) * (like.dim() - 1))


def _gamma(channels: Tensor, table: AugmentTable, statistics: Statistics) -> Tensor:
    rows = _rows(table.gammas, 1)

    def change(selected: Tensor, numbers: Tensor) -> Tensor:
        lowest, highest = statistics.lowest[numbers], statistics.highest[numbers]
        extent = (highest - lowest).clamp(min=1e-12)
        share = selected.sub_(lowest).div_(extent).clamp_(0, 1)
        return share.pow_(_column(table.gammas, rows, selected)).mul_(extent).add_(lowest)

    return _on_rows(channels, rows, change)


def _bias_contrast_brightness(channels: Tensor, table: AugmentTable, statistics: Statistics) -> Tensor:
    """All three are ``x · a + b`` at each voxel, with a field for a where there is a bias field."""
    even = np.stack([table.contrasts != 1, table.brightnesses != 0]).any(axis=0)
    uneven = _rows(table.biases, 0)
    channels = _on_rows(
        channels, uneven, lambda selected, numbers: _under_bias(selected, table, uneven, statistics, numbers)
    )
    rows = np.flatnonzero(even.ravel())

    def change(selected: Tensor, numbers: Tensor) -> Tensor:
        contrast = _column(table.contrasts, rows, selected)
        brighter = _column(table.brightnesses, rows, selected) * statistics.deviation[numbers]
        offset = statistics.mean[numbers] * (1 - contrast) + brighter
        return selected.mul_(contrast).add_(offset)

    return _on_rows(channels, rows, change)


def _under_bias(
    selected: Tensor, table: AugmentTable, rows: npt.NDArray[np.intp], statistics: Statistics, numbers: Tensor
) -> Tensor:
    points = table.biases.reshape(-1, 1, *table.biases.shape[2:])[rows]
    field = spline(to_device(points, selected.device), table.size)[:, 0].exp_()
    lowest = statistics.lowest[numbers]
    return selected.sub_(lowest).mul_(field).add_(lowest)


def _noise(channels: Tensor, table: AugmentTable, statistics: Statistics) -> Tensor:
    rows = _rows(table.noises, 0)

    def change(selected: Tensor, numbers: Tensor) -> Tensor:
        noise = _drawn_noise(table, rows, selected)
        return selected.add_(noise.mul_(_column(table.noises, rows, selected) * statistics.deviation[numbers]))

    return _on_rows(channels, rows, change)


def _drawn_noise(table: AugmentTable, rows: npt.NDArray[np.intp], like: Tensor) -> Tensor:
    """Standard normal noise for the channels ``rows``; for a part of a batch, that which they have in the whole."""
    source = torch.Generator(like.device).manual_seed(table.noise_seed)
    if table.noise_places is None:
        return torch.randn(like.shape, generator=source, device=like.device)
    whole = torch.randn((table.n_noises, *like.shape[1:]), generator=source, device=like.device)
    return whole.index_select(0, to_device(table.noise_places.ravel()[rows], like.device))


Operator = Callable[[Tensor, int], Tensor]


def _smooth(channels: Tensor, values: npt.NDArray[np.float32], neutral: float, operator: Operator) -> Tensor:
    """Apply a linear operator of one axis along each axis in turn, as products of matrices: one for each channel."""
    rows = _rows(values, neutral)

    def change(selected: Tensor, _: Tensor) -> Tensor:
        strength = to_device(values.ravel()[rows], selected.device)
        matrices: dict[int, Tensor] = {}
        for axis in range(1, selected.dim()):
            length = selected.shape[axis]
            if length not in matrices:
                matrices[length] = operator(strength, length)
            selected = _along(selected, matrices[length], axis)
        return selected

    return _on_rows(channels, rows, change)


def _along(channels: Tensor, matrices: Tensor, axis: int) -> Tensor:
    """(N, *S), (N, L, L) -> (N, *S): each channel's matrix applied along ``axis``."""
    if axis == channels.dim() - 1:
        return torch.bmm(channels.flatten(1, -2), matrices.transpose(1, 2)).view_as(channels)
    n_after = channels[0].numel() // channels.shape[1:axis].numel() // channels.shape[axis]
    layers = channels.reshape(len(channels), -1, channels.shape[axis], n_after)
    return (matrices[:, None] @ layers).view_as(channels)


def gaussian_operator(sigmas: Tensor, length: int) -> Tensor:
    """(N,) sigmas in voxels -> (N, L, L): rows of Gaussian weights that add up to 1, also at the border."""
    place = torch.arange(length, device=sigmas.device, dtype=torch.float32)
    squares = (place[:, None] - place).square_()
    exponents = squares * (-0.5 / sigmas.clamp(min=1e-3).square()).view(-1, 1, 1)
    weights = exponents.clamp_(min=-80).exp_()  # below are numbers so small that processors are slow with them
    return weights / weights.sum(dim=2, keepdim=True)


def averaging_operator(factors: Tensor, length: int) -> Tensor:
    """(N,) factors -> (N, L, L): the mean over ``round(L / factor)`` larger voxels, then linear interpolation back."""
    n_large = (length / factors).round().clamp(min=1).view(-1, 1, 1)
    width = length / n_large
    place = torch.arange(length, device=factors.device, dtype=torch.float32)
    # where the centre of each voxel lies among the centres of the larger ones
    target = ((place.view(1, -1, 1) + 0.5) / width - 0.5).clamp(min=0).minimum(n_large - 1)
    below = target.floor()
    share = target - below
    return (1 - share) * _within(below, width, place) + share * _within((below + 1).minimum(n_large - 1), width, place)


def _within(large: Tensor, width: Tensor, place: Tensor) -> Tensor:
    """(N, L, 1) numbers of larger voxels -> (N, L, L): the share that each voxel has in them."""
    start = large * width
    return ((place + 1).minimum(start + width) - place.maximum(start)).clamp_(min=0) / width
