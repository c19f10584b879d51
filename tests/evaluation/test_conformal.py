"""Conformal risk control: thresholds worked out by hand, MAPIE as oracle, promises kept on patients not seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from glioseg.errors import ScoreError
from glioseg.evaluation.calibration import probability_histogram
from glioseg.evaluation.conformal import (
    by_patients,
    check_coverage,
    check_risk,
    conformal_quantile,
    fewest_patients,
    missed_shares,
    risk_threshold,
    risk_thresholds,
    share_words,
)

_GRID = np.array([0.0, 0.2, 0.4, 0.6, 0.8])


def test_the_largest_threshold_that_keeps_the_risk() -> None:
    """Four patients. Sums of misses over thresholds: 0, 0.2, 0.6, 1.6, 4.

    (sum + 1) / 5: 0.2, 0.24, 0.32, 0.52, 1. A risk of 0.32 is kept up to 0.4, one of 0.3 up to 0.2, one of 0.2 at 0.
    """
    missed = np.array([[0, 0, 0.1, 0.4, 1], [0, 0.1, 0.2, 0.4, 1], [0, 0, 0.1, 0.3, 1], [0, 0.1, 0.2, 0.5, 1]])
    assert risk_threshold(missed, _GRID, 0.32) == 0.4
    assert risk_threshold(missed, _GRID, 0.3) == 0.2
    assert risk_threshold(missed, _GRID, 0.2) == 0.0


def test_few_patients_promise_little() -> None:
    """1 / (n + 1) ≤ 0.1 takes nine patients."""
    assert (fewest_patients(0.1), fewest_patients(0.05), fewest_patients(0.5)) == (9, 19, 1)
    with pytest.raises(ScoreError, match="so few patients"):
        risk_threshold(np.zeros((8, 5)), _GRID, 0.1)
    assert risk_threshold(np.zeros((9, 5)), _GRID, 0.1) == 0.8
    assert check_risk(np.zeros((17, 5)), _GRID, 0.1) is None
    assert check_risk(np.zeros((18, 5)), _GRID, 0.1, n_splits=3) is not None  # two halves of nine


def test_shares_must_be_shares_that_do_not_fall() -> None:
    with pytest.raises(ScoreError, match="never fall"):
        risk_threshold(np.array([[0.5, 0.4, 0.6, 0.7, 1]] * 9), _GRID, 0.6)
    with pytest.raises(ScoreError, match="no threshold keeps"):
        risk_threshold(np.full((9, 5), 0.9), _GRID, 0.5)


def test_misses_are_read_off_a_histogram() -> None:
    """Inside the region lie 0.1, 0.3, 0.3 and 0.7, outside 0.9: a quarter is missed at 0.2, 3/4 at 0.5, all at 0.75."""
    probabilities = np.array([0.1, 0.3, 0.3, 0.7, 0.9], dtype=np.float32)
    missed = missed_shares(probability_histogram(probabilities, np.array([1, 1, 1, 1, 0])))
    assert missed is not None
    at = {t: float(missed[np.searchsorted(risk_thresholds(), t)]) for t in (0.0, 0.2, 0.5, 0.75)}
    assert at == {0.0: 0.0, 0.2: 0.25, 0.5: 0.75, 0.75: 1.0}
    assert missed_shares(probability_histogram(probabilities, np.zeros(5))) is None


def test_the_cases_of_a_patient_count_as_one() -> None:
    curves = [np.array([0.0, 0.2]), np.array([0.0, 0.4]), np.array([0.1, 0.9])]
    np.testing.assert_allclose(by_patients(curves, ["b", "b", "a"]), [[0.1, 0.9], [0.0, 0.3]])


def test_the_bound_of_the_next_error() -> None:
    """Of nine errors 1 … 9, ⌈10 · 0.8⌉ = the 8th; ⌈10 · 0.9⌉ = the 9th; ⌈10 · 0.95⌉ = a tenth, which there is not."""
    errors = np.arange(9, 0, -1.0)
    assert conformal_quantile(errors, 0.8) == 8.0
    assert conformal_quantile(errors, 0.9) == 9.0
    assert conformal_quantile(errors, 0.95) is None


def _patients(n: int, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Probabilities (n, 64) and truth of patients whose network is more or less good."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 64)) < rng.uniform(0.2, 0.6, (n, 1))
    skill = rng.uniform(0.5, 3, (n, 1))
    return 1 / (1 + np.exp(-(skill * (2 * truth - 1) + rng.normal(size=(n, 64))))), truth


def _missed(
    probabilities: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_], grid: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    cut = probabilities[:, :, None] <= grid  # MAPIE keeps what is above
    return np.asarray((cut & inside[:, :, None]).sum(axis=1) / inside.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("risk", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_mapie_finds_the_same_threshold(risk: float, seed: int) -> None:
    control = pytest.importorskip("mapie.risk_control", reason="MAPIE, of the extra dev, is not installed")
    probabilities, truth = _patients(40, seed)
    grid = np.arange(0, 1, 0.01)
    controller = control.SemanticSegmentationController(
        predict_function=lambda x: x, risk="recall", method="crc", target_level=1 - risk, predict_params=grid
    )
    controller.calibrate(probabilities.reshape(40, 1, 8, 8), truth.reshape(40, 1, 8, 8).astype(int))
    ours = risk_threshold(_missed(probabilities, truth, grid), grid, risk)
    assert ours == pytest.approx(float(controller.best_predict_param[0]))


def test_the_promise_is_kept_on_patients_not_seen() -> None:
    """Over 200 halves of 200 patients: the mean lies below the promise, and not by much more than 1 / (n + 1)."""
    probabilities, truth = _patients(200, 7)
    grid = np.linspace(0, 0.99, 100)
    found = check_risk(_missed(probabilities, truth, grid), grid, 0.1)
    assert found is not None
    assert (found.n_splits, found.n_fitted, found.n_checked) == (200, 100, 100)
    assert 0.08 < found.mean <= 0.101
    assert found.low < found.mean < found.high
    errors = np.random.default_rng(0).exponential(size=200)
    covered = check_coverage(errors, 0.9)
    assert covered is not None
    assert 0.89 <= covered.mean < 0.93
    assert check_coverage(errors[:10], 0.9) is None


@pytest.mark.parametrize(("share", "words"), [(0.9, "90%"), (0.07, "7%"), (0.005, "0.5%"), (0.995, "99.5%")])
def test_a_promise_is_told_as_it_was_made(share: float, words: str) -> None:
    assert share_words(share) == words
