"""Changes of place: exact permutations of voxels, and one resampling for all else.

All of it happens alike to images, regions and weight maps, so that they stay aligned; images and weight maps are
interpolated linearly, regions take the nearest voxel. Beyond the border its voxels go on, in all three.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from glioseg.training.augment.table import SPLINE_REACH, AugmentTable, Floats


def to_device(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """A tensor on ``device``; a GPU is not waited for."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def permute_voxels(tensor: Tensor, table: AugmentTable) -> Tensor:
    """(B, C, *S) -> (B, C, *S): flips and quarter turns, exact, of any type; items alike go through together."""
    codes = np.column_stack([table.flips, table.turns])
    kinds, kind_of = np.unique(codes, axis=0, return_inverse=True)
    if len(kinds) == 1:
        return _permuted(tensor, kinds[0])
    result = torch.empty_like(tensor, memory_format=torch.contiguous_format)
    for number, kind in enumerate(kinds):
        rows = to_device(np.flatnonzero(kind_of.ravel() == number), tensor.device)
        result.index_copy_(0, rows, _permuted(tensor.index_select(0, rows), kind))
    return result


def _permuted(tensor: Tensor, kind: npt.NDArray[np.int64]) -> Tensor:
    axes = [axis + 2 for axis, flipped in enumerate(kind[:-1]) if flipped]
    flipped = torch.flip(tensor, axes) if axes else tensor
    return torch.rot90(flipped, int(kind[-1]), (-2, -1)) if kind[-1] else flipped


def resample(
    images: Tensor, regions: Tensor, weights: Tensor | None, table: AugmentTable
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Rotate, scale, shift and bend the items for which that was drawn, in one go; others are not touched.

    Args:
        images: (B, C, *S) float32, may be written to.
        regions: (B, R, *S) of any type.
        weights: (B, K, *S) or None.
        table: the parameters.
    """
    items = np.flatnonzero(table.resampled)
    if not len(items):
        return images, regions, weights
    device, n_channels = images.device, images.shape[1]
    rows = to_device(items, device)
    points = sampling_points(table, items, device)
    linear = images.index_select(0, rows)
    if weights is not None:
        linear = torch.cat((linear, weights.index_select(0, rows).float()), dim=1)
    linear = _sample(linear, points, "bilinear")
    nearest = _sample(regions.index_select(0, rows).float(), points, "nearest").to(regions.dtype)
    if weights is not None:
        weights = weights.index_copy(0, rows, linear[:, n_channels:].to(weights.dtype))
    return images.index_copy(0, rows, linear[:, :n_channels]), regions.index_copy(0, rows, nearest), weights


def _sample(tensor: Tensor, points: Tensor, mode: str) -> Tensor:
    return F.grid_sample(tensor, points, mode=mode, padding_mode="border", align_corners=False)


def sampling_points(table: AugmentTable, rows: npt.NDArray[np.intp], device: torch.device) -> Tensor:
    """Where each voxel of the result is taken from: (B', *S, n) in ``grid_sample``'s coordinates, (x, y[, z]) last.

    These run from -1 to 1 between the outer borders of an axis. Bending comes first, so that a bend that does not fold
    the image does not fold it after a scaling either.
    """
    size = table.size
    centres = [(2 * torch.arange(length, device=device) + 1) / length - 1 for length in size]
    points = torch.stack(torch.meshgrid(*centres, indexing="ij"), dim=0)[None].expand(
        len(rows), *(-1,) * (len(size) + 1)
    )
    if table.bends[rows].any():
        # a share of an axis is two shares of its half
        points = points + 2 * spline(to_device(table.bends[rows], device), size)
    matrix = to_device(inverse_affine(table, rows), device)
    flat = points.flatten(2)  # (B', n, voxels), n in the order of the tensor's axes
    sources = torch.baddbmm(matrix[:, :, -1:], matrix[:, :, :-1], flat)
    return sources.flip(1).transpose(1, 2).reshape(len(rows), *size, len(size))


def inverse_affine(table: AugmentTable, rows: npt.NDArray[np.intp]) -> Floats:
    """(B', n, n + 1): from a voxel of the result to where it is taken from, both in shares of half an axis.

    The content moves by ``v -> scale · R v + shift``, in voxels from the centre; this is the way back.
    """
    half = np.asarray(table.size, dtype=np.float64) / 2
    back = np.stack([rotation(angles).T for angles in table.angles[rows]]) / table.scales[rows, None, None]
    back = back * half[None, None, :] / half[None, :, None]
    offset = -(back @ (2 * table.shifts[rows, :, None]))
    return np.concatenate([back, offset], axis=2).astype(np.float32)


def rotation(angles: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(n, n) matrix on (y, x) or (z, y, x) in voxels; angles in degrees: one, or those in the planes yx, zx, zy.

    A positive angle in the plane of height and width turns counter-clockwise on a screen, where y runs down.
    """
    n_axes = 2 if len(angles) == 1 else 3
    matrix = np.eye(n_axes)
    planes = [(0, 1)] if n_axes == 2 else [(1, 2), (0, 2), (0, 1)]
    for angle, (first, second) in zip(angles, planes, strict=True):
        sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        step = np.eye(n_axes)
        step[first, first] = step[second, second] = cosine
        step[first, second], step[second, first] = -sine, sine
        matrix = matrix @ step
    return matrix


def spline(points: Tensor, size: tuple[int, ...]) -> Tensor:
    """(B, C, k, …) control points of uniform cubic B-splines -> (B, C, *size) their values at the voxels' centres."""
    values = points
    for axis, length in enumerate(size, start=2):
        basis = spline_basis(length, points.shape[axis] - SPLINE_REACH, points.device)
        values = torch.movedim(torch.movedim(values, axis, -1) @ basis.T, -1, axis)
    return values


def spline_basis(length: int, cells: int, device: torch.device) -> Tensor:
    """(length, cells + 3): the share of each control point at each voxel's centre; shares of a voxel add up to 1."""
    place = (torch.arange(length, dtype=torch.float64) + 0.5) * cells / length  # on the processor: MPS has no float64
    distance = place[:, None] + 1 - torch.arange(cells + SPLINE_REACH)
    far = (2 - distance.abs()).clamp(min=0) ** 3 / 6
    near = (1 - distance.abs()).clamp(min=0) ** 3 * 4 / 6
    return (far - near).float().to(device)
