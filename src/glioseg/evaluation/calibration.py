"""Voxel ROC-AUC and average precision from a histogram of probabilities, so that cohorts stream.

Sorting the voxels of a cohort takes gigabytes; counting them takes two rows of a fixed number of bins that are added up
over cases. The bins are fine where networks put their probabilities, close to 0 and to 1: 32 per octave of p below one
half and of 1 − p above, down to 2⁻²⁴, so that a bin is never wider than 3.2 % of the smaller of the two. What the
histogram cannot know is the order within a bin; every figure comes with the interval that this leaves open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from glioseg.errors import ScoreError

_SHIFT = 23 - 5  # of the 23 mantissa bits of a float32, 5 make 32 bins per octave
_LOWEST = (127 - 24) << 5  # 2^-24, shifted
_HALF = ((127 - 1) << 5) - _LOWEST + 1  # the bin of p = 0.5 exactly; bin 0 is below 2^-24
N_BINS = 2 * _HALF + 1
_CHUNK = 1 << 16  # voxels at a time, to stay in the processor's cache


@dataclass(frozen=True, eq=False)
class ProbabilityHistogram:
    """How many voxels of one region have which probability.

    Args:
        counts: (2, N_BINS) voxels outside and inside the reference, by rising probability.

    Raises:
        ScoreError: another shape, or negative counts.
    """

    counts: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.counts.shape != (2, N_BINS) or self.counts.min() < 0:
            raise ScoreError("a histogram has counts for two classes", found=self.counts.shape, expected=(2, N_BINS))


@dataclass(frozen=True)
class CurveFigure:
    """An area under a curve: the estimate, and the interval that the figure over single voxels surely lies in."""

    value: float
    lower: float
    upper: float

    @property
    def error_bound(self) -> float:
        """How far the estimate can be from the figure over single voxels."""
        return max(self.value - self.lower, self.upper - self.value)


def probability_histogram(
    probabilities: npt.NDArray[np.floating], reference: npt.NDArray[np.generic]
) -> ProbabilityHistogram:
    """Count the voxels of a region by probability.

    Args:
        probabilities: (X, Y, Z) or any other shape, in 0..1.
        reference: the same shape; true inside the region.

    Raises:
        ScoreError: shapes that differ, or probabilities that are NaN or outside 0..1.
    """
    if probabilities.shape != reference.shape:
        raise ScoreError("one probability per voxel is needed", found=probabilities.shape, expected=reference.shape)
    flat, inside = probabilities.ravel(), reference.ravel().astype(np.bool_, copy=False)
    counts = np.zeros(2 * N_BINS, dtype=np.int64)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK].astype(np.float32, copy=False)
        if not (part.min() >= 0 and part.max() <= 1):
            raise ScoreError(
                "probabilities lie between 0 and 1",
                found=f"{part.min():.6g} to {part.max():.6g}",
                remedy="Apply the sigmoid or softmax to logits first",
            )
        index = _bin_of(part) + inside[start : start + _CHUNK] * np.int32(N_BINS)
        counts += np.bincount(index, minlength=2 * N_BINS)
    return ProbabilityHistogram(counts.reshape(2, N_BINS))


def merged(histograms: Iterable[ProbabilityHistogram]) -> ProbabilityHistogram:
    """The histogram of all voxels together."""
    total = np.zeros((2, N_BINS), dtype=np.int64)
    for histogram in histograms:
        total += histogram.counts
    return ProbabilityHistogram(total)


def roc_auc(histogram: ProbabilityHistogram) -> CurveFigure | None:
    """Area under the ROC curve; None where the reference is empty or fills the image.

    It is the chance that a voxel inside has a higher probability than one outside, ties counting half (Hanley & McNeil
    1982). The order is unknown only for pairs within one bin, so that the error is at most half of their share:
    ½ Σ inside_b · outside_b / (inside · outside).
    """
    outside, inside = histogram.counts.astype(np.float64)
    if not inside.sum() or not outside.sum():
        return None
    n_pairs = inside.sum() * outside.sum()
    below = np.cumsum(outside) - outside
    value = float((inside * (below + outside / 2)).sum() / n_pairs)
    slack = float((inside * outside).sum() / n_pairs / 2)
    return CurveFigure(value, max(0.0, value - slack), min(1.0, value + slack))


def average_precision(histogram: ProbabilityHistogram) -> CurveFigure | None:
    """Average precision, Σ (recall_k − recall_(k−1)) · precision_k over thresholds; None where the reference is empty.

    The sum has no interpolation, as scikit-learn's has none. The estimate takes each bin as one threshold; the interval
    is what it would be with all voxels outside first, or last, in their bin.
    """
    outside, inside = histogram.counts[:, ::-1].astype(np.float64)  # from the highest probability down
    n_inside = inside.sum()
    if not n_inside:
        return None
    hits, false = np.cumsum(inside), np.cumsum(outside)
    used = inside > 0
    inside, outside, hits, false = inside[used], outside[used], hits[used], false[used]
    value = float((inside * hits / (hits + false)).sum() / n_inside)
    upper = float((inside * hits / (hits + false - outside)).sum() / n_inside)
    # the k-th voxel inside, after h before the bin and all f outside: Σ_k (h + k) / (h + k + f), closed by digamma
    first, last = hits - inside + false, hits + false
    lower = float((inside - false * (digamma(last + 1) - digamma(first + 1))).sum() / n_inside)
    return CurveFigure(value, min(max(0.0, lower), value), max(value, min(1.0, upper)))


def _bin_of(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """The bin of each probability: the leading bits of the float are its logarithm, which costs nothing to take."""
    upper = probabilities >= np.float32(0.5)
    tail = np.where(upper, np.float32(1) - probabilities, probabilities)  # exact: both lie within a factor of two
    index = np.maximum((tail.view(np.int32) >> _SHIFT) - np.int32(_LOWEST - 1), 0)
    bins: npt.NDArray[np.int32] = np.where(upper, np.int32(N_BINS - 1) - index, index)
    return bins
