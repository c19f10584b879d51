from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from glioseg.preparation.intensity import normalise
from glioseg.preparation.options import PrepareOptions

VOLUMES = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)), elements=st.integers(-900, 900)
)


def normalised(volume: object, brain: object = None, **options: object) -> np.ndarray:
    array = np.array(volume, dtype=np.float32)
    inside = None if brain is None else np.array(brain, dtype=bool)
    normalise(array, inside, PrepareOptions.model_validate(options))
    return array


RAMP = [[list(range(11))]]
TWO_SLICES = [[[0, 2, 4]], [[4, 8, 12]]]


def test_min_max_by_hand() -> None:
    np.testing.assert_allclose(
        normalised(TWO_SLICES, normalise="min-max"), [[[0, 2 / 12, 4 / 12]], [[4 / 12, 8 / 12, 1]]], rtol=1e-6
    )
    np.testing.assert_allclose(
        normalised(TWO_SLICES, normalise="min-max", normalise_over="slice"), [[[0, 0.5, 1]], [[0, 0.5, 1]]]
    )


def test_z_score_by_hand() -> None:
    # slice 0: mean 2, population variance (4 + 0 + 4) / 3; slice 1: mean 8, variance (16 + 0 + 16) / 3
    deviation = (8 / 3) ** 0.5
    expected = np.array([[[-2 / deviation, 0, 2 / deviation]], [[-2 / deviation, 0, 2 / deviation]]])
    np.testing.assert_allclose(normalised(TWO_SLICES, normalise="z-score", normalise_over="slice"), expected, rtol=1e-6)
    # both: mean 5, variance (25 + 9 + 1 + 1 + 9 + 49) / 6
    std = (94 / 6) ** 0.5
    expected = np.array([[[-5, -3, -1]], [[-1, 3, 7]]]) / std
    np.testing.assert_allclose(normalised(TWO_SLICES, normalise="z-score"), expected, rtol=1e-6)


def test_over_the_brain_only() -> None:
    # the brain of slice 0 is 2, 4: range 2; of slice 1 it is 8 alone: constant; all else becomes 0
    brain = [[[0, 1, 1]], [[0, 1, 0]]]
    result = normalised(TWO_SLICES, brain, normalise="min-max", normalise_over="slice")
    np.testing.assert_array_equal(result, [[[0, 0, 1]], [[0, 0, 0]]])
    # of the case it is 2, 4, 8
    result = normalised(TWO_SLICES, brain, normalise="min-max")
    np.testing.assert_allclose(result, np.array([[[0, 0, 1 / 3]], [[0, 1, 0]]]), rtol=1e-6)


def test_percentiles_cut_before_the_range_is_taken() -> None:
    # of 0..10 the 10th and 90th percentiles are 1 and 9
    result = normalised(RAMP, clip_percentiles=(10, 90), normalise="min-max")
    np.testing.assert_allclose(result, [[[0, 0, 1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8, 1, 1]]], rtol=1e-6)
    result = normalised(RAMP, clip_percentiles=(10, 90), normalise="none")
    np.testing.assert_allclose(result, [[[1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]]], rtol=1e-6)


@pytest.mark.parametrize("method", ["min-max", "z-score"])
@pytest.mark.parametrize("over", ["slice", "case"])
def test_constant_input_becomes_zero(method: str, over: str) -> None:
    # 0.1 is not a float32: its mean over a million voxels must not turn rounding into a pattern
    result = normalised(np.full((2, 50, 50), 0.1), normalise=method, normalise_over=over)
    assert not result.any()


def test_a_slice_without_brain_becomes_zero() -> None:
    assert not normalised([[[5, 6]]], [[[0, 0]]], normalise="z-score", clip_percentiles=(1, 99)).any()


@given(VOLUMES, st.sampled_from(["case", "slice"]))
def test_min_max_reaches_exactly_zero_and_one(volume: np.ndarray, over: str) -> None:
    result = normalised(volume, normalise="min-max", normalise_over=over)
    for before, after in zip(volume, result, strict=True) if over == "slice" else [(volume, result)]:
        if before.min() < before.max():
            assert after.min() == 0.0
            assert after.max() == 1.0
        else:
            assert not after.any()


@given(VOLUMES, st.integers(-50, 50), st.integers(1, 9))
def test_neither_method_sees_shift_or_scale(volume: np.ndarray, shift: int, scale: int) -> None:
    for method in ("min-max", "z-score"):
        np.testing.assert_allclose(
            normalised(volume * scale + shift, normalise=method), normalised(volume, normalise=method), atol=2e-3
        )


@given(VOLUMES, st.data())
def test_what_lies_outside_the_brain_has_no_influence(volume: np.ndarray, data: st.DataObject) -> None:
    brain = data.draw(hnp.arrays(bool, volume.shape))
    other = np.where(brain, volume, np.float32(7777))
    options = {"normalise": "z-score", "clip_percentiles": (5, 95)}
    np.testing.assert_array_equal(normalised(volume, brain, **options), normalised(other, brain, **options))
    assert not normalised(volume, brain, **options)[~brain].any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 64, "spacing_mm": (1, 1)}, "exclude each other"),
        ({"spacing_mm": (1,)}, "two or three"),
        ({"spacing_mm": (1, 0)}, "above 0"),
        ({"clip_percentiles": (99, 1)}, "rising"),
        ({"clip_percentiles": (-1, 99)}, "0 to 100"),
        ({"regions": ("WT", "WT")}, "once"),
        ({"regions": ()}, "at least 1"),
        ({"sise": 64}, "Extra inputs"),
        ({"size": 4}, "greater than or equal"),
    ],
)
def test_options_without_meaning(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PrepareOptions.model_validate(options)


@pytest.mark.parametrize("brain_only", [False, True])
def test_a_range_that_float32_does_not_hold(brain_only: bool) -> None:
    # -3e38, 0 and 3e38: twice 3e38 is more than the largest float32, 3.4e38
    brain = [[[1, 1, 1]]] if brain_only else None
    volume = [[[-3e38, 0, 3e38]]]
    np.testing.assert_allclose(normalised(volume, brain, normalise="min-max"), [[[0, 0.5, 1]]], rtol=1e-6)
    # mean 1.5e38, deviations -4.5e38 and three times 1.5e38: population deviation 1.5e38 · √3
    result = normalised([[[-3e38, 3e38, 3e38, 3e38]]], None, normalise="z-score")
    np.testing.assert_allclose(result, [[[-(3**0.5), 3**-0.5, 3**-0.5, 3**-0.5]]], rtol=1e-6)
