"""Moving voxels from one grid to another: crops, pads, flips, permutations and resizings, and the way back.

Everything is a function of two grids, the one that the voxels lie on and the one they should lie on, so that the way
from the native to the working grid and the way back are the same code. The grids' axes must be parallel (whatever the
order and direction), which holds for every operation of ``core.Grid``. Then each axis is handled alone:

- where the voxels of both grids coincide, values are copied, bit for bit and in their own type;
- ``linear`` interpolates between the two nearest centres and, where the target's voxels are larger, weighs with a
  triangle of twice their size, which keeps fine detail from aliasing;
- ``nearest`` takes the voxel that a centre lies in;
- ``share`` gives the share of each target voxel's size that the source's voxels cover: of a 0/1 mask, how much of the
  voxel lies inside.

A target voxel whose centre lies outside the extent of the source (its outer voxel **faces**) is 0; between the outer
centre and the face the outer value goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
from scipy import sparse

from glioseg.core import Grid, Image, LabelMap
from glioseg.errors import GeometryError

Kind = Literal["linear", "nearest", "share"]
Array = npt.NDArray[Any]

_TOLERANCE = 1e-4
"""Voxels; rounding of affines stays far below, and no one can see it."""


@dataclass(frozen=True)
class _AxisMap:
    """How the voxels along one axis of the target come about.

    Args:
        source_axis: the axis of the source that runs along it.
        index: (n,) which source voxel each target voxel copies, -1 for none; or None, and
        weights: (n, n_source) sparse float32, what share each source voxel has in each target voxel.
    """

    source_axis: int
    index: npt.NDArray[np.int64] | None
    weights: sparse.csr_array | None


@overload
def resample(volume: Image, target: Grid) -> Image: ...
@overload
def resample(volume: LabelMap, target: Grid) -> LabelMap: ...
def resample(volume: Image | LabelMap, target: Grid) -> Image | LabelMap:
    """An image on another grid, linearly; a label map by the nearest voxel: the type decides.

    Raises:
        GeometryError: the axes of the two grids are not parallel, or one has millimetres and the other has not.
    """
    if isinstance(volume, Image):
        return Image(resample_array(volume.array, volume.grid, target, "linear"), volume.modalities, target)
    moved = resample_array(volume.array[None], volume.grid, target, "nearest")[0]
    return LabelMap(moved, volume.scheme, target)


def resample_array(array: Array, source: Grid, target: Grid, kind: Kind) -> Array:
    """Channels on another grid.

    Args:
        array: (C, X, Y, Z) on ``source``; probabilities, modalities or masks.
        source: where its voxels lie.
        target: where they should lie.
        kind: see above.

    Returns:
        (C, X', Y', Z'): the array's own type where values are copied, else float32. May be a view of ``array``. Its
        memory runs fastest along X, as image files do.

    Raises:
        GeometryError: as ``resample``, or the array does not lie on ``source``.
    """
    if array.shape[1:] != source.shape:
        raise GeometryError("the array does not lie on its grid", found=array.shape, expected=("C", *source.shape))
    maps = _axis_maps(source, target, kind)
    moved = array.transpose(0, *(axis_map.source_axis + 1 for axis_map in maps))
    moved = moved.transpose(0, 3, 2, 1)  # slices first: rows of pixels lie together in memory
    for axis, axis_map in ((3, maps[0]), (2, maps[1]), (1, maps[2])):
        if axis_map.index is not None:
            moved = _select(moved, axis_map.index, axis)
    x, y, z = (axis_map.weights for axis_map in maps)
    if z is not None and z.shape[0] < z.shape[1]:
        moved, z = _weigh_slices(moved, z), None  # fewer slices to be worked on below
    if x is not None or y is not None:
        moved = _weigh_planes(moved, x, y)
    if z is not None:
        moved = _weigh_slices(moved, z)
    return moved.transpose(0, 3, 2, 1)


def is_exact(source: Grid, target: Grid) -> bool:
    """Whether every voxel of ``target`` inside ``source`` coincides with one of its voxels, so that values are copied.

    Raises:
        GeometryError: as ``resample``.
    """
    return all(axis_map.weights is None for axis_map in _axis_maps(source, target, "linear"))


def are_parallel(source: Grid, target: Grid) -> bool:
    """Whether the axes of two grids are parallel, whatever their order and direction."""
    to_source = np.asarray(np.linalg.solve(source.affine, target.affine), dtype=np.float64)
    return _matching_axes(to_source[:3, :3], target) is not None


def _matching_axes(turn: npt.NDArray[np.float64], target: Grid) -> list[int] | None:
    """The axis of the source that runs along each of the target; None where they are not parallel."""
    axes = [int(axis) for axis in np.abs(turn).argmax(axis=0)]
    straight = np.zeros_like(turn)
    for axis, source_axis in enumerate(axes):
        straight[source_axis, axis] = turn[source_axis, axis]
    # the parts off the straight axes, grown to the far end of the grid: where a tilt would move a voxel the furthest
    bent = np.abs((turn - straight) * np.asarray(target.shape)).max()
    return axes if sorted(axes) == [0, 1, 2] and bent <= _TOLERANCE * 10 else None


def _axis_maps(source: Grid, target: Grid, kind: Kind) -> list[_AxisMap]:
    """One map for each axis of the target: X, Y, Z."""
    if source.has_mm != target.has_mm:
        raise GeometryError("one of two grids has millimetres and the other has not")
    # target index -> mm -> source index: source.affine^-1 · target.affine, solved since an inverse would round twice
    to_source = np.asarray(np.linalg.solve(source.affine, target.affine), dtype=np.float64)
    turn = to_source[:3, :3]
    axes = _matching_axes(turn, target)
    if axes is None:
        raise GeometryError(
            "the axes of two grids are not parallel",
            found=f"orientation {source.orientation} and {target.orientation}",
            remedy="Resample the scan to the grid of its other modalities first",
        )
    maps = []
    for axis, source_axis in enumerate(axes):
        centres = turn[source_axis, axis] * np.arange(target.shape[axis]) + to_source[source_axis, 3]
        size = abs(float(turn[source_axis, axis]))
        maps.append(_axis_map(source_axis, source.shape[source_axis], centres, size, kind))
    return maps


def _axis_map(source_axis: int, n_source: int, centres: npt.NDArray[np.float64], size: float, kind: Kind) -> _AxisMap:
    """For target voxels of ``size`` around ``centres``, both in voxels of the source.

    With d the distance from a target's centre to a source's, in voxels of the source, and s the size:

    - ``linear``: w(d) = max(0, 1 - d / max(s, 1)). For s <= 1 that is linear interpolation between two centres. For
      s > 1 the same triangle, s times as wide, is a low-pass that passes what the coarser grid can hold; plain
      interpolation would skip voxels and alias.
    - ``share``: the length that [−s/2, s/2] and [d − 1/2, d + 1/2] have in common, (s + 1) / 2 − d, which is at least 0
      and at most the shorter of the two, min(s, 1).

    Weights are divided by their sum, so that near the border, where part of the triangle lies outside, a constant
    stays the constant that it is.
    """
    inside = (centres >= -0.5 - _TOLERANCE) & (centres <= n_source - 0.5 + _TOLERANCE)
    whole = abs(size - 1.0) <= _TOLERANCE and np.abs(centres - np.rint(centres)).max() <= _TOLERANCE
    if whole or kind == "nearest":
        # a centre on the face between two voxels goes to the upper one always; rint would send it to the even one,
        # now up and now down, and doubled voxels would come out of unequal width
        index = np.rint(centres) if whole else np.floor(centres + 0.5)
        return _AxisMap(source_axis, np.where(inside, index.clip(0, n_source - 1), -1).astype(np.int64), None)
    if kind == "linear":
        distance = np.abs(centres.clip(0, n_source - 1)[:, None] - np.arange(n_source))
        weights = np.clip(1.0 - distance / max(size, 1.0), 0.0, None)
    else:
        distance = np.abs(centres[:, None] - np.arange(n_source))
        weights = np.clip((size + 1.0) / 2 - distance, 0.0, min(size, 1.0))
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    weights[~inside] = 0.0
    return _AxisMap(source_axis, None, sparse.csr_array(weights.astype(np.float32)))


def _select(array: Array, index: npt.NDArray[np.int64], axis: int) -> Array:
    """Copy voxels along ``axis``; 0 where the index is -1. A view where the index runs without gaps."""
    before: tuple[slice, ...] = (slice(None),) * axis
    inside = index >= 0
    steps = set(np.diff(index).tolist())
    if inside.all() and steps <= {1}:
        view: Array = array[(*before, slice(index[0], index[-1] + 1))]
        return view
    if inside.all() and steps <= {-1}:
        view = array[(*before, slice(index[-1], index[0] + 1))]
        return np.flip(view, axis)
    selected = np.zeros((*array.shape[:axis], len(index), *array.shape[axis + 1 :]), dtype=array.dtype)
    np.moveaxis(selected, axis, 0)[inside] = np.moveaxis(array, axis, 0)[index[inside]]
    return selected


def _weigh_slices(array: Array, weights: sparse.csr_array) -> Array:
    """(C, Z, Y, X) times (n, Z): each new slice a sum of old ones."""
    return np.stack([(weights @ channel.reshape(len(channel), -1)) for channel in array.astype(np.float32)]).reshape(
        len(array), -1, *array.shape[2:]
    )


def _weigh_planes(array: Array, columns: sparse.csr_array | None, rows: sparse.csr_array | None) -> Array:
    """(C, Z, Y, X) times (n_columns, X) and (n_rows, Y), slice by slice, which stays within the processor's cache.

    Sparse products are used since dense ones (BLAS) start threads that wait for each other at every slice.
    """
    channels, slices, n_rows, n_columns = array.shape
    n_columns = n_columns if columns is None else columns.shape[0]
    n_rows = n_rows if rows is None else rows.shape[0]
    planes = np.empty((channels, slices, n_rows, n_columns), dtype=np.float32)
    for channel, z in np.ndindex(channels, slices):
        plane = array[channel, z].astype(np.float32)
        if rows is not None:
            plane = rows @ plane
        planes[channel, z] = plane if columns is None else (columns @ plane.T).T
    return planes
