"""Sections of what was made ready, to be looked at: two volumes as one chessboard, and the outline of the brain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid
from glioseg.io.load import Voxels
from glioseg.preparation.oblique import brought
from glioseg.preparation.options import PLANE_ORIENTATIONS

Picture = npt.NDArray[np.float32]
_FIELD_MM = 22.0
_STEP_MM = 1.0
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class PlaneSections:
    """Sections in three planes.

    Args:
        title: what they show.
        before: plane -> (rows, columns) 0..1, by the headers; empty where there is no before.
        after: the same as it is now.
        outlines: plane -> bool (rows, columns), what is outlined; empty where nothing is.
    """

    title: str
    before: dict[str, Picture]
    after: dict[str, Picture]
    outlines: dict[str, npt.NDArray[np.bool_]]


def views_of(title: str, fixed: Voxels, moving: npt.NDArray[Any], headers: Grid, there: Grid) -> PlaneSections:
    """Chessboards of two volumes through the middle of the first.

    Args:
        title: what they show.
        fixed: the volume that the other was registered to.
        moving: (X, Y, Z), the other.
        headers: where its headers put it.
        there: where it was found to lie.
    """
    before, after = {}, {}
    for plane, section in _sections(fixed.grid).items():
        fixed_section = _scaled(_section(fixed.array, fixed.grid, section))
        before[plane] = _chessboard(fixed_section, _scaled(_section(moving, headers, section)))
        after[plane] = _chessboard(fixed_section, _scaled(_section(moving, there, section)))
    return PlaneSections(title, before, after, {})


def brain_view(title: str, scan: Voxels, mask: npt.NDArray[np.bool_]) -> PlaneSections:
    """A scan with the outline of its brain."""
    sections = _sections(scan.grid)
    after = {plane: _scaled(_section(scan.array, scan.grid, each)) for plane, each in sections.items()}
    masks = {plane: _section(mask, scan.grid, each) > 0.5 for plane, each in sections.items()}
    return PlaneSections(title, {}, after, masks)


def _sections(grid: Grid) -> dict[str, Grid]:
    """Plane -> a grid of one slice through the middle, with voxels of 1 mm in the plane."""
    sections: dict[str, Grid] = {}
    for plane, codes in PLANE_ORIENTATIONS.items():
        turned = grid.with_orientation(codes)
        fine = turned.with_spacing((_STEP_MM, _STEP_MM, turned.spacing_mm[2]))
        middle = fine.shape[2] // 2
        sections[plane] = fine.cropped(((0, fine.shape[0]), (0, fine.shape[1]), (middle, middle + 1)))
    return sections


def _section(array: npt.NDArray[Any], grid: Grid, section: Grid) -> Picture:
    return brought(array[None].astype(np.float32), grid, section)[0, :, :, 0].T


def _scaled(picture: Picture) -> Picture:
    """Between its darkest and nearly its brightest, as 0..1."""
    low, high = np.percentile(picture, (1, 99.5))
    if high - low <= _ROUNDING * max(abs(low), abs(high)):
        return np.zeros_like(picture)
    return np.asarray(((picture - low) / (high - low)).clip(0, 1), dtype=np.float32)


def _chessboard(one: Picture, other: Picture) -> Picture:
    rows, columns = np.indices(one.shape) // int(_FIELD_MM / _STEP_MM)
    return np.where((rows + columns) % 2 == 0, one, other)
