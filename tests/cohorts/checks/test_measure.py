"""Figures of single cases, against values worked out by hand or by numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from glioseg.cohorts.checks import measure
from glioseg.cohorts.dark import BLACK, LGG_THRESHOLD, NOISE, dark_threshold, is_dark, non_black_shares, visible
from glioseg.cohorts.summary import HEAT_CELLS, QUANTILES, SLICE_PLACES, Distribution
from glioseg.config import read_recipe
from glioseg.core import Grid
from tests.cohorts.hand_made import ras


def distribution(values: npt.ArrayLike, kind: type = np.int16) -> Distribution:
    array: npt.NDArray[np.generic] = np.asarray(values, dtype=kind).reshape(1, 1, -1)
    result = measure.distribution(array, np.ones(array.shape, dtype=np.bool_))
    assert result is not None
    return result


# --- black ------------------------------------------------------------------------------------------------------------


def test_black_in_8_bit_is_0_alone() -> None:
    voxels = np.array([[[0, 1, 2, 255]]], dtype=np.uint8)
    assert non_black_shares([voxels]).tolist() == [0.75]


def test_tissue_in_8_bit_is_above_10() -> None:
    voxels = np.array([[[0, 10, 11, 255]]], dtype=np.uint8)
    assert visible(voxels, NOISE).tolist() == [[[False, False, True, True]]]


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize(("n_dim", "kept"), [(3, 103), (20, 100)], ids=["clean background", "noise"])
def test_tissue_does_not_depend_on_the_type(kind: type[np.generic], n_dim: int, kept: int) -> None:
    """100 bright voxels and a few of 1 to 10: 3 are the dim end of a brain, 20 are noise."""
    voxels = np.zeros((5, 10, 10), dtype=kind)
    voxels.flat[200:300] = np.arange(100) + 50
    voxels.flat[300 : 300 + n_dim] = np.arange(n_dim) % 10 + 1
    assert int(visible(voxels, NOISE).sum()) == kept
    assert non_black_shares([voxels]).sum() * 100 == pytest.approx(100 + n_dim, abs=1e-4)


@pytest.mark.parametrize("background", [0.0, -1.5, -1024.0])
def test_black_in_volumes_is_the_value_of_the_corners(background: float) -> None:
    voxels = np.full((3, 4, 5), background, dtype=np.float32)
    voxels[1, 1:3, 2] = (-0.2, 700.0)
    expected = np.zeros((3, 4, 5), dtype=np.bool_)
    expected[1, 1:3, 2] = True
    assert (visible(voxels, NOISE) == expected).all()


def test_black_in_noisy_volumes_is_the_lower_end_of_the_range() -> None:
    voxels = np.arange(27, dtype=np.int16).reshape(3, 3, 3) * 10  # 0 to 260, every corner another value
    assert int(visible(voxels, NOISE).sum()) == 25  # all but 0 and 10; the bound is 10.2
    assert int(visible(voxels, BLACK).sum()) == 26


def test_a_white_frame_is_not_black() -> None:
    voxels = np.full((1, 4, 4), 900, dtype=np.int16)
    voxels[0, 1:3, 1:3] = 0
    assert int(visible(voxels, NOISE).sum()) == 12


def test_nan_is_black() -> None:
    voxels = np.zeros((3, 3, 3), dtype=np.float32)
    voxels[1, 1] = (np.nan, 5.0, np.inf)
    assert visible(voxels, NOISE)[1, 1].tolist() == [False, True, False]


def test_shares_count_the_values_of_all_modalities() -> None:
    first, second = np.zeros((2, 1, 4), dtype=np.uint8), np.zeros((2, 1, 4), dtype=np.uint8)
    first[1, 0, 0] = second[1, 0, :2] = 200
    assert non_black_shares([first, second]).tolist() == [0.0, 3 / 8]
    assert non_black_shares([]).shape == (0,)


def test_dark_is_below_the_threshold_or_black_all_over() -> None:
    shares = np.array([0.0, 0.1, 0.27, 0.5, np.nan])
    assert is_dark(shares, 0.27).tolist() == [True, True, False, False, False]
    assert is_dark(shares, 0.0).tolist() == [True, False, False, False, False]


def test_a_slice_of_75000_values_stays_and_one_of_74999_goes() -> None:
    # two channels full of ones but for a corner, the third black: 2 x 65,536 values, less 56,072 and 56,073
    slices = np.zeros((2, 3, 256 * 256), dtype=np.uint8)
    slices[0, 0] = slices[1, 0] = 1
    slices[0, 1, : 75_000 - 65_536] = 1
    slices[1, 1, : 74_999 - 65_536] = 1
    shares = non_black_shares(slices.reshape(2, 3, 256, 256).transpose(1, 0, 2, 3))
    assert is_dark(shares, LGG_THRESHOLD).tolist() == [False, True]


def test_only_lgg_has_a_threshold_of_its_own() -> None:
    assert dark_threshold("lgg") == LGG_THRESHOLD == read_recipe("tum-lgg").slices.dark_below == 75_000 / 196_608
    assert dark_threshold("brats") == dark_threshold("pairs") == 0.02


# --- intensities ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.float32, np.float64])
def test_distributions_agree_with_numpy(kind: type) -> None:
    values: npt.NDArray[np.floating] = np.random.default_rng(0).gamma(4, 120, 20000).astype(kind)
    intensities = distribution(values, kind)
    assert intensities.n_voxels == 20000
    assert intensities.mean == pytest.approx(float(values.mean(dtype=np.float64)))
    assert intensities.std == pytest.approx(float(values.std(dtype=np.float64)))
    assert (intensities.minimum, intensities.maximum) == (float(values.min()), float(values.max()))
    step = (intensities.maximum - intensities.minimum) / 10000
    assert intensities.quantiles == pytest.approx(np.quantile(values, QUANTILES), abs=max(2 * step, 1.0))
    assert int(intensities.histogram.counts.sum()) == 20000
    assert len(intensities.histogram.counts) <= 256


def test_8_bit_files_have_a_bin_per_value() -> None:
    histogram = distribution([0, 7, 7, 255], np.uint8).histogram
    assert (histogram.low, histogram.high, len(histogram.counts)) == (-0.5, 255.5, 256)
    assert {value: int(histogram.counts[value]) for value in (0, 7, 255)} == {0: 1, 7: 2, 255: 1}
    assert histogram.centres[7] == 7


def test_bins_of_integers_hold_whole_integers() -> None:
    histogram = distribution(np.arange(1000)).histogram  # the outer quantiles leave 0 and 999 aside
    width = (histogram.high - histogram.low) / len(histogram.counts)
    assert width == round(width)
    assert set(histogram.counts[1:-1].tolist()) == {int(width)}


def test_the_brain_alone_counts() -> None:
    array = np.array([[[0, 0, 0, 10, 20]]], dtype=np.int16)
    intensities = measure.distribution(array, array > 0)
    assert intensities is not None
    assert (intensities.n_voxels, intensities.mean, intensities.std) == (2, 15.0, 5.0)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_a_constant_image_has_a_distribution(kind: type) -> None:
    intensities = distribution([3, 3, 3], kind)
    assert (intensities.mean, intensities.std, intensities.quantiles[0]) == (3.0, 0.0, 3.0)
    assert int(intensities.histogram.counts.sum()) == 3


def test_nothing_finite_has_none() -> None:
    array = np.full((1, 2, 2), np.nan, dtype=np.float32)
    assert measure.distribution(array, np.ones(array.shape, dtype=np.bool_)) is None


@pytest.mark.parametrize(
    ("n_slices", "medians"),
    [
        (20, [10.0 * z + 1 for z in range(20)]),  # a slice at each place
        (10, [10.0 * (place // 2) + 1 for place in range(20)]),  # each slice at two
        (40, [20.0 * place + 4 for place in range(20)]),  # two slices of four voxels each: the fourth of eight
    ],
)
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_places_go_from_the_first_slice_with_brain_to_the_last(
    n_slices: int, medians: list[float], kind: type[np.generic]
) -> None:
    """Slice z holds 10 z and 1, 2, 4 more; before and after come slices without brain, which would be 999."""
    voxels = np.full((n_slices + 5, 1, 4), 999, dtype=kind)
    voxels[2 : n_slices + 2, 0] = (10 * np.arange(n_slices)[:, None] + np.array([0, 1, 2, 4])).astype(kind)
    brain = np.zeros(voxels.shape, dtype=np.bool_)
    brain[2 : n_slices + 2] = True
    table = measure.by_place(voxels, brain)
    assert table.shape == (SLICE_PLACES, len(QUANTILES))
    assert table[:, QUANTILES.index(0.5)].tolist() == medians
    assert table[0, QUANTILES.index(0.001)] == 0


def test_a_place_without_a_number_is_nan_and_single_pictures_have_no_places() -> None:
    voxels = np.ones((20, 1, 4), dtype=np.float32)
    voxels[7] = np.nan
    table = measure.by_place(voxels, np.ones(voxels.shape, dtype=np.bool_))
    assert np.flatnonzero(np.isnan(table).any(axis=1)).tolist() == [7]
    assert measure.by_place(voxels[:1], np.ones((1, 1, 4), dtype=np.bool_)).shape == (0, len(QUANTILES))


def test_density_integrates_to_one() -> None:
    histogram = distribution([10, 20, 20, 40]).histogram
    assert float((histogram.density * np.diff(histogram.edges)).sum()) == pytest.approx(1.0)


# --- correlation ------------------------------------------------------------------------------------------------------


def test_correlation_of_the_middle_third() -> None:
    """Nine slices: modalities agree in slices 3 to 5 and are opposite elsewhere."""
    first = np.random.default_rng(0).integers(1, 100, (9, 5, 5)).astype(np.int16)
    second = (200 - first).astype(np.int16)
    second[3:6] = 2 * first[3:6]
    brain = np.ones(first.shape, dtype=np.bool_)
    table = measure.correlation({"a": first, "b": second}, ["b", "x", "a"], brain)
    assert table[0, 2] == pytest.approx(1.0)
    assert np.isnan(table[1]).all()
    assert table[2, 2] == pytest.approx(1.0)


def test_correlation_agrees_with_numpy_over_the_brain() -> None:
    arrays = {name: np.random.default_rng(row).normal(500, 90, (3, 20, 20)) for row, name in enumerate("abc")}
    arrays["c"] += arrays["a"]
    brain = np.random.default_rng(9).random((3, 20, 20)) > 0.5
    table = measure.correlation(arrays, "abc", brain)
    expected = np.corrcoef([arrays[name][1][brain[1]] for name in "abc"])
    assert table == pytest.approx(expected, abs=1e-4)


def test_correlation_of_nothing() -> None:
    empty = np.zeros((3, 2, 2), dtype=np.int16)
    assert np.isnan(measure.correlation({"a": empty}, ["a"], empty > 0)).all()
    assert np.isnan(measure.correlation({"a": empty}, ["a"], empty == 0)).all()


# --- tumour -----------------------------------------------------------------------------------------------------------


def test_the_centre_is_a_voxel_of_the_largest_slice() -> None:
    """A horseshoe in slice 1, whose centre of mass lies outside of it; one voxel in slice 0."""
    tumour = np.zeros((2, 5, 7), dtype=np.bool_)
    tumour[0, 0, 0] = True
    tumour[1, 1:4, 1] = tumour[1, 1:4, 5] = True
    tumour[1, 3, 1:6] = True
    x, y, z = measure.centre_voxel(tumour) or (-1, -1, -1)
    assert z == 1
    assert tumour[z, y, x]
    assert (x, y) == (3, 3)
    assert measure.centre_voxel(np.zeros((1, 2, 2), dtype=np.bool_)) is None


def test_heat_of_a_picture_is_stretched_to_the_brain() -> None:
    """The brain is the right half, 4 x 4; the tumour its upper left pixel, so a sixteenth of the map."""
    brain, tumour = np.zeros((1, 4, 8), dtype=np.bool_), np.zeros((1, 4, 8), dtype=np.bool_)
    brain[0, :, 4:] = True
    tumour[0, 0, 4] = True
    (heat,) = measure.heat_maps(tumour, brain, Grid.of_pictures((8, 4, 1)))
    assert (heat.plane, heat.axes) == ("picture", ("column", "row"))
    expected = np.zeros((HEAT_CELLS, HEAT_CELLS), dtype=np.bool_)
    expected[:16, :16] = True
    assert (heat.values == expected).all()


def test_heat_of_many_voxels_covers_each() -> None:
    brain = np.ones((1, 200, 200), dtype=np.bool_)
    tumour = np.zeros_like(brain)
    tumour[0, 100, 50] = True
    (heat,) = measure.heat_maps(tumour, brain, Grid.of_pictures((200, 200, 1)))
    assert np.argwhere(heat.values).tolist() == [[16, 32]]  # 50.5 / 200 * 64 = 16.2, 100.5 / 200 * 64 = 32.2


def test_stacks_of_pictures_have_three_maps() -> None:
    brain = np.ones((8, 4, 4), dtype=np.bool_)
    maps = measure.heat_maps(brain, brain, Grid.of_pictures((4, 4, 8)))
    assert [heat.plane for heat in maps] == ["picture", "column-slice", "row-slice"]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASR", "SPL", "PIR"])
def test_heat_is_anatomical_whatever_the_orientation(codes: str) -> None:
    """The tumour fills the right, anterior, superior eighth of the brain."""
    shape = (8, 6, 4)
    mask = np.zeros(shape, dtype=np.bool_)
    mask[4:, 3:, 2:] = True
    grid = ras(shape).with_orientation(codes)
    order = [{"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}[code] for code in codes]
    flip = tuple(slice(None, None, 1 if code in "RAS" else -1) for code in codes)
    turned = mask.transpose(order)[flip].T
    maps = measure.heat_maps(turned, np.ones_like(turned), grid)
    assert [heat.plane for heat in maps] == ["axial", "coronal", "sagittal"]
    assert [heat.axes for heat in maps] == [
        ("right", "anterior"),
        ("right", "superior"),
        ("anterior", "superior"),
    ]
    expected = np.zeros((HEAT_CELLS, HEAT_CELLS), dtype=np.bool_)
    expected[32:, 32:] = True
    for heat in maps:
        assert (heat.values == expected).all()


def test_no_tumour_no_heat() -> None:
    nothing = np.zeros((2, 3, 3), dtype=np.bool_)
    assert measure.heat_maps(nothing, ~nothing, ras((3, 3, 2))) == ()


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        (np.array([2**62, 2**62 + 4]), 2.0**62),
        (np.array([2**64 - 2048, 2**64 - 1024], np.uint64), 2.0**64 - 1536),
        (np.array([2**32 - 5, 2**32 - 1], np.uint32), 2.0**32 - 3),
        (np.array([-128, 127], np.int8), -0.5),
        (np.array([1e17, 1e17 + 16]), 1e17),  # neighbours among doubles: no bins between them
        (np.array([0.0, 1e-310]), 0.0),
        (np.array([-3.3e38, 3.3e38], np.float32), 0.0),  # whose difference single precision cannot hold
        (np.array([1e300, 1.0]), 1.0),  # beyond single precision, as infinity is
    ],
)
def test_intensities_at_the_ends_of_their_types(values: np.ndarray, mean: float) -> None:
    voxels = values.reshape(1, 1, -1)
    found = measure.distribution(voxels, np.ones(voxels.shape, dtype=np.bool_))
    assert found is not None
    assert found.mean == pytest.approx(mean, rel=1e-12)
    assert int(found.histogram.counts.sum()) == int((np.abs(values.astype(np.float64)) < 1e39).sum())
