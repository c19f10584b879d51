"""How sure several opinions on one case are: entropy, mutual information, agreement, expected Dice.

The opinions (samples) are probabilities of the same regions by the members of an ensemble, by views at test time, by
draws of dropout. The entropy H of their mean is all the uncertainty there is about a voxel; the mean of their own
entropies is what remains where all agree (a border that nobody can place: aleatoric); the difference, the mutual
information, is how far they contradict each other (epistemic) [1, 2]. Both are in bits: 1 is a coin toss.

References:
    [1] Houlsby N et al. Bayesian active learning for classification and preference learning. arXiv:1112.5745, 2011.
    [2] Gal Y. Uncertainty in deep learning. PhD thesis, Cambridge 2016 (section 3.3).
    [3] Roy AG et al. Bayesian QuickNAT: model uncertainty in deep whole-brain segmentation. NeuroImage 195, 2019.
    [4] Nordström M et al. On image segmentation with noisy labels: characterization and volume properties of the
        optimal solutions to accuracy and Dice. NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from glioseg.errors import ScoreError
from glioseg.evaluation.score import Flags, Floats

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class UncertaintyMaps:
    """What samples say of each voxel, (R, X, Y, Z) float32.

    Args:
        probability: their mean, 0 to 1.
        entropy: of the mean, in bits, 0 to 1.
        mutual_information: between the answer and which sample gives it, in bits, 0 to ``entropy``.
    """

    probability: Probabilities
    entropy: Probabilities
    mutual_information: Probabilities


def binary_entropy(probabilities: npt.NDArray[np.floating]) -> Probabilities:
    """−p log₂ p − (1 − p) log₂(1 − p) of each probability, in bits; 0 where p is 0 or 1."""
    p = np.clip(np.asarray(probabilities, dtype=np.float32), 1e-7, 1 - 1e-7)
    entropy = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    entropy[(probabilities <= 0) | (probabilities >= 1)] = 0
    return np.asarray(entropy, dtype=np.float32)


def uncertainty_maps(samples: Iterable[Probabilities]) -> UncertaintyMaps:
    """The maps of samples (R, X, Y, Z), taken one at a time, so that memory does not grow with their number.

    Raises:
        ScoreError: no sample, or samples of different shapes.
    """
    total = entropies = None
    n_samples = 0
    for sample in samples:
        if total is None or entropies is None:
            total, entropies = sample.astype(np.float32), binary_entropy(sample)
        elif sample.shape != total.shape:
            raise ScoreError("samples are of one shape", found=sample.shape, expected=total.shape)
        else:
            total += sample
            entropies += binary_entropy(sample)
        n_samples += 1
    if total is None or entropies is None:
        raise ScoreError("uncertainty needs at least one sample")
    mean = (total / np.float32(n_samples)).clip(0, 1)
    entropy = binary_entropy(mean)
    information: Probabilities = np.clip(
        entropy - entropies / np.float32(n_samples), 0, entropy
    )  # rounding leaves −1e-7 where all agree
    return UncertaintyMaps(mean, entropy, information)


def class_entropy(probabilities: Floats) -> Floats:
    """(…, K) probabilities of classes -> −Σ_k p_k log₂ p_k, in bits: 0 to log₂ K."""
    p = np.clip(probabilities, 0.0, 1.0)
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=-1))


def class_information(samples: Floats) -> float:
    """(N, K) what N samples say of one item -> mutual information in bits: entropy of the mean less mean entropy."""
    return max(0.0, float(class_entropy(samples.mean(axis=0)) - class_entropy(samples).mean()))


def expected_dice(probabilities: npt.NDArray[np.floating], inside: Flags) -> float | None:
    """The Dice that a mask would have on average if the probabilities were true: 2 Σ_inside p / (|inside| + Σ p) [4].

    It is the ratio of expectations, which the expectation of the ratio approaches as masks grow.

    Args:
        probabilities: (X, Y, Z) of one region.
        inside: (X, Y, Z) its mask.

    Returns:
        None of an empty mask, whose Dice no probabilities foretell.
    """
    n_inside = int(inside.sum())
    if not n_inside:
        return None
    return float(2 * probabilities[inside].sum(dtype=np.float64) / (n_inside + probabilities.sum(dtype=np.float64)))


def agreement(sizes: Sequence[int], overlaps: Sequence[int]) -> float | None:
    """The mean Dice of all pairs of samples' masks of one region [3].

    Args:
        sizes: voxels of each of the N masks.
        overlaps: voxels in both of each pair, in the order of ``itertools.combinations``.

    Returns:
        None of one sample, or where all masks are empty; a pair of two empty masks agrees (1).
    """
    pairs = list(combinations(sizes, 2))
    if not pairs or not any(sizes):
        return None
    values = [
        1.0 if not one + other else 2 * both / (one + other) for (one, other), both in zip(pairs, overlaps, strict=True)
    ]
    return float(np.mean(values))


def hull(values: Sequence[float]) -> tuple[float, float]:
    """The smallest and the largest: of a handful of samples no quantile means more."""
    return min(values), max(values)


def mean_defined(values: Iterable[float | None]) -> float | None:
    """The mean of those that are defined; None where none is."""
    defined: Floats = np.array([value for value in values if value is not None], dtype=np.float64)
    return float(defined.mean()) if defined.size else None
