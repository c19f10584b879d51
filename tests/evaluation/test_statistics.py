"""Spread, bootstrap intervals over patients and paired tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from glioseg.errors import ScoreError
from glioseg.evaluation import bootstrap_intervals, holm, paired_wilcoxon, spread
from glioseg.evaluation.score import Floats
from glioseg.evaluation.statistics import Spread, by_patient, draws


def interval(values: Floats, patients: list[str] | None = None, **options: int) -> tuple[float, float]:
    names = patients or [f"p{i}" for i in range(len(values))]
    bounds = bootstrap_intervals(values[:, None], names, **options)[0]
    assert bounds is not None
    return bounds


def dice_like(n: int, seed: int) -> Floats:
    """Most cases good, one in eight a failure."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 0.12, rng.beta(1.2, 2.5, n), rng.beta(18, 2.2, n))


class TestSpread:
    def test_by_hand(self) -> None:
        """0.1 0.2 0.4 0.9: median between 0.2 and 0.4; quartiles a quarter of the way in: 0.175 and 0.525."""
        result = spread(np.array([0.9, 0.1, np.nan, 0.4, 0.2]))
        assert result.n == 4
        assert result.mean == pytest.approx(0.4)
        assert result.median == pytest.approx(0.3)
        assert result.quartiles == pytest.approx((0.175, 0.525))

    def test_of_nothing(self) -> None:
        assert spread(np.array([np.nan, np.nan])) == Spread(0, None, None, None)


class TestByPatient:
    def test_cases_of_a_patient_are_added_up(self) -> None:
        values = np.array([[0.5, np.nan], [0.7, 1.0], [0.2, 0.4]])
        names, sums, counts = by_patient(values, ["b", "a", "b"])
        assert names == ["a", "b"]
        assert sums == pytest.approx(np.array([[0.7, 1.0], [0.7, 0.4]]))
        assert counts.tolist() == [[1, 1], [2, 1]]

    def test_one_patient_per_case(self) -> None:
        with pytest.raises(ScoreError, match="one patient per case"):
            by_patient(np.zeros((3, 1)), ["a", "b"])


