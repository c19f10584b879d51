"""The threshold of each case: that of the mask whose expected Dice is best."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glioseg.config import read_recipe
from glioseg.core import Grid, scheme_named
from glioseg.errors import OptionError
from glioseg.inference.ensemble import averaged_options
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import inside_regions, paint
from glioseg.inference.standalone_components import painted
from glioseg.inference.thresholds import EXPECTED_DICE, LOWEST, threshold_in

_BY_CASE = PredictOptions(threshold=EXPECTED_DICE)
_PROBABILITIES = arrays(np.float32, (2, 3, 2), elements=st.floats(0, 1, width=32))


def test_by_hand() -> None:
    """Of 0.9, 0.4, 0.4, 0.3 the sum is 2: masks of 1 to 4 voxels expect 1.8/3, 2.6/4, 3.4/5 and 4/6; 0.68 is best."""
    probabilities = np.array([0.9, 0.4, 0.4, 0.3], dtype=np.float64)
    assert threshold_in(probabilities, EXPECTED_DICE) == pytest.approx(0.34)
    assert threshold_in(probabilities, 0.6) == 0.6


def test_a_sure_network_has_a_half_and_one_that_sees_nothing_the_lowest() -> None:
    assert threshold_in(np.array([1.0, 1.0, 0.0]), EXPECTED_DICE) == 0.5
    assert threshold_in(np.full(1000, 0.2), EXPECTED_DICE) == LOWEST
    assert threshold_in(np.zeros(5), EXPECTED_DICE) == LOWEST


@given(arrays(np.float64, 6, elements=st.floats(0.3, 1) | st.just(0.0)))
def test_no_other_mask_expects_a_higher_dice(probabilities: np.ndarray) -> None:
    def expected(mask: np.ndarray) -> float:
        return float(2 * probabilities[mask].sum() / max(mask.sum() + probabilities.sum(), 1e-9))

    best = max(expected(np.array(mask)) for mask in product([False, True], repeat=6))
    threshold = threshold_in(probabilities, EXPECTED_DICE)
    assert expected(probabilities > threshold) == pytest.approx(best, abs=1e-9)


def test_each_region_of_a_case_has_its_own() -> None:
    """WT as by hand; ET, whose voxel of 0.6 expects 1.2/1.6, has 0.375. The box that is painted changes nothing."""
    probabilities = np.zeros((2, 5, 4, 3), dtype=np.float32)
    probabilities[0, 1:5, 2, 1], probabilities[1, 1, 2, 1] = [0.9, 0.4, 0.4, 0.3], 0.6
    grid, scheme = Grid((5, 4, 3), np.eye(4)), scheme_named("brats2023")
    labels = paint(probabilities, ("WT", "ET"), scheme, grid, _BY_CASE).array
    assert np.argwhere(labels == scheme.labels["ET"]).tolist() == [[1, 2, 1]]
    assert np.argwhere(labels > 0).tolist() == [[1, 2, 1], [2, 2, 1], [3, 2, 1]]
    np.testing.assert_array_equal(inside_regions(probabilities, ("WT", "ET"), _BY_CASE).any(axis=0), labels > 0)
    fixed = PredictOptions(threshold=EXPECTED_DICE, thresholds={"WT": 0.2})
    assert (paint(probabilities, ("WT", "ET"), scheme, grid, fixed).array > 0).sum() == 4


@given(_PROBABILITIES)
def test_exported_programs_draw_the_same(probabilities: np.ndarray) -> None:
    ours = probabilities > threshold_in(probabilities, EXPECTED_DICE)
    np.testing.assert_array_equal(painted(probabilities, EXPECTED_DICE, 0, 0.0, False, np.eye(4)), ours)
    np.testing.assert_array_equal(painted(probabilities, 0.4, 0, 0.0, False, np.eye(4)), probabilities > 0.4)


def test_an_ensemble_chooses_by_case_where_some_member_does() -> None:
    others = PredictOptions(threshold=0.4, thresholds={"ET": 0.2}), PredictOptions(threshold=0.6)
    assert averaged_options(others, ("WT", "ET")).thresholds == {"WT": 0.5, "ET": 0.4}
    mixed = averaged_options((others[0], PredictOptions(thresholds={"ET": EXPECTED_DICE})), ("WT", "ET"))
    assert mixed.thresholds == {"WT": 0.45, "ET": EXPECTED_DICE}


@pytest.mark.parametrize("given", ["1", "-0.1", "best", "none", "true"])
@pytest.mark.parametrize("name", ["predict.threshold", "predict.thresholds.tumour"])
def test_what_is_no_threshold_is_refused(name: str, given: str) -> None:
    with pytest.raises(OptionError, match=rf"{name}: found .*at least 0 and below 1, or expected-dice"):
        read_recipe("lgg", [f"{name}={given}"])
