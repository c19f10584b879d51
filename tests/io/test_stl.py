"""Surfaces: closed, turned outwards, of the right size at the right place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from glioseg.core import Grid
from glioseg.errors import GeometryError
from glioseg.io.stl import write_stl
from tests.fakes.dicom import oblique

SHAPE = (14, 12, 10)
TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
AFFINES = {"plain": np.diag([1.0, 1.0, 1.0, 1.0]), "left-handed": np.diag([-0.9, 1.1, 2.0, 1.0]), "oblique": oblique()}


def _read(path: Path) -> npt.NDArray[np.void]:
    content = path.read_bytes()
    (n,) = np.frombuffer(content[80:84], "<u4")
    assert len(content) == 84 + 50 * n
    return np.frombuffer(content[84:], TRIANGLE)


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_a_box_has_its_volume_and_place(affine: npt.NDArray[np.float64], tmp_path: Path) -> None:
    """A box of 8 x 6 x 4 voxels, its faces half a voxel outside the outer centres; edges and corners are cut.

    By the divergence theorem the volume is a sixth of the sum of the corners' triple products, positive where
    normals point outwards.
    """
    mask = np.zeros(SHAPE, dtype=bool)
    mask[3:11, 3:9, 3:7] = True
    write_stl(tmp_path / "box.stl", mask, Grid(SHAPE, affine))
    triangles = _read(tmp_path / "box.stl")
    corners = triangles["corners"].astype(np.float64)
    volume = np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    voxel = abs(np.linalg.det(affine[:3, :3]))
    assert 0.9 * 192 * voxel < volume < 192 * voxel
    indices = (corners.reshape(-1, 3) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    np.testing.assert_allclose(indices.min(axis=0), (2.5, 2.5, 2.5), atol=1e-4)
    np.testing.assert_allclose(indices.max(axis=0), (10.5, 8.5, 6.5), atol=1e-4)
    middle = corners.reshape(-1, 3).mean(axis=0)
    outwards = np.einsum("ij,ij->i", triangles["normal"], corners.mean(axis=1) - middle)
    assert (outwards > 0).all()
    np.testing.assert_allclose(np.linalg.norm(triangles["normal"], axis=1), 1, atol=1e-5)


def test_a_mask_at_the_border_is_closed_and_an_empty_one_has_no_surface(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, dtype=bool)
    assert write_stl(tmp_path / "a.stl", mask, Grid(SHAPE, np.eye(4))) == 0
    assert len(_read(tmp_path / "a.stl")) == 0
    mask[:2] = True
    write_stl(tmp_path / "a.stl", mask, Grid(SHAPE, np.eye(4)))
    corners = _read(tmp_path / "a.stl")["corners"]
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]).reshape(-1, 6)
    ahead = {tuple(edge) for edge in edges.round(4)}
    assert ahead == {tuple(np.concatenate([edge[3:], edge[:3]])) for edge in edges.round(4)}


def test_pictures_have_no_surface(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="no millimetres"):
        write_stl(tmp_path / "a.stl", np.ones((3, 3, 1), dtype=bool), Grid.of_pictures((3, 3, 1)))
