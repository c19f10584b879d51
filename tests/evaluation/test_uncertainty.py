"""Entropy, mutual information, expected Dice and agreement, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.errors import ScoreError
from glioseg.evaluation.uncertainty import (
    agreement,
    binary_entropy,
    class_entropy,
    class_information,
    expected_dice,
    hull,
    mean_defined,
    uncertainty_maps,
)


def _voxels(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """One region, voxels along X."""
    return np.array(values, dtype=np.float32).reshape(1, -1, 1, 1)


def test_entropy_is_a_bit_for_a_coin_and_none_for_certainty() -> None:
    """H(1/4) = 1/4 · 2 + 3/4 · log₂(4/3) = 0.5 + 0.75 · 0.41504 = 0.81128."""
    found = binary_entropy(np.array([0, 0.25, 0.5, 0.75, 1]))
    np.testing.assert_allclose(found, [0, 0.81128, 1, 0.81128, 0], atol=1e-5)


def test_maps_tell_contradiction_from_indecision() -> None:
    """Three voxels, two samples: (0, 1) contradict each other, (½, ½) cannot decide, (1, 1) are certain.

    Means ½, ½, 1, so entropies 1, 1, 0; mean own entropies 0, 1, 0; the differences are 1, 0, 0.
    """
    maps = uncertainty_maps([_voxels(0, 0.5, 1), _voxels(1, 0.5, 1)])
    np.testing.assert_allclose(maps.probability, _voxels(0.5, 0.5, 1), atol=1e-6)
    np.testing.assert_allclose(maps.entropy, _voxels(1, 1, 0), atol=1e-6)
    np.testing.assert_allclose(maps.mutual_information, _voxels(1, 0, 0), atol=1e-6)


@given(st.lists(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_information_lies_between_nothing_and_the_entropy(samples: list[list[float]]) -> None:
    maps = uncertainty_maps([_voxels(*sample) for sample in samples])
    assert (maps.mutual_information >= 0).all()
    assert (maps.mutual_information <= maps.entropy).all()
    assert (maps.entropy <= 1 + 1e-6).all()
    if len(samples) == 1:
        assert maps.mutual_information.max() < 1e-5


def test_samples_must_be_there_and_of_one_shape() -> None:
    with pytest.raises(ScoreError, match="at least one sample"):
        uncertainty_maps([])
    with pytest.raises(ScoreError, match="of one shape"):
        uncertainty_maps([_voxels(0.5), _voxels(0.5, 0.5)])


def test_expected_dice_is_the_ratio_of_expectations() -> None:
    """Inside are 0.9 and 0.6, outside 0.2 and 0.3: 2 · 1.5 / (2 + 2.0) = 0.75."""
    probabilities = _voxels(0.9, 0.6, 0.2, 0.3)[0]
    inside = np.array([True, True, False, False]).reshape(4, 1, 1)
    assert expected_dice(probabilities, inside) == pytest.approx(0.75)
    assert expected_dice(probabilities, np.zeros_like(inside)) is None


def test_certain_and_true_probabilities_expect_a_dice_of_one() -> None:
    assert expected_dice(_voxels(1, 0, 1)[0], _voxels(1, 0, 1)[0] > 0) == 1.0


def test_agreement_is_the_mean_dice_of_pairs() -> None:
    """Masks of 4, 4 and 2 voxels; overlaps 4 (1 and 2), 1 (1 and 3), 0 (2 and 3): Dice 1, 2/6, 0; mean 4/9."""
    assert agreement([4, 4, 2], [4, 1, 0]) == pytest.approx(4 / 9)
    assert agreement([0, 0, 3], [0, 0, 0]) == pytest.approx(1 / 3)  # the two empty ones agree
    assert agreement([0, 0], [0]) is None
    assert agreement([5], []) is None


def test_entropy_and_information_of_classes() -> None:
    """Three equally probable classes: log₂ 3. Two samples sure of different ones of them: H(½, ½, 0) − 0 = 1 bit."""
    assert class_entropy(np.full(3, 1 / 3)) == pytest.approx(np.log2(3))
    assert class_information(np.array([[1.0, 0, 0], [0, 1.0, 0]])) == pytest.approx(1.0)
    assert class_information(np.array([[0.5, 0.5, 0], [0.5, 0.5, 0]])) == pytest.approx(0.0)


def test_small_helpers() -> None:
    assert hull([3, 1, 2]) == (1, 3)
    assert mean_defined([None, 1.0, 2.0]) == 1.5
    assert mean_defined([None]) is None
