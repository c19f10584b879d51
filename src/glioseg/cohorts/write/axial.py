"""Axial slices of a case as pictures show them: columns grow to the patient's left, rows to the back."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid

_Any = TypeVar("_Any", bound=np.generic)
_BRIGHTEST_PERCENT = 99.9


def as_axial(array: npt.NDArray[_Any], grid: Grid) -> npt.NDArray[_Any]:
    """A view of ``array`` (..., X, Y, Z) on ``grid`` whose last axes grow to left, posterior and superior.

    Pictures, whose orientation is not known, stay as they are.
    """
    if not grid.has_mm:
        return array
    to_world = grid.axis_directions
    order = [next(axis for axis in range(3) if to_world[axis][0] == world) for world in range(3)]
    wanted_sign = (-1, -1, 1)
    ahead = array.ndim - 3
    turned = array.transpose(*range(ahead), *(ahead + axis for axis in order))
    flips = [slice(None, None, 1 if to_world[order[world]][1] == wanted_sign[world] else -1) for world in range(3)]
    x, y, z = flips
    return turned[..., x, y, z]


def axial_spacing(grid: Grid) -> float | None:
    """Distance of the axial slices in mm; None for pictures."""
    if not grid.has_mm:
        return None
    return next(step for step, (world, _) in zip(grid.spacing, grid.axis_directions, strict=True) if world == 2)


def to_8_bit(volume: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Intensities as 0..255: the darkest voxel black, the brightest 0.1 % of those above it white."""
    low = float(volume.min())
    above = volume[volume > low]
    high = float(np.percentile(above, _BRIGHTEST_PERCENT)) if above.size else low
    if high <= low:
        return np.zeros(volume.shape, dtype=np.uint8)
    scaled = (volume.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    grey: npt.NDArray[np.uint8] = np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)
    return grey


def fitted(volume: npt.NDArray[np.uint8], size: int, *, linear: bool) -> npt.NDArray[np.uint8]:
    """The slices of (X, Y, Z) on ``size`` x ``size`` pixels: enlarged by a whole factor as far as it goes, and padded.

    Larger slices are reduced to fit. A factor of 1 leaves the pixels as they are.

    Args:
        volume: slices along Z.
        size: pixels along X and Y of the result.
        linear: interpolate linearly (images) or take the nearest pixel (masks).
    """
    longest = max(volume.shape[:2])
    factor = float(size // longest) if longest <= size else size / longest
    shape = [max(1, round(n * factor)) for n in volume.shape[:2]]
    if factor == 1.0:
        scaled = volume
    elif linear:
        rows, columns = (_linear(n, m) for n, m in zip(volume.shape[:2], shape, strict=True))
        scaled = np.rint(np.einsum("ax,xyz,by->abz", rows, volume.astype(np.float32), columns, optimize=True))
        scaled = scaled.astype(np.uint8)
    else:
        nearest = [_nearest(n, m) for n, m in zip(volume.shape[:2], shape, strict=True)]
        scaled = volume[np.ix_(*nearest)]
    fitted_slices = np.zeros((size, size, volume.shape[2]), dtype=np.uint8)
    x, y = ((size - n) // 2 for n in shape)
    fitted_slices[x : x + shape[0], y : y + shape[1]] = scaled
    return fitted_slices


def _centres(n_old: int, n_new: int) -> npt.NDArray[np.float64]:
    """The centres of ``n_new`` pixels over the extent of ``n_old``, in old pixel indices."""
    return np.clip((np.arange(n_new) + 0.5) * n_old / n_new - 0.5, 0, n_old - 1)


def _linear(n_old: int, n_new: int) -> npt.NDArray[np.float32]:
    """The (new, old) matrix of linear interpolation."""
    centres = _centres(n_old, n_new)
    return np.maximum(0.0, 1.0 - np.abs(centres[:, None] - np.arange(n_old)[None, :])).astype(np.float32)


def _nearest(n_old: int, n_new: int) -> npt.NDArray[np.intp]:
    return np.floor(_centres(n_old, n_new) + 0.5).astype(np.intp)
