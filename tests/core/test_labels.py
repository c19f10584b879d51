from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glioseg.core import SCHEMES, Grid, Image, LabelMap, LabelScheme, scheme_named
from glioseg.core.labels import (
    convert_labels,
    decode_kinds,
    decode_regions,
    distinct,
    encode_regions,
    paint_most_probable,
    painting_order,
)
from glioseg.errors import GeometryError, LabelError

NESTED = ("WT", "TC", "ET")
EXCLUSIVE = ("NCR", "ED", "ET")


def label_arrays(scheme: LabelScheme) -> st.SearchStrategy[np.ndarray]:
    values = st.sampled_from([0, *scheme.labels.values()])
    return hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6), elements=values)


def merged(array: np.ndarray, scheme: LabelScheme) -> np.ndarray:
    """What regions can tell apart: of NCR, NET and CC the first, in the scheme's order, stands for all."""
    core = [value for name, value in scheme.labels.items() if name in ("NCR", "NET", "CC")]
    return np.where(np.isin(array, core), core[0], array) if core else array


# --- the table ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "region", "values"),
    [
        ("brats2015", "WT", {1, 2, 3, 4}),
        ("brats2015", "TC", {1, 3, 4}),
        ("brats2015", "NCR", {1, 3}),
        ("brats2021", "WT", {1, 2, 4}),
        ("brats2021", "ET", {4}),
        ("brats2023", "TC", {1, 3}),
        ("brats2024", "WT", {1, 2, 3}),
        ("brats2024", "TC", {1, 3}),
        ("brats2024", "RC", {4}),
        ("brats2024", "ED", {2}),
        ("msd", "TC", {2, 3}),
        ("msd", "NCR", {2}),
        ("nnunet137", "ED", {1}),
        ("nnunet137", "TC", {2, 3}),
        ("lgg", "tumour", {255}),
        ("ibsr", "wm", {3}),
        ("whole-tumour", "WT", {1}),
    ],
)
def test_regions_of_the_schemes(scheme: str, region: str, values: set[int]) -> None:
    assert set(scheme_named(scheme).values_of(region)) == values


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(LabelError, match="brats2021"):
        scheme_named("brats1999")


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_schemes_travel_between_processes(scheme: LabelScheme) -> None:
    again = pickle.loads(pickle.dumps(scheme))
    assert again == scheme
    assert hash(again) == hash(scheme)


@pytest.mark.parametrize(
    ("labels", "regions", "default"),
    [
        ({"a": 0}, {"A": ("a",)}, ("A",)),
        ({"a": 1, "b": 1}, {"A": ("a",)}, ("A",)),
        ({}, {}, ()),
        ({"a": 1}, {"A": ("b",)}, ("A",)),
        ({"a": 1}, {"A": ()}, ("A",)),
        ({"a": 1}, {"A": ("a",)}, ("B",)),
    ],
)
def test_schemes_that_mean_nothing(
    labels: dict[str, int], regions: dict[str, tuple[str, ...]], default: tuple[str, ...]
) -> None:
    with pytest.raises(LabelError):
        LabelScheme("odd", labels, regions, default)


# --- there and back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMES)
@given(data=st.data())
def test_encoding_and_decoding_the_default_regions(name: str, data: st.DataObject) -> None:
    scheme = scheme_named(name)
    array = data.draw(label_arrays(scheme))
    regions = scheme.default_regions
    if "RC" in scheme.regions:
        regions = (*regions, "RC")
    np.testing.assert_array_equal(
        decode_regions(encode_regions(array, scheme, regions), scheme, regions), merged(array, scheme)
    )


@pytest.mark.parametrize("name", [name for name in SCHEMES if set(EXCLUSIVE) <= set(SCHEMES[name].regions)])
@given(data=st.data())
def test_encoding_and_decoding_exclusive_regions_in_any_order(name: str, data: st.DataObject) -> None:
    scheme = scheme_named(name)
    array = data.draw(label_arrays(scheme))
    array = np.where(array == scheme.labels.get("RC", 0), 0, array)
    regions = data.draw(st.permutations(EXCLUSIVE))
    masks = encode_regions(array, scheme, regions)
    assert masks.sum(axis=0).max() <= 1
    np.testing.assert_array_equal(decode_regions(masks, scheme, regions), merged(array, scheme))


