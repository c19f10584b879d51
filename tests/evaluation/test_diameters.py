"""Bidimensional diameters, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.core import Grid, LabelMap
from glioseg.core.schemes import scheme_named
from glioseg.errors import GeometryError
from glioseg.evaluation.diameters import Diameters, measure_diameters

SCHEME = scheme_named("brats2023")
NCR, ED, ET = 1, 2, 3
Flags = npt.NDArray[np.bool_]


def _map(
    slice_labels: npt.NDArray[np.integer], affine: npt.NDArray[np.float64] | None = None, depth: int = 3
) -> LabelMap:
    """So many slices alike, with room around them."""
    array = np.zeros((slice_labels.shape[0] + 4, slice_labels.shape[1] + 4, depth + 2), np.uint8)
    array[2:-2, 2:-2, 1:-1] = slice_labels[:, :, None]
    return LabelMap(array, SCHEME, Grid(array.shape, np.eye(4) if affine is None else affine))


def _measured(shape: Flags, spacing: tuple[float, float, float] = (1, 1, 1), depth: int = 3) -> Diameters:
    return measure_diameters(_map(np.where(shape, ET, 0), np.diag([*spacing, 1.0]), depth))


def _pair(found: Diameters) -> tuple[float, float]:
    (lesion,) = found.lesions
    return lesion.long_mm, lesion.short_mm


def _ellipse(long: float, short: float, degrees: float, spacing: tuple[float, float] = (1, 1)) -> Flags:
    """An ellipse with these half axes in mm, its long one turned from X, drawn at the centres of pixels."""
    n_x, n_y = (int(2 * (long + 3) / step) for step in spacing)
    x = (np.arange(n_x)[:, None] - n_x / 2) * spacing[0]
    y = (np.arange(n_y)[None] - n_y / 2) * spacing[1]
    turn = math.radians(degrees)
    along, across = x * math.cos(turn) + y * math.sin(turn), -x * math.sin(turn) + y * math.cos(turn)
    return np.asarray((along / long) ** 2 + (across / short) ** 2 <= 1)


def test_a_rectangle() -> None:
    """Of 20 × 10 mm: the diagonal, √500; across it one climbs 10 mm while going 5 along, √125."""
    found = _measured(np.ones((20, 10), bool))
    assert _pair(found) == pytest.approx((math.sqrt(500), math.sqrt(125)))
    assert found.sum_mm2 == pytest.approx(250)
    assert found.region == "ET"
    assert found.lesions[0].volume_ml == pytest.approx(0.6)


def test_pixels_that_are_no_squares() -> None:
    """The same rectangle of pixels of 0.5 × 2 mm, in slices of 3 mm."""
    found = _measured(np.ones((40, 5), bool), (0.5, 2, 3))
    assert _pair(found) == pytest.approx((math.sqrt(500), math.sqrt(125)))
    assert found.lesions[0].volume_ml == pytest.approx(20 * 10 * 9 / 1000)


@pytest.mark.parametrize("degrees", [0, 30, 45, 77])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 1.5)])
def test_ellipses(degrees: float, spacing: tuple[float, float]) -> None:
    """Axes of 60 and 24 mm, to a pixel's diagonal: a border of pixels is a staircase."""
    found = _measured(_ellipse(30, 12, degrees, spacing), (*spacing, 2.0))
    assert _pair(found) == pytest.approx((60, 24), abs=math.hypot(*spacing))


def test_segments_stay_inside() -> None:
    """An L with arms of 40 × 10 mm. The straight way from end to end, √3200, runs outside.

    The longest way inside goes from the end of one arm, (0, 40), past the inner corner (10, 10) to a corner of a pixel
    on the far side: (13, 0), since (14, 0) would cut the corner off. √(13² + 40²). Across it, at 90°, one rises 13 in
    40: within the other arm, 10 mm wide, one gets 10 · 40 / 13 mm far.
    """
    shape = np.zeros((40, 40), bool)
    shape[:, :10] = shape[:10, :] = True
    long, rise = math.hypot(13, 40), 13 / 40
    assert _pair(_measured(shape)) == pytest.approx((long, 10 / rise * math.hypot(1, rise)))


def test_a_rim_is_measured_with_the_necrosis_that_it_encloses() -> None:
    """A ring of 21 mm, 1 to 2 mm wide: whole round necrosis; round a cavity nothing straight is 10 mm long."""
    x, y = np.mgrid[-11:12, -11:12]
    ring, inner = (x**2 + y**2 <= 100) & (x**2 + y**2 > 81), x**2 + y**2 <= 81
    necrotic = measure_diameters(_map(np.where(ring, ET, np.where(inner, NCR, 0))))
    assert _pair(necrotic) == pytest.approx((21, 21), abs=1)
    assert necrotic.lesions[0].volume_ml == pytest.approx(3 * ring.sum() / 1000), "of the enhancing part alone"
    hollow = measure_diameters(_map(np.where(ring, ET, 0)))
    assert (hollow.lesions, hollow.n_small) == ((), 1)


def test_the_whole_tumour_is_measured_where_nothing_enhances() -> None:
    shape = np.where(np.ones((20, 10), bool), ED, 0)
    assert measure_diameters(_map(shape)).region == "WT"
    shape[0, 0] = ET
    found = measure_diameters(_map(shape))
    assert (found.region, found.lesions, found.n_small) == ("ET", (), 1)
    assert len(measure_diameters(_map(shape), "WT").lesions) == 1


