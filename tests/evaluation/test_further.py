"""Agreement of volumes, reliability of probabilities and subgroups, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from glioseg.evaluation import CaseScores, EvaluateOptions, Evaluation, SliceCounts, aggregate, probability_histogram
from glioseg.evaluation.calibration import calibration_error, merged, reliability_of
from glioseg.evaluation.further import Subgroup, power_words
from tests.evaluation.drawing import counted

OPTIONS = EvaluateOptions(n_resamples=200)


def _sized(name: str, reference: int, prediction: int) -> CaseScores:
    """Masks of so many voxels of 1 ml, the smaller within the larger."""
    met = min(reference, prediction)
    return counted(name, (met, prediction - met, reference - met, 1000), voxel_ml=1.0)


def test_agreement_of_volumes() -> None:
    """Predictions of twice the reference: correlation 1; differences 10 to 50, mean 30, standard deviation 15.811.

    Lin's: 2 · covariance / (variances + squared distance of the means), with 2 · 200 · 2 / (200 + 800 + 30²).
    """
    cases = [_sized(f"p{n}", 10 * n, 20 * n) for n in range(1, 6)]
    volumes = aggregate(cases, OPTIONS).further.volumes["WT"]
    assert (volumes.unit, volumes.n_cases, volumes.bias) == ("ml", 5, 30.0)
    assert volumes.pearson == pytest.approx(1.0)
    assert volumes.concordance == pytest.approx(2 * 400 / (200 + 800 + 900))
    assert volumes.limits == pytest.approx((30 - 1.96 * 250**0.5, 30 + 1.96 * 250**0.5))
    few = aggregate(cases[:4], OPTIONS).further.volumes["WT"]
    assert few.limits is None
    assert aggregate(cases[:2], OPTIONS).further.volumes["WT"].pearson is None


def test_correlation_is_scipys() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 200, (40, 2))
    cases = [_sized(f"p{n:02}", int(a), int(b)) for n, (a, b) in enumerate(sizes)]
    found = aggregate(cases, OPTIONS).further.volumes["WT"].pearson
    assert found == pytest.approx(stats.pearsonr(*sizes.T).statistic)


def test_reliability_by_hand() -> None:
    """Of three voxels at 0.85 two are inside, of one at 0.15 none; the weighted gaps are the ECE."""
    probabilities, inside = np.array([0.85, 0.85, 0.85, 0.15]), np.array([1, 1, 0, 0])
    bins = reliability_of(probability_histogram(probabilities, inside))
    assert (bins.counts[8], bins.counts[1], bins.counts.sum()) == (3, 1, 4)
    assert bins.accuracy[8] == pytest.approx(2 / 3)
    assert bins.confidence[8] == pytest.approx(0.85, abs=0.01)
    rng = np.random.default_rng(0)
    p = rng.random(5000)
    histogram = probability_histogram(p, rng.random(5000) < p**2)
    assert reliability_of(histogram).ece == pytest.approx(calibration_error(histogram).value)
    assert reliability_of(merged([histogram, histogram])).ece == pytest.approx(reliability_of(histogram).ece)


def _grouped() -> tuple[list[CaseScores], dict[str, dict[str, object]]]:
    """Twelve patients: Dice 0.9 at site A, 0.5 and 0.7 in turn at site B; ages 40 to 51."""
    dice = [9] * 6 + [5, 7] * 3
    cases = [counted(f"p{n:02}", (hits, 10 - hits, 10 - hits, 980)) for n, hits in enumerate(dice)]
    facts = {
        f"p{n:02}": {"site": "A" if n < 6 else "B", "age": 40 + n, "n_slices": n, "id": f"x{n}"} for n in range(12)
    }
    return cases, facts  # type: ignore[return-value]


def _found(cases: list[CaseScores], facts: dict[str, dict[str, object]]) -> dict[tuple[str, str], Subgroup]:
    evaluation = aggregate(cases, OPTIONS, facts=facts)  # type: ignore[arg-type]
    again = Evaluation.from_json(evaluation.to_json())
    assert again.to_json() == evaluation.to_json()
    return {(each.fact, each.group): each for each in again.further.subgroups["WT"]}


def test_subgroups_by_hand() -> None:
    """Of B the variance is 0.012, of A none: 2.8 · √(0.012 / 6) = 0.1252. Neither slices nor names make groups."""
    found = _found(*_grouped())
    assert {fact for fact, _ in found} == {"size of WT", "site", "age"}
    assert {group for fact, group in found if fact == "age"} == {"smallest third", "middle third", "largest third"}
    a, b = found["site", "A"], found["site", "B"]
    assert (a.n_cases, a.n_patients) == (6, 6)
    assert a.mean == pytest.approx(0.9)
    assert b.mean == pytest.approx(0.6)
    assert b.ci95 is not None
    assert b.ci95[0] < 0.6 < b.ci95[1]
    assert a.detectable == b.detectable == pytest.approx(2.8 * (0.012 / 6) ** 0.5)
    assert found["age", "smallest third"].mean == pytest.approx(0.9)


def test_patients_are_counted_once() -> None:
    """Two cases of each patient are no more evidence than one."""
    cases, facts = _grouped()
    twice = [CaseScores(c.case, f"{int(c.case[1:]) // 2}", c.regions, c.slices) for c in cases]
    assert _found(twice, facts)["site", "A"].n_patients == 3


def test_a_group_without_a_figure() -> None:
    """References and predictions that are empty have no Dice under the rule skip; one patient has no interval."""
    cases, facts = _grouped()
    empty = SliceCounts(np.array([[[0, 0, 0, 1000]]]), np.array([1000]))
    cases[:6] = [CaseScores(case.case, case.patient, case.regions, empty) for case in cases[:6]]
    found = _found(cases, facts)
    assert (found["site", "A"].mean, found["site", "A"].detectable, found["site", "A"].n_cases) == (None, None, 0)
    assert "size of WT" in {fact for fact, _ in found}  # of the six that have a reference


def test_few_cases_make_no_groups() -> None:
    cases, facts = _grouped()
    assert aggregate(cases[:2], OPTIONS, facts=facts).further.subgroups == {}  # type: ignore[arg-type]


def test_small_groups_are_warned_of_once() -> None:
    """Fewer than ten; a group that stands there for two regions is one."""
    assert power_words([("grade", "2", 10), ("grade", "3", 11)]) == ""
    assert power_words([("grade", "2", 9), ("grade", "2", 9), ("grade", "3", 10)]).startswith(
        "1 group has fewer than 10"
    )
    assert power_words([("grade", "2", 1), ("sex", "2", 9)]).startswith("2 groups have fewer than 10 patients")
