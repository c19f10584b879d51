from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from glioseg.errors import OptionError
from glioseg.training.augment import AugmentOptions, AugmentTable, ChannelLayout, draw
from glioseg.training.randomness import DrawKey
from tests.training.augment.helpers import GEOMETRY, INTENSITY, KEY, options_of

_COLUMN = {
    "flip": "flips",
    "turn": "turns",
    "rotation": "angles",
    "scale": "scales",
    "shift": "shifts",
    "elastic": "bends",
    "gamma": "gammas",
    "bias": "biases",
    "contrast": "contrasts",
    "brightness": "brightnesses",
    "blur": "blurs",
    "low_resolution": "low_resolutions",
    "noise": "noises",
    "missing": "sources",
}
_FACTORS = ("scale", "gamma", "contrast", "low_resolution")
_LAYOUT = ChannelLayout(3, flair=1)


def _draw(
    options: AugmentOptions, key: DrawKey = KEY, n_items: int = 8, layout: ChannelLayout = _LAYOUT
) -> AugmentTable:
    return draw(options, key, n_items=n_items, size=(16, 16), channels=layout)


def _values(table: AugmentTable) -> dict[str, object]:
    return {field.name: np.asarray(getattr(table, field.name)).tolist() for field in fields(table)}


def test_the_key_decides_the_table_bit_for_bit() -> None:
    options = options_of(*_COLUMN)
    assert _values(_draw(options)) == _values(_draw(options))


@pytest.mark.parametrize("place", [{"seed": 1}, {"epoch": 1}, {"step": 1}])
def test_another_place_in_the_training_has_another_table(place: dict[str, Any]) -> None:
    options = options_of(*_COLUMN).model_copy(update={"flip": options_of("flip", probability=0.5).flip})
    one, other = _values(_draw(options)), _values(_draw(options, DrawKey(**{"seed": 0, **place}, purpose="augment")))
    assert {name for name in one if one[name] == other[name]} == {"size", "noise_places", "n_noises"}


@pytest.mark.parametrize("name", _COLUMN)
def test_a_change_has_a_stream_of_its_own(name: str) -> None:
    """Alone it draws what it draws among all others, and nothing else is drawn."""
    alone, together = _draw(options_of(name)), _draw(options_of(*_COLUMN))
    neutral = _draw(AugmentOptions())
    for column in _COLUMN.values():
        expected = together if column == _COLUMN[name] else neutral
        np.testing.assert_array_equal(getattr(alone, column), getattr(expected, column))


def test_what_one_change_draws_says_nothing_about_another() -> None:
    table = _draw(options_of(*_COLUMN, probability=0.5), n_items=2000)
    names = [column for column in _COLUMN.values() if column != "sources"]
    drawn = np.stack([getattr(table, name).reshape(2000, -1)[:, 0] for name in names]).astype(np.float64)
    assert np.abs(np.corrcoef(drawn) - np.eye(len(names))).max() < 0.1


def test_without_probabilities_the_table_is_neutral() -> None:
    table = _draw(AugmentOptions())
    for column in ("flips", "turns", "angles", "shifts", "bends", "biases", "brightnesses", "blurs", "noises"):
        assert not getattr(table, column).any(), column
    for column in ("scales", "gammas", "contrasts", "low_resolutions"):
        assert (getattr(table, column) == 1).all(), column
    assert table.sources.tolist() == [[0, 1, 2]] * 8
    assert not table.resampled.any()


@pytest.mark.parametrize(
    "name", [name for name in (*GEOMETRY, *INTENSITY) if name not in ("flip", "turn", "elastic", "bias")]
)
def test_sizes_fill_their_range(name: str) -> None:
    options = options_of(name)
    low, high = getattr(options, name).range
    drawn = getattr(_draw(options, n_items=2000), _COLUMN[name])
    assert drawn.min() >= np.float32(low)
    assert drawn.max() <= np.float32(high)
    middle = math.sqrt(low * high) if name in _FACTORS else (low + high) / 2
    below = (drawn < middle).mean()  # half of a uniform draw lies below the middle, of factors below the geometric one
    assert below == pytest.approx(0.5, abs=0.05)
    assert drawn.min() < low + 0.05 * (high - low)
    assert drawn.max() > high - 0.05 * (high - low)


