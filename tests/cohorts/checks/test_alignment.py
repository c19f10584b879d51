"""Pictures lie on each other again after small shifts and stretches, and each pair is judged on its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from glioseg.cohorts.checks.alignment import PICTURE_BOUND, WORTH_ALIGNING, picture_correlations

Grey = npt.NDArray[np.uint8]
SIZE = 64


def smooth(seed: int) -> npt.NDArray[np.float64]:
    """(64, 64): blobs of some 8 pixels, so that a shift of a few pixels takes most of the correlation."""
    blobs = gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE, SIZE)), 4)
    return np.asarray(128 + 40 * blobs / blobs.std())


def moved(picture: npt.NDArray[np.float64], shift: tuple[float, float], stretch: tuple[float, float]) -> Grey:
    """What stood at (i, j) stands where the alignment has to look for it: (i - c) (1 + stretch) + c + shift."""
    middle = (SIZE - 1) / 2
    axes = [(np.arange(SIZE) - middle - by) / (1 + along) + middle for by, along in zip(shift, stretch, strict=True)]
    there = np.meshgrid(*axes, indexing="ij")
    return np.clip(map_coordinates(picture, there, order=1, mode="nearest"), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("shift", "stretch"), [((2.0, -1.5), (0.0, 0.0)), ((0.0, 0.0), (0.08, -0.06)), ((1.5, 1.0), (0.05, 0.05))]
)
def test_a_moved_copy_is_found_again(shift: tuple[float, float], stretch: tuple[float, float]) -> None:
    picture = smooth(1)
    copy = moved(picture, shift, stretch)
    still = picture.astype(np.uint8)
    before = np.corrcoef(still.ravel(), copy.ravel())[0, 1]
    assert WORTH_ALIGNING < before < PICTURE_BOUND  # or there would be nothing to align
    assert picture_correlations(still[None], copy[None])[0] >= PICTURE_BOUND


def test_each_pair_is_judged_as_if_it_were_alone() -> None:
    first = np.stack([smooth(seed).astype(np.uint8) for seed in (1, 2, 3, 1)])
    second = np.stack([moved(smooth(1), (2, -1.5), (0, 0)), smooth(3).astype(np.uint8), first[2], first[3] // 2])
    together = picture_correlations(first, second)
    alone = [picture_correlations(first[[row]], second[[row]])[0] for row in range(4)]
    assert together == pytest.approx(alone, abs=1e-5)
    assert together[0] >= PICTURE_BOUND
    assert together[1] == pytest.approx(np.corrcoef(first[1].ravel(), second[1].ravel())[0, 1], abs=1e-4)
    assert together[2:] == pytest.approx([1, 1], abs=1e-3)


def test_different_pictures_stay_below_the_bound() -> None:
    # Half of each picture is the same, so that all pairs are worth aligning and none is a copy.
    shared = 2 * smooth(0)
    pictures = [np.clip((shared + smooth(seed)) / 3, 0, 255).astype(np.uint8) for seed in range(1, 7)]
    pairs = [(first, second) for first in range(6) for second in range(first)]
    correlations = picture_correlations(*(np.stack([pictures[pair[side]] for pair in pairs]) for side in (0, 1)))
    assert (correlations >= WORTH_ALIGNING).any()
    assert (correlations < PICTURE_BOUND).all()


def test_a_picture_of_one_grey_correlates_with_nothing() -> None:
    flat = np.full((1, SIZE, SIZE), 7, dtype=np.uint8)
    assert picture_correlations(flat, smooth(1).astype(np.uint8)[None]).tolist() == [0.0]
    assert picture_correlations(flat[:0], flat[:0]).shape == (0,)
