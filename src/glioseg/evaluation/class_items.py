"""Classified items (pictures, slices or patients), and the figures of many weightings of them at once.

A weighting says how often each item counts: ones for the figure itself, numbers of draws for a bootstrap, ones and
zeros for a jackknife. Taking B weightings in one go turns the intervals of all metrics into a few matrix products.

References:
    [1] Brodersen KH et al. The balanced accuracy and its posterior distribution. ICPR 2010.
    [2] Hanley JA, McNeil BJ. The meaning and use of the area under a ROC curve. Radiology 1982 (ties count half).
    [3] Guo C et al. On calibration of modern neural networks. ICML 2017, eq. 3 (expected calibration error).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glioseg.errors import ScoreError
from glioseg.evaluation.overlap import quotient
from glioseg.evaluation.reliability import N_BINS, bin_of
from glioseg.evaluation.score import Flags, Floats, Integers

_SMALLEST = 1e-12  # of a probability whose logarithm is taken: one that is sure and wrong costs 27.6, not infinity


@dataclass(frozen=True, eq=False)
class ItemClasses:
    """N items (pictures, slices or patients) and what was said of them.

    Args:
        classes: names of the K classes, in index order.
        items: (N) names, each once.
        units: (N) what is drawn in the bootstrap: patient, or group of copies.
        reference: (N,) the class of each item.
        probabilities: (N, K) in 0..1, each row summing to 1.
        decided: (N,) the class that was said.

    Raises:
        ScoreError: no item, an item twice, shapes or values that do not fit.
    """

    classes: tuple[str, ...]
    items: tuple[str, ...]
    units: tuple[str, ...]
    reference: Integers
    probabilities: Floats
    decided: Integers

    def __post_init__(self) -> None:
        n, k = len(self.items), len(self.classes)
        if n == 0:
            raise ScoreError("there is no case to evaluate")
        if len(set(self.items)) != n:
            raise ScoreError("an item was scored twice", found=f"{n - len(set(self.items))} names that repeat")
        shapes = (len(self.units), self.reference.shape, self.probabilities.shape, self.decided.shape)
        if k < 2 or shapes != (n, (n,), (n, k), (n,)):
            raise ScoreError("one unit, class, decision and K probabilities for each item are needed", found=shapes)
        if not (np.isfinite(self.probabilities).all() and np.allclose(self.probabilities.sum(axis=1), 1, atol=1e-4)):
            raise ScoreError("the probabilities of an item are finite and sum to 1")
        if min(self.reference.min(), self.decided.min()) < 0 or max(self.reference.max(), self.decided.max()) >= k:
            raise ScoreError("a class index beyond the classes", expected=f"0 to {k - 1}")

    @property
    def confidence(self) -> Floats:
        """(N,) the probability of the class that was said."""
        return np.asarray(self.probabilities[np.arange(len(self.items)), self.decided])


@dataclass(frozen=True, eq=False)
class WeightedItems:
    """Items under B weightings; what several metrics share is computed once.

    Args:
        items: N of K classes.
        weights: (B, N) how often each item counts.
    """

    items: ItemClasses
    weights: Floats

    @cached_property
    def total(self) -> Floats:
        """(B,) items, by weight."""
        return np.asarray(self.weights.sum(axis=1))

    @cached_property
    def confusion(self) -> Floats:
        """(B, K, K) items by reference (rows) and decision (columns)."""
        k = len(self.items.classes)
        cells = np.eye(k * k)[self.items.reference * k + self.items.decided]
        return np.asarray((self.weights @ cells).reshape(-1, k, k))

    @cached_property
    def counts(self) -> tuple[Floats, Floats, Floats, Floats]:
        """TP, FP, FN, TN of each class against all others, each (B, K)."""
        tp = np.diagonal(self.confusion, axis1=1, axis2=2)
        fn, fp = self.confusion.sum(axis=2) - tp, self.confusion.sum(axis=1) - tp
        return tp, fp, fn, self.confusion.sum(axis=(1, 2))[:, None] - tp - fn - fp

    @cached_property
    def areas(self) -> tuple[Floats, Floats]:
        """ROC-AUC and average precision of each class against all others, each (B, K)."""
        areas = [
            _areas(self.weights, self.items.reference == row, self.items.probabilities[:, row])
            for row in range(len(self.items.classes))
        ]
        return np.column_stack([roc for roc, _ in areas]), np.column_stack([pr for _, pr in areas])


def accuracy(items: WeightedItems) -> Floats:
    """Right / all."""
    return np.asarray(np.trace(items.confusion, axis1=1, axis2=2) / items.total)


def balanced_accuracy(items: WeightedItems) -> Floats:
    """The mean recall of the classes [1]; a class without items has none and is left out."""
    return mean_of_defined(recall(items))


def precision(items: WeightedItems) -> Floats:
    """TP / (TP + FP) of each class; NaN where nothing was said to be of it."""
    tp, fp, _, _ = items.counts
    return quotient(tp, tp + fp)


def recall(items: WeightedItems) -> Floats:
    """TP / (TP + FN) of each class."""
    tp, _, fn, _ = items.counts
    return quotient(tp, tp + fn)


def specificity(items: WeightedItems) -> Floats:
    """TN / (TN + FP) of each class."""
    _, fp, _, tn = items.counts
    return quotient(tn, tn + fp)


def f1(items: WeightedItems) -> Floats:
    """2TP / (2TP + FP + FN) of each class."""
    tp, fp, fn, _ = items.counts
    return quotient(2 * tp, 2 * tp + fp + fn)


def auc(items: WeightedItems) -> Floats:
    """Area under the ROC curve of each class [2]."""
    return items.areas[0]


def average_precision(items: WeightedItems) -> Floats:
    """Σ (recall_k − recall_(k−1)) · precision_k of each class, without interpolation."""
    return items.areas[1]


def log_loss(items: WeightedItems) -> Floats:
    """The mean of −ln p, with p the probability that was given to the true class."""
    unweighted = items.items
    of_reference = unweighted.probabilities[np.arange(len(unweighted.items)), unweighted.reference]
    return np.asarray(-(items.weights @ np.log(np.maximum(of_reference, _SMALLEST))) / items.total)


def brier(items: WeightedItems) -> Floats:
    """The mean of Σ_k (p_k − t_k)², t_k being 1 for the true class and 0 for the others: 0 to 2 (Brier 1950).

    Brier's own definition runs over all classes; the one over the second class of two alone is half of it.
    """
    unweighted = items.items
    targets = np.eye(unweighted.probabilities.shape[1])[unweighted.reference]
    return np.asarray(items.weights @ ((unweighted.probabilities - targets) ** 2).sum(axis=1) / items.total)


def calibration_error(items: WeightedItems) -> Floats:
    """Expected calibration error: Σ_b n_b / n · |accuracy_b − confidence_b| over bins b of confidence [3].

    n_b cancels, so that the gaps of a bin's items are added up and the magnitude of each bin's sum counts. Chance alone
    makes gaps: the figure of few items is too large, and bootstrap replicates lie above it.
    """
    unweighted = items.items
    right = unweighted.decided == unweighted.reference
    gaps = np.zeros((len(right), N_BINS))
    gaps[np.arange(len(right)), bin_of(unweighted.confidence)] = unweighted.confidence - right
    return np.asarray(np.abs(items.weights @ gaps).sum(axis=1) / items.total)


def mean_confidence(items: WeightedItems) -> Floats:
    """The mean probability of the class that was said; above the accuracy where the network is too sure."""
    return np.asarray((items.weights @ items.items.confidence) / items.total)


def mean_of_defined(values: Floats) -> Floats:
    """(B, K) -> (B,) mean of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    return quotient(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1).astype(np.float64))


