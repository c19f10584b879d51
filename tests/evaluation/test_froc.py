"""Lesions over thresholds of probability: by hand, and as the matching of masks counts them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from glioseg.core import Grid, LabelMap, scheme_named
from glioseg.errors import ScoreError
from glioseg.evaluation import CaseScores, EvaluateOptions, Evaluation, SliceCounts, aggregate, score_case
from glioseg.evaluation.froc import FALSE_PER_CASE, THRESHOLDS, LesionDetections, detections_of, froc_of
from glioseg.evaluation.lesions import GLIOMA, METASTASES, match_lesions
from glioseg.evaluation.score import Flags
from tests.evaluation.drawing import drawn
from tests.evaluation.test_surfaces import random_pair

PER_TEN = {letter: int(letter) / 10 for letter in "0123456789"}


def _row(text: str) -> npt.NDArray[np.float32]:
    """(X, 2, 1) a row of probabilities in tenths, the second row 0; a little above, so that 5 is found at 0.5."""
    values = np.array([PER_TEN[letter] for letter in text], dtype=np.float32)
    return np.stack([values + 0.01 * (values > 0), np.zeros_like(values)], axis=1)[:, :, None]


def _mask(text: str) -> Flags:
    return np.asarray(drawn(f"{text} {'.' * len(text)}") > 0)


def test_a_case_by_hand() -> None:
    """Voxels of 10 mm³. Two lesions of 6: one drawn at 0.9, one at 0.4; beside them a blob of 0.6 that is false.

    Up to 0.4 both are found, up to 0.9 one; up to 0.6 one component is false, above none.
    """
    reference = _mask("######........######............")
    found = detections_of(reference, _row("99990000000000440000000000000066"), GLIOMA, 10.0)
    assert found.n_lesions == 2
    assert dict(zip(THRESHOLDS, found.found.tolist(), strict=True)) == {t: 2 if t <= 0.4 else 1 for t in THRESHOLDS}
    assert dict(zip(THRESHOLDS, found.false.tolist(), strict=True)) == {t: int(t <= 0.6) for t in THRESHOLDS}


def test_nothing_there_and_nothing_drawn() -> None:
    nothing = _mask("......")
    found = detections_of(nothing, _row("000000"), GLIOMA, 10.0)
    assert (found.n_lesions, found.found.sum(), found.false.sum()) == (0, 0, 0)
    assert detections_of(nothing, _row("900000"), GLIOMA, 10.0).false.tolist() == [1] * len(THRESHOLDS)
    assert detections_of(_mask("######"), _row("000000"), GLIOMA, 10.0).n_lesions == 1
    assert froc_of([found], ["p"]) is None


def _case(n_lesions: int, found: int, false: tuple[int, int]) -> LesionDetections:
    """``found`` lesions up to 0.5 and half of them above; ``false`` components up to 0.5, and above."""
    low = np.array(THRESHOLDS) <= 0.5
    return LesionDetections(n_lesions, np.where(low, found, found // 2), np.where(low, *false))


def test_a_curve_by_hand() -> None:
    """Three cases: 4, 2 and 0 lesions, of which 4 and 2 are found up to 0.5, 2 and 1 above; 3, 2, 1 and 1, 0, 0 false.

    Up to 0.5 that is 6/6 found at 2 false a case, above 3/6 at 1/3. No threshold has a quarter or fewer.
    """
    curve = froc_of([_case(4, 4, (3, 1)), _case(2, 2, (2, 0)), _case(0, 0, (1, 0))], ["a", "b", "c"], n_resamples=500)
    assert curve is not None
    assert (curve.n_cases, curve.n_lesions) == (3, 6)
    assert curve.sensitivity == (1.0,) * 5 + (0.5,) * 4
    assert curve.false_per_case == pytest.approx((2.0,) * 5 + (1 / 3,) * 4)
    said = {point.false_per_case: (point.threshold, point.sensitivity) for point in curve.at}
    assert said == {0.25: (None, None), 0.5: (0.6, 0.5), 1.0: (0.6, 0.5), 2.0: (0.1, 1.0), 4.0: (0.1, 1.0)}
    half = curve.at[FALSE_PER_CASE.index(0.5)].ci95
    assert half is not None
    assert half[0] <= 0.5 <= half[1]
    assert curve.at[0].ci95 is None
    assert curve.rows("ET")[5] == {
        "region": "ET",
        "threshold": 0.6,
        "lesion_sensitivity": 0.5,
        "false_lesions_per_case": pytest.approx(1 / 3),
        "n_lesions": 6,
        "n_cases": 3,
    }


def test_the_interval_is_scipys() -> None:
    """Sensitivity at four false positives of cases that have none is a mean over lesions: SciPy's BCa of a ratio."""
    rng = np.random.default_rng(0)
    lesions = rng.integers(1, 5, 30)
    found = np.array([rng.integers(0, n + 1) for n in lesions])
    flat = np.ones(len(THRESHOLDS), np.int64)
    cases = [LesionDetections(int(n), k * flat, 0 * flat) for n, k in zip(lesions, found, strict=True)]
    curve = froc_of(cases, [str(n) for n in range(30)], n_resamples=4000)
    assert curve is not None
    oracle = stats.bootstrap(
        (found.astype(float), lesions.astype(float)),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        n_resamples=4000,
        method="BCa",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert curve.at[-1].ci95 == pytest.approx((oracle.low, oracle.high), abs=0.02)


def test_every_threshold_counts_as_the_masks_above_it_do() -> None:
    for seed in range(60):
        pair, rng = random_pair(seed), np.random.default_rng(seed)
        p = np.clip(0.5 * pair.prediction + rng.normal(0.2, 0.25, pair.prediction.shape), 0, 1).astype(np.float32)
        for rule in (GLIOMA, METASTASES):
            found = detections_of(pair.reference, p, rule, 4.0)
            for place, threshold in enumerate(THRESHOLDS):
                match = match_lesions(pair.reference, p > threshold, rule, 4.0)
                counted = (len(match.lesions), match.n_found, match.n_false)
                assert (found.n_lesions, found.found[place], found.false[place]) == counted, (seed, threshold)


def test_an_evaluation_tells_it() -> None:
    """A tumour of 60 voxels of 1 mm³ at 0.8 and a false one at 0.3; what was not counted everywhere is refused."""
    grid = Grid((40, 6, 4), np.eye(4))
    array = np.zeros(grid.shape, np.uint8)
    array[:5, :4, :3] = 4
    tumour, empty = (LabelMap(each, scheme_named("brats2021"), grid) for each in (array, np.zeros_like(array)))
    p = np.zeros((1, *grid.shape), np.float32)
    p[0][array == 4] = 0.8
    p[0, 30:33] = 0.3
    case = score_case("a", "a", tumour, tumour, ["ET"], p, detect_by=GLIOMA)
    other = score_case("b", "b", empty, empty, ["ET"], np.zeros_like(p), detect_by=GLIOMA)
    evaluation = aggregate([case, other], EvaluateOptions(n_resamples=0))
    curve = evaluation.further.froc["ET"]
    assert curve.sensitivity == (1.0,) * 7 + (0.0, 0.0)  # 0.8 is not above 0.8
    assert curve.false_per_case == (0.5, 0.5) + (0.0,) * 7
    assert Evaluation.from_json(evaluation.to_json()).further.froc == evaluation.further.froc
    assert list(evaluation.further.tables()) == ["froc"]
    with pytest.raises(ScoreError, match="lesions were counted in some cases only"):
        aggregate([case, score_case("b", "b", empty, empty, ["ET"], p)], EvaluateOptions(n_resamples=0))


def test_cases_without_probabilities_have_no_curve() -> None:
    counts = SliceCounts(np.array([[[5, 0, 0, 10]]]), np.array([15]))
    assert aggregate([CaseScores("a", "a", ("WT",), counts)], EvaluateOptions(n_resamples=0)).further.froc == {}