@pytest.mark.parametrize(("name", "column"), [("elastic", "bends"), ("bias", "biases")])
def test_control_points_lie_within_the_drawn_size(name: str, column: str) -> None:
    points = np.abs(getattr(_draw(options_of(name), n_items=500), column))
    high = getattr(AugmentOptions(), name).range[1]
    largest = points.reshape(500, -1).max(axis=1)
    assert high * 0.95 < points.max() <= np.float32(high)
    assert largest.min() < high / 2  # each item has a size of its own
    cells = {"elastic": 5, "bias": 2}[name]
    assert points.shape[2:] == (cells + 3, cells + 3)


@pytest.mark.parametrize("name", [name for name in _COLUMN if name not in ("flip", "missing")])
def test_probability_is_the_share_of_items(name: str) -> None:
    table = _draw(options_of(name, probability=0.3), n_items=3000)
    column = getattr(table, _COLUMN[name])
    neutral = 1 if name in _FACTORS else 0
    changed = (column != neutral).reshape(3000, -1).any(axis=1).mean()
    assert changed == pytest.approx(0.3, abs=0.03)


def test_flips_of_each_axis_are_independent_and_allowed() -> None:
    both = _draw(options_of("flip", probability=0.5), n_items=2000).flips
    assert [(both == pair).all(axis=1).mean() for pair in ((0, 0), (0, 1), (1, 0), (1, 1))] == pytest.approx(
        [0.25] * 4, abs=0.03
    )
    options = AugmentOptions.model_validate({"flip": {"probability": 1, "axes": ["width"]}})
    assert _draw(options).flips.tolist() == [[False, True]] * 8
    deep = AugmentOptions.model_validate({"flip": {"probability": 1, "axes": ["depth", "height"]}})
    volume = draw(deep, KEY, n_items=1, size=(4, 8, 8), channels=ChannelLayout(1))
    assert volume.flips.tolist() == [[True, True, False]]


def test_turns_are_90_180_or_270_degrees_alike() -> None:
    turns = _draw(options_of("turn"), n_items=3000).turns
    assert np.bincount(turns, minlength=4)[1:] / 3000 == pytest.approx([1 / 3] * 3, abs=0.03)
    assert turns.min() == 1


def test_intensities_are_drawn_for_each_modality_and_shared_by_its_slices() -> None:
    # 2.5-D: both modalities of the slice below, of the slice itself, of the slice above
    layout = ChannelLayout(2, n_slices=3, flair=1)
    table = _draw(options_of(*INTENSITY), layout=layout)
    for name in INTENSITY:
        column = getattr(table, _COLUMN[name])
        assert column.shape[1] == 6
        np.testing.assert_array_equal(column[:, :2], column[:, 2:4])
        np.testing.assert_array_equal(column[:, :2], column[:, 4:])
        assert (column[:, 0] != column[:, 1]).any()


@pytest.mark.parametrize("at_most", [None, 1, 2, 9])
def test_at_least_one_modality_stays(at_most: int | None) -> None:
    options = AugmentOptions.model_validate({"missing": {"zero": 1.0, "at_most": at_most}})
    sources = _draw(options, n_items=2000, layout=ChannelLayout(4)).sources
    n_lost = (sources == -1).sum(axis=1)
    most = min(at_most or 3, 3)
    assert np.bincount(n_lost, minlength=5)[1 : most + 1] / 2000 == pytest.approx([1 / most] * most, abs=0.04)
    assert ((sources == -1) | (sources == np.arange(4))).all()
    assert (sources == -1).mean(axis=0) == pytest.approx([n_lost.mean() / 4] * 4, abs=0.04)  # none is preferred