def _areas(weights: Floats, positive: Flags, scores: Floats) -> tuple[Floats, Floats]:
    """(B,) ROC-AUC [2] and (B,) average precision Σ (recall_k − recall_(k−1)) · precision_k, without interpolation.

    Items are taken from the highest score down. Those of one score enter together, as one threshold takes them: of a
    pair within such a group one half counts for the ROC-AUC.
    """
    order = np.argsort(-scores, kind="stable")
    starts = np.r_[0, np.flatnonzero(np.diff(scores[order])) + 1]
    inside = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)
    outside = np.add.reduceat(weights[:, order] * ~positive[order], starts, axis=1)
    hits, false = np.cumsum(inside, axis=1), np.cumsum(outside, axis=1)
    below = false[:, -1:] - false
    roc = quotient((inside * (below + outside / 2)).sum(axis=1), hits[:, -1] * false[:, -1])
    # a threshold that a draw left without items adds inside = 0, so that its 0/0 must not turn the sum into NaN
    at_threshold = np.nan_to_num(quotient(hits, hits + false))
    return roc, quotient((inside * at_threshold).sum(axis=1), hits[:, -1])


@dataclass(frozen=True, eq=False)
class ItemOutcomes:
    """What was said of N items, one by one.

    Args:
        right: (N,) 1 where the class that was said is the true one, else 0.
        of_reference: (N,) probability of the true class.
        confidence: (N,) probability of the class that was said.
    """

    right: Floats
    of_reference: Floats
    confidence: Floats


def is_right(outcomes: ItemOutcomes) -> Floats:
    """1 or 0, whose mean is the accuracy."""
    return outcomes.right


def own_log_loss(outcomes: ItemOutcomes) -> Floats:
    """−ln of the probability of the true class, whose mean is the log loss."""
    return np.asarray(-np.log(np.maximum(outcomes.of_reference, _SMALLEST)))


def own_confidence(outcomes: ItemOutcomes) -> Floats:
    """The probability of the class that was said."""
    return outcomes.confidence
