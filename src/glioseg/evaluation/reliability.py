"""Whether a confidence of 0.9 is right nine times in ten, and a temperature that makes it so.

References:
    [1] Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural networks. ICML 2017.
    [2] Platt JC. Probabilistic outputs for support vector machines. 1999 (targets of a small validation part).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, softmax

from glioseg.errors import ScoreError
from glioseg.evaluation.score import Flags, Floats

N_BINS = 10
"""Equal parts of the confidences from 0 to 1."""
_TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against accuracy, in ``N_BINS`` bins of confidence [1].

    Args:
        counts: (N_BINS,) items.
        confidence: (N_BINS,) their mean confidence; NaN where there is none, as in
        accuracy: (N_BINS,) the share of them that is right.
    """

    counts: npt.NDArray[np.int64]
    confidence: Floats
    accuracy: Floats

    @property
    def ece(self) -> float:
        """Expected calibration error: mean gap between confidence and accuracy, bins weighted by their items."""
        filled = self.counts > 0
        gaps = np.abs(self.confidence[filled] - self.accuracy[filled])
        return float((self.counts[filled] * gaps).sum() / self.counts.sum())

    def to_json(self) -> dict[str, Any]:
        """Strict JSON; an empty bin has null for confidence and accuracy."""
        columns = {"confidence": self.confidence, "accuracy": self.accuracy}
        lists = {name: [None if np.isnan(mean) else float(mean) for mean in means] for name, means in columns.items()}
        return {"n_bins": N_BINS, "counts": self.counts.tolist(), **lists, "ece": self.ece}

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote; a key that is missing is a KeyError."""
        confidence, accuracy = (np.array(block[name], dtype=np.float64) for name in ("confidence", "accuracy"))
        return cls(np.array(block["counts"], dtype=np.int64), confidence, accuracy)


def bin_of(confidence: Floats) -> npt.NDArray[np.int64]:
    """(N,) confidences in 0..1 -> (N,) bins from 0; 1 is in the last."""
    return np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)


def reliability(confidence: Floats, right: Flags) -> Reliability:
    """Bin (N,) confidences with (N,) whether the class that was said is the true one."""
    rows = bin_of(confidence)
    counts = np.bincount(rows, minlength=N_BINS)
    sums = [np.bincount(rows, weights=values, minlength=N_BINS) for values in (confidence, right.astype(np.float64))]
    means = [np.divide(total, counts, out=np.full(N_BINS, np.nan), where=counts > 0) for total in sums]
    return Reliability(counts, means[0], means[1])


def fit_temperature(logits: Floats, reference: npt.NDArray[np.int64]) -> float:
    """The temperature T by which logits are divided so that their softmax fits a validation part best [1].

    The log loss is taken against Platt's targets [2]: the true class of an item has (n + 1) / (n + 2), with n the items
    of that class, and the others share the rest. With plain targets a small part that is all right would ask for
    certainty.

    Args:
        logits: (N, K).
        reference: (N,) classes.

    Returns:
        T in 0.05 to 20; the most probable class is the same for every T.

    Raises:
        ScoreError: no item, or logits that are not finite.
    """
    n, k = logits.shape
    if n == 0 or not np.isfinite(logits).all():
        raise ScoreError("a temperature needs finite logits of at least one item", found=f"{n} items")
    counts = np.bincount(reference, minlength=k)[reference].astype(np.float64)
    sure = (counts + 1) / (counts + 2)
    targets = np.repeat(((1 - sure) / (k - 1))[:, None], k, axis=1)
    targets[np.arange(n), reference] = sure

    return best_temperature(lambda t: float(-(targets * log_softmax(logits / t, axis=1)).sum() / n))


def best_temperature(log_loss: Callable[[float], float]) -> float:
    """The temperature from 0.05 to 20 with the smallest log loss, by Brent's method over log T.

    Log losses of scaled logits are convex in 1 / T, so that they have one minimum, over log T as well.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and only a training's end and calibration need it

    low, high = np.log(_TEMPERATURES)
    minimum = minimize_scalar(lambda log_t: log_loss(np.exp(log_t)), bounds=(low, high), method="bounded")
    return float(np.exp(minimum.x))


def probabilities_at(logits: Floats, temperature: float) -> Floats:
    """(N, K) logits -> softmax(logits / T), in float64."""
    return np.asarray(softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1))