@given(label_arrays(scheme_named("brats2021")), st.permutations(NESTED))
def test_nested_regions_hold_each_other(array: np.ndarray, order: list[str]) -> None:
    masks = dict(zip(order, encode_regions(array, scheme_named("brats2021"), order), strict=True))
    assert (masks["ET"] <= masks["TC"]).all()
    assert (masks["TC"] <= masks["WT"]).all()


def test_net_comes_back_as_ncr() -> None:
    scheme = scheme_named("brats2015")
    array = np.array([0, 1, 2, 3, 4])
    np.testing.assert_array_equal(
        decode_regions(encode_regions(array, scheme, NESTED), scheme, NESTED), [0, 1, 2, 1, 4]
    )


def test_the_cavity_lies_beside_the_tumour() -> None:
    scheme = scheme_named("brats2024")
    masks = encode_regions(np.array([4, 1]), scheme, ("WT", "RC"))
    np.testing.assert_array_equal(masks, [[0, 1], [1, 0]])
    # without a region of its own the cavity is background
    np.testing.assert_array_equal(decode_regions(masks[:1], scheme, ("WT",)), [0, 1])


# --- painting -----------------------------------------------------------------------------------------------------


def test_nested_probabilities_are_painted_from_large_to_small() -> None:
    scheme = scheme_named("brats2021")
    #                         none  WT   WT+TC  all  ET alone
    probabilities = np.array([[0.1, 0.9, 0.9, 0.9, 0.2], [0.1, 0.1, 0.8, 0.9, 0.3], [0.1, 0.2, 0.1, 0.7, 0.6]])
    expected = [0, 2, 1, 4, 4]  # WT alone is oedema, TC without ET is necrosis, and a small region needs no larger one
    np.testing.assert_array_equal(decode_regions(probabilities, scheme, NESTED), expected)
    np.testing.assert_array_equal(decode_regions(probabilities[::-1], scheme, NESTED[::-1]), expected)


def test_among_exclusive_regions_the_highest_probability_wins() -> None:
    scheme = scheme_named("brats2021")
    probabilities = np.array([[0.6, 0.9, 0.2], [0.7, 0.6, 0.1], [0.8, 0.1, 0.4]])
    np.testing.assert_array_equal(decode_regions(probabilities, scheme, EXCLUSIVE), [4, 1, 0])


def test_the_highest_counts_only_above_its_own_threshold() -> None:
    scheme = scheme_named("brats2021")
    probabilities = np.array([[0.6], [0.5], [0.8]])
    np.testing.assert_array_equal(decode_regions(probabilities, scheme, EXCLUSIVE, (0.5, 0.4, 0.9)), [1])
    np.testing.assert_array_equal(decode_regions(probabilities, scheme, EXCLUSIVE, 0.9), [0])


def test_a_probability_at_the_threshold_is_outside() -> None:
    np.testing.assert_array_equal(decode_regions(np.array([[0.5, 0.51]]), scheme_named("lgg"), ("tumour",)), [0, 255])


def test_core_is_not_painted_over_a_cavity_that_won() -> None:
    scheme = scheme_named("brats2024")
    regions = ("WT", "TC", "ET", "RC")
    probabilities = np.array([[0.6, 0.9], [0.9, 0.9], [0.9, 0.1], [0.8, 0.1]])
    np.testing.assert_array_equal(decode_regions(probabilities, scheme, regions), [4, 1])


def test_overlap_without_nesting_is_refused() -> None:
    scheme = LabelScheme(
        "odd", {"a": 1, "b": 2, "c": 3}, {"AB": ("a", "b"), "BC": ("b", "c")}, ("AB",), "two regions share b"
    )
    with pytest.raises(LabelError, match="AB and BC overlap"):
        painting_order(scheme, ("AB", "BC"))
    with pytest.raises(LabelError, match="WT and tumour overlap"):
        painting_order(scheme_named("brats2021"), ("WT", "tumour"))


