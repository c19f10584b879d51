"""A confidence that foretells the Dice of a mask: fitted on cases with references, judged on others.

References:
    [1] Hoerl AE, Kennard RW. Ridge regression: biased estimation for nonorthogonal problems. Technometrics 12, 1970.
    [2] Allen DM. The relationship between variable selection and data augmentation and a method for prediction.
        Technometrics 16, 1974 (PRESS: left-out errors in closed form).
    [3] Geifman Y, El-Yaniv R. Selective classification for deep neural networks. NIPS 2017 (risk over coverage).
    [4] Jungo A, Balsiger F, Reyes M. Analyzing the quality and challenges of uncertainty estimations for brain tumor
        segmentation. Frontiers in Neuroscience 14, 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glioseg.errors import ScoreError
from glioseg.evaluation.score import Floats, Interval
from glioseg.evaluation.statistics import bca_interval
from glioseg.frozen import Frozen

_PENALTIES = tuple(10.0**power for power in range(-2, 4))
_N_FOLDS = 5
_FARTHEST = 3.0


@dataclass(frozen=True)
class DiceModel:
    """Expected Dice, linear in features: ``offset + Σ weights · (features − centre) / scale``, cut to 0..1.

    A feature counts as three standard deviations from its mean at most: beyond what was seen a line leads anywhere.

    Args:
        centre: (F,) means of the features,
        scale: and their standard deviations.
        weights: change of Dice for a standard deviation of each.
        offset: mean Dice.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    offset: float

    def contributions(self, features: Floats) -> Floats:
        """(N, F) features -> (N, F) what each adds to the mean Dice."""
        standard = _standard(features, np.array(self.centre), np.array(self.scale))
        return np.asarray(standard * np.array(self.weights))

    def expected(self, features: Floats) -> Floats:
        """(N, F) -> (N,) expected Dice."""
        return np.asarray((self.offset + self.contributions(features).sum(axis=1)).clip(0, 1))


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The mean of 1 − Dice over the cases of highest confidence, for every number of cases that are kept [3].

    Args:
        coverage: (N,) share of the cases that is kept, 1/N to 1.
        risk: (N,) mean of 1 − Dice over them.
        area: mean of ``risk``: 0 is best.
        area_best: that of the order by the Dice itself.
        area_chance: that of no order: the mean of 1 − Dice.
    """

    coverage: Floats
    risk: Floats
    area: float
    area_best: float
    area_chance: float


class CheckRecord(Frozen):
    """How well the confidence foretold the Dice of cases that it was not fitted on.

    Attributes:
        on: which, in words.
        n_cases: with a Dice,
        n_patients: and whose they are.
        rank_correlation: Spearman's, with the Dice; None where one of the two never changes.
        ci95: its 95 % interval.
        area: of risk over coverage,
        area_best: that of the order by the Dice itself,
        area_chance: and that of no order.
    """

    on: str
    n_cases: int
    n_patients: int
    rank_correlation: float | None
    ci95: tuple[float, float] | None
    area: float
    area_best: float
    area_chance: float

    @property
    def correlation_words(self) -> str:
        """``0.71 (95 % 0.52 to 0.83)``."""
        if self.rank_correlation is None:
            return "undefined"
        interval = "" if self.ci95 is None else f" (95 % {self.ci95[0]:.2f} to {self.ci95[1]:.2f})"
        return f"{self.rank_correlation:.2f}{interval}"


def fit_dice(features: Floats, dice: Floats) -> DiceModel:
    """Ridge regression [1]; the penalty is the one whose left-out errors are smallest [2].

    Args:
        features: (N, F), finite.
        dice: (N,) in 0..1.

    Raises:
        ScoreError: fewer than two cases more than features.
    """
    n, n_features = features.shape
    if n < n_features + 2:
        raise ScoreError(
            "too few cases for a confidence",
            found=n,
            expected=f"{n_features + 2} or more with a Dice",
            remedy="Name more cases with references: `--data DATA`",
        )
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    standard, apart = _standard(features, centre, scale), dice - dice.mean()
    errors = [_left_out_error(standard, apart, penalty) for penalty in _PENALTIES]
    weights = _weights(standard, apart, _PENALTIES[int(np.argmin(errors))])
    return DiceModel(tuple(centre.tolist()), tuple(scale.tolist()), tuple(weights.tolist()), float(dice.mean()))


def cross_fitted(features: Floats, dice: Floats, units: Sequence[str]) -> Floats:
    """(N,) expected Dice of each case, by models fitted without its unit (patient), in five folds.

    Raises:
        ScoreError: as ``fit_dice``, of the cases of four folds.
    """
    folds = folds_of(units)
    expected = np.zeros(len(dice))
    for fold in np.unique(folds):
        held = folds == fold
        expected[held] = fit_dice(features[~held], dice[~held]).expected(features[held])
    return expected


def folds_of(units: Sequence[str]) -> npt.NDArray[np.int64]:
    """(N,) which of five folds each case is left out with; those of a unit (patient) together."""
    names = sorted(set(units))
    order = np.random.default_rng(0).permutation(len(names))
    fold_of = {names[place]: number % _N_FOLDS for number, place in enumerate(order)}
    return np.array([fold_of[unit] for unit in units])


def rank_correlation(first: Floats, second: Floats) -> float | None:
    """Spearman's rank correlation, ties sharing their mean rank; None where one of the two never changes."""
    a, b = (_ranks(values) - (len(values) + 1) / 2 for values in (first, second))  # less the mean rank
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return None if size == 0 else float((a * b).sum() / size)


