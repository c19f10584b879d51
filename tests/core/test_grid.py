from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.core import Grid
from glioseg.core.grid import EXACT, OtherForm
from glioseg.errors import GeometryError
from tests.core.strategies import boxes, grids


def world(grid: Grid, index: tuple[float, ...]) -> np.ndarray:
    return np.asarray(grid.affine[:3, :3] @ np.asarray(index) + grid.affine[:3, 3])


LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


# --- what a grid is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 2, 2), (2, 2), (2, -1, 2)])
def test_a_grid_needs_three_positive_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match="three axes"):
        Grid(shape, np.eye(4))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("affine", "words"),
    [
        (np.eye(3), "finite 4x4"),
        (np.full((4, 4), np.nan), "finite 4x4"),
        (np.vstack([np.eye(4)[:3], [0, 0, 1, 1]]), "last row"),
        (np.diag([1.0, 0.0, 1.0, 1.0]), "inverted"),
    ],
)
def test_affines_that_are_none(affine: np.ndarray, words: str) -> None:
    with pytest.raises(GeometryError, match=words):
        Grid((2, 2, 2), affine)


def test_the_affine_is_copied_and_cannot_be_written() -> None:
    affine = np.eye(4)
    grid = Grid((1, 1, 1), affine)
    affine[0, 0] = 5.0
    assert grid.affine[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2.0


@given(grids())
def test_pickling_keeps_a_grid_and_its_protection(grid: Grid) -> None:
    again = pickle.loads(pickle.dumps(grid))
    assert again == grid
    assert hash(again) == hash(grid)
    assert not again.affine.flags.writeable


def test_equal_grids_have_equal_hashes_whatever_the_sign_of_zero() -> None:
    minus = np.eye(4)
    minus[0, 3] = -0.0
    assert Grid((1, 1, 1), minus) == Grid((1, 1, 1), np.eye(4))
    assert hash(Grid((1, 1, 1), minus)) == hash(Grid((1, 1, 1), np.eye(4)))
    assert Grid((1, 1, 1), np.eye(4)) != Grid((1, 1, 1), np.eye(4), has_mm=False)
    assert Grid((1, 1, 1), np.eye(4)) != Grid((1, 1, 2), np.eye(4))
    assert Grid((1, 1, 1), np.eye(4)) != "grid"


def test_spacing_and_volume() -> None:
    # columns of the affine: (0, 2, 0), (-3, 0, 0), (0, 0, 5) mm: 30 mm³ = 0.03 ml
    affine = np.array([[0, -3, 0, 0], [2, 0, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]], dtype=float)
    grid = Grid((2, 2, 2), affine)
    assert grid.spacing_mm == (2.0, 3.0, 5.0)
    assert grid.voxel_ml == pytest.approx(0.03)
    assert grid.orientation == "ALS"


def test_pictures_have_neither_millimetres_nor_orientation() -> None:
    grid = Grid.of_pictures((4, 5, 6))
    assert grid.spacing == (1.0, 1.0, 1.0)
    assert grid.orientation is None
    for refused in (
        lambda: grid.spacing_mm,
        lambda: grid.voxel_ml,
        lambda: grid.with_orientation("RAS"),
        lambda: grid.with_spacing((1, 1, 1)),
    ):
        with pytest.raises(GeometryError):
            refused()


# --- operations ---------------------------------------------------------------------------------------------------


@given(st.data(), grids())
def test_a_crop_leaves_its_voxels_where_they_are(data: st.DataObject, grid: Grid) -> None:
    box = data.draw(boxes(grid.shape))
    cropped = grid.cropped(box)  # type: ignore[arg-type]
    assert cropped.shape == tuple(high - low for low, high in box)
    for index in itertools.product(*((0, n - 1) for n in cropped.shape)):
        there = tuple(i + low for i, (low, _) in zip(index, box, strict=True))
        np.testing.assert_allclose(world(cropped, index), world(grid, there), atol=1e-9)


@given(st.data(), grids())
def test_cropping_back_gives_the_grid_again(data: st.DataObject, grid: Grid) -> None:
    box = data.draw(boxes(grid.shape))
    back = tuple((-low, n - low) for (low, _), n in zip(box, grid.shape, strict=True))
    assert grid.cropped(box).cropped(back).difference(grid, 1e-9) is None  # type: ignore[arg-type]


@given(grids(), st.permutations([0, 1, 2]))
def test_a_permutation_leaves_voxels_where_they_are(grid: Grid, axes: list[int]) -> None:
    permuted = grid.permuted(axes)
    for index in itertools.product(*((0, n - 1) for n in grid.shape)):
        np.testing.assert_allclose(world(permuted, tuple(index[a] for a in axes)), world(grid, index), atol=1e-9)
    back = [axes.index(axis) for axis in range(3)]
    assert permuted.permuted(back) == grid


@given(grids(), st.integers(0, 2))
def test_a_flip_counts_the_same_voxels_from_the_other_end(grid: Grid, axis: int) -> None:
    flipped = grid.flipped(axis)
    for index in itertools.product(*((0, n - 1) for n in grid.shape)):
        mirrored = list(index)
        mirrored[axis] = grid.shape[axis] - 1 - index[axis]
        np.testing.assert_allclose(world(flipped, tuple(mirrored)), world(grid, index), atol=1e-9)
    assert flipped.flipped(axis).difference(grid, 1e-9) is None


@given(grids(), st.tuples(*[st.integers(1, 20)] * 3))
def test_resizing_keeps_the_extent(grid: Grid, shape: tuple[int, int, int]) -> None:
    resized = grid.resized(shape)
    assert resized.shape == shape
    np.testing.assert_allclose(resized.outer_corners(), grid.outer_corners(), atol=1e-8)
    assert resized.resized(grid.shape).difference(grid, 1e-8) is None


def test_resizing_by_two_moves_the_centres_by_half_a_voxel() -> None:
    # old centres  0 1 2 3  ->  new centres 0.5 2.5
    resized = Grid((4, 1, 1), np.eye(4)).resized((2, 1, 1))
    np.testing.assert_array_equal(world(resized, (0, 0, 0)), (0.5, 0, 0))
    np.testing.assert_array_equal(world(resized, (1, 0, 0)), (2.5, 0, 0))


@given(grids(), st.tuples(*[st.floats(0.5, 10)] * 3))
def test_a_spacing_is_met_as_nearly_as_the_extent_allows(grid: Grid, spacing: tuple[float, float, float]) -> None:
    resampled = grid.with_spacing(spacing)
    np.testing.assert_allclose(resampled.outer_corners(), grid.outer_corners(), atol=1e-8)
    for n, new, asked in zip(resampled.shape, resampled.spacing, spacing, strict=True):
        assert abs(n * new / asked - n) <= 0.5 + 1e-6 or n == 1


@pytest.mark.parametrize(
    ("codes", "corner"),
    # voxel (0, 0, 0) of an LPS grid of 2x3x4 is the most right, anterior, inferior one: world (0, 0, 0)
    [("LPS", (0, 0, 0)), ("RAS", (-1, -2, 0)), ("LIP", (0, 0, 3)), ("PIL", (0, 0, 3)), ("SAR", (-1, -2, 0))],
)
def test_orientations_by_hand(codes: str, corner: tuple[float, ...]) -> None:
    turned = Grid((2, 3, 4), LPS).with_orientation(codes)
    assert turned.orientation == codes
    np.testing.assert_array_equal(world(turned, (0, 0, 0)), corner)
    lengths = {"L": 2, "R": 2, "A": 3, "P": 3, "S": 4, "I": 4}
    assert turned.shape == tuple(lengths[code] for code in codes)


@given(grids(), st.sampled_from(["RAS", "LPS", "PIL", "SRA"]))
def test_any_oblique_grid_can_be_turned_and_holds_the_same_voxels(grid: Grid, codes: str) -> None:
    turned = grid.with_orientation(codes)
    assert turned.orientation == codes

    def rows(corners: np.ndarray) -> list[tuple[float, ...]]:
        return sorted(map(tuple, np.round(corners, 6) + 0.0))

    assert np.allclose(sorted(turned.spacing), sorted(grid.spacing))
    np.testing.assert_allclose(turned.outer_corners().mean(axis=0), grid.outer_corners().mean(axis=0), atol=1e-8)
    distances = np.linalg.norm(turned.outer_corners()[:, None] - grid.outer_corners()[None], axis=2)
    assert distances.min(axis=1).max() < 1e-8


@given(grids())
def test_every_world_axis_is_given_once(grid: Grid) -> None:
    assert sorted(axis for axis, _ in grid.axis_directions) == [0, 1, 2]


@given(grids(oblique_degrees=14.0))
def test_slightly_oblique_grids_are_named_as_straight_ones(grid: Grid) -> None:
    # three turns of less than 15° leave each axis nearest to its own world axis
    assert grid.orientation in ("RAS", "LAS")


@pytest.mark.parametrize(
    "refused",
    [
        lambda grid: grid.permuted([0, 0, 1]),
        lambda grid: grid.flipped(3),
        lambda grid: grid.flipped(-1),
        lambda grid: grid.resized((0, 1, 1)),
        lambda grid: grid.cropped(((2, 2), (0, 1), (0, 1))),
        lambda grid: grid.with_orientation("RLS"),
        lambda grid: grid.with_orientation("RA"),
        lambda grid: grid.with_orientation("XYZ"),
        lambda grid: grid.with_spacing((1, 0, 1)),
    ],
)
def test_operations_without_meaning_are_refused(refused: object) -> None:
    with pytest.raises(GeometryError):
        refused(Grid((2, 2, 2), np.eye(4)))  # type: ignore[operator]


# --- differences --------------------------------------------------------------------------------------------------


def shifted(grid: Grid, mm: float) -> Grid:
    affine = np.array(grid.affine)
    affine[0, 3] += mm
    return Grid(grid.shape, affine, grid.has_mm)


@given(grids(), st.floats(1e-4, 50))
def test_a_shift_is_a_difference_beyond_the_tolerance_only(grid: Grid, shift: float) -> None:
    moved = shifted(grid, shift)
    share = shift / min(grid.spacing)
    assert grid.difference(moved, tolerance=share * 1.01) is None
    assert "apart" in str(grid.difference(moved, tolerance=share * 0.99))


def test_headers_that_were_rounded_are_of_one_grid() -> None:
    """A direction of 1/√2 with four decimals: over 200 voxels of 1 mm the corners are 0.003 mm away, of 2 mm 0.006."""
    exact = np.eye(4)
    exact[:2, :2] = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    exact[:3, 3] = 12.34567, -45.67891, 7.12345
    grid, rounded = Grid((200, 200, 100), exact), Grid((200, 200, 100), np.round(exact, 4))
    assert grid.difference(rounded) is None
    assert "apart" in str(grid.difference(rounded, EXACT))
    assert "apart" in str(grid.difference(shifted(grid, 0.06)))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Grid((4, 4, 5), np.eye(4)), "shape 4x4x4 against 4x4x5"),
        (Grid((4, 4, 4), np.eye(4), has_mm=False), "millimetres"),
        (Grid((4, 4, 4), np.diag([1.0, 1, 2, 1])), "spacing 1x1x1 against 1x1x2"),
        (Grid((4, 4, 4), LPS), "orientation RAS against LPS"),
        (shifted(Grid((4, 4, 4), np.eye(4)), 3.0), "up to 3 apart"),
    ],
)
def test_differences_in_words(other: Grid, words: str) -> None:
    assert words in str(Grid((4, 4, 4), np.eye(4)).difference(other))


def test_the_thickness_of_a_single_slice_is_a_difference() -> None:
    thin, thick = Grid((4, 4, 1), np.eye(4)), Grid((4, 4, 1), np.diag([1.0, 1, 5, 1]))
    assert thin != thick
    assert thin.difference(thick) == "spacing 1x1x1 against 1x1x5"


def test_two_forms_lie_as_far_apart_as_their_furthest_corners() -> None:
    half_as_thick = np.diag([1.0, 1.0, 0.5, 1.0])
    assert Grid((4, 4, 4), np.eye(4)).forms_apart_mm == 0
    # the corners of the sform reach from -0.5 to 3.5 along Z, those of the qform from -0.25 to 1.75
    assert Grid((4, 4, 4), np.eye(4), other_form=OtherForm(half_as_thick, 1, 1)).forms_apart_mm == 1.75
