"""Where DICOM pictures lie: the one place where LPS becomes RAS+ [1].

X grows along a row (the column number), Y down the columns (the row number), Z from slice to slice along the normal
(row direction × column direction), whatever the files are called or numbered.

References:
    [1] DICOM PS3.3, C.7.6.2.1.1, Image Position and Image Orientation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid
from glioseg.core.grid import LPS_TO_RAS
from glioseg.errors import GeometryError
from glioseg.io.dicom.instance import Frame

_RIGHT_ANGLE = 1e-3
_EVEN = 0.02
"""Slices that lie unevenly by less than this share of their distance do so by rounding."""
_UNEVEN = 0.1
"""By more than this they are no volume."""
_SAME_PLACE_MM = 1e-2
_SMALLEST_MM, _LARGEST_MM = 1e-2, 1e2
"""Voxels of a head that are smaller or larger are a mistake in the header."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Pictures in order, and where they lie.

    Args:
        frames: from the first to the last along the normal.
        grid: of the volume; None where they make none.
        fault: why not, in words.
        remark: what is odd of a grid that there is, in words.
    """

    frames: tuple[Frame, ...]
    grid: Grid | None
    fault: str | None = None
    remark: str | None = None


def normal_of(frame: Frame) -> npt.NDArray[np.float64] | None:
    """The direction (3,) in LPS from slice to slice; None where the header gives no sound orientation."""
    if frame.row_direction is None or frame.column_direction is None:
        return None
    row, column = np.array(frame.row_direction), np.array(frame.column_direction)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose(lengths, 1.0, atol=_RIGHT_ANGLE) or abs(float(row @ column)) > _RIGHT_ANGLE:
        return None
    normal: npt.NDArray[np.float64] = np.cross(row, column)
    return normal


def along_normal(frame: Frame) -> float | None:
    """How far along the normal a picture lies, in mm; None where the header does not say."""
    normal = normal_of(frame)
    if normal is None or frame.position is None:
        return None
    return float(normal @ np.array(frame.position))


def deepest(frames: Sequence[Frame]) -> int:
    """How many pictures lie at one place, at most; 1 where the header does not say where they lie."""
    places = sorted(place for frame in frames if (place := along_normal(frame)) is not None)
    most = run = 1
    for before, place in itertools.pairwise(places):
        run = run + 1 if place - before < _SAME_PLACE_MM else 1
        most = max(most, run)
    return most


def placed(frames: Sequence[Frame]) -> Placed:
    """Pictures of one size and orientation, each at a place of its own, as a volume."""
    places = [along_normal(frame) for frame in frames]
    if any(place is None for place in places):
        return Placed(tuple(frames), None, "its header does not say where it lies")
    if any(frame.spacing is None for frame in frames):
        return Placed(tuple(frames), None, "its header does not say how large a voxel is")
    order = np.argsort(np.array(places, dtype=np.float64), kind="stable")
    ordered = tuple(frames[index] for index in order)
    positions = np.array([frame.position for frame in ordered], dtype=np.float64)
    fault, remark = _unevenness(positions, np.array(places, dtype=np.float64)[order])
    if fault is not None:
        return Placed(ordered, None, fault)
    return _on_grid(ordered, positions, remark)


def _unevenness(positions: npt.NDArray[np.float64], places: npt.NDArray[np.float64]) -> tuple[str | None, str | None]:
    """(fault, remark) of slices (N, 3) that lie at ``places`` (N,) along the normal, ascending."""
    if len(places) < 2:
        return None, "one slice alone"
    steps = np.diff(places)
    usual = float(np.median(steps))
    if usual < _SAME_PLACE_MM:
        return "several of its pictures lie at one place", None
    n_missing = int(np.rint(steps / usual - 1).clip(0).sum())
    if n_missing:
        return f"{n_missing} of its slices {'is' if n_missing == 1 else 'are'} missing", None
    line = positions[0] + np.linspace(0, 1, len(positions))[:, None] * (positions[-1] - positions[0])
    off = float(np.linalg.norm(positions - line, axis=1).max())
    if off > _UNEVEN * usual:
        return f"its slices lie unevenly, by up to {off:.3g} mm", None
    return None, f"its slices lie unevenly, by up to {off:.3g} mm" if off > _EVEN * usual else None


def _on_grid(frames: tuple[Frame, ...], positions: npt.NDArray[np.float64], remark: str | None) -> Placed:
    """Slices (N, 3) in order as a volume, unless no scanner makes voxels of that size."""
    try:
        grid = _grid(frames, positions)
    except GeometryError:
        return Placed(frames, None, "its header places the voxels as no grid can")
    if not all(_SMALLEST_MM <= size <= _LARGEST_MM for size in grid.spacing):
        sizes = " × ".join(f"{size:.3g}" for size in grid.spacing)
        return Placed(frames, None, f"voxels of {sizes} mm, as no scanner makes them")
    return Placed(frames, grid, None, remark)


def _grid(frames: Sequence[Frame], positions: npt.NDArray[np.float64]) -> Grid:
    first = frames[0]
    rows_mm, columns_mm = first.spacing or (1.0, 1.0)
    normal = normal_of(first)
    step = (
        (positions[-1] - positions[0]) / (len(frames) - 1)
        if len(frames) > 1
        else np.asarray(normal) * (abs(first.thickness or 0.0) or 1.0)
    )
    lps = np.eye(4)
    lps[:3, 0] = np.array(first.row_direction) * columns_mm
    lps[:3, 1] = np.array(first.column_direction) * rows_mm
    lps[:3, 2] = step
    lps[:3, 3] = positions[0]
    return Grid((first.columns, first.rows, len(frames)), LPS_TO_RAS @ lps)