def test_the_slice_is_that_of_the_largest_product() -> None:
    """Three slices of 12 × 12, 20 × 20 and 30 × 3 mm: the middle one, though the last is the longest."""
    array = np.zeros((40, 40, 5), np.uint8)
    array[5:17, 5:17, 1] = array[5:25, 5:25, 2] = array[5:35, 5:8, 3] = ET
    (lesion,) = measure_diameters(LabelMap(array, SCHEME, Grid(array.shape, np.eye(4)))).lesions
    assert (lesion.slice_index, lesion.axis) == (2, 2)
    assert lesion.product_mm2 == pytest.approx(800, rel=1e-5)  # the two diagonals of a square of 20 mm
    assert {(*point.round(3),) for point in lesion.points} == {(x, y, 2) for x in (4.5, 24.5) for y in (4.5, 24.5)}


def test_the_two_largest_lesions_are_summed() -> None:
    """Squares of 20, 15 and 12 mm; one of 6 mm, and one of 30 mm in a single slice, are not measurable."""
    array = np.zeros((60, 80, 6), np.uint8)
    for side, x, y, depth in ((12, 0, 0, 2), (20, 0, 15, 3), (15, 0, 40, 2), (6, 0, 60, 4), (30, 25, 0, 1)):
        array[x : x + side, y : y + side, 1 : 1 + depth] = ET
    labels = LabelMap(array, SCHEME, Grid(array.shape, np.eye(4)))
    found = measure_diameters(labels)
    products = [lesion.product_mm2 for lesion in found.lesions]
    assert products == pytest.approx([800, 450, 288], rel=1e-5)  # the product of the diagonals is twice the area
    assert found.sum_mm2 == pytest.approx(1250, rel=1e-5)
    assert found.n_small == 2
    assert measure_diameters(labels, most_targets=3).sum_mm2 == pytest.approx(1538, rel=1e-5)


@pytest.mark.parametrize(("spacing", "n_measurable"), [(5.0, 1), (6.0, 1), (8.0, 0)])
def test_thick_slices_ask_for_more(spacing: float, n_measurable: int) -> None:
    """A square of 10 mm has diagonals of 14.1: enough for slices 6 mm apart (12 mm), not for 8 (16 mm)."""
    assert len(_measured(np.ones((10, 10), bool), (1, 1, spacing)).lesions) == n_measurable


def test_both_diameters_must_be_long_enough() -> None:
    """30 × 9 mm: 31.3 mm long, and across that 9 · √(1 + 0.3²) = 9.4 mm."""
    assert _measured(np.ones((30, 9), bool)).n_small == 1


@given(st.permutations([0, 1, 2]), st.lists(st.booleans(), min_size=3, max_size=3))
def test_the_order_and_direction_of_axes_are_nothing(order: list[int], flips: list[bool]) -> None:
    labels = _map(np.where(_ellipse(14, 8, 25), ET, 0), np.diag([1.0, 1.0, 2.0, 1.0]))
    (straight,) = measure_diameters(labels).lesions
    grid, array = labels.grid.permuted(order), labels.array.transpose(order)
    for axis, is_flipped in enumerate(flips):
        if is_flipped:
            grid, array = grid.flipped(axis), np.flip(array, axis)
    (turned,) = measure_diameters(LabelMap(np.ascontiguousarray(array), SCHEME, grid)).lesions
    assert turned.long_mm == pytest.approx(straight.long_mm)
    assert turned.axis == order.index(2)
    assert turned.points_mm[:, 2] == pytest.approx(turned.points_mm[0, 2])


@given(st.integers(0, 2**32 - 1))
def test_ends_lie_where_they_say_and_meet_at_a_right_angle(seed: int) -> None:
    """Of lumps of any form on an oblique grid, in mm."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.random((5, 5)) > 0.35, np.ones((5, 5), int)).astype(bool)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.9, 1.3, 2.0])
    for lesion in measure_diameters(_map(np.where(blocks, ET, 0), affine)).lesions:
        first, second = lesion.points_mm[1] - lesion.points_mm[0], lesion.points_mm[3] - lesion.points_mm[2]
        assert (np.linalg.norm(first), np.linalg.norm(second)) == pytest.approx((lesion.long_mm, lesion.short_mm))
        assert abs(first @ second) < 1e-6 * lesion.product_mm2
        world = lesion.points @ affine[:3, :3].T + affine[:3, 3]
        np.testing.assert_allclose(world, lesion.points_mm, atol=1e-9)


def test_nothing_and_no_millimetres() -> None:
    found = measure_diameters(_map(np.zeros((5, 5), int)))
    assert (found.region, found.lesions, found.sum_mm2) == (None, (), 0)
    assert found.to_json()["sum_of_products_mm2"] == 0
    with pytest.raises(GeometryError, match="no millimetres"):
        measure_diameters(LabelMap(np.ones((3, 3, 1), np.uint8), SCHEME, Grid.of_pictures((3, 3, 1))))


def test_what_the_record_says() -> None:
    (lesion,) = _measured(np.ones((20, 10), bool)).to_json()["lesions"]
    assert (lesion["long_mm"], lesion["short_mm"], lesion["product_mm2"]) == (22.4, 11.2, 250.0)
    assert lesion["axial_slice"] in (2, 3, 4), "counted from 1"
    assert len(lesion["points_mm"]) == 4