class TestBootstrap:
    def test_agrees_with_scipy(self) -> None:
        values = dice_like(40, 0)
        low, high = interval(values, n_resamples=20_000)
        oracle = stats.bootstrap(
            (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
        ).confidence_interval
        assert low == pytest.approx(oracle.low, abs=0.004)
        assert high == pytest.approx(oracle.high, abs=0.004)

    def test_is_a_function_of_the_seed_and_of_nothing_else(self) -> None:
        values, names = dice_like(25, 1), [f"p{i}" for i in range(25)]
        first = interval(values, names, seed=4)
        assert first == interval(values, names, seed=4)
        assert first != interval(values, names, seed=5)
        order = np.random.default_rng(0).permutation(25)
        assert first == pytest.approx(interval(values[order], [names[i] for i in order], seed=4), abs=1e-12)
        beside = np.stack([np.linspace(0, 1, 25), values], axis=1)
        assert first == pytest.approx(bootstrap_intervals(beside, names, seed=4)[1], abs=1e-12)

    def test_covers_as_often_as_it_says(self) -> None:
        """Of 200 cohorts of 60 patients the intervals of 95 % hold the true mean in 95 ± 4 %."""
        true_mean = float(dice_like(1_000_000, 99).mean())
        held = 0
        for cohort in range(200):
            low, high = interval(dice_like(60, 1000 + cohort), n_resamples=1000, seed=cohort)
            held += low <= true_mean <= high
        assert 0.91 <= held / 200 <= 0.99

    def test_a_wider_level_gives_a_wider_interval(self) -> None:
        values, names = dice_like(30, 2)[:, None], [str(i) for i in range(30)]
        narrow, wide = (bootstrap_intervals(values, names, level=level)[0] for level in (0.5, 0.99))
        assert narrow is not None
        assert wide is not None
        assert wide[0] < narrow[0] < narrow[1] < wide[1]

    def test_more_cases_of_the_same_patients_are_no_more_evidence(self) -> None:
        """Each case ten times over: the interval stays; taken for patients of their own it shrinks to about a third."""
        values, names = dice_like(30, 3), [f"p{i}" for i in range(30)]
        low, high = interval(values, names)
        again = interval(np.repeat(values, 10), [name for name in names for _ in range(10)])
        assert again == pytest.approx((low, high), abs=1e-9)
        naive = interval(np.repeat(values, 10))
        assert (naive[1] - naive[0]) < 0.4 * (high - low)

    def test_a_patient_with_more_cases_weighs_more_in_a_mean_over_cases(self) -> None:
        """Two patients: a with three cases of 1, b with one of 0. Draws give 0, 3/4 or 1: the interval spans them."""
        assert interval(np.array([1.0, 1.0, 1.0, 0.0]), ["a", "a", "a", "b"]) == pytest.approx((0, 1))

    def test_one_patient_is_no_interval(self) -> None:
        values = np.array([[0.4, 0.5], [0.6, np.nan], [np.nan, 0.7]])
        of_one_patient, of_two_patients = bootstrap_intervals(values, ["a", "a", "b"], n_resamples=200)
        assert of_one_patient is None
        assert of_two_patients is not None

    def test_nothing_is_no_interval(self) -> None:
        assert bootstrap_intervals(np.full((3, 1), np.nan), ["a", "b", "c"], n_resamples=50) == [None]

    def test_without_draws_there_is_no_interval(self) -> None:
        """One draw in their place was an interval that need not hold the mean."""
        values = np.array([[0.4, 0.5], [0.6, 0.1], [0.9, 0.7]])
        assert bootstrap_intervals(values, ["a", "b", "c"], n_resamples=0) == [None, None]

    def test_equal_values_give_a_point(self) -> None:
        assert interval(np.full(12, 0.3)) == pytest.approx((0.3, 0.3), abs=1e-12)

    @given(hnp.arrays(np.float64, st.integers(2, 12), elements=st.floats(0, 1)))
    def test_lies_within_the_values(self, values: Floats) -> None:
        low, high = interval(values, n_resamples=100)
        assert values.min() - 1e-9 <= low <= high <= values.max() + 1e-9


class TestWilcoxon:
    def test_five_of_five_by_hand(self) -> None:
        """All differences positive: of 2⁵ sign patterns two are as extreme: p = 2/32, the smallest there is."""
        test = paired_wilcoxon(np.array([0.01, 0.05, 0.02, 0.03, 0.04]))
        assert (test.n, test.n_zero, test.method) == (5, 0, "exact")
        assert test.p == test.p_smallest == pytest.approx(2 / 32)
        assert test.rank_biserial == 1
        assert test.mean_difference == test.median_difference == pytest.approx(0.03)

    def test_effect_by_hand(self) -> None:
        """|differences| 1 2 3 4 have these ranks; −3 is the only negative one: (1 + 2 + 4 − 3) / 10."""
        test = paired_wilcoxon(np.array([0.1, 0.2, -0.3, 0.4]))
        assert test.rank_biserial == pytest.approx(0.4)

    def test_ties_and_zeros_in_a_small_cohort_by_hand(self) -> None:
        """0 0.1 0.1 0.1: ranks 1 and three times 3; the zero's rank is dropped. Of 2³ patterns two are as extreme."""
        test = paired_wilcoxon(np.array([0.0, 0.1, 0.1, 0.1]))
        assert (test.n, test.n_zero, test.method) == (4, 1, "permutation")
        assert test.p == test.p_smallest == pytest.approx(2 / 8)

    def test_round_off_makes_no_difference(self) -> None:
        """0.3 − 0.2 and 0.2 − 0.1 differ in the last bit; they are ties, as 0.1 + 0.2 − 0.3 is a zero."""
        test = paired_wilcoxon(np.array([0.3 - 0.2, 0.2 - 0.1, 0.1 + 0.2 - 0.3]))
        assert (test.n_zero, test.method) == (1, "permutation")
        assert test.p == pytest.approx(2 / 4)

    @pytest.mark.parametrize(("n", "method"), [(50, "exact"), (51, "normal approximation")])
    def test_agrees_with_scipy(self, n: int, method: str) -> None:
        differences = np.random.default_rng(n).normal(0.02, 0.1, n)
        test = paired_wilcoxon(differences)
        assert test.method == method
        assert test.p == pytest.approx(stats.wilcoxon(differences).pvalue)

    def test_many_ties_take_the_normal_approximation(self) -> None:
        differences = np.round(np.random.default_rng(0).normal(0.05, 0.1, 30), 1)
        test = paired_wilcoxon(differences)
        assert test.method == "normal approximation"
        assert test.n_zero == (differences == 0).sum() > 0
        assert test.p == pytest.approx(stats.wilcoxon(differences, zero_method="pratt", method="approx").pvalue)

    def test_exchanging_the_runs_turns_the_effect_around(self) -> None:
        differences = np.random.default_rng(7).normal(0.1, 0.2, 20)
        one, other = paired_wilcoxon(differences), paired_wilcoxon(-differences)
        assert one.p == pytest.approx(other.p)
        assert one.rank_biserial == pytest.approx(-(other.rank_biserial or 0))

    def test_no_difference_and_no_pairs(self) -> None:
        same = paired_wilcoxon(np.zeros(6))
        assert (same.p, same.rank_biserial, same.method) == (1.0, None, "no difference")
        nothing = paired_wilcoxon(np.array([]))
        assert (nothing.p, nothing.n, nothing.method) == (None, 0, "no pairs")


def test_holm_by_hand() -> None:
    """0.01 × 3, then 0.02 × 2 = 0.04, then 0.03 × 1, raised to 0.04 so that the order stays."""
    assert holm([0.03, 0.01, None, 0.02]) == pytest.approx([0.04, 0.03, None, 0.04])
    assert holm([0.8, 0.9]) == [1.0, 1.0]


def test_draws_of_many_patients_take_no_more_memory_and_are_the_same() -> None:
    n_patients, n_draws = 3000, 700
    several = list(draws(n_patients, n_draws, seed=3))
    assert max(times.size for times in several) <= 1 << 20
    (at_once,) = draws(n_patients, n_draws, 3, at_once=n_draws)
    np.testing.assert_array_equal(np.concatenate(several), at_once)
    assert [len(times) for times in draws(10, 1001, seed=3)] == [500, 500, 1]