def test_channels_and_thresholds_are_counted() -> None:
    scheme = scheme_named("brats2021")
    with pytest.raises(LabelError, match="one channel per region"):
        decode_regions(np.zeros((2, 4)), scheme, NESTED)
    with pytest.raises(LabelError, match="one threshold"):
        decode_regions(np.zeros((3, 4)), scheme, NESTED, (0.5, 0.5))


# --- values -------------------------------------------------------------------------------------------------------


def test_values_outside_the_scheme_are_named() -> None:
    scheme = scheme_named("brats2023")
    with pytest.raises(LabelError, match=r"found 4, 9"):
        encode_regions(np.array([0, 9, 4, 3]), scheme, NESTED)
    with pytest.raises(LabelError, match="no region csf"):
        encode_regions(np.array([0]), scheme, ("csf",))


@given(hnp.arrays(np.int32, st.integers(0, 30), elements=st.integers(-5, 70000)))
def test_distinct_values(array: np.ndarray) -> None:
    assert distinct(array) == sorted(set(array.tolist()))


def test_a_label_map_holds_known_integers_on_its_grid() -> None:
    grid = Grid((2, 1, 1), np.eye(4))
    scheme = scheme_named("lgg")
    LabelMap(np.array([[[0]], [[255]]]), scheme, grid)
    with pytest.raises(LabelError, match="255 tumour"):
        LabelMap(np.array([[[0]], [[1]]]), scheme, grid)
    with pytest.raises(LabelError, match="integers"):
        LabelMap(np.zeros((2, 1, 1)), scheme, grid)  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match="fit its grid"):
        LabelMap(np.zeros((1, 2, 1), dtype=np.uint8), scheme, grid)


def test_an_image_has_one_name_per_channel() -> None:
    grid = Grid((2, 1, 1), np.eye(4))
    Image(np.zeros((2, 2, 1, 1)), ("t1n", "t2w"), grid)
    for names in (("t1n",), ("t1n", "t1n")):
        with pytest.raises(GeometryError, match="one name per channel"):
            Image(np.zeros((2, 2, 1, 1)), names, grid)
    with pytest.raises(GeometryError, match="fit its grid"):
        Image(np.zeros((2, 1, 1)), ("t1n", "t2w"), grid)
    with pytest.raises(GeometryError, match="real numbers"):
        Image(np.zeros((1, 2, 1, 1), dtype=complex), ("t1n",), grid)


def test_a_label_that_a_label_map_cannot_hold() -> None:
    with pytest.raises(LabelError, match="too large; found 300; expected at most 255"):
        LabelScheme("mine", {"a": 300}, {"a": ("a",)}, ("a",))


BRISC_REGIONS = ("tumour", "glioma", "meningioma", "pituitary")
KINDS = BRISC_REGIONS[1:]


def test_one_kind_is_painted_where_the_outline_is() -> None:
    """Three voxels inside: meningioma is never the most probable by voxels, and by sums it is (1.2 of 1.0 and 0.3)."""
    probabilities = np.array([[0.9, 0.8, 0.7, 0.4], [0.5, 0.5, 0.0, 0.9], [0.4, 0.4, 0.4, 0.0], [0.0, 0.0, 0.3, 0.0]])
    painted = decode_kinds(probabilities, scheme_named("brisc"), BRISC_REGIONS, KINDS)
    np.testing.assert_array_equal(painted, [2, 2, 2, 0])
    np.testing.assert_array_equal(
        decode_kinds(probabilities, scheme_named("brisc"), BRISC_REGIONS, KINDS, threshold=0.75), [1, 1, 0, 0]
    )


def test_without_an_outline_there_is_no_kind() -> None:
    painted = decode_kinds(np.full((4, 3), 0.5), scheme_named("brisc"), BRISC_REGIONS, KINDS)
    np.testing.assert_array_equal(painted, [0, 0, 0])


