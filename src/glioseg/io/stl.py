"""The surface of a region as a binary STL file, in millimetres of the scan's own space (RAS+)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid
from glioseg.io.files import write_bytes

_HEADER = b"glioseg: millimetres, RAS+; for research use only"
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def write_stl(path: Path, mask: npt.NDArray[np.bool_], grid: Grid) -> int:
    """Write the surface half-way between voxels inside and outside; normals point outwards.

    Args:
        path: the file.
        mask: (X, Y, Z).
        grid: where it lies.

    Returns:
        the number of triangles; 0, and a file without any, where the mask is empty.

    Raises:
        GeometryError: the grid has no millimetres.
        FileError: the file cannot be written.
    """
    _ = grid.spacing_mm
    triangles = np.zeros(0, dtype=_TRIANGLE)
    if mask.any():
        corners = _corners(mask, grid)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        triangles = np.zeros(len(corners), dtype=_TRIANGLE)
        triangles["normal"], triangles["corners"] = normals / np.maximum(lengths, 1e-12), corners
    write_bytes(path, _HEADER.ljust(80) + np.uint32(len(triangles)).tobytes() + triangles.tobytes())
    return len(triangles)


def _corners(mask: npt.NDArray[np.bool_], grid: Grid) -> npt.NDArray[np.float64]:
    """(N, 3 corners, RAS mm), counter-clockwise as seen from outside."""
    from skimage.measure import marching_cubes

    inside = np.argwhere(mask)
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    box = np.pad(mask[tuple(map(slice, low, high))], 1).astype(np.float32)
    places, faces, _, _ = marching_cubes(box, 0.5, gradient_direction="ascent")
    world = (places + low - 1) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    if np.linalg.det(grid.affine[:3, :3]) < 0:
        faces = faces[:, ::-1]
    return np.asarray(world[faces], dtype=np.float64)
