"""What a modality contributed, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glioseg.errors import ScoreError
from glioseg.evaluation import CaseScores, EvaluateOptions, Evaluation, aggregate
from glioseg.evaluation.class_protocol import CLASSIFIER_WORDS, CaseClasses, ClassEvaluation, evaluate_classes
from glioseg.evaluation.contributions import Changed, ChangedCase, Contribution, mean_inside
from tests.evaluation.drawing import counted

OPTIONS = EvaluateOptions(n_resamples=200)
REMOVED = Changed("t1c", "removed")


def _case(name: str, before: tuple[int, int, int, int], after: tuple[int, int, int, int], change: float) -> CaseScores:
    own = ChangedCase(REMOVED, np.array([after]), np.array([change]))
    return replace(counted(name, before), changed=(own,))


def test_the_change_of_the_dice_is_a_mean_over_cases() -> None:
    """Dice 16/20 = 0.8 falls to 0, 12/20 = 0.6 to 8/20 = 0.4: by 0.5 on average, to 0.2. In the third case nothing is
    there and nothing is drawn, so that it has no Dice under the rule ``skip``, and no voxel inside."""
    cases = [
        _case("a", (8, 2, 2, 88), (0, 0, 10, 90), -0.75),
        _case("b", (6, 4, 4, 86), (4, 6, 6, 84), -0.25),
        _case("c", (0, 0, 0, 100), (0, 0, 0, 100), np.nan),
    ]
    evaluation = aggregate(cases, OPTIONS)
    (found,) = evaluation.further.contributions["WT"]
    assert (found.modality, found.change, found.metric, found.n) == ("t1c", "removed", "dice", 2)
    assert found.mean == pytest.approx(0.2)
    assert found.difference == pytest.approx(-0.5)
    assert found.probability == pytest.approx(-0.5)
    assert found.ci95 is not None
    assert found.ci95[0] <= -0.5 <= found.ci95[1]
    block = evaluation.to_json()
    assert block["contributions"] == {"WT": [found.to_json()]}
    assert Evaluation.from_json(block).further == evaluation.further
    assert Contribution.from_json(found.to_json()) == found


def test_what_nobody_asked_for_is_absent() -> None:
    assert "contributions" not in aggregate([counted("a", (8, 2, 2, 88))], OPTIONS).to_json()


def test_a_change_of_some_cases_only_is_refused() -> None:
    cases = [_case("a", (8, 2, 2, 88), (0, 0, 10, 90), 0), counted("b", (8, 2, 2, 88))]
    with pytest.raises(ScoreError, match="modalities were left out of some cases only"):
        aggregate(cases, OPTIONS)


def test_of_classes_it_is_the_accuracy() -> None:
    """Of four slices three are right; without T1c the first and the last are said wrongly, the second rightly: two
    right, a change of −1/4. The true class's probability changes by −0.6, +0.2, 0 and −0.4: −0.2."""
    reference = np.array([0, 1, 1, 1])
    before = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    after = np.array([[0.2, 0.8], [0.4, 0.6], [0.3, 0.7], [0.6, 0.4]])
    changed = {REMOVED: after}
    case = CaseClasses("a", "p", "p", reference, before, before.argmax(axis=1), changed)
    evaluation = evaluate_classes([case], ("none", "tumour"), OPTIONS, CLASSIFIER_WORDS)
    (found,) = evaluation.contributions
    assert (found.metric, found.n, found.mean, found.difference) == ("accuracy", 4, 0.5, -0.25)
    assert found.probability == pytest.approx(-0.2)
    assert found.ci95 is None  # one patient
    assert ClassEvaluation.from_json(evaluation.to_json()).contributions == evaluation.contributions


def test_the_mean_inside_a_region() -> None:
    probabilities = np.array([[0.2, 0.4, 0.9], [0.5, 0.5, 0.5]], dtype=np.float32)
    inside = np.array([[True, True, False], [False, False, False]])
    np.testing.assert_allclose(mean_inside(probabilities, inside), [0.3, np.nan], atol=1e-6)
