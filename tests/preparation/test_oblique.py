"""Voxels between grids that are turned against each other: a linear field comes out as itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from glioseg.core import Grid
from glioseg.errors import GeometryError
from glioseg.preparation.oblique import brought, moved
from glioseg.preparation.resample import resample_array
from tests.fakes.heads import rigid

SOURCE = Grid((40, 44, 36), np.diag([2.0, 2.0, 2.5, 1.0]))
TURN = rigid((10.0, -14.0, 20.0), (3.0, -2.0, 4.0), (40.0, 44.0, 45.0))


def _field(grid: Grid) -> npt.NDArray[np.float32]:
    """x + 2 y − z / 2 + 100 of mm: linear, so that linear interpolation is exact."""
    index = np.indices(grid.shape).reshape(3, -1)
    mm = grid.affine[:3, :3] @ index + grid.affine[:3, 3:]
    return np.asarray((mm[0] + 2 * mm[1] - mm[2] / 2 + 100).reshape(1, *grid.shape), dtype=np.float32)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.0, 1.0, 1.0), (3.0, 3.0, 6.0)])
def test_a_linear_field_is_the_same_on_a_turned_grid(spacing: tuple[float, ...]) -> None:
    inner = SOURCE.cropped(((12, 28), (12, 32), (12, 24)))
    target = moved(inner, TURN).with_spacing(spacing)
    out = brought(_field(SOURCE), SOURCE, target)
    middle = tuple(slice(n // 4, -(n // 4) or None) for n in target.shape)
    # where larger voxels are averaged, a triangle falls unevenly on finer ones: off by a tenth of a voxel at most
    atol = 0.01 if max(spacing) <= 2 else 0.1 * 2.3 * max(spacing) / 2
    np.testing.assert_allclose(out[0][middle], _field(target)[0][middle], atol=atol)


def test_parallel_grids_go_the_exact_way() -> None:
    target = SOURCE.flipped(0).with_spacing((1.0, 1.0, 5.0))
    array = np.random.default_rng(0).random((2, *SOURCE.shape), dtype=np.float32)
    np.testing.assert_array_equal(brought(array, SOURCE, target), resample_array(array, SOURCE, target, "linear"))


def test_outside_is_nothing() -> None:
    away = np.eye(4)
    away[:3, 3] = 500.0
    assert not brought(_field(SOURCE), SOURCE, moved(SOURCE, TURN @ away)).any()


def test_a_moved_grid_puts_voxels_where_the_matrix_says() -> None:
    there = moved(SOURCE, TURN)
    # the matrix takes mm of the other world to the grid's own, so the grid's corner comes back to where it was
    np.testing.assert_allclose(TURN @ there.affine, SOURCE.affine, atol=1e-9)


def test_pictures_are_not_turned() -> None:
    with pytest.raises(GeometryError, match="has millimetres"):
        brought(_field(SOURCE), SOURCE, Grid(SOURCE.shape, moved(SOURCE, TURN).affine, has_mm=False))
