"""Figures by class against hand counts and scikit-learn."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as oracle

from glioseg.errors import FileError, ScoreError
from glioseg.evaluation.class_items import ItemClasses
from glioseg.evaluation.class_protocol import (
    CLASSIFIER_WORDS,
    CaseClasses,
    ClassEvaluation,
    class_rows,
    class_rows_from_csv,
    evaluate_classes,
)
from glioseg.evaluation.classification import precision_recall_curve, roc_curve, score_classes
from glioseg.evaluation.comparable import Reason
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.evaluation.published_classes import ClassesAsPublished, PublishedClasses, published_classes
from glioseg.evaluation.reliability import fit_temperature, probabilities_at, reliability
from glioseg.evaluation.table import rows_to_csv


def _predictions(n: int, k: int, seed: int = 0) -> ItemClasses:
    rng = np.random.default_rng(seed)
    reference = np.arange(n) % k
    logits = rng.normal(size=(n, k)).round(1)  # ties among the scores
    logits[np.arange(n), reference] += 1
    probabilities = probabilities_at(logits, 1.0)
    names = tuple(f"item {i}" for i in range(n))
    return ItemClasses(tuple("abcdef"[:k]), names, names, reference, probabilities, probabilities.argmax(axis=1))


def _yes_no(reference: list[int], yes: list[float], units: list[str] | None = None) -> ItemClasses:
    p = np.array(yes)
    names = tuple(map(str, range(len(yes))))
    decided = (p > 0.5).astype(np.int64)
    both = np.column_stack([1 - p, p])
    return ItemClasses(("no", "yes"), names, tuple(units or names), np.array(reference), both, decided)


def test_two_classes_by_hand() -> None:
    """yes: 3 found of 4, one false alarm among 2 no.

    Accuracy 4/6; recall 3/4; specificity 1/2; balanced their mean 5/8; precision 3/4; F1 6/8. Pairs (yes, no): scores
    .9 .8 .7 .2 against .6 .1: .6 is beaten by 3 of 4, .1 by all 4: AUC 7/8. Mean confidence (.9+.8+.7+.8+.6+.9)/6.
    """
    figures = score_classes(_yes_no([1, 1, 1, 1, 0, 0], [0.9, 0.8, 0.7, 0.2, 0.6, 0.1]), n_resamples=0)
    values: dict[str, float | None] = {name: figure.value for name, figure in figures.metrics.items()}
    expected = {"accuracy": 4 / 6, "recall": 3 / 4, "specificity": 1 / 2, "balanced_accuracy": 5 / 8}
    expected |= {"precision": 3 / 4, "f1": 6 / 8, "auc": 7 / 8, "confidence": 4.7 / 6}
    assert {name: values[name] for name in expected} == pytest.approx(expected)
    # Brier, both classes: 2 ((.1² + .2² + .3² + .8²) + (.6² + .1²)) / 6
    assert values["brier"] == pytest.approx(2 * (0.01 + 0.04 + 0.09 + 0.64 + 0.36 + 0.01) / 6)
    assert figures.confusion.tolist() == [[1, 1], [1, 3]]
    assert figures.per_class["no"]["recall"] == pytest.approx(1 / 2)
    assert list(figures.roc) == ["yes"]


@pytest.mark.parametrize("k", [2, 3, 4])
def test_agrees_with_scikit_learn(k: int) -> None:
    items = _predictions(60, k, seed=k)
    values: dict[str, float | None] = {
        name: figure.value for name, figure in score_classes(items, n_resamples=0).metrics.items()
    }
    said, true = items.decided, items.reference
    average = "binary" if k == 2 else "macro"
    scores = items.probabilities[:, 1] if k == 2 else items.probabilities
    one_hot = np.eye(k)[true]
    area = oracle.roc_auc_score(true, scores, multi_class="ovr")
    precisions = [oracle.average_precision_score(one_hot[:, row], items.probabilities[:, row]) for row in range(k)]
    expected = {
        "accuracy": oracle.accuracy_score(true, said),
        "balanced_accuracy": oracle.balanced_accuracy_score(true, said),
        "precision": oracle.precision_score(true, said, average=average),
        "recall": oracle.recall_score(true, said, average=average),
        "f1": oracle.f1_score(true, said, average=average),
        "auc": area,
        "average_precision": precisions[1] if k == 2 else float(np.mean(precisions)),
        "log_loss": oracle.log_loss(true, items.probabilities),
        "brier": ((items.probabilities - np.eye(items.probabilities.shape[1])[true]) ** 2).sum(axis=1).mean(),
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected)
    assert score_classes(items, n_resamples=0).confusion.tolist() == oracle.confusion_matrix(true, said).tolist()


def test_curves_agree_with_scikit_learn() -> None:
    items = _predictions(50, 2)
    positive, scores = items.reference == 1, items.probabilities[:, 1]
    false, true, _ = oracle.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(roc_curve(positive, scores), np.column_stack([false, true]))
    precision, recall, _ = oracle.precision_recall_curve(positive, scores)
    mine = precision_recall_curve(positive, scores)
    np.testing.assert_allclose(mine, np.column_stack([recall, precision])[::-1][1:])


def test_what_is_undefined_is_none_and_left_out_of_means() -> None:
    """No picture of c, nobody said b: precision of b, recall and AUC of c are 0/0; balanced accuracy over a and b."""
    sure = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.2, 0.1, 0.7]])
    names = ("1", "2", "3")
    items = ItemClasses(("a", "b", "c"), names, names, np.array([0, 1, 0]), sure, sure.argmax(axis=1))
    figures = score_classes(items, n_resamples=50)
    assert figures.per_class["b"]["precision"] is None
    assert figures.per_class["c"]["recall"] is None
    assert figures.per_class["c"]["auc"] is None
    assert figures.metrics["balanced_accuracy"].value == pytest.approx((1 / 2 + 0) / 2)
    assert set(figures.roc) == {"a", "b"}
    only_yes = score_classes(_yes_no([1, 1], [0.9, 0.4]), n_resamples=50)
    assert only_yes.metrics["specificity"].value is None
    assert only_yes.metrics["specificity"].ci95 is None
    assert only_yes.metrics["auc"].value is None


def test_copies_widen_the_interval_since_they_are_drawn_together() -> None:
    """Ten pictures, each four times: the interval is that of the ten (the same draws), not that of forty."""
    reference, yes = [1, 1, 1, 0, 0, 1, 0, 1, 0, 1], [0.9, 0.8, 0.3, 0.2, 0.6, 0.7, 0.1, 0.9, 0.3, 0.2]
    ten = score_classes(_yes_no(reference, yes), n_resamples=400)
    units = [str(i) for i in range(10) for _ in range(4)]
    together = score_classes(
        _yes_no(np.repeat(reference, 4).tolist(), np.repeat(yes, 4).tolist(), units), n_resamples=400
    )
    apart = score_classes(_yes_no(np.repeat(reference, 4).tolist(), np.repeat(yes, 4).tolist()), n_resamples=400)
    assert together.metrics["accuracy"].ci95 == pytest.approx(ten.metrics["accuracy"].ci95)
    assert _width(apart.metrics["accuracy"].ci95) < 0.7 * _width(ten.metrics["accuracy"].ci95)
    assert together.n_units == 10


def _width(interval: tuple[float, float] | None) -> float:
    assert interval is not None
    return interval[1] - interval[0]


def test_intervals_hold_the_value_and_repeat() -> None:
    first = score_classes(_predictions(60, 3), n_resamples=200, seed=1)
    again = score_classes(_predictions(60, 3), n_resamples=200, seed=1)
    for name, estimate in first.metrics.items():
        interval, value = estimate.ci95, estimate.value
        assert interval == again.metrics[name].ci95
        assert interval is not None
        assert value is not None
        if name != "ece":  # resampling makes gaps larger: its interval lies where it must
            assert interval[0] <= value <= interval[1]


def test_reliability_by_hand() -> None:
    """Bin 0.9-1: 0.92 right, 0.98 wrong: gap |0.95 - 0.5|; bin 0.5-0.6: 0.5 right: gap 0.5; ECE (2·0.45 + 0.5)/3."""
    binned = reliability(np.array([0.92, 0.98, 0.5]), np.array([True, False, True]))
    assert binned.counts.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert binned.ece == pytest.approx((2 * 0.45 + 0.5) / 3)
    assert binned.to_json()["accuracy"][0] is None
    certain = reliability(np.array([1.0]), np.array([True]))
    assert certain.counts[-1] == 1
    assert certain.ece == 0


def test_a_temperature_calibrates_and_changes_no_decision() -> None:
    """Logits ±2 that are right in 3 of 4: softmax(2·2/T) = 3/4 needs 4/T = ln 3, T = 3.64; Platt's targets shift it.

    With 20 items of each class the true class has 21/22: the mean target of the said class is
    (3·21/22 + 1·1/22)/4 = 64/88, so 4/T = ln(64/24) and T = 4.078.
    """
    reference = np.repeat([0, 1], 20)
    wrong = np.arange(40) % 4 == 0
    said = np.where(wrong, 1 - reference, reference)
    logits = np.where(np.eye(2)[said] > 0, 2.0, -2.0)
    temperature = fit_temperature(logits, reference)
    assert temperature == pytest.approx(4 / np.log(64 / 24), rel=1e-3)
    assert (probabilities_at(logits, temperature).argmax(axis=1) == said).all()


def test_a_validation_part_that_is_all_right_does_not_ask_for_certainty() -> None:
    logits = np.where(np.eye(2)[np.repeat([0, 1], 5)] > 0, 3.0, -3.0)
    sure = probabilities_at(logits, fit_temperature(logits, np.repeat([0, 1], 5))).max()
    assert sure == pytest.approx(6 / 7, abs=1e-3)  # Platt's target for five items


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": ("a", "a")}, "scored twice"),
        ({"probabilities": np.array([[0.5, 0.4], [1, 0]])}, "sum to 1"),
        ({"reference": np.array([0, 2])}, "beyond the classes"),
        ({"units": ("u",)}, "one unit"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    values: dict[str, object] = {"classes": ("no", "yes"), "items": ("a", "b"), "units": ("a", "b")}
    values |= {"reference": np.array([0, 1]), "probabilities": np.eye(2), "decided": np.array([0, 1])}
    with pytest.raises(ScoreError, match=message):
        ItemClasses(**(values | change))  # type: ignore[arg-type]


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(ScoreError, match="no case"):
        evaluate_classes([], ("no", "yes"), EvaluateOptions(), CLASSIFIER_WORDS)
    with pytest.raises(ScoreError, match="at least one item"):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))


# -- slices and cases --------------------------------------------------------------------------------------------------


def _case(name: str, reference: list[int], yes: list[float]) -> CaseClasses:
    p = np.array(yes)
    decided: NDArray[np.int64] = (p > 0.5).astype(np.int64)
    return CaseClasses(name, name, name, np.array(reference), np.column_stack([1 - p, p]), decided)


_SCANS = [_case("B", [0, 0], [0.1, 0.4]), _case("A", [0, 1, 1], [0.2, 0.9, 0.3])]


def test_a_case_is_its_slice_least_like_no() -> None:
    """Slices: 4 of 5 right. Cases: A by its second slice (0.9, yes), B by its second (0.4, no): both right."""
    block = evaluate_classes(_SCANS, ("no", "yes"), EvaluateOptions(n_resamples=20), CLASSIFIER_WORDS).to_json()
    assert block["protocol"]["unit"] == "slice"
    assert (block["n_cases"], block["n_items"]) == (2, 5)
    assert block["metrics"]["accuracy"]["value"] == pytest.approx(4 / 5)
    assert block["by_case"]["metrics"]["accuracy"]["value"] == 1
    assert block["by_case"]["metrics"]["confidence"]["value"] == pytest.approx((0.9 + 0.6) / 2)
    pictures = evaluate_classes(
        [_case("A", [1], [0.9]), _case("B", [0], [0.2])], ("no", "yes"), EvaluateOptions(n_resamples=0), {}
    )
    assert "by_case" not in pictures.to_json()
    assert pictures.to_json()["protocol"]["unit"] == "picture"


def test_rows_survive_the_file() -> None:
    rows = class_rows(_SCANS, ("no", "yes"))
    assert [(row["case"], row["slice"], row["predicted"], row["right"]) for row in rows] == [
        ("A", 1, "no", 1),
        ("A", 2, "yes", 1),
        ("A", 3, "no", 0),
        ("B", 1, "no", 1),
        ("B", 2, "no", 1),
    ]
    cropped = class_rows([replace(_SCANS[0], numbers=np.array([7, 8]))], ("no", "yes"))
    assert [row["slice"] for row in cropped] == [7, 8]
    assert class_rows_from_csv(rows_to_csv(rows), "cases.csv") == rows
    with pytest.raises(FileError, match="not a table of classified cases"):
        class_rows_from_csv("case,patient\n", "cases.csv")
    with pytest.raises(FileError, match="damaged; found could not convert"):
        class_rows_from_csv(rows_to_csv(rows).replace("0.9", "x"), "cases.csv")


def test_published_figures_stand_beside_those_obtained_with_what_is_against_comparing_them() -> None:
    protocol = PublishedClasses.model_validate(
        {"source": "A paper", "figures": [{"metric": "accuracy", "value": 0.7605, "where": "its results"}]}
    )
    figures_of_classes = score_classes(_predictions(30, 2), n_resamples=0)
    block = published_classes(figures_of_classes, protocol, [Reason("data", "other pictures")]).to_json()
    assert block["comparable"] is False
    assert block["not_comparable"] == ["other pictures"]
    assert published_classes(figures_of_classes, protocol).not_comparable == ()
    figures = block["figures"]
    assert isinstance(figures, list)
    assert (figures[0]["published"], figures[0]["where"]) == (0.7605, "its results")
    assert 0.5 < figures[0]["obtained"] < 1
    assert ClassesAsPublished.from_json(block).to_json() == block


def test_no_mean_stands_beside_a_single_picture_and_a_claim_is_no_measurement() -> None:
    figures = [
        {"metric": "accuracy", "value": 0.76, "where": "results"},
        {"metric": "accuracy", "value": 0.95, "where": "introduction", "of": "claim"},
        {"metric": "confidence", "value": 1.0, "where": "an example", "of": "picture"},
    ]
    protocol = PublishedClasses.model_validate({"source": "A paper", "figures": figures})
    measured, claimed, single = published_classes(score_classes(_predictions(30, 2), n_resamples=0), protocol).figures
    assert (measured.obtained == claimed.obtained, single.obtained) == (True, None)
    assert measured.not_comparable == ()
    assert claimed.not_comparable == ("it was claimed and not measured",)
    assert single.not_comparable == ("it is of a single picture, beside which no mean stands",)


def test_an_evaluation_is_read_back_from_its_file() -> None:
    evaluation = evaluate_classes(_SCANS, ("no", "yes"), EvaluateOptions(n_resamples=20), CLASSIFIER_WORDS)
    block = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    again = ClassEvaluation.from_json({**block, "added by others": 1})
    assert again.to_json() == block
    assert again.items.metrics == evaluation.items.metrics
    assert again.cases is not None
    with pytest.raises(ScoreError, match="not an evaluation by classes: it has no protocol"):
        ClassEvaluation.from_json({})
    with pytest.raises(ScoreError, match="not figures of classes: it has no roc"):
        ClassEvaluation.from_json({name: values for name, values in block.items() if name != "roc"})