def test_flair_replaces_others_and_never_itself() -> None:
    options = AugmentOptions.model_validate({"missing": {"flair": 1.0}})
    sources = _draw(options, n_items=1000).sources  # pre, flair, post
    patterns = {tuple(row): count for row, count in zip(*np.unique(sources, axis=0, return_counts=True), strict=True)}
    # one of the two others, or both: one modality is lost in half of the items
    assert set(patterns) == {(1, 1, 2), (0, 1, 1), (1, 1, 1)}
    assert patterns[1, 1, 1] / 1000 == pytest.approx(0.5, abs=0.05)
    assert patterns[1, 1, 2] / 1000 == pytest.approx(0.25, abs=0.05)


def test_an_item_lacks_modalities_in_one_way_only() -> None:
    options = AugmentOptions.model_validate({"missing": {"zero": 0.2, "flair": 0.3}})
    sources = _draw(options, n_items=3000).sources
    zeroed = (sources == -1).any(axis=1)
    filled = ((sources == 1) & (np.arange(3) != 1)).any(axis=1)
    assert zeroed.mean() == pytest.approx(0.2, abs=0.03)
    assert filled.mean() == pytest.approx(0.3, abs=0.03)
    assert not (zeroed & filled).any()


def test_one_modality_stands_in_the_place_of_all() -> None:
    options = AugmentOptions.model_validate({"one_modality": {"probability": 0.6}, "missing": {"zero": 1.0}})
    sources = _draw(options, n_items=3000).sources  # pre, flair, post
    alone = (sources == sources[:, :1]).all(axis=1)
    # the others lack one or two of three modalities, so that their channels are never all the same
    assert (sources[alone] >= 0).all()
    assert alone.mean() == pytest.approx(0.6, abs=0.03)
    assert np.bincount(sources[alone, 0], minlength=3) / alone.sum() == pytest.approx([1 / 3] * 3, abs=0.04)
    assert (sources[~alone] == -1).any(axis=1).all()
    slices = _draw(options_of("one_modality"), layout=ChannelLayout(2, n_slices=2)).sources
    assert {tuple(row) for row in slices.tolist()} == {(0, 0, 2, 2), (1, 1, 3, 3)}


def test_each_slice_of_a_lost_modality_takes_its_own_flair() -> None:
    options = AugmentOptions.model_validate({"missing": {"flair": 1.0}})
    sources = _draw(options, layout=ChannelLayout(2, n_slices=3, flair=1)).sources
    assert sources.tolist() == [[1, 1, 3, 3, 5, 5]] * 8
    zeroed = _draw(
        AugmentOptions.model_validate({"missing": {"zero": 1.0}}), layout=ChannelLayout(2, n_slices=2)
    ).sources
    assert {tuple(row) for row in zeroed.tolist()} == {(-1, 1, -1, 3), (0, -1, 2, -1)}


@pytest.mark.parametrize(
    ("options", "size", "layout", "message"),
    [
        ({"turn": {"probability": 0.1}}, (16, 12), _LAYOUT, "as wide as high; found 16 x 12"),
        ({"turn": {"probability": 0.1}}, (8, 8, 6), _LAYOUT, "as wide as high"),
        ({"flip": {"probability": 0.1, "axes": ["depth"]}}, (8, 8), _LAYOUT, "no depth"),
        ({"missing": {"zero": 0.1}}, (8, 8), ChannelLayout(1, n_slices=3), "only modality"),
        ({"missing": {"flair": 0.1}}, (8, 8), ChannelLayout(2), "no modality is FLAIR"),
        ({}, (8,), _LAYOUT, "two or three spatial axes"),
    ],
)
def test_refuses_the_impossible(
    options: dict[str, object], size: tuple[int, ...], layout: ChannelLayout, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        draw(AugmentOptions.model_validate(options), KEY, n_items=2, size=size, channels=layout)


@pytest.mark.parametrize("wrong", [{"n_modalities": 0}, {"n_modalities": 2, "n_slices": 0}])
def test_refuses_layouts_without_channels(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="at least one modality"):
        ChannelLayout(**wrong)


def test_refuses_a_flair_that_is_not_there() -> None:
    with pytest.raises(OptionError, match="FLAIR is not one"):
        ChannelLayout(2, flair=2)
