"""Voxels between grids that are turned against each other, as volumes of a head are that was moved.

Where axes are parallel, ``resample`` does it, exactly. Else values are interpolated linearly between the eight nearest
voxels; where the target's voxels are larger than the source's, the source is first brought to their size on its own
axes, and where the source's are finer than that, nothing is skipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.core import Grid
from glioseg.core.grid import Affine
from glioseg.errors import GeometryError
from glioseg.preparation.resample import are_parallel, resample_array

Array = npt.NDArray[Any]
_MUCH = 1.25
"""Voxels that are larger than others by less than this factor are as good as theirs."""


def moved(grid: Grid, matrix: Affine) -> Grid:
    """The grid in another world.

    Args:
        grid: in mm.
        matrix: (4, 4), rigid: mm of the other world -> mm of the grid's own.
    """
    placed = np.asarray(np.linalg.solve(matrix, grid.affine), dtype=np.float64)
    return Grid(grid.shape, placed, grid.has_mm)


def brought(array: Array, source: Grid, target: Grid) -> npt.NDArray[np.float32]:
    """Channels on another grid, whatever way it is turned, linearly; 0 outside the source.

    Args:
        array: (C, X, Y, Z) on ``source``.
        source: where its voxels lie.
        target: where they should lie.

    Returns:
        (C, X', Y', Z') float32.

    Raises:
        GeometryError: one of the grids has millimetres and the other has not.
    """
    if are_parallel(source, target):
        return np.asarray(resample_array(array, source, target, "linear"), dtype=np.float32)
    if not (source.has_mm and target.has_mm):
        raise GeometryError("one of two grids has millimetres and the other has not")
    fine = target.with_spacing(_finer(target, _along(source, target)))
    if fine.shape != target.shape:  # the target's voxels are larger: fine ones are averaged
        return np.asarray(resample_array(brought(array, source, fine), fine, target, "linear"), dtype=np.float32)
    return _interpolated(array, source, target)


def _finer(grid: Grid, steps_mm: list[float]) -> list[float]:
    return [mm if spacing > _MUCH * mm else spacing for spacing, mm in zip(grid.spacing, steps_mm, strict=True)]


def _coarser(grid: Grid, steps_mm: list[float]) -> list[float]:
    return [mm if mm > _MUCH * spacing else spacing for spacing, mm in zip(grid.spacing, steps_mm, strict=True)]


def _along(source: Grid, target: Grid) -> list[float]:
    """The distance between the source's voxels along each axis of the target, 1 mm or more."""
    axes = target.affine[:3, :3] / np.asarray(target.spacing)
    steps = np.abs(np.linalg.inv(source.affine)[:3, :3] @ axes).max(axis=0)
    return [max(1.0, float(1 / step)) for step in steps]


def _interpolated(array: Array, source: Grid, target: Grid) -> npt.NDArray[np.float32]:
    coarse = source.with_spacing(_coarser(source, _along(target, source)))
    values = resample_array(array, source, coarse, "linear")
    to_source = np.linalg.solve(coarse.affine, target.affine)
    channels = np.empty((len(array), *target.shape), dtype=np.float32)
    for channel, volume in zip(channels, values, strict=True):
        ndimage.affine_transform(
            volume.astype(np.float32),
            to_source[:3, :3],
            to_source[:3, 3],
            output_shape=target.shape,
            output=channel,
            order=1,
            mode="grid-constant",
            prefilter=False,
        )
    return channels
