"""Registration finds the motion that was made, the same each time, and says where it is not to be believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glioseg.core import Grid, Image
from glioseg.errors import GeometryError
from glioseg.io.load import Voxels
from glioseg.preparation.ready.record import Moved
from glioseg.preparation.ready.registration import Head, covered, register
from glioseg.preparation.resample import resample_array
from tests.fakes.heads import acquired, error_mm, patient, rigid

MOTION = rigid((4.0, -5.0, 6.0), (6.0, -4.0, 5.0), (0.0, -20.0, 10.0))
BACK = np.asarray(np.linalg.inv(MOTION), dtype=np.float64)


@pytest.fixture(scope="module")
def image() -> Image:
    return patient()


@pytest.fixture(scope="module")
def fixed(image: Image) -> Head:
    return _head(acquired(image, "t1c", "axial", (2, 2, 5)))


def _head(voxels: Voxels) -> Head:
    return Head.of(voxels.array, voxels.grid)


def test_the_motion_is_found_to_a_millimetre_across_contrasts_and_planes(image: Image, fixed: Head) -> None:
    found = register(fixed, _head(acquired(image, "t2w", "coronal", (2, 2, 4), MOTION, 1)))
    # a point of the scanner of the moving scan lies at MOTION · point in the patient, whose world is the fixed scan's
    assert error_mm(found.matrix, BACK, image).max() < 2.5
    assert error_mm(found.matrix, BACK, image).mean() < 1.5
    assert found.overlap is not None
    assert found.overlap_before is not None
    assert found.overlap > 0.93 > found.overlap_before
    assert Moved(("t2w",), "t1c", found).doubts == ()
    np.testing.assert_allclose(found.matrix[:3, :3] @ found.matrix[:3, :3].T, np.eye(3), atol=1e-9)


def test_it_is_the_same_each_time(image: Image, fixed: Head) -> None:
    moving = acquired(image, "t2f", "axial", (3, 3, 6), MOTION)
    first, second = (register(fixed, _head(moving)).matrix for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_heads_that_headers_put_far_apart_are_found(image: Image, fixed: Head) -> None:
    away = np.eye(4)
    away[:3, 3] = (400.0, -300.0, 200.0)
    moving = acquired(image, "t1n", "axial", (3, 3, 5))
    elsewhere = Voxels(moving.array, Grid(moving.grid.shape, away @ moving.grid.affine))
    found = register(fixed, _head(elsewhere))
    assert found.overlap_before is None
    assert error_mm(found.matrix, away, image).max() < 2.5


def test_another_patient_is_doubted(fixed: Head) -> None:
    other = acquired(patient(seed=11), "t2w", "axial", (2, 2, 4), MOTION)
    (doubt,) = Moved(("t2w",), "t1c", register(fixed, _head(other))).doubts
    assert doubt.startswith("The registration of t2w to t1c is doubtful")


BOX = Grid((40, 40, 40), np.diag([2.0, 2.0, 2.0, 1.0]))
FULL = np.zeros(BOX.shape, dtype=np.float32)
FULL[8:32, 8:32, 8:32] = 100.0 + np.arange(24)


@pytest.mark.parametrize("black", [0.0, 2000.0, -2000.0])
def test_how_much_of_a_head_another_volume_shows(black: float) -> None:
    """The head reaches from 16 to 64 mm; a field that begins at 40 mm along X holds a half of it, whatever black is."""
    head = Head.of(FULL + np.float32(black), BOX)
    half = BOX.cropped(((20, 40), (0, 40), (0, 40)))
    assert covered(head, BOX, np.eye(4)) == 1.0
    assert covered(head, half, np.eye(4)) == pytest.approx(0.5)
    shifted = np.eye(4)
    shifted[0, 3] = 12.0  # the head begins 12 mm before the field's middle as the other volume has it
    assert covered(head, half, shifted) == pytest.approx(0.75)
    assert covered(head, half.with_orientation("PSL"), shifted) == pytest.approx(0.75)


@pytest.mark.parametrize("codes", ["RAS", "PSL", "SRA"])
def test_a_head_that_is_cut_off_below_is_filled(codes: str) -> None:
    """A scalp that is open at the bottom, dark within: as a whole, it is the box."""
    scalp = FULL.copy()
    scalp[12:28, 12:28, :28] = 0.0
    opened, whole = scalp[:, :, 8:], (FULL > 0)[:, :, 8:]
    grid = BOX.cropped(((0, 40), (0, 40), (8, 40)))
    turned = grid.with_orientation(codes)
    arrays = [resample_array(each[None], grid, turned, "nearest")[0] for each in (opened, whole.astype(np.float32))]
    fine = Head.of(arrays[0], turned).levels[-1]
    np.testing.assert_array_equal(fine.shown, arrays[1] > 0)


GRID = Grid((20, 20, 20), np.diag([4.0, 4.0, 4.0, 1.0]))
SOME = np.arange(8000, dtype=np.float32).reshape(GRID.shape)
_SHEARED = np.array([[4.0, 2.0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]])
REFUSED = {
    "empty": (np.zeros(GRID.shape), GRID, "shows nothing"),
    "not finite": (np.full(GRID.shape, np.nan), GRID, "not finite"),
    "one slice": (SOME[:, :, :1], GRID.cropped(((0, 20), (0, 20), (0, 1))), "this thin"),
    "no millimetres": (SOME, replace(GRID, has_mm=False), "no millimetres"),
    "sheared": (SOME, replace(GRID, affine=_SHEARED), "right angles"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_registered_is_refused_in_a_sentence(name: str) -> None:
    array, grid, words = REFUSED[name]
    with pytest.raises(GeometryError, match=words):
        Head.of(array, grid)
