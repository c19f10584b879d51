from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.core import Grid, Image, LabelMap, scheme_named
from glioseg.core.labels import decode_regions
from glioseg.errors import CacheError, GeometryError, LabelError
from glioseg.preparation.case import PreparedArrays, nearest_slices, prepare_arrays, vote
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.resample import resample_array
from tests.core.strategies import grids
from tests.preparation.toys import GRID, MODALITIES, SCHEME, brain_box, toy_labels, toy_volume

NESTED = ("WT", "TC", "ET")
RAW: dict[str, Any] = {"normalise": "none", "brain_only": False}


def prepared(
    volumes: dict[str, np.ndarray],
    grid: Grid,
    labels: np.ndarray | None = None,
    regions: tuple[str, ...] = NESTED,
    **options: Any,
) -> PreparedArrays:
    image = Image(np.stack(list(volumes.values())), tuple(volumes), grid)
    reference = None if labels is None else LabelMap(labels, SCHEME, grid)
    return prepare_arrays(image, reference, MODALITIES, regions, PrepareOptions.model_validate(options))


def both(seed: int = 0) -> dict[str, np.ndarray]:
    return {"t1c": toy_volume(seed), "t2f": toy_volume(seed + 1)}


# --- turning ------------------------------------------------------------------------------------------------------


def ras_volume() -> np.ndarray:
    """(2, 3, 4) whose values say where they lie: 100·(R) + 10·(A) + (S) + 1."""
    r, a, s = np.ogrid[:2, :3, :4]
    return np.asarray(100 * r + 10 * a + s + 1, dtype=np.int16)


@pytest.mark.parametrize(
    ("plane", "codes", "numbers"),
    [
        ("axial", "RAS", [4, 5, 6]),  # slices from below: of ten along S, 4 to 6 show something
        ("axial", "LPI", [5, 4, 3]),
        ("axial", "SRA", [4, 5, 6]),
        ("coronal", "RAS", [5, 4, 3, 2]),  # slices from anterior: of eight along A, 2 to 5
        ("sagittal", "RAS", [4, 3]),  # slices from right: of six along R, 3 and 4
        ("sagittal", "LAS", [1, 2]),
    ],
)
def test_slices_are_numbered_as_in_the_scan(plane: str, codes: str, numbers: list[int]) -> None:
    image = np.zeros((6, 8, 10), dtype=np.int16)
    image[3:5, 2:6, 4:7] = 100
    grid = Grid((6, 8, 10), np.diag([1.0, 1.0, 3.0, 1.0]))
    turned = grid.with_orientation(codes)
    volume = resample_array(image[None].astype(np.float32), grid, turned, "nearest")[0]
    for crop in (True, False):
        arrays = prepared({"t2f": volume}, turned, plane=plane, crop_to_brain=crop, missing="t2f", **RAW)
        found = nearest_slices(arrays.native, arrays.working)
        assert found[arrays.images.any(axis=(1, 2, 3))].tolist() == numbers
        assert (len(found) == len(numbers)) is crop


@pytest.mark.parametrize(
    ("plane", "shape", "first_row"),
    [
        # slices from below, rows from anterior, columns from right: the first row is A = 2, R = 1, 0 at S = 0
        ("axial", (4, 3, 2), [121, 21]),
        # slices from anterior, rows from above, columns from right: S = 3, A = 2
        ("coronal", (3, 4, 2), [124, 24]),
        # slices from right, rows from above, columns from anterior: R = 1, S = 3
        ("sagittal", (2, 4, 3), [124, 114, 104]),
    ],
)
def test_planes_look_as_on_a_screen(plane: str, shape: tuple[int, int, int], first_row: list[int]) -> None:
    grid = Grid((2, 3, 4), np.eye(4))
    arrays = prepared({"t1c": ras_volume(), "t2f": ras_volume()}, grid, plane=plane, **RAW)
    assert arrays.images.shape == (shape[0], 2, *shape[1:])
    np.testing.assert_array_equal(arrays.images[0, 0, 0], first_row)
    assert arrays.native == grid


