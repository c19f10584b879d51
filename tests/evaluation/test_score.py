"""Empty masks: every combination, under every rule."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from glioseg.errors import ScoreError
from glioseg.evaluation import EMPTY_RULES, OVERLAP_METRICS, EmptyRule, Score, ratio
from glioseg.evaluation.metrics import ruled_ratio
from glioseg.evaluation.score import mask_status

# of 10 voxels:                                   TP FP FN TN
BOTH_EMPTY = (0, 0, 0, 10)
REFERENCE_EMPTY = (0, 4, 0, 6)
PREDICTION_EMPTY = (0, 0, 3, 7)
REFERENCE_FULL = (8, 0, 2, 0)
APART = (0, 4, 3, 3)

N = None
DEFINED: dict[tuple[int, ...], dict[str, float | None]] = {
    BOTH_EMPTY: {"dice": N, "iou": N, "precision": N, "recall": N, "specificity": 1, "accuracy": 1, "f1": N},
    REFERENCE_EMPTY: {"dice": 0, "iou": 0, "precision": 0, "recall": N, "specificity": 0.6, "accuracy": 0.6, "f1": 0},
    PREDICTION_EMPTY: {"dice": 0, "iou": 0, "precision": N, "recall": 0, "specificity": 1, "accuracy": 0.7, "f1": 0},
    REFERENCE_FULL: {
        "dice": 16 / 18, "iou": 0.8, "precision": 1, "recall": 0.8, "specificity": N, "accuracy": 0.8, "f1": 16 / 18,
    },
    APART: {"dice": 0, "iou": 0, "precision": 0, "recall": 0, "specificity": 3 / 7, "accuracy": 0.3, "f1": 0},
}  # fmt: skip


@pytest.mark.parametrize("counts", DEFINED)
@pytest.mark.parametrize("metric", OVERLAP_METRICS)
def test_a_ratio_is_undefined_exactly_where_it_is_0_by_0(counts: tuple[int, ...], metric: str) -> None:
    value, expected = float(ratio(np.array(counts), metric)), DEFINED[counts][metric]
    assert math.isnan(value) if expected is None else value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rule", "both_empty", "reference_empty", "prediction_empty"),
    [
        # each: Dice, precision, recall, specificity; None = left out
        ("skip", (N, N, N, 1), (0, 0, N, 0.6), (0, N, 0, 1)),
        ("both_empty_1", (1, 1, 1, 1), (0, 0, 0, 0.6), (0, 0, 0, 1)),
        ("zero", (0, 0, 0, 1), (0, 0, 0, 0.6), (0, 0, 0, 1)),
        ("skip_reference_empty", (N, N, N, N), (N, N, N, N), (0, N, 0, 1)),
    ],
)
def test_what_each_rule_makes_of_empty_masks(
    rule: EmptyRule,
    both_empty: tuple[float | None, ...],
    reference_empty: tuple[float | None, ...],
    prediction_empty: tuple[float | None, ...],
) -> None:
    metrics = ("dice", "precision", "recall", "specificity")
    rows = {BOTH_EMPTY: both_empty, REFERENCE_EMPTY: reference_empty, PREDICTION_EMPTY: prediction_empty}
    for counts, expected in rows.items():
        values = [float(ruled_ratio(np.array(counts), metric, rule)) for metric in metrics]
        assert [None if math.isnan(value) else value for value in values] == list(expected), counts


@pytest.mark.parametrize("rule", EMPTY_RULES)
def test_no_rule_touches_masks_that_are_not_empty(rule: EmptyRule) -> None:
    assert float(ruled_ratio(np.array(APART), "dice", rule)) == 0
    assert float(ruled_ratio(np.array((3, 1, 2, 4)), "iou", rule)) == pytest.approx(0.5)


def test_the_status_says_which_mask_was_empty() -> None:
    assert mask_status(0, 0, 10) == "both_empty"
    assert mask_status(0, 4, 10) == "reference_empty"
    assert mask_status(3, 0, 10) == "prediction_empty"
    assert mask_status(10, 8, 10) == "reference_full"
    assert mask_status(3, 4, 10) == "ok"


def test_a_score_is_finite_or_says_why_not() -> None:
    score = Score(None, "ratio", "both_empty")
    assert json.loads(json.dumps(score.to_json())) == {"value": None, "unit": "ratio", "status": "both_empty"}
    with pytest.raises(ScoreError, match="finite or None"):
        Score(math.nan, "ratio", "ok")
    with pytest.raises(ScoreError, match="needs a value"):
        Score(None, "ratio", "ok")
