"""Sections of what was made ready lie as radiologists look at them, and show what is where."""

from __future__ import annotations

import numpy as np
import pytest

from glioseg.core import Grid
from glioseg.io.load import Voxels
from glioseg.preparation.oblique import moved
from glioseg.preparation.ready.views import brain_view, views_of

GRID = Grid((44, 44, 45), np.eye(4))
"""RAS, 1 mm: squares of 22 mm, two by two in the axial section."""
SIDES = np.zeros(GRID.shape, dtype=np.float32)
SIDES[22:] = 1.0  # the right half is bright

TALL = Grid((21, 30, 15), np.diag([2.0, 1.0, 3.0, 1.0]))
CORNER = np.zeros(TALL.shape, dtype=bool)
CORNER[7:, 10:, 5:] = True  # to the right, in front and above


def test_two_volumes_take_turns_square_by_square() -> None:
    """The second is the first with its sides exchanged. The right is drawn on the left:

        fixed 1 0    moving 0 1    squares  fixed  moving    of both  1 1
              1 0           0 1             moving fixed              0 0

    and where headers put the second far away, nothing of it is seen before.
    """
    away = np.eye(4)
    away[0, 3] = 500.0
    view = views_of("t2w on t1c", Voxels(SIDES, GRID), SIDES[::-1], moved(GRID, away), GRID)
    assert (view.title, view.outlines) == ("t2w on t1c", {})
    squares = np.ones((22, 22))
    np.testing.assert_array_equal(view.after["axial"], np.kron([[1, 1], [0, 0]], squares))
    np.testing.assert_array_equal(view.before["axial"], np.kron([[1, 0], [0, 0]], squares))


def test_the_brain_is_outlined_where_it_lies() -> None:
    """A third from the left, behind and below is dark: at the right and at the bottom of all pictures."""
    view = brain_view("the brain in t1n", Voxels(CORNER.astype(np.int16), TALL), CORNER)
    assert view.before == {}
    extents = {"axial": (30, 42), "coronal": (45, 42), "sagittal": (45, 30)}
    for plane, shape in extents.items():
        inside = np.zeros(shape, dtype=bool)
        inside[: shape[0] * 2 // 3, : shape[1] * 2 // 3] = True
        assert (view.outlines[plane] != inside).sum() <= 1, "linear interpolation may round the corner"
        np.testing.assert_array_equal(view.after[plane] > 0.5, view.outlines[plane])


@pytest.mark.parametrize("scale", [1e-9, 1e30])
def test_the_unit_of_a_scan_does_not_matter(scale: float) -> None:
    scan = np.random.default_rng(0).random(TALL.shape, dtype=np.float32)
    usual, scaled = (brain_view("", Voxels(each, TALL), CORNER) for each in (scan, scan * np.float32(scale)))
    for plane, picture in usual.after.items():
        np.testing.assert_allclose(scaled.after[plane], picture, atol=1e-5)


def test_a_scan_that_shows_nothing_is_black() -> None:
    view = brain_view("", Voxels(np.full(TALL.shape, 7.0), TALL), CORNER)
    assert not any(picture.any() for picture in view.after.values())
