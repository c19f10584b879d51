"""Voxel ROC-AUC, average precision, Brier score and ECE from a histogram of probabilities, so that cohorts stream.

Sorting the voxels of a cohort takes gigabytes; counting them takes two rows of a fixed number of bins that are added up
over cases. The bins are fine where networks put their probabilities, close to 0 and to 1: 32 per octave of p below one
half and of 1 − p above, down to 2⁻²⁴, so that a bin is never wider than 3.2 % of the smaller of the two. What the
histogram cannot know is where in its bin a voxel lies; every figure comes with the interval that this leaves open.

All voxels of the image count, background included: Brier score and ECE are small where the tumour is, and compare
networks on the same cohort, not cohorts.

References:
    [1] Brier GW. Verification of forecasts expressed in terms of probability. Monthly Weather Review 1950.
    [2] Naeini MP, Cooper GF, Hauskrecht M. Obtaining well calibrated probabilities using Bayesian binning. AAAI 2015.
    [3] Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural networks. ICML 2017.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, expit, logit

from glioseg.errors import ScoreError
from glioseg.evaluation.reliability import N_BINS as N_TENTHS
from glioseg.evaluation.reliability import Reliability, best_temperature

_SHIFT = 23 - 5  # of the 23 mantissa bits of a float32, 5 make 32 bins per octave
_LOWEST = (127 - 24) << 5  # 2^-24, shifted
_HALF = ((127 - 1) << 5) - _LOWEST + 1  # the bin of p = 0.5 exactly; bin 0 is below 2^-24
N_BINS = 2 * _HALF + 1
_MOST_OF_32_BITS = (1 << 31) - 1
_CHUNK = 1 << 16  # voxels at a time, to stay in the processor's cache


@dataclass(frozen=True, eq=False)
class ProbabilityHistogram:
    """How many voxels of one region have which probability.

    Args:
        counts: (2, N_BINS) voxels outside and inside the reference, by rising probability. An evaluation keeps those of
            each case, so that they are of 32 bits where that is enough.

    Raises:
        ScoreError: another shape, or negative counts.
    """

    counts: npt.NDArray[np.signedinteger]

    def __post_init__(self) -> None:
        if self.counts.shape != (2, N_BINS) or self.counts.min() < 0:
            raise ScoreError("a histogram has counts for two classes", found=self.counts.shape, expected=(2, N_BINS))


@dataclass(frozen=True)
class CurveFigure:
    """A figure from a histogram: the estimate, and the interval that the figure over single voxels surely lies in."""

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
    whole = counts.reshape(2, N_BINS)
    return ProbabilityHistogram(whole.astype(np.int32) if flat.size <= _MOST_OF_32_BITS else whole)


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


def brier(histogram: ProbabilityHistogram) -> CurveFigure:
    """The mean over voxels of (p − t)², t being 1 inside the reference and 0 outside [1]."""
    outside, inside = histogram.counts.astype(np.float64)
    low, high = bin_bounds()
    least, value, most = (
        float((outside @ far**2 + inside @ (1 - near) ** 2) / (outside.sum() + inside.sum()))
        for far, near in ((low, high), ((low + high) / 2, (low + high) / 2), (high, low))
    )
    return CurveFigure(value, least, most)


def calibration_error(histogram: ProbabilityHistogram) -> CurveFigure:
    """Expected calibration error [2]: Σ_b n_b / n · |mean probability_b − share inside_b| over ten bins of probability.

    The probability is that of the region, not the confidence in the more probable of the two answers, which would let
    a region that is drawn too large make up for one that is drawn too small. A bin of the histogram belongs to the
    tenth that its middle lies in, so that the borders lie within 0.004 of 0.1, 0.2, …
    """
    outside, inside = histogram.counts.astype(np.float64)
    low, high = bin_bounds()
    tenth = _tenths((low + high) / 2)
    least, middle, most, right = (
        np.bincount(tenth, weights=column, minlength=N_TENTHS)
        for column in (
            (outside + inside) * low,
            (outside + inside) * (low + high) / 2,
            (outside + inside) * high,
            inside,
        )
    )
    n_voxels = outside.sum() + inside.sum()
    lower = np.maximum(np.maximum(least - right, right - most), 0).sum() / n_voxels
    upper = np.maximum(np.abs(least - right), np.abs(most - right)).sum() / n_voxels
    return CurveFigure(float(np.abs(middle - right).sum() / n_voxels), float(lower), float(upper))


def fit_voxel_temperature(histogram: ProbabilityHistogram) -> float:
    """The T for which σ(logit(p) / T) fits the voxels best: the smallest mean log loss [3], over the middles of bins.

    Above 1 the network is too sure. Probabilities of 0 and 1 stay what they are and count for nothing.

    Returns:
        T in 0.05 to 20; 1 where the region or its outside is empty.
    """
    outside, inside = histogram.counts.astype(np.float64)
    if not inside.sum() or not outside.sum():
        return 1.0
    logits = _middle_logits()

    def log_loss(temperature: float) -> float:
        scaled = logits / temperature  # −log σ(x) = log(1 + e^−x), and −log(1 − σ(x)) = log(1 + e^x)
        return float(inside @ np.logaddexp(0, -scaled) + outside @ np.logaddexp(0, scaled))

    return best_temperature(log_loss)


def at_temperature(histogram: ProbabilityHistogram, temperature: float) -> ProbabilityHistogram:
    """The histogram of σ(logit(p) / T), each bin's voxels taken to be in its middle."""
    scaled = expit(_middle_logits() / temperature).astype(np.float32)
    bins = _bin_of(scaled)
    rows = [np.bincount(bins, weights=counts, minlength=N_BINS) for counts in histogram.counts]
    return ProbabilityHistogram(np.rint(np.stack(rows)).astype(np.int64))