@given(grids(max_size=5), st.sampled_from(["axial", "coronal", "sagittal"]), st.booleans())
def test_the_way_back_to_any_native_grid_is_exact(inner: Grid, plane: str, crop: bool) -> None:
    x, y, z = inner.shape
    grid = inner.cropped(((-1, x + 2), (-2, y + 1), (-1, z + 1)))  # black all around, as a scan is
    rng = np.random.default_rng(x * 100 + y * 10 + z)
    volume = np.zeros(grid.shape, dtype=np.int16)
    volume[1 : x + 1, 2 : y + 2, 1 : z + 1] = rng.integers(0, 3, inner.shape) * 700
    labels = np.where(volume > 0, rng.choice(np.array([0, 1, 2, 4], dtype=np.uint8), grid.shape), 0).astype(np.uint8)
    arrays = prepared({"t1c": volume, "t2f": volume}, grid, labels, plane=plane, crop_to_brain=crop, normalise="none")
    assert arrays.regions is not None
    back = resample_array(arrays.regions.transpose(1, 3, 2, 0), arrays.working, grid, "linear")
    np.testing.assert_array_equal(decode_regions(back, SCHEME, NESTED), labels)
    image = resample_array(arrays.images.transpose(1, 3, 2, 0), arrays.working, grid, "linear")
    np.testing.assert_array_equal(image[0], volume)


# --- cropping and resizing ----------------------------------------------------------------------------------------


def test_the_crop_is_the_box_of_all_modalities() -> None:
    volumes = both()
    volumes["t1c"][:] = 0
    volumes["t1c"][0, 9, 5] = 50  # one voxel beyond the toy brain x 2..10, y 3..7, z 1..4
    arrays = prepared(volumes, GRID, crop_to_brain=True, **RAW)
    assert arrays.images.shape == (5, 2, 7, 11)
    np.testing.assert_array_equal(arrays.images[:, 1].T, volumes["t2f"][0:11, 3:10, 1:6])


def test_with_a_size_the_crop_is_square_first() -> None:
    # the brain is 9 x 5 pixels: the box becomes 9 x 9, its middle where it was, rows 1..9; 18 x 18 doubles it
    arrays = prepared(both(), GRID, crop_to_brain=True, size=18)
    assert arrays.images.shape == (4, 2, 18, 18)
    np.testing.assert_allclose(arrays.working.spacing, (0.5, 0.5, 1))
    assert arrays.working.difference(GRID.cropped(((2, 11), (1, 10), (1, 5))).resized((18, 18, 4))) is None


def test_a_square_box_may_reach_outside_and_shows_black_there() -> None:
    volume = np.zeros((4, 12, 1), dtype=np.int16)
    volume[0:2, :, 0] = 5
    arrays = prepared(
        {"t1c": volume, "t2f": volume}, Grid((4, 12, 1), np.diag([-1.0, -1, 1, 1])), crop_to_brain=True, size=12, **RAW
    )
    np.testing.assert_array_equal(arrays.images[0, 0, 0], [0, 0, 0, 0, 0, 5, 5, 0, 0, 0, 0, 0])


def test_an_all_black_case_is_not_cropped() -> None:
    black = np.zeros(GRID.shape, dtype=np.int16)
    arrays = prepared({"t1c": black, "t2f": black}, GRID, crop_to_brain=True)
    assert arrays.images.shape == (6, 2, 10, 12)
    assert not arrays.images.any()
    assert not arrays.non_black.any()


def test_two_numbers_keep_the_distance_of_slices_and_three_do_not() -> None:
    assert prepared(both(), GRID, spacing_mm=(2, 2)).images.shape == (6, 2, 5, 6)
    assert prepared(both(), GRID, spacing_mm=(2, 2, 3)).images.shape == (2, 2, 5, 6)