@pytest.mark.parametrize(
    ("scheme", "regions", "kinds"),
    [
        ("brisc", BRISC_REGIONS, ("glioma", "meningioma")),
        ("brisc", KINDS, KINDS),
        ("brats2023", ("WT", "TC", "ET"), ("TC", "ET")),
    ],
)
def test_kinds_are_of_one_region(scheme: str, regions: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    with pytest.raises(LabelError, match="not kinds of one other region"):
        decode_kinds(np.zeros((len(regions), 2)), scheme_named(scheme), regions, kinds)


# --- from scheme to scheme ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "wanted", "values", "expected"),
    [
        ("brats2023", "brats2021", [0, 1, 2, 3], [0, 1, 2, 4]),
        ("brats2021", "brats2023", [0, 1, 2, 4], [0, 1, 2, 3]),
        ("brats2015", "brats2021", [0, 1, 2, 3, 4], [0, 1, 2, 1, 4]),
        ("brats2021", "msd", [0, 1, 2, 4], [0, 2, 1, 3]),
        ("msd", "nnunet137", [0, 1, 2, 3], [0, 1, 2, 3]),
        ("brats2024", "brats2021", [0, 1, 2, 3], [0, 1, 2, 4]),
        ("brats2021", "brats2024", [0, 1, 2, 4], [0, 1, 2, 3]),
        ("brats2024", "whole-tumour", [0, 1, 2, 3, 4], [0, 1, 1, 1, 0]),
        ("brats2021", "lgg", [0, 1, 2, 4], [0, 255, 255, 255]),
        ("lgg", "binary", [0, 255], [0, 1]),
        ("whole-tumour", "lgg", [0, 1], [0, 255]),
    ],
)
def test_labels_convert_by_name(known: str, wanted: str, values: list[int], expected: list[int]) -> None:
    array = np.array(values, dtype=np.uint8)
    converted = convert_labels(array, scheme_named(known), scheme_named(wanted))
    assert converted.dtype == np.uint8
    assert converted.tolist() == expected


@pytest.mark.parametrize(
    ("known", "wanted", "values"),
    [
        ("brats2024", "brats2023", [4]),
        ("whole-tumour", "brats2021", [1]),
        ("ibsr", "brats2021", [2]),
        ("ibsr", "lgg", [1]),
    ],
)
def test_what_a_scheme_cannot_say_is_refused_where_it_is_present(known: str, wanted: str, values: list[int]) -> None:
    with pytest.raises(LabelError, match="no counterpart"):
        convert_labels(np.array(values, dtype=np.uint8), scheme_named(known), scheme_named(wanted))
    nothing = np.zeros(3, dtype=np.uint8)
    assert convert_labels(nothing, scheme_named(known), scheme_named(wanted)).tolist() == [0, 0, 0]


def test_values_outside_the_scheme_are_not_converted() -> None:
    with pytest.raises(LabelError, match="outside the scheme brats2021"):
        convert_labels(np.array([3], dtype=np.uint8), scheme_named("brats2021"), scheme_named("brats2023"))


# --- the most probable of regions that exclude each other -----------------------------------------------------------


def test_the_most_probable_is_painted_by_its_integer_and_background_wins_ties() -> None:
    scores = np.array([[0.6, 0.2, 0.1, 0.4], [0.1, 0.5, 0.2, 0.4], [0.2, 0.2, 0.3, 0.1], [0.1, 0.1, 0.4, 0.1]])
    painted = paint_most_probable(scores, scheme_named("brats2021"), ("NCR", "ET", "ED"))
    assert painted.dtype == np.uint8
    assert painted.tolist() == [0, 1, 2, 0]  # ED, the third region, is painted 2
    volume = paint_most_probable(scores.reshape(4, 2, 2), scheme_named("brats2021"), ("NCR", "ET", "ED"))
    assert volume.tolist() == [[0, 1], [2, 0]]


def test_the_most_probable_needs_a_background_and_regions_that_exclude_each_other() -> None:
    for n_channels in (2, 4):
        with pytest.raises(LabelError, match=f"one for the background are needed; found {n_channels}"):
            paint_most_probable(np.zeros((n_channels, 1)), scheme_named("brats2021"), ("NCR", "ET"))
    with pytest.raises(LabelError, match="the regions TC and ET overlap"):
        paint_most_probable(np.zeros((3, 1)), scheme_named("brats2021"), ("TC", "ET"))
