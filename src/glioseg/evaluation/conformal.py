"""Promises that hold for patients not seen, whatever the network: a bounded share of missed tumour, covered volumes.

**Risk control** [1]. A region is cut at a threshold t of its probability; the lower t, the less is missed. From n
patients whose reference is known, t̂ is the largest threshold with

    (Σ_i missed_i(t) + 1) / (n + 1) ≤ risk

and then the expected share that is missed of the next patient's region is at most ``risk``, as long as patients are
exchangeable: the next one comes from where the n came from. The expectation runs over the n patients too; of single
patients more may be missed.

**Intervals** [2]. The ⌈(n + 1) · level⌉-th smallest of n errors bounds the next one with a probability of ``level``.

References:
    [1] Angelopoulos AN, Bates S, Fisch A, Lei L, Schuster T. Conformal risk control. ICLR 2024, arXiv:2208.02814.
    [2] Lei J, G'Sell M, Rinaldo A, Tibshirani RJ, Wasserman L. Distribution-free predictive inference for regression.
        Journal of the American Statistical Association 113, 2018 (split conformal).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glioseg.errors import ScoreError
from glioseg.evaluation.calibration import ProbabilityHistogram, bin_bounds
from glioseg.evaluation.score import Floats
from glioseg.evaluation.statistics import by_patient

N_SPLITS = 200


@dataclass(frozen=True)
class SplitCheck:
    """What came of a promise on patients who had no part in it, over random halves.

    Args:
        promised: the risk, or the level of coverage.
        mean: what was found, mean over splits,
        low: its 5th,
        high: and its 95th percentile over splits.
        n_splits: halves that were drawn,
        n_fitted: patients that the promise was made from,
        n_checked: and patients it was checked on, in each.
    """

    promised: float
    mean: float
    low: float
    high: float
    n_splits: int
    n_fitted: int
    n_checked: int


def missed_shares(histogram: ProbabilityHistogram) -> Floats | None:
    """Share of a region that is missed where p < t, for the thresholds t of ``risk_thresholds``; None without any.

    A bin above one half holds its upper bound and not its lower one, so that there the mask may miss less than is said.
    """
    inside = histogram.counts[1].astype(np.float64)
    total = inside.sum()
    return None if not total else np.asarray((np.cumsum(inside) - inside) / total)


def risk_thresholds() -> Floats:
    """(T,) rising, from 0: the lower bounds of the bins of a histogram of probabilities."""
    return bin_bounds()[0]


def by_patients(curves: Sequence[Floats], patients: Sequence[str]) -> Floats:
    """(P, T) curves of patients, the mean over the cases of each: patients are exchangeable, their cases are not."""
    _, sums, counts = by_patient(np.stack(curves), patients)
    return np.asarray(sums / counts)


def fewest_patients(risk: float) -> int:
    """How many patients a risk takes at least: with fewer, (0 + 1) / (n + 1) is above it already."""
    return math.ceil(1 / risk - 1 - 1e-9)


def risk_threshold(missed: Floats, thresholds: Floats, risk: float) -> float:
    """The largest threshold whose expected share of misses is at most ``risk``, by conformal risk control [1].

    Args:
        missed: (P, T) share that each of P patients' mask misses at each threshold, never falling along T, 0 to 1.
        thresholds: (T,) rising.
        risk: above 0 and below 1.

    Raises:
        ScoreError: shares out of order, too few patients for the risk, or none of the thresholds keeps it.
    """
    n = len(missed)
    if n < fewest_patients(risk):
        raise ScoreError(
            f"a risk of {risk:g} cannot be promised from so few patients",
            found=n,
            expected=f"{fewest_patients(risk)} or more",
            remedy="Name a larger risk, or more patients",
        )
    if missed.min() < 0 or missed.max() > 1 or (np.diff(missed, axis=1) < -1e-9).any():
        raise ScoreError("shares of misses lie in 0..1 and never fall as the threshold rises")
    kept = np.flatnonzero((missed.sum(axis=0) + 1) / (n + 1) <= risk + 1e-12)
    if not kept.size:
        raise ScoreError(f"no threshold keeps a risk of {risk:g}", found=f"{missed[:, 0].mean():.3f} at the lowest")
    return float(thresholds[kept[-1]])


def conformal_quantile(errors: Floats, level: float) -> float | None:
    """What bounds the next error with a probability of ``level`` [2]; None where there are too few errors for it."""
    rank = math.ceil((len(errors) + 1) * level - 1e-9)
    return None if rank > len(errors) else float(np.sort(errors)[rank - 1])


def check_risk(missed: Floats, thresholds: Floats, risk: float, *, n_splits: int = N_SPLITS) -> SplitCheck | None:
    """The share that is missed of patients who had no part in choosing the threshold; None with too few patients.

    Args:
        missed: as ``risk_threshold``.
        thresholds: likewise.
        risk: that is promised.
        n_splits: how often the patients are split in two halves at random.
    """
    n_fitted = len(missed) // 2
    if n_fitted < fewest_patients(risk):
        return None

    def missed_share(fitted: Floats, checked: Floats) -> float:
        column = int(np.searchsorted(thresholds, risk_threshold(fitted, thresholds, risk)))
        return float(checked[:, column].mean())

    return _over_splits(missed, risk, missed_share, n_splits)


def check_coverage(errors: Floats, level: float) -> SplitCheck | None:
    """The share of errors of one half that the bound of the other half holds; None with too few errors."""
    if conformal_quantile(errors[: len(errors) // 2], level) is None:
        return None

    def covered_share(fitted: Floats, checked: Floats) -> float:
        bound = conformal_quantile(fitted, level)
        return float((checked <= (np.inf if bound is None else bound)).mean())

    return _over_splits(errors, level, covered_share, N_SPLITS)


def _over_splits(
    items: Floats, promised: float, came_to: Callable[[Floats, Floats], float], n_splits: int
) -> SplitCheck:
    """What a promise came to over random halves: one half of the items makes it, the other is looked at."""
    rng = np.random.default_rng(0)
    n_fitted = len(items) // 2
    values = []
    for _ in range(n_splits):
        order = rng.permutation(len(items))
        values.append(came_to(items[order[:n_fitted]], items[order[n_fitted:]]))
    low, high = np.quantile(values, (0.05, 0.95))
    n_checked = len(items) - n_fitted
    return SplitCheck(promised, float(np.mean(values)), float(low), float(high), n_splits, n_fitted, n_checked)


def share_words(share: float) -> str:
    """A promised share in words, with all its digits: ``90%``, ``0.5%``, ``99.5%``."""
    return f"{100 * share:g}%"