def test_non_black_shares_are_those_of_the_raw_slices() -> None:
    # the toy brain covers 9 x 5 of 12 x 10 pixels on slices 1 to 4
    share = 45 / 120
    np.testing.assert_allclose(prepared(both(), GRID).non_black, [0, share, share, share, share, 0], rtol=1e-6)
    np.testing.assert_allclose(prepared(both(), GRID, crop_to_brain=True).non_black, [share] * 4, rtol=1e-6)
    # every second slice, the centres of the new ones between 1 and 2, 3 and 4: rounded to even, 0, 2 and 4
    shares = prepared(both(), GRID, spacing_mm=(1, 1, 2)).non_black
    np.testing.assert_allclose(shares, [0, share, share], rtol=1e-6)


# --- modalities ---------------------------------------------------------------------------------------------------


def test_a_missing_modality_is_zero_or_another_one() -> None:
    volumes = {"t2f": toy_volume(1)}
    zero = prepared(volumes, GRID)
    assert zero.missing == ("t1c",)
    assert zero.filled_with is None
    assert not zero.images[:, 0].any()
    filled = prepared(volumes, GRID, missing="t2f")
    assert filled.filled_with == "t2f"
    np.testing.assert_array_equal(filled.images[:, 0], zero.images[:, 1])
    lacking_too = prepared({"t1c": toy_volume(1)}, GRID, missing="t2f")
    assert lacking_too.missing == ("t2f",)
    assert lacking_too.filled_with is None
    assert not lacking_too.images[:, 1].any()
    assert prepared(both(), GRID, missing="t2f").filled_with is None


def test_intensities_are_those_of_the_brain() -> None:
    intensities = prepared(both(), GRID).images[:, 0].T.astype(np.float64)
    brain = np.zeros(GRID.shape, dtype=bool)
    brain[brain_box()] = True
    assert not intensities[~brain].any()
    raw = toy_volume(0)[brain].astype(np.float64)
    np.testing.assert_allclose(intensities[brain], (raw - raw.mean()) / raw.std(), rtol=2**-11, atol=1e-6)


# --- refusals -----------------------------------------------------------------------------------------------------


def test_what_cannot_be_prepared() -> None:
    volumes = {name: volume.astype(np.float32) for name, volume in both().items()}
    volumes["t2f"][5, 5, 2] = np.nan
    with pytest.raises(CacheError, match="t2f holds values that are not finite; found 1 voxels"):
        prepared(volumes, GRID)
    volumes["t2f"][5, 5, 2] = 70000
    with pytest.raises(CacheError, match=r"do not fit into 16-bit.*70000"):
        prepared(volumes, GRID, **RAW)
    shifted = Grid(GRID.shape, GRID.affine + np.array([[0, 0, 0, 2.0], [0] * 4, [0] * 4, [0] * 4]))
    image = Image(np.stack(list(both().values())), MODALITIES, GRID)
    with pytest.raises(GeometryError, match="reference lies on another grid"):
        prepare_arrays(image, LabelMap(toy_labels(0), SCHEME, shifted), MODALITIES, NESTED, PrepareOptions())
    with pytest.raises(LabelError, match="overlap"):
        prepared(both(), GRID, toy_labels(0), regions=("WT", "tumour"))


def test_pictures_have_one_plane_and_no_millimetres() -> None:
    grid = Grid.of_pictures(GRID.shape)
    assert prepared(both(), grid).images.shape == (6, 2, 10, 12)
    with pytest.raises(GeometryError, match="coronal slices of pictures"):
        prepared(both(), grid, plane="coronal")
    with pytest.raises(GeometryError, match="no millimetres"):
        prepared(both(), grid, spacing_mm=(1, 1))


# --- labels that shrink -------------------------------------------------------------------------------------------


