from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.core import Grid, Image, LabelMap, scheme_named
from glioseg.errors import GeometryError
from glioseg.preparation.resample import is_exact, resample, resample_array
from tests.core.strategies import boxes, grids

LINE = Grid((4, 1, 1), np.eye(4))


def line(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(1, -1, 1, 1)


def numbered(grid: Grid, n_channels: int = 2) -> np.ndarray:
    """Every voxel another number, so that none can be mistaken for another."""
    size = int(np.prod(grid.shape))
    return (np.arange(n_channels * size, dtype=np.int32) + 1).reshape(n_channels, *grid.shape)


# --- exact operations ---------------------------------------------------------------------------------------------


@given(st.data(), grids(max_size=6))
def test_any_chain_of_crops_flips_and_turns_and_the_way_back_is_exact(data: st.DataObject, grid: Grid) -> None:
    working = grid
    for _ in range(data.draw(st.integers(1, 4))):
        match data.draw(st.sampled_from(["crop", "flip", "permute", "orient"])):
            case "crop":
                working = working.cropped(data.draw(boxes(working.shape)))  # type: ignore[arg-type]
            case "flip":
                working = working.flipped(data.draw(st.integers(0, 2)))
            case "permute":
                working = working.permuted(data.draw(st.permutations([0, 1, 2])))
            case _:
                working = working.with_orientation(data.draw(st.sampled_from(["RAS", "LIP", "PIL"])))
    array = numbered(grid)
    there = resample_array(array, grid, working, "linear")
    assert is_exact(grid, working)
    assert there.dtype == array.dtype
    assert there.shape[1:] == working.shape
    back = resample_array(there, working, grid, "linear")
    is_inside = back != 0
    np.testing.assert_array_equal(back[is_inside], array[is_inside])  # what is still there is in its old place
    assert set(back[is_inside].tolist()) == set(there[there != 0].tolist())  # and nothing was lost on the way


@given(st.data(), grids(max_size=5))
def test_voxels_follow_their_world_coordinates(data: st.DataObject, grid: Grid) -> None:
    working = grid.permuted(data.draw(st.permutations([0, 1, 2]))).flipped(data.draw(st.integers(0, 2)))
    working = working.cropped(data.draw(boxes(working.shape)))  # type: ignore[arg-type]
    there = resample_array(numbered(grid, 1), grid, working, "nearest")[0]
    to_grid = np.linalg.inv(grid.affine) @ working.affine
    for index in np.ndindex(working.shape):
        x, y, z = np.rint(to_grid[:3, :3] @ index + to_grid[:3, 3]).astype(int)
        within = all(0 <= i < n for i, n in zip((x, y, z), grid.shape, strict=True))
        assert there[index] == (numbered(grid, 1)[0, x, y, z] if within else 0)


def test_a_crop_is_a_view_and_padding_is_zero() -> None:
    array = line(1, 2, 3, 4)
    inner = resample_array(array, LINE, LINE.cropped(((1, 3), (0, 1), (0, 1))), "linear")
    np.testing.assert_array_equal(inner.ravel(), [2, 3])
    assert np.shares_memory(inner, array)
    outer = resample_array(array, LINE, LINE.cropped(((-1, 5), (0, 1), (0, 1))), "linear")
    np.testing.assert_array_equal(outer.ravel(), [0, 1, 2, 3, 4, 0])
    beside = resample_array(array, LINE, LINE.cropped(((7, 9), (0, 1), (0, 1))), "linear")
    np.testing.assert_array_equal(beside.ravel(), [0, 0])


# --- linear -------------------------------------------------------------------------------------------------------


def test_enlarging_twice_by_hand() -> None:
    # centres of the target in source voxels: -0.25 0.25 0.75 1.25 1.75 2.25 2.75 3.25; the outer ones stay at the edge
    large = resample_array(line(0, 4, 8, 0), LINE, LINE.resized((8, 1, 1)), "linear")
    np.testing.assert_allclose(large.ravel(), [0, 1, 3, 5, 7, 6, 2, 0])


def test_halving_weighs_with_a_triangle() -> None:
    # first target centre 0.5, triangle of half-width 2: distances 0.5 0.5 1.5 2.5 -> 3/4 3/4 1/4 0, of 7/4 in all
    small = resample_array(line(7, 0, 0, 0), LINE, LINE.resized((2, 1, 1)), "linear")
    np.testing.assert_allclose(small.ravel(), [3, 0])
    small = resample_array(line(0, 0, 7, 0), LINE, LINE.resized((2, 1, 1)), "linear")
    np.testing.assert_allclose(small.ravel(), [1, 3])


@given(grids(max_size=6), st.tuples(*[st.integers(1, 9)] * 3), st.floats(-100, 100))
def test_a_constant_stays_constant_whatever_the_size(grid: Grid, shape: tuple[int, int, int], value: float) -> None:
    array = np.full((1, *grid.shape), value, dtype=np.float32)
    for there in (
        resample_array(array, grid, grid.resized(shape), "linear"),
        resample_array(array, grid, grid.resized(shape), "share"),
        resample_array(array, grid, grid.resized(shape), "nearest"),
    ):
        np.testing.assert_allclose(there, value, rtol=1e-5, atol=1e-5)


@given(st.integers(2, 8), st.integers(1, 30))
def test_enlarging_keeps_a_ramp_between_the_outer_centres(n: int, extra: int) -> None:
    grid = Grid((n, n, n), np.eye(4))
    ramp = np.broadcast_to(np.arange(n, dtype=np.float32), (1, n, n, n))
    target = grid.resized((n, n, n + extra))
    centres = target.affine[2, 2] * np.arange(n + extra) + target.affine[2, 3]
    there = resample_array(np.ascontiguousarray(ramp), grid, target, "linear")
    np.testing.assert_allclose(there[0, 0, 0], centres.clip(0, n - 1), atol=1e-4)


def test_fine_stripes_do_not_alias() -> None:
    # nearest would give all 0 or all 1; what is seen from afar is grey
    stripes = line(*[i % 2 for i in range(64)])
    grid = Grid((64, 1, 1), np.eye(4))
    there = resample_array(stripes, grid, grid.resized((16, 1, 1)), "linear").ravel()
    assert np.abs(there[1:-1] - 0.5).max() < 0.01


def test_the_way_back_of_probabilities_is_linear() -> None:
    grid = Grid((8, 6, 1), np.eye(4))
    working = grid.resized((4, 3, 1))
    probabilities = np.zeros((1, 4, 3, 1), dtype=np.float16)
    probabilities[0, 2:] = 1.0
    # working centres 0.5 2.5 4.5 6.5; native centre 3 lies 0.25 and 4 lies 0.75 of the way from 2.5 to 4.5
    back = resample_array(probabilities, working, grid, "linear")
    np.testing.assert_allclose(back[0, :, 0, 0], [0, 0, 0, 0.25, 0.75, 1, 1, 1])


# --- nearest and share --------------------------------------------------------------------------------------------


def test_nearest_takes_the_voxel_that_holds_the_centre() -> None:
    # three targets of 4/3 voxels: centres 1/6, 1.5, 2 5/6; 1.5 is the face between 1 and 2 and belongs to 2
    small = resample_array(line(1, 2, 3, 4), LINE, LINE.resized((3, 1, 1)), "nearest")
    np.testing.assert_array_equal(small.ravel(), [1, 3, 4])


def test_share_by_hand() -> None:
    # targets of 4/3 voxels cover 0..4/3, 4/3..8/3, 8/3..4 of the source counted from its face; the mask covers 1..3
    small = resample_array(line(0, 1, 1, 0), LINE, LINE.resized((3, 1, 1)), "share")
    np.testing.assert_allclose(small.ravel(), [0.25, 1, 0.25], rtol=1e-6)


@given(st.integers(1, 12), st.integers(1, 12))
def test_shares_keep_the_volume(n: int, m: int) -> None:
    mask = np.random.default_rng(n * 13 + m).random((1, n, n, 1)) < 0.4
    grid = Grid((n, n, 1), np.eye(4))
    there = resample_array(mask.astype(np.float32), grid, grid.resized((m, m, 1)), "share")
    assert there.sum() / m**2 == pytest.approx(mask.sum() / n**2, abs=1e-5)


@given(grids(max_size=6), st.tuples(*[st.integers(1, 9)] * 3))
def test_the_type_decides_the_interpolation(grid: Grid, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([0, 1, 2, 4], dtype=np.uint8), size=grid.shape)
    moved = resample(LabelMap(labels, scheme_named("brats2021"), grid), grid.resized(shape))
    assert moved.grid.shape == moved.array.shape == shape
    assert set(np.unique(moved.array)) <= set(np.unique(labels))
    image = resample(Image(labels[None].astype(np.float32), ("t1n",), grid), grid.resized(shape))
    assert image.array.shape == (1, *shape)
    assert image.array.min() >= labels.min() - 1e-5
    assert image.array.max() <= labels.max() + 1e-5


# --- refusals -----------------------------------------------------------------------------------------------------


def test_grids_that_do_not_fit() -> None:
    array = np.zeros((1, 4, 1, 1))
    with pytest.raises(GeometryError, match="does not lie on its grid"):
        resample_array(array[:, :3], LINE, LINE, "linear")
    with pytest.raises(GeometryError, match="millimetres"):
        resample_array(array, LINE, Grid.of_pictures((4, 1, 1)), "linear")
    turned = np.eye(4)
    turned[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    with pytest.raises(GeometryError, match="not parallel"):
        resample_array(array, LINE, Grid((4, 1, 1), turned), "linear")
