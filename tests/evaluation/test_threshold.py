"""Threshold and smallest component, by hand and against the plain way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from glioseg.core.components import remove_small_components
from glioseg.errors import ScoreError
from glioseg.evaluation import (
    CaseSearch,
    ThresholdChoice,
    ThresholdOptions,
    choose,
    count_channels,
    search_case,
)


def picture(text: str) -> npt.NDArray[np.float64]:
    """(1, X, Y, 1) probabilities: digits are tenths."""
    rows = np.array([[int(letter) / 10 for letter in row] for row in text.split()])
    return rows.T[None, :, :, None]


# probabilities, the reference where they are 0.4 or 0.8; the 0.6 are two false specks
#  8 8 0 0 6
#  8 4 0 0 0
#  0 0 0 6 6
PROBABILITIES = picture("88006 84000 00066")
REFERENCE = np.isin(PROBABILITIES, (0.8, 0.4))


def test_every_setting_by_hand() -> None:
    """Above 0.3: the tumour (4 voxels), specks of 1 and 2; above 0.5 the tumour has 3; above 0.7 no speck is left."""
    options = ThresholdOptions(thresholds=(0.3, 0.5, 0.7, 0.9), min_voxels=(0, 2, 3))
    counts = search_case("a", PROBABILITIES, REFERENCE, ["WT"], options).counts[0]
    assert counts[..., :3].tolist() == [
        [[4, 3, 0], [4, 2, 0], [4, 0, 0]],
        [[3, 3, 1], [3, 2, 1], [3, 0, 1]],
        [[3, 0, 1], [3, 0, 1], [3, 0, 1]],
        [[0, 0, 4], [0, 0, 4], [0, 0, 4]],
    ]
    assert (counts.sum(axis=-1) == 15).all()


def test_the_best_setting_is_chosen() -> None:
    options = ThresholdOptions(thresholds=(0.3, 0.5, 0.7, 0.9), min_voxels=(0, 2, 3))
    search = search_case("a", PROBABILITIES, REFERENCE, ["WT"], options)
    assert choose([search], options) == {"WT": ThresholdChoice(0.3, 3, 1.0)}


def test_a_voxel_at_the_threshold_is_outside() -> None:
    """As when regions are painted: above it, compared in double precision whatever the probabilities are stored in."""
    options = ThresholdOptions(thresholds=(0.8,), min_voxels=(0,))
    assert search_case("a", PROBABILITIES, REFERENCE, ["WT"], options).counts[0, 0, 0].tolist() == [0, 0, 4, 11]
    coarse = PROBABILITIES.astype(np.float16)  # 0.8 is stored as 0.7998, 0.6 as 0.6001, which lies above 0.6
    options = ThresholdOptions(thresholds=(0.6,), min_voxels=(0,))
    assert search_case("a", coarse, REFERENCE, ["WT"], options).counts[0, 0, 0].tolist() == [3, 3, 1, 8]


def test_among_equals_the_middle_and_the_smallest_win() -> None:
    """Probabilities 0 or 1: every threshold gives the same mask."""
    options = ThresholdOptions(thresholds=(0.2, 0.4, 0.6, 0.7), min_voxels=(2, 0))
    certain = REFERENCE.astype(np.float32)
    assert choose([search_case("a", certain, REFERENCE, ["WT"], options)], options) == {
        "WT": ThresholdChoice(0.4, 0, 1.0)
    }


def test_the_mean_over_cases_decides_and_their_order_does_not() -> None:
    """Case a gains by a high threshold what two others lose: 0.4 0.9 0.9 against 0.6 0.7 0.7."""
    options = ThresholdOptions(thresholds=(0.3, 0.6), min_voxels=(0,))

    def search(case: str, low: int, high: int) -> CaseSearch:
        """Dice low/10 and high/10: of ten predicted and ten true voxels so many are shared."""
        counts = [[[[tp, 10 - tp, 10 - tp, 0]] for tp in (low, high)]]
        return CaseSearch(case, ("WT",), np.array(counts))

    searches = [search("a", 4, 6), search("b", 9, 7), search("c", 9, 7)]
    choice = choose(searches, options)["WT"]
    assert choice.threshold == 0.3
    assert choice.dice == pytest.approx((0.4 + 0.9 + 0.9) / 3)
    assert choose(searches[::-1], options)["WT"] == choice


def test_each_region_has_its_own_setting() -> None:
    options = ThresholdOptions(thresholds=(0.3, 0.5), min_voxels=(0, 3))
    both = np.concatenate([PROBABILITIES, PROBABILITIES])
    reference = np.concatenate([REFERENCE, PROBABILITIES > 0.5])
    choice = choose([search_case("a", both, reference, ["WT", "ET"], options)], options)
    assert choice == {"WT": ThresholdChoice(0.3, 3, 1.0), "ET": ThresholdChoice(0.5, 0, 1.0)}


def test_without_tumour_a_false_speck_costs_what_the_rule_says() -> None:
    """No tumour and a speck of 2: kept, Dice 0; removed, both are empty: left out, or 1."""
    speck, nothing = picture("600 600"), np.zeros((1, 3, 2, 1), dtype=np.bool_)
    chosen = {}
    for rule in ("skip", "both_empty_1"):
        options = ThresholdOptions.model_validate({"thresholds": (0.5,), "min_voxels": (0, 3), "empty": rule})
        chosen[rule] = choose([search_case("a", speck, nothing, ["WT"], options)], options)["WT"]
    assert chosen == {"skip": ThresholdChoice(0.5, 0, 0.0), "both_empty_1": ThresholdChoice(0.5, 3, 1.0)}
    options = ThresholdOptions(thresholds=(0.5,), min_voxels=(3,))
    assert choose([search_case("a", speck, nothing, ["WT"], options)], options)["WT"].dice is None


@given(st.integers(0, 10_000), st.sampled_from([(0,), (0, 2, 5)]))
def test_the_search_is_what_thresholding_removing_and_counting_gives(seed: int, sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.random((1, 6, 5, 4)).astype(np.float32) ** 2
    reference = rng.random((1, 6, 5, 4)) < 0.3
    options = ThresholdOptions(thresholds=(0.3, 0.5, 0.8), min_voxels=sizes)
    counts = search_case("a", probabilities, reference, ["WT"], options).counts[0]
    for t, threshold in enumerate(options.thresholds):
        for m, min_voxels in enumerate(options.min_voxels):
            filtered = remove_small_components(probabilities[0] > np.float64(threshold), min_voxels)
            assert counts[t, m].tolist() == count_channels(reference, filtered[None]).regions.sum(axis=(0, 1)).tolist()


def test_what_does_not_fit_is_refused() -> None:
    options = ThresholdOptions(thresholds=(0.5,), min_voxels=(0,))
    with pytest.raises(ScoreError, match="one channel per region"):
        search_case("a", PROBABILITIES, REFERENCE, ["WT", "ET"], options)
    with pytest.raises(ScoreError, match="one channel per region"):
        search_case("a", PROBABILITIES, REFERENCE[:, :2], ["WT"], options)
    with pytest.raises(ScoreError, match="no validation case"):
        choose([], options)
    searches = [search_case("a", PROBABILITIES, REFERENCE, [region], options) for region in ("WT", "ET")]
    with pytest.raises(ScoreError, match="differing regions"):
        choose(searches, options)
    for wrong in ({"thresholds": (1.0,)}, {"thresholds": ()}, {"min_voxels": (-1,)}, {"min_size": (1,)}):
        with pytest.raises(ValidationError):
            ThresholdOptions.model_validate(wrong)