def test_the_share_decides() -> None:
    shares = np.array([0.0, 0.49, 0.51, 1.0], dtype=np.float32).reshape(1, 1, 1, 4)
    np.testing.assert_array_equal(vote(shares, scheme_named("lgg"), ("tumour",)).ravel(), [0, 0, 1, 1])


def test_halves_go_in_and_out_in_turn() -> None:
    halves = np.full((1, 2, 4, 4), 0.5, dtype=np.float32)
    mask = vote(halves, scheme_named("lgg"), ("tumour",))
    assert mask.sum() == halves.size / 2
    np.testing.assert_array_equal(mask[0, 0, 0], [1, 0, 1, 0])
    np.testing.assert_array_equal(mask[0, 0, 1], [0, 1, 0, 1])
    np.testing.assert_array_equal(mask[0, 1, 0], [0, 1, 0, 1])


def test_exclusive_regions_vote_together() -> None:
    # 0.9 of the voxel is tumour, though no region has half of it: it must not become a hole
    shares = np.array([0.3, 0.4, 0.2], dtype=np.float32).reshape(3, 1, 1, 1)
    np.testing.assert_array_equal(vote(shares, SCHEME, ("NCR", "ED", "ET")).ravel(), [0, 1, 0])
    shares = np.array([0.2, 0.1, 0.1], dtype=np.float32).reshape(3, 1, 1, 1)
    assert not vote(shares, SCHEME, ("NCR", "ED", "ET")).any()


@given(st.integers(0, 10**6), st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 7)))
def test_voted_regions_stay_nested_or_exclusive(seed: int, shape: tuple[int, int, int]) -> None:
    grid = Grid((9, 8, 5), np.eye(4))
    labels = np.random.default_rng(seed).choice(np.array([0, 0, 1, 2, 4], dtype=np.uint8), (3, 4, 5)).repeat(3, axis=0)
    labels = labels.repeat(2, axis=1)
    one_hot = {name: np.isin(labels, SCHEME.values_of(name)).astype(np.float32) for name in (*NESTED, "NCR", "ED")}
    shares = {name: resample_array(mask[None], grid, grid.resized(shape), "share")[0] for name, mask in one_hot.items()}
    whole, core, enhancing = vote(np.stack([shares[name] for name in NESTED]), SCHEME, NESTED)
    assert (enhancing <= core).all()
    assert (core <= whole).all()
    exclusive = vote(np.stack([shares[name] for name in ("NCR", "ED", "ET")]), SCHEME, ("NCR", "ED", "ET"))
    assert exclusive.sum(axis=0).max() <= 1
    np.testing.assert_array_equal(exclusive.sum(axis=0), whole)


def test_halving_neither_moves_nor_grows_a_disc() -> None:
    # A disc of radius 20 pixels, halved and brought back linearly: its area and centre stay. Taking the nearest pixel
    # instead moves it by half a pixel, which costs more than one point of Dice before any network is involved.
    grid = Grid.of_pictures((64, 64, 1))
    x, y = np.ogrid[:64, :64]
    disc = (((x - 31) ** 2 + (y - 30) ** 2) <= 400).astype(np.uint8)[..., None]
    image = Image(np.ones((1, 64, 64, 1), dtype=np.uint8), ("t1c",), grid)
    labels = LabelMap(disc * 255, scheme_named("lgg"), grid)
    arrays = prepare_arrays(image, labels, ("t1c",), ("tumour",), PrepareOptions(size=32))
    assert arrays.regions is not None
    back = resample_array(arrays.regions.transpose(1, 3, 2, 0), arrays.working, grid, "linear")[0] > 0.5
    centre = np.argwhere(back).mean(axis=0) - np.argwhere(disc).mean(axis=0)
    assert np.abs(centre).max() < 0.1
    assert abs(int(back.sum()) - int(disc.sum())) < 0.01 * disc.sum()
    assert 2 * (back & (disc > 0)).sum() / (back.sum() + disc.sum()) > 0.975
