"""How often the kind of a tumour is said rightly, from counts by region."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest

from glioseg.core import Grid, LabelMap, scheme_named
from glioseg.evaluation.cases import CaseScores, score_case
from glioseg.evaluation.kinds import KindFigures, kind_figures
from glioseg.evaluation.protocol import EvaluateOptions, Evaluation, aggregate

SCHEME = scheme_named("brisc")
REGIONS = ("tumour", "glioma", "meningioma", "pituitary")
KINDS = REGIONS[1:]


def _map(values: list[int]) -> LabelMap:
    array: npt.NDArray[np.uint8] = np.array(values, dtype=np.uint8).reshape(-1, 1, 1)
    return LabelMap(array, SCHEME, Grid.of_pictures((len(values), 1, 1)))


def _case(name: str, reference: list[int], predicted: list[int]) -> CaseScores:
    return score_case(name, name, _map(reference), _map(predicted), REGIONS)


CASES = [
    _case("a", [1, 1, 0], [1, 0, 0]),  # glioma, said
    _case("b", [2, 0, 0], [1, 1, 0]),  # meningioma, said to be glioma
    _case("c", [0, 0, 0], [0, 0, 0]),  # none, said
    _case("d", [0, 0, 0], [0, 0, 3]),  # none, said to be pituitary
    _case("e", [2, 2, 0], [0, 0, 0]),  # meningioma, not found
]


def test_figures_by_hand() -> None:
    figures = kind_figures(CASES, KINDS, n_resamples=0, seed=0)
    assert figures.kinds == ("none", "glioma", "meningioma", "pituitary")
    np.testing.assert_array_equal(figures.confusion, [[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    assert figures.accuracy == pytest.approx(2 / 5)
    assert figures.recall == {"none": 0.5, "glioma": 1.0, "meningioma": 0.0, "pituitary": None}
    assert figures.balanced_accuracy == pytest.approx((0.5 + 1.0 + 0.0) / 3)
    assert figures.accuracy_ci95 is None


def test_they_stand_in_the_evaluation_and_come_back() -> None:
    evaluation = aggregate(CASES, EvaluateOptions(n_resamples=50), kinds=KINDS)
    block = json.loads(json.dumps(evaluation.to_json()))
    low, high = block["kinds"]["accuracy"]["ci95"]
    assert low < 0.4 < high
    again = Evaluation.from_json(block).kinds
    assert isinstance(again, KindFigures)
    assert again.to_json() == block["kinds"]


def test_other_networks_say_no_kinds() -> None:
    assert "kinds" not in aggregate(CASES, EvaluateOptions(n_resamples=0)).to_json()
