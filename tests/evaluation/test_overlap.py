"""Confusion counts of masks drawn by hand, and properties of the ratios on any masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glioseg.core import Grid, LabelMap, scheme_named
from glioseg.core.labels import encode_regions
from glioseg.errors import GeometryError, LabelError
from glioseg.evaluation import OVERLAP_METRICS, count_channels, count_labels, ratio
from tests.evaluation.drawing import labels

REGIONS = ("WT", "TC", "ET")

# reference   prediction      WT: 6 each, 4 shared: TP 4 FP 2 FN 2 TN 4
#  .eee        .ee.           TC: reference n t (2), prediction n t t (3), shared n t: TP 2 FP 1 FN 0 TN 9
#  .nt.        .ntt           ET: reference 1, prediction 2, shared 1: TP 1 FP 1 FN 0 TN 10
#  .e..        e...           classes right: 5 of the background, ee, n, t ...  counted in the test
REFERENCE = ".eee .nt. .e.."
PREDICTION = ".ee. .ntt e..."


def test_counts_of_nested_regions() -> None:
    """The background is right in 4 voxels, the tumour's class in 4 (e e n t): 8 of 12."""
    counts = count_labels(labels(REFERENCE), labels(PREDICTION), REGIONS)
    assert counts.regions.tolist() == [[[4, 2, 2, 4], [2, 1, 0, 9], [1, 1, 0, 10]]]
    assert counts.correct.tolist() == [8]


def test_slices_are_counted_apart_along_z() -> None:
    empty = ".... .... ...."
    counts = count_labels(labels(REFERENCE, empty, empty), labels(PREDICTION, empty, REFERENCE), REGIONS)
    assert counts.regions[:, 0].tolist() == [[4, 2, 2, 4], [0, 0, 0, 12], [0, 6, 0, 6]]
    assert counts.correct.tolist() == [8, 12, 6]


def test_one_region_cannot_tell_labels_apart() -> None:
    """With WT alone a voxel is right when it is tumour in both or in neither: TP + TN."""
    counts = count_labels(labels(REFERENCE), labels(PREDICTION), ["WT"])
    assert counts.correct.tolist() == [4 + 4]


def test_label_maps_of_two_schemes_are_compared_by_region() -> None:
    """4 in BraTS 2021 and 3 in BraTS 2023 are both enhancing tumour."""
    old = labels(REFERENCE)
    new = LabelMap(np.where(old.array == 4, 3, old.array), scheme_named("brats2023"), old.grid)
    counts = count_labels(old, new, REGIONS)
    assert counts.regions[..., 1:3].sum() == 0
    assert counts.correct.tolist() == [12]


def test_lgg_labels_are_large_integers() -> None:
    #  ##..   .#..    TP 1, FP 1, FN 1, TN 5
    #  ....   ..#.
    counts = count_labels(labels("##.. ....", scheme="lgg"), labels(".#.. ..#.", scheme="lgg"), ["tumour"])
    assert counts.regions.tolist() == [[[1, 1, 1, 5]]]


def test_channels_and_label_maps_agree() -> None:
    rng = np.random.default_rng(3)
    scheme, grid = scheme_named("brats2021"), Grid((7, 5, 4), np.eye(4))
    one, other = (LabelMap(rng.choice([0, 1, 2, 4], grid.shape).astype(np.uint8), scheme, grid) for _ in range(2))
    from_labels = count_labels(one, other, REGIONS)
    encoded = [encode_regions(each.array, scheme, REGIONS) for each in (one, other)]
    from_channels = count_channels(encoded[0], encoded[1].astype(np.bool_))
    assert np.array_equal(from_labels.regions, from_channels.regions)
    assert np.array_equal(from_labels.correct, from_channels.correct)


def test_grids_that_differ_are_refused() -> None:
    with pytest.raises(GeometryError, match="shape 4x3x1 against 4x3x2"):
        count_labels(labels(REFERENCE), labels(REFERENCE, REFERENCE), REGIONS)
    moved = LabelMap(labels(REFERENCE).array, scheme_named("brats2021"), Grid((4, 3, 1), np.eye(4)))
    with pytest.raises(GeometryError, match="native grid"):
        count_labels(labels(REFERENCE), moved, REGIONS)


def test_regions_that_a_scheme_lacks_are_refused() -> None:
    with pytest.raises(LabelError, match="has no region ET"):
        count_labels(labels("##", scheme="lgg"), labels("##", scheme="lgg"), ["tumour", "ET"])


def test_channels_that_do_not_fit_are_refused() -> None:
    ones = np.ones((1, 2, 2, 2), dtype=np.uint8)
    with pytest.raises(GeometryError, match="same axes"):
        count_channels(ones, ones[:, :1])
    with pytest.raises(GeometryError, match="same axes"):
        count_channels(ones[0], ones[0])
    with pytest.raises(LabelError, match="hold 0 and 1"):
        count_channels(ones, ones * 2)
    with pytest.raises(LabelError, match="hold 0 and 1"):
        count_channels(ones, ones * 0.5)


masks = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(*(hnp.arrays(np.bool_, (2, *shape)) for _ in range(2)))
)
Masks = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


@given(masks)
def test_counts_add_up_to_the_voxels(pair: Masks) -> None:
    counts = count_channels(*pair)
    assert (counts.regions >= 0).all()
    assert (counts.regions.sum(axis=(0, 2)) == pair[0][0].size).all()
    assert counts.correct.sum() == (pair[0] == pair[1]).all(axis=0).sum()


@given(masks)
def test_exchanging_the_masks_exchanges_precision_and_recall_and_nothing_else(pair: Masks) -> None:
    one, other = count_channels(*pair).regions, count_channels(*pair[::-1]).regions
    for metric in ("dice", "iou", "f1", "accuracy"):
        assert np.array_equal(ratio(one, metric), ratio(other, metric), equal_nan=True)
    assert np.array_equal(ratio(one, "precision"), ratio(other, "recall"), equal_nan=True)


@given(masks)
def test_ratios_lie_in_bounds_and_hang_together(pair: Masks) -> None:
    counts = count_channels(*pair).regions
    values = {metric: ratio(counts, metric) for metric in OVERLAP_METRICS}
    for metric in OVERLAP_METRICS:
        defined = values[metric][~np.isnan(values[metric])]
        assert ((defined >= 0) & (defined <= 1)).all()
    assert np.array_equal(values["dice"], values["f1"], equal_nan=True)
    assert np.allclose(values["iou"], values["dice"] / (2 - values["dice"]), equal_nan=True)
    both = values["precision"] + values["recall"]
    known = both > 0
    harmonic = 2 * values["precision"][known] * values["recall"][known] / both[known]
    assert np.allclose(values["f1"][known], harmonic)


@given(masks)
def test_a_mask_agrees_with_itself(pair: Masks) -> None:
    counts = count_channels(pair[0], pair[0])
    dice = ratio(counts.regions, "dice")
    assert (np.isnan(dice) | (dice == 1)).all()
    assert (counts.correct == pair[0][0, :, :, 0].size).all()