def _ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[group])


def rank_interval(first: Floats, second: Floats, units: Sequence[str], *, n_resamples: int = 2000) -> Interval:
    """The 95 % interval of the rank correlation, by the BCa bootstrap over units; None with fewer than four."""
    whole = rank_correlation(first, second)
    members = [np.flatnonzero(np.asarray(units) == unit) for unit in sorted(set(units))]
    if whole is None or len(members) < 4:
        return None

    def of(rows: Floats) -> float:
        correlation = rank_correlation(first[rows], second[rows])
        return np.nan if correlation is None else correlation

    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(members), (n_resamples, len(members)))
    replicates = np.array([of(np.concatenate([members[unit] for unit in draw])) for draw in draws])
    rest = [of(np.concatenate([*members[:left], *members[left + 1 :]])) for left in range(len(members))]
    return bca_interval(replicates, whole, np.array(rest))


def risk_coverage(confidence: Floats, dice: Floats) -> RiskCoverage:
    """Keep the cases of highest confidence; of equal confidence each counts as their mean.

    Raises:
        ScoreError: no case.
    """
    if not len(dice):
        raise ScoreError("risk over coverage needs a case")
    n = np.arange(1, len(dice) + 1)

    def curve(by: Floats) -> Floats:
        _, group = np.unique(-by, return_inverse=True)
        means = np.bincount(group, weights=1 - dice) / np.bincount(group)
        return np.asarray(np.cumsum(means[np.sort(group)]) / n)

    risks = curve(confidence)
    return RiskCoverage(n / len(dice), risks, float(risks.mean()), float(curve(dice).mean()), float((1 - dice).mean()))


def _standard(features: Floats, centre: Floats, scale: Floats) -> Floats:
    return np.asarray(((features - centre) / scale).clip(-_FARTHEST, _FARTHEST))


def _weights(standard: Floats, apart: Floats, penalty: float) -> Floats:
    matrix = standard.T @ standard + penalty * np.eye(standard.shape[1])
    return np.asarray(np.linalg.solve(matrix, standard.T @ apart))


def _left_out_error(standard: Floats, apart: Floats, penalty: float) -> float:
    """Mean squared error of each case by a model without it: e_i / (1 − h_i), h with 1/n for the mean [2]."""
    n = len(standard)
    matrix = standard.T @ standard + penalty * np.eye(standard.shape[1])
    leverage = np.einsum("nf,fn->n", standard, np.linalg.solve(matrix, standard.T)) + 1 / n
    errors = apart - standard @ _weights(standard, apart, penalty)
    return float(((errors / np.maximum(1 - leverage, 1e-6)) ** 2).mean())
