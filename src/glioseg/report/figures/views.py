"""Slices as people look at them: the right way up, in the radiological convention, with true proportions.

Radiological convention: axial and coronal views are seen from the patient's feet and front, so that the patient's right
is on the left of the picture; anterior is up on axial views and superior on the others. Sagittal views have anterior on
the left. Pictures (PNG, JPEG, TIFF) have no known orientation: they are shown as published, X to the right, Y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from glioseg.core import Grid
from glioseg.errors import GeometryError

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
CONVENTION = (
    "Radiological convention: the patient's right is on the left of the picture (axial, coronal); sagittal views have "
    "anterior on the left. R right, L left, A anterior, P posterior, S superior, I inferior."
)
_COLUMNS_AND_ROWS = ((1, 2), (0, 2), (0, 1))
"""World axes (0 R, 1 A, 2 S) that run along the columns and rows of a view, by its normal."""
_ENDS = (("R", "L"), ("A", "P"), ("S", "I"))


@dataclass(frozen=True, eq=False)
class Cut:
    """One slice, ready to be shown.

    Args:
        pixels: (rows, columns), or (rows, columns, 3) of colour pictures; first row on top.
        spacing: distance between rows and between columns, in mm or pixels.
        marks: letters at the left, right, top and bottom edge; None where the orientation is unknown.
    """

    pixels: npt.NDArray[Any]
    spacing: tuple[float, float]
    marks: tuple[str, str, str, str] | None


def cut_slice(array: npt.NDArray[Any], grid: Grid, index: int, axis: int = 2) -> Cut:
    """Slice ``index`` along array axis ``axis`` of a volume (X, Y, Z) on ``grid``.

    Raises:
        GeometryError: another axis than Z of a stack of pictures, whose planes are unknown.
    """
    section = np.take(array, index, axis=axis)
    if not grid.has_mm:
        if axis != 2:
            raise GeometryError("pictures have one plane only", expected="slices along Z")
        return Cut(section.T, (1.0, 1.0), None)
    directions = grid.axis_directions
    columns_world, rows_world = _COLUMNS_AND_ROWS[directions[axis][0]]
    rest = [other for other in range(3) if other != axis]
    columns = next(other for other in rest if directions[other][0] == columns_world)
    rows = next(other for other in rest if directions[other][0] == rows_world)
    section = section if rest == [rows, columns] else section.T
    section = section[::-1] if directions[rows][1] > 0 else section
    section = section[:, ::-1] if directions[columns][1] > 0 else section
    spacing = (grid.spacing[rows], grid.spacing[columns])
    return Cut(section, spacing, (*_ENDS[columns_world], *_ENDS[rows_world]))


def display_limits(volume: npt.NDArray[Any], grid: Grid) -> tuple[float, float]:
    """The intensities that black and white stand for, the same for all slices of a volume.

    8-bit pictures are shown as they are; volumes from 0 (or their lowest value) to the 99.5th percentile of what lies
    above their background. Finite also for volumes that are constant or hold NaN.
    """
    if not grid.has_mm and volume.dtype == np.uint8:
        return 0.0, 255.0
    steps = tuple(slice(None, None, max(1, length // 64)) for length in volume.shape)
    values = volume[steps].astype(np.float64).ravel()
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low = min(float(np.percentile(values, 0.5)), 0.0) if values.min() < 0 else 0.0
    inside = values[values > values.min()]
    high = float(np.percentile(inside, 99.5)) if inside.size else float(values.max())
    return (low, high) if high > low else (low, low + 1.0)


def shade(pixels: npt.NDArray[Any], limits: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Intensities -> 0..255 between ``limits``; NaN is shown black."""
    low, high = limits
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = (pixels.astype(np.float32) - low) * (255.0 / (high - low))
    finite: npt.NDArray[np.float32] = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0)
    return np.clip(finite, 0, 255).astype(np.uint8)


def extent(cut: Cut) -> tuple[float, float]:
    """Height and width of a cut, in mm or pixels."""
    return cut.pixels.shape[0] * cut.spacing[0], cut.pixels.shape[1] * cut.spacing[1]


def fitted_size(cut: Cut, box: int, longest: float | None = None) -> tuple[int, int]:
    """(rows, columns) of a cut drawn in true proportion so that it fits a square of ``box`` pixels.

    ``longest`` is the length, in the cut's own unit, that fills the box; cuts given the same one have the same scale.
    """
    height, width = extent(cut)
    factor = box / (longest or max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def trimmed(cut: Cut, labels: Cut | None, margin: float = 0.05) -> tuple[Cut, Cut | None]:
    """A cut and its labels without the black border around what the cut shows, but for a share of it as margin.

    A cut that is all black stays as it is. Pixels are never resampled.
    """
    box = shown_box(cut, margin)
    inside = Cut(cut.pixels[box], cut.spacing, cut.marks)
    return inside, None if labels is None else Cut(labels.pixels[box], labels.spacing, labels.marks)


def shown_box(cut: Cut, margin: float = 0.05) -> tuple[slice, slice]:
    """Rows and columns of what a cut shows, with a share of it as margin; the whole cut where it is all black."""
    bright = cut.pixels if cut.pixels.ndim == 2 else cut.pixels.max(axis=2)
    rows, columns = np.flatnonzero((bright > 8).any(axis=1)), np.flatnonzero((bright > 8).any(axis=0))
    if not rows.size:
        return slice(0, bright.shape[0]), slice(0, bright.shape[1])
    extra = round(margin * max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1
    return (
        slice(max(0, int(rows[0]) - extra), int(rows[-1]) + 1 + extra),
        slice(max(0, int(columns[0]) - extra), int(columns[-1]) + 1 + extra),
    )


def fit_picture(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Grey (rows, columns) or colour (rows, columns, 3) pixels resampled smoothly to ``size``."""
    if pixels.shape[:2] == size:
        return pixels
    picture = Pillow.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(size[::-1], Pillow.Resampling.BICUBIC, reducing_gap=2.0))


def fit_labels(labels: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Integers below 256 (rows, columns) resampled to ``size`` by the nearest pixel."""
    small = np.ascontiguousarray(labels.astype(np.uint8))
    if small.shape == size:
        return small
    return np.asarray(Pillow.fromarray(small).resize(size[::-1], Pillow.Resampling.NEAREST))
