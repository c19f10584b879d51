"""A confidence that foretells the Dice, and how that is judged."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from glioseg.errors import ScoreError
from glioseg.evaluation.confidence import (
    CheckRecord,
    DiceModel,
    _left_out_error,
    cross_fitted,
    fit_dice,
    rank_correlation,
    rank_interval,
    risk_coverage,
)


def test_what_is_linear_is_found() -> None:
    """Dice = 0.5 + 0.1 a − 0.02 b: the smallest penalty wins and hardly pulls."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 2)) * (1, 5) + (0, 10)
    dice = 0.7 + 0.1 * features[:, 0] - 0.02 * features[:, 1]
    model = fit_dice(features, dice)
    np.testing.assert_allclose(np.array(model.weights) / model.scale, [0.1, -0.02], rtol=1e-3)
    np.testing.assert_allclose(model.expected(features), dice.clip(0, 1), atol=1e-3)


def test_what_each_feature_adds() -> None:
    """(3 − 1) / 2 · 0.1 = 0.1 and (0 − 4) / 4 · 0.2 = −0.2: 0.6 + 0.1 − 0.2 = 0.5; never outside 0..1.

    (−99 − 1) / 2 counts as −3: 0.6 − 0.3 = 0.3.
    """
    model = DiceModel((1.0, 4.0), (2.0, 4.0), (0.1, 0.2), 0.6)
    np.testing.assert_allclose(model.contributions(np.array([[3.0, 0.0]])), [[0.1, -0.2]])
    found = model.expected(np.array([[3.0, 0.0], [1.0, 400.0], [-99.0, 4.0]]))
    np.testing.assert_allclose(found, [0.5, 1.0, 0.3])


def test_left_out_errors_are_those_of_leaving_out() -> None:
    """scikit-learn, with the mean taken out of the rest each time, does the same one by one."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(15, 3))
    features -= features.mean(axis=0)
    dice = rng.random(15)
    by_one = cross_val_predict(Ridge(alpha=2.0), features, dice, cv=LeaveOneOut())
    # leaving a case out moves the centre of the features too, which the closed form accounts for by 1 / n
    assert _left_out_error(features, dice - dice.mean(), 2.0) == pytest.approx(((by_one - dice) ** 2).mean(), rel=0.05)


def test_noise_is_trusted_little_and_a_constant_not_at_all() -> None:
    rng = np.random.default_rng(2)
    features = np.column_stack([rng.normal(size=20), np.full(20, 3.0)])
    model = fit_dice(features, rng.uniform(0.6, 0.9, 20))
    assert abs(model.weights[0]) < 0.02
    assert model.weights[1] == 0.0


def test_too_few_cases_are_refused() -> None:
    with pytest.raises(ScoreError, match="too few cases"):
        fit_dice(np.zeros((5, 4)), np.zeros(5))


def test_cross_fitting_never_sees_the_patient() -> None:
    """One patient's Dice depends on nothing: fitted with it, it would be foretold by its own outlying feature."""
    features = np.zeros((20, 1))
    features[0] = 100.0
    dice = np.full(20, 0.8)
    dice[0] = 0.1
    expected = cross_fitted(features, dice, [f"p{n}" for n in range(20)])
    assert expected[0] == pytest.approx(0.8)
    together = cross_fitted(np.arange(20.0)[:, None], np.arange(20.0) / 20, [f"p{n // 2}" for n in range(20)])
    assert together.shape == (20,)


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 8, 30).astype(float), rng.random(30)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert rank_correlation(np.ones(4), second[:4]) is None
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])) == pytest.approx(0.8)  # 1 − 6·2/60


def test_the_interval_holds_the_figure_and_knows_patients() -> None:
    rng = np.random.default_rng(4)
    first = rng.normal(size=40)
    second = first + rng.normal(size=40)
    units = [str(n) for n in range(40)]
    interval = rank_interval(first, second, units, n_resamples=300)
    whole = rank_correlation(first, second)
    assert interval is not None
    assert whole is not None
    assert interval[0] < whole < interval[1]
    wide = rank_interval(
        np.tile(first[:8], 5), np.tile(second[:8], 5), [str(n % 8) for n in range(40)], n_resamples=300
    )
    assert wide is not None
    assert wide[1] - wide[0] > interval[1] - interval[0]  # forty cases of eight patients are eight
    assert rank_interval(first[:3], second[:3], units[:3]) is None


def test_risk_over_coverage_by_hand() -> None:
    """Dice 0.9, 0.5, 0.7 by falling confidence: risks 0.1, (0.1 + 0.5) / 2 = 0.3, 0.9 / 3 = 0.3; the mean is 0.7 / 3.

    The best order is 0.9, 0.7, 0.5: 0.1, 0.2, 0.3, mean 0.2. No order: 0.3.
    """
    found = risk_coverage(np.array([0.2, 0.9, 0.5]), np.array([0.7, 0.9, 0.5]))
    np.testing.assert_allclose(found.risk, [0.1, 0.3, 0.3])
    np.testing.assert_allclose(found.coverage, [1 / 3, 2 / 3, 1])
    assert found.area == pytest.approx(0.7 / 3)
    assert found.area_best == pytest.approx(0.2)
    assert found.area_chance == pytest.approx(0.3)


def test_equal_confidence_is_no_order() -> None:
    found = risk_coverage(np.ones(3), np.array([0.7, 0.9, 0.5]))
    np.testing.assert_allclose(found.risk, 0.3)
    with pytest.raises(ScoreError):
        risk_coverage(np.array([]), np.array([]))


@pytest.mark.parametrize(
    ("rank", "interval", "words"),
    [
        (0.714, (0.523, 0.831), "0.71 (95 % 0.52 to 0.83)"),
        (0.0, None, "0.00"),  # no agreement is a figure, too
        (None, None, "undefined"),
    ],
)
def test_a_correlation_in_words(rank: float | None, interval: tuple[float, float] | None, words: str) -> None:
    areas = {"area": 0.2, "area_best": 0.1, "area_chance": 0.3}
    record = CheckRecord(on="folds", n_cases=9, n_patients=8, rank_correlation=rank, ci95=interval, **areas)
    assert record.correlation_words == words