def _middle_logits() -> npt.NDArray[np.float64]:
    low, high = bin_bounds()
    return np.asarray(logit(((low + high) / 2).clip(1e-9, 1 - 1e-9)))


def reliability_of(histogram: ProbabilityHistogram) -> Reliability:
    """Probability of the region against the share of voxels inside it, in ten bins of probability, as in the ECE."""
    outside, inside = histogram.counts.astype(np.float64)
    low, high = bin_bounds()
    middle = (low + high) / 2
    counts, probability, share = (
        np.bincount(_tenths(middle), weights=column, minlength=N_TENTHS)
        for column in (outside + inside, (outside + inside) * middle, inside)
    )
    means = [np.divide(sums, counts, out=np.full(N_TENTHS, np.nan), where=counts > 0) for sums in (probability, share)]
    return Reliability(counts.astype(np.int64), means[0], means[1])


def bin_bounds() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The lowest and the highest probability of each bin, (N_BINS,) each; that in the middle holds 0.5 alone."""
    edges = ((np.arange(_HALF + 1) + (_LOWEST - 1)) << _SHIFT).astype(np.int32).view(np.float32).astype(np.float64)
    edges[0] = 0.0
    low = np.concatenate([edges, 1 - edges[:0:-1]])
    high = np.concatenate([edges[1:], edges[-1:], 1 - edges[-2::-1]])
    return low, high


def _tenths(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The tenth of probability that each lies in; 1 is in the last."""
    return np.minimum((probabilities * N_TENTHS).astype(np.int64), N_TENTHS - 1)


def _bin_of(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """The bin of each probability: the leading bits of the float are its logarithm, which costs nothing to take."""
    upper = probabilities >= np.float32(0.5)
    tail = np.where(upper, np.float32(1) - probabilities, probabilities)  # exact: both lie within a factor of two
    index = np.maximum((tail.view(np.int32) >> _SHIFT) - np.int32(_LOWEST - 1), 0)
    bins: npt.NDArray[np.int32] = np.where(upper, np.int32(N_BINS - 1) - index, index)
    return bins
