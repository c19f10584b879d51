"""Slices lie the right way up, whatever the orientation of their grid."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from glioseg.core import Grid
from glioseg.errors import GeometryError
from glioseg.report.figures.views import (
    Cut,
    cut_slice,
    display_limits,
    fit_labels,
    fit_picture,
    fitted_size,
    shade,
    trimmed,
)

_GRIDS = [(axes, flips) for axes in permutations(range(3)) for flips in product((False, True), repeat=3)]


def _turned(axes: tuple[int, ...], flips: tuple[bool, ...]) -> tuple[np.ndarray, Grid, list[int]]:
    """A volume with its one bright voxel at the patient's right, front and top, stored in one of the 48 orientations.

    Returns the array, its grid and the index of the bright voxel.
    """
    array = np.zeros((5, 6, 7), dtype=np.uint8)
    array[4, 5, 6] = 200  # RAS: the last voxel along each axis
    grid = Grid((5, 6, 7), np.diag([1.0, 2.0, 3.0, 1.0])).permuted(axes)
    array = array.transpose(axes)
    for axis, flip in enumerate(flips):
        if flip:
            array, grid = np.flip(array, axis), grid.flipped(axis)
    return array, grid, [int(place[0]) for place in np.nonzero(array)]


@pytest.mark.parametrize(("axes", "flips"), _GRIDS)
def test_right_anterior_superior_is_upper_left_in_every_plane(axes: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    # axial: R on the left, A on top; coronal: R on the left, S on top; sagittal: A on the left, S on top
    array, grid, index = _turned(axes, flips)
    expected = {2: ("R", "L", "A", "P"), 1: ("R", "L", "S", "I"), 0: ("A", "P", "S", "I")}
    shapes = {2: (6, 5), 1: (7, 5), 0: (7, 6)}
    spacings = {2: (2.0, 1.0), 1: (3.0, 1.0), 0: (3.0, 2.0)}
    for axis in range(3):
        world = grid.axis_directions[axis][0]
        cut = cut_slice(array, grid, index[axis], axis)
        assert cut.marks == expected[world]
        assert cut.pixels.shape == shapes[world]
        assert cut.spacing == pytest.approx(spacings[world])
        assert cut.pixels[0, 0] == 200
        assert np.count_nonzero(cut.pixels) == 1


def test_pictures_are_shown_as_published() -> None:
    array = np.zeros((8, 4, 2), dtype=np.uint8)
    array[6, 1, 1] = 9  # column 6, row 1 of the second picture
    cut = cut_slice(array, Grid.of_pictures(array.shape), 1)
    assert cut.pixels.shape == (4, 8)
    assert cut.pixels[1, 6] == 9
    assert cut.marks is None


def test_other_planes_of_pictures_are_refused() -> None:
    with pytest.raises(GeometryError, match="one plane"):
        cut_slice(np.zeros((4, 4, 4)), Grid.of_pictures((4, 4, 4)), 0, axis=1)


def test_views_are_drawn_in_true_proportion() -> None:
    # 10 rows of 3 mm and 20 columns of 1 mm: 30 mm high and 20 mm wide
    cut = Cut(np.zeros((10, 20), dtype=np.uint8), (3.0, 1.0), None)
    assert fitted_size(cut, 300) == (300, 200)
    assert fitted_size(cut, 300, longest=60.0) == (150, 100)


def test_labels_are_never_blended() -> None:
    labels = np.array([[0, 4], [1, 2]])
    assert set(np.unique(fit_labels(labels, (7, 9)))) == {0, 1, 2, 4}
    assert fit_labels(labels, (2, 2)).tolist() == labels.tolist()


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 5)).astype(np.uint8)
    assert fit_picture(pixels, (6, 5)) is pixels
    assert fit_picture(pixels, (12, 10)).shape == (12, 10)


@pytest.mark.filterwarnings("error")
def test_shading_survives_what_is_not_a_number() -> None:
    shaded = shade(np.array([[np.nan, -np.inf], [np.inf, 50.0]]), (0.0, 100.0))
    assert shaded.tolist() == [[0, 0], [255, 127]]


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0, np.nan])
def test_constant_volumes_have_limits(value: float) -> None:
    low, high = display_limits(np.full((4, 4, 4), value), Grid((4, 4, 4), np.eye(4)))
    assert np.isfinite([low, high]).all()
    assert high > low


def test_eight_bit_pictures_keep_their_brightness() -> None:
    assert display_limits(np.full((4, 4, 1), 9, dtype=np.uint8), Grid.of_pictures((4, 4, 1))) == (0.0, 255.0)


def test_a_few_bright_voxels_do_not_darken_the_rest() -> None:
    volume = np.full((20, 20, 20), 100.0)
    volume[:2] = 0.0
    volume[10, 10, 10] = 1e6
    assert display_limits(volume, Grid(volume.shape, np.eye(4))) == (0.0, 100.0)


def test_trimming_keeps_what_is_shown_with_its_labels() -> None:
    pixels = np.zeros((40, 50), dtype=np.uint8)
    pixels[10:21, 30:35] = 100
    trim, labels = trimmed(Cut(pixels, (1.0, 1.0), None), Cut(pixels // 100, (1.0, 1.0), None), margin=0.1)
    # the longer side is 10 steps from first to last: a margin of 1 and one more
    assert trim.pixels.shape == (11 + 4, 5 + 4)
    assert labels is not None
    assert np.array_equal(labels.pixels, trim.pixels // 100)
    assert trim.pixels[2, 2] == 100
    assert trim.pixels[1, 2] == 0


def test_a_black_slice_is_not_trimmed() -> None:
    black = Cut(np.zeros((4, 5), dtype=np.uint8), (1.0, 1.0), None)
    trim, labels = trimmed(black, None)
    assert trim.pixels.shape == (4, 5)
    assert labels is None
