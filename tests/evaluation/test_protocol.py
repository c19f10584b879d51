"""The evaluation of a cohort: its figures by hand, its JSON, its refusals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from glioseg.errors import ScoreError
from glioseg.evaluation import (
    OVERLAP_METRICS,
    CaseScores,
    EmptyRule,
    EvaluateOptions,
    Evaluation,
    PublishedFigure,
    PublishedProtocol,
    aggregate,
    mean_over_regions,
    published,
    score_case,
)
from glioseg.evaluation.comparable import Reason
from glioseg.evaluation.metrics import COUNTED_METRICS
from tests.evaluation.drawing import counted, labels

FAST = EvaluateOptions(n_resamples=200)

# case a, two slices:  TP 4 FP 0 FN 4 TN 2, then nothing in either: Dice of the case 8/12
# case b, two slices:  TP 1 FP 1 FN 0 TN 8, then FP 1 only:         Dice of the case 2/4
# case c, one slice:   nothing in either:                           Dice undefined
COHORT = [
    counted("a", (4, 0, 4, 2), (0, 0, 0, 10)),
    counted("b", (1, 1, 0, 8), (0, 1, 0, 9)),
    counted("c", (0, 0, 0, 10)),
]


def dice_of(evaluation: Evaluation) -> tuple[float | None, ...]:
    figure = evaluation.regions["WT"]["dice"]
    return figure.case_mean, figure.case_median, figure.pooled, figure.slice_mean


@pytest.mark.parametrize(
    ("rule", "n", "case_mean", "slice_mean"),
    [
        ("skip", 2, (2 / 3 + 1 / 2) / 2, (2 / 3 + 2 / 3 + 0) / 3),
        ("both_empty_1", 3, (2 / 3 + 1 / 2 + 1) / 3, (2 / 3 + 1 + 2 / 3 + 0 + 1) / 5),
        ("zero", 3, (2 / 3 + 1 / 2 + 0) / 3, (2 / 3 + 0 + 2 / 3 + 0 + 0) / 5),
        ("skip_reference_empty", 2, (2 / 3 + 1 / 2) / 2, (2 / 3 + 2 / 3) / 2),
    ],
)
def test_dice_under_each_rule(rule: EmptyRule, n: int, case_mean: float, slice_mean: float) -> None:
    """Pooled: TP 5, FP 2, FN 4: 10/16, under every rule."""
    evaluation = aggregate(COHORT, EvaluateOptions(empty=rule, n_resamples=0))
    assert evaluation.regions["WT"]["dice"].n_cases == n
    mean, _, pooled, over_slices = dice_of(evaluation)
    assert (mean, pooled, over_slices) == pytest.approx((case_mean, 10 / 16, slice_mean))


def test_the_other_figures_by_hand() -> None:
    evaluation = aggregate(COHORT, EvaluateOptions(n_resamples=0))
    figures = evaluation.regions["WT"]
    assert figures["precision"].pooled == pytest.approx(5 / 7)
    assert figures["recall"].case_mean == pytest.approx((4 / 8 + 1 / 1) / 2)
    assert figures["specificity"].case_mean == pytest.approx((12 / 12 + 17 / 19 + 10 / 10) / 3)
    assert figures["accuracy"].slice_mean == pytest.approx((0.6 + 1 + 0.9 + 0.9 + 1) / 5)
    assert figures["volume_error_voxels"].case_mean == pytest.approx((-4 + 2 + 0) / 3)
    assert (figures["volume_error_voxels"].pooled, figures["volume_error_voxels"].slice_mean) == (None, None)
    assert figures["volume_error_ratio"].n_cases == 2
    accuracy = evaluation.pixel_accuracy
    assert (accuracy.case_mean, accuracy.pooled) == pytest.approx(((16 / 20 + 18 / 20 + 10 / 10) / 3, 44 / 50))
    assert (evaluation.n_cases, evaluation.n_patients, evaluation.n_slices) == (3, 3, 5)
    assert evaluation.masks == {"WT": {"both_empty": 1, "ok": 2}}


def test_slices_left_out_by_a_recipe_are_predicted_background() -> None:
    """Tumour in both slices, the second never predicted: recall 3/6, as if the network had missed it."""
    whole = labels("eee", "eee")
    partial = labels("eee", "...")
    figure = aggregate([score_case("a", "p", whole, partial, ["WT"])], FAST).regions["WT"]["recall"]
    assert (figure.case_mean, figure.slice_mean) == (0.5, 0.5)


def test_the_json_has_the_stated_shape_and_is_strict() -> None:
    probabilities = np.full((1, 3, 1, 1), 0.5)
    cases = [
        score_case(name, name, labels(reference), labels(prediction), ["WT"], probabilities)
        for name, reference, prediction in (("a", "ee.", "e.."), ("b", "...", "..."), ("c", ".e.", ".ee"))
    ]
    block = json.loads(json.dumps(aggregate(cases, FAST).to_json(), allow_nan=False))
    assert list(block)[:1] == ["protocol"]
    assert {"unit": "case", "empty": "skip", "grid": "native", "slices": "all"}.items() <= block["protocol"].items()
    assert "left out" in block["protocol"]["empty_meaning"]
    assert block["n_cases"] == 3
    assert set(block["regions"]) == {"WT"}
    assert {*OVERLAP_METRICS, "roc_auc", "average_precision", "volume_error_ml"} <= set(block["regions"]["WT"])
    for metric, figure in block["regions"]["WT"].items():
        keys = {"case_mean", "case_median", "case_quartiles", "case_ci95"}
        keys |= {"pooled", "slice_mean"} if metric in COUNTED_METRICS else set()
        assert keys <= set(figure), metric
    assert "1 mm" in block["protocol"]["surfaces"]
    assert "BraTS 2023" in block["protocol"]["lesions"]
    low, high = block["regions"]["WT"]["dice"]["case_ci95"]
    assert low <= block["regions"]["WT"]["dice"]["case_mean"] <= high
    assert "as_published" not in block


def test_a_cohort_without_any_tumour_is_strict_json_too() -> None:
    block = aggregate([counted("a", (0, 0, 0, 4)), counted("b", (0, 0, 0, 4))], FAST).to_json()
    text = json.dumps(block, allow_nan=False)
    dice = json.loads(text)["regions"]["WT"]["dice"]
    assert dice == {
        "n_cases": 0,
        "case_mean": None,
        "case_median": None,
        "case_quartiles": None,
        "case_ci95": None,
        "pooled": None,
        "slice_mean": None,
    }


def test_one_patient_has_no_interval() -> None:
    cases = [counted("a-1", (3, 1, 1, 5), patient="a"), counted("a-2", (5, 1, 1, 3), patient="a")]
    evaluation = aggregate(cases, FAST)
    assert (evaluation.n_cases, evaluation.n_patients) == (2, 1)
    assert evaluation.regions["WT"]["dice"].case_ci95 is None
    assert evaluation.regions["WT"]["dice"].case_mean == pytest.approx((3 / 4 + 5 / 6) / 2)


def test_the_pooled_curve_comes_from_all_voxels() -> None:
    """In each case the tumour ranks first; together the second case's background outranks the first one's tumour."""
    one = score_case("a", "a", labels("e."), labels("e."), ["WT"], np.array([0.3, 0.1]).reshape(1, 2, 1, 1))
    two = score_case("b", "b", labels("e."), labels("e."), ["WT"], np.array([0.9, 0.6]).reshape(1, 2, 1, 1))
    figure = aggregate([one, two], FAST).regions["WT"]["roc_auc"]
    assert (figure.case_mean, figure.pooled, figure.pooled_error_bound) == (1, 0.75, 0)
    assert figure.to_json()["pooled_error_bound"] == 0


def test_the_order_of_cases_does_not_matter() -> None:
    assert aggregate(COHORT, FAST).to_json() == aggregate(COHORT[::-1], FAST).to_json()


rows = st.tuples(*(st.integers(0, 5) for _ in range(3)), st.integers(1, 5))


@given(st.lists(rows, min_size=1, max_size=4))
def test_pooled_over_one_case_is_the_case(slices: list[tuple[int, int, int, int]]) -> None:
    figures = aggregate([counted("a", *slices)], EvaluateOptions(n_resamples=0)).regions["WT"]
    for metric in OVERLAP_METRICS:
        assert figures[metric].pooled == figures[metric].case_mean == figures[metric].case_median
    if len(slices) == 1:
        assert figures["dice"].slice_mean == figures["dice"].case_mean


def test_the_mean_over_regions_picks_the_best_model() -> None:
    two = [
        replace(case, regions=("WT", "ET"), slices=replace(case.slices, regions=np.repeat(case.slices.regions, 2, 1)))
        for case in COHORT
    ]
    two[0].slices.regions[0, 1] = (0, 0, 8, 2)  # ET of case a missed: Dice 0
    evaluation = aggregate(two, EvaluateOptions(n_resamples=0))
    assert mean_over_regions(evaluation, "dice") == pytest.approx(((2 / 3 + 1 / 2) / 2 + (0 + 1 / 2) / 2) / 2)
    with pytest.raises(ScoreError, match="no metric dise"):
        mean_over_regions(evaluation, "dise")
    assert mean_over_regions(aggregate([counted("c", (0, 0, 0, 4))], FAST), "dice") is None


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([], "no case"),
        ([COHORT[0], COHORT[0]], "scored twice"),
        ([COHORT[0], counted("z", (1, 1, 1, 1), regions=("TC",))], "other regions"),
        ([replace(COHORT[0], grid="working")], "native grid"),
        (
            [COHORT[0], score_case("d", "d", labels("e."), labels("e."), ["WT"], np.zeros((1, 2, 1, 1)))],
            "some cases only",
        ),
    ],
)
def test_cases_that_do_not_belong_together_are_refused(cases: list[CaseScores], message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        aggregate(cases, FAST)


def test_options_are_checked() -> None:
    with pytest.raises(ValidationError):
        EvaluateOptions.model_validate({"empty": "one"})
    with pytest.raises(ValidationError):
        EvaluateOptions.model_validate({"emtpy": "skip"})


def test_the_published_block_stands_apart() -> None:
    protocol = PublishedProtocol(
        source="someone 2020",
        grid="native",
        slices="all",
        figures=(PublishedFigure(metric="dice", unit="slice", empty="both_empty_1"),),
    )
    evaluation = aggregate(COHORT, FAST, published(COHORT, protocol))
    block = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert block["protocol"]["empty"] == "skip"
    assert block["as_published"]["figures"][0]["empty"] == "both_empty_1"


def test_an_evaluation_is_read_back_from_its_file() -> None:
    probabilities = np.full((1, 3, 1, 1), 0.5)
    cases = [
        score_case(name, name, labels(reference), labels("e.."), ["WT"], probabilities)
        for name, reference in (("a", "ee."), ("b", "..."))
    ]
    figure = PublishedFigure(metric="dice", unit="batch", empty="zero", values={"WT": 0.8}, part="val")
    protocol = PublishedProtocol(source="someone 2020", grid="native", slices="all", batch=2, figures=(figure,))
    evaluation = aggregate(cases, FAST, published(cases, protocol, reasons=[Reason("data", "other data")]))
    block = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    again = Evaluation.from_json({**block, "added by others": 1})
    assert again == evaluation
    assert again.to_json() == block


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("regions", None, "not an evaluation: it has no regions"),
        ("regions", {"WT": {"dice": {}}}, "not figures of a metric: it has no n_cases"),
        ("n_cases", "many", "not an evaluation; found invalid literal"),
        ("as_published", {"figures": []}, "not a block of published figures: it has no protocol"),
    ],
)
def test_a_file_that_is_no_evaluation_is_refused(key: str, value: object, message: str) -> None:
    block = {**aggregate(COHORT, FAST).to_json(), key: value}
    with pytest.raises(ScoreError, match=message):
        Evaluation.from_json({name: part for name, part in block.items() if part is not None})
