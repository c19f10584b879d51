"""Figures by a publication's protocol, by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from glioseg.errors import ScoreError
from glioseg.evaluation import CaseScores, PublishedFigure, PublishedProtocol, published
from glioseg.evaluation.comparable import Reason
from glioseg.evaluation.published import AsPublished, SliceChoice, Unit, protocol_of
from glioseg.evaluation.score import EmptyRule
from tests.evaluation.drawing import counted

#            slice 1        slice 2        slice 3
A = counted("a", (2, 0, 2, 6), (0, 0, 0, 10), (0, 3, 0, 7))  # Dice 4/6; both empty; 0 (reference empty)
B = counted("b", (3, 1, 1, 5), (0, 0, 4, 6))  # Dice 6/8; 0 (prediction empty)


def figure(unit: Unit, empty: EmptyRule = "both_empty_1", metric: str = "dice", **values: float) -> PublishedFigure:
    return PublishedFigure.model_validate({"metric": metric, "unit": unit, "empty": empty, "values": values})


def protocol(*figures: PublishedFigure, slices: SliceChoice = "all", batch: int | None = None) -> PublishedProtocol:
    return PublishedProtocol(source="someone 2020", grid="native", slices=slices, batch=batch, figures=figures)


def obtained(cases: list[CaseScores], chosen: PublishedProtocol, **options: object) -> float | None:
    return published(cases, chosen, **options).results[0].obtained["WT"]  # type: ignore[arg-type]


def test_each_unit_by_hand() -> None:
    """Slices 4/6 1 0 6/8 0; cases a: TP 2 FP 3 FN 2, b: TP 3 FP 1 FN 5; pooled: TP 5 FP 4 FN 7.

    Batches of two, through the cases: TP 2 FN 2 | FP 3, TP 3 FP 1 FN 1 | FN 4.
    """
    assert obtained([A, B], protocol(figure("slice"))) == pytest.approx((4 / 6 + 1 + 0 + 6 / 8 + 0) / 5)
    assert obtained([A, B], protocol(figure("case"))) == pytest.approx((4 / 9 + 6 / 12) / 2)
    assert obtained([A, B], protocol(figure("pooled"))) == pytest.approx(10 / 21)
    batches = protocol(figure("batch"), batch=2)
    assert obtained([A, B], batches) == pytest.approx((4 / 6 + 6 / 11 + 0) / 3)
    assert obtained([B, A], batches) == obtained([A, B], batches)


def test_precision_and_recall_per_batch_with_0_where_undefined() -> None:
    """The last batch holds one slice with nothing predicted: its precision, 0/0, counts 0."""
    precision = protocol(figure("batch", "zero", "precision"), batch=2)
    assert obtained([A, B], precision) == pytest.approx((2 / 2 + 3 / 7 + 0) / 3)
    recall = protocol(figure("batch", "zero", "recall"), batch=2)
    assert obtained([A, B], recall) == pytest.approx((2 / 4 + 3 / 4 + 0) / 3)


def test_tumour_bearing_slices_are_those_of_the_reference() -> None:
    """a keeps its first slice, b both; pooled TP 5 FP 1 FN 7. A case without tumour drops out."""
    only_background = counted("c", (0, 5, 0, 5))
    result = published([A, B, only_background], protocol(figure("pooled"), slices="tumour-bearing"))
    assert result.results[0].obtained["WT"] == pytest.approx(10 / 18)
    assert (result.n_cases, result.n_slices) == (2, 3)


def test_a_slice_bears_tumour_if_any_region_does() -> None:
    both = replace(A, regions=("WT", "ET"), slices=replace(A.slices, regions=np.repeat(A.slices.regions, 2, axis=1)))
    both.slices.regions[0, 1] = (0, 0, 0, 10)
    result = published([both], protocol(figure("slice"), slices="tumour-bearing"))
    assert result.n_slices == 1
    assert result.results[0].obtained == pytest.approx({"WT": 4 / 6, "ET": 1, "mean": (4 / 6 + 1) / 2})


def test_slices_that_the_recipe_keeps() -> None:
    kept = {"a": np.array([True, False, True]), "b": np.array([False, True])}
    assert obtained([A, B], protocol(figure("slice"), slices="recipe"), kept_slices=kept) == pytest.approx(
        (4 / 6 + 0 + 0) / 3
    )
    with pytest.raises(ScoreError, match="case b: it is not known which slices"):
        published([A, B], protocol(figure("slice"), slices="recipe"), kept_slices={"a": kept["a"]})
    with pytest.raises(ScoreError, match="not known which slices"):
        published([A, B], protocol(figure("slice"), slices="recipe"))


def test_published_and_obtained_stand_side_by_side() -> None:
    chosen = protocol(figure("pooled", WT=0.9, mean=0.8), figure("pooled", metric="specificity"))
    block = json.loads(json.dumps(published([A, B], chosen).to_json(), allow_nan=False))
    dice, specificity = block["figures"]
    assert dice["regions"]["WT"] == {"obtained": pytest.approx(10 / 21), "published": 0.9}
    assert dice["regions"]["mean"] == {"obtained": pytest.approx(10 / 21), "published": 0.8}
    assert specificity["regions"]["WT"] == {"obtained": pytest.approx(34 / 38), "published": None}
    assert (dice["unit"], dice["empty"]) == ("pooled", "both_empty_1")
    assert block["protocol"] == {"source": "someone 2020", "grid": "native", "slices": "all", "batch": None}


def test_what_cannot_be_compared_says_so() -> None:
    many = [counted(f"case{i:02d}", (3, 1, 1, 5)) for i in range(20)]
    chosen = protocol(figure("slice"))
    assert published(many, chosen).not_comparable == ()
    assert published(many[1:], chosen).not_comparable == ("19 patients, fewer than 20",)
    result = published(many, chosen, reasons=[Reason("data", "other data")])
    assert result.not_comparable == ("other data",)
    assert result.to_json()["comparable"] is False


def test_as_many_patients_as_the_authors_had_are_enough() -> None:
    many = [counted(f"case{i}", (3, 1, 1, 5)) for i in range(4)]
    chosen = protocol(figure("slice")).model_copy(update={"n_scored": 4})
    assert published(many, chosen).not_comparable == ()
    assert published(many[1:], chosen).not_comparable == ("3 patients, fewer than 4",)
    plenty = chosen.model_copy(update={"n_scored": 1251})
    assert published(many, plenty).not_comparable == ("4 patients, fewer than 20",)


def test_each_figure_says_what_must_agree_for_it() -> None:
    """The number of patients matters to the first figure alone, the split to both, the epoch to neither."""
    first = figure("slice", WT=0.9).model_copy(update={"must_agree": ("split", "number")})
    second = figure("pooled", WT=0.8).model_copy(update={"must_agree": ("split",)})
    epoch, split = Reason("epoch", "of the best epoch"), Reason("split", "by slice")
    one, both = [epoch], [epoch, split]
    found = [published([A, B], protocol(first, second), reasons=reasons) for reasons in (one, both)]
    assert [result.not_comparable for result in found[0].results] == [("2 patients, fewer than 20",), ()]
    assert [len(result.not_comparable) for result in found[1].results] == [2, 1]
    block = json.loads(json.dumps(found[0].to_json(), allow_nan=False))
    assert [each["comparable"] for each in block["figures"]] == [False, True]
    assert block["comparable"] is False
    assert AsPublished.from_json(block).to_json() == block
    assert [row.not_comparable for row in found[0].rows("test")] == [("2 patients, fewer than 20",), ()]


def test_evaluations_written_before_figures_had_reasons_of_their_own_are_read() -> None:
    block = published([A], protocol(figure("slice", WT=0.9)), reasons=[Reason("data", "other data")]).to_json()
    figures = block["figures"]
    assert isinstance(figures, list)
    for each in figures:
        del each["not_comparable"], each["comparable"], each["must_agree"]
    again = AsPublished.from_json(block)
    assert again.results[0].not_comparable == again.not_comparable == ("other data", "1 patient, fewer than 20")


def test_nothing_that_counts_is_null() -> None:
    empty = counted("c", (0, 0, 0, 10))
    result = published([empty], protocol(figure("slice", "skip")))
    assert result.results[0].obtained == {"WT": None, "mean": None}
    json.dumps(result.to_json(), allow_nan=False)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ScoreError, match="no case"):
        published([], protocol(figure("slice")))
    with pytest.raises(ScoreError, match="published grid"):
        published([replace(A, grid="working")], protocol(figure("slice")))
    with pytest.raises(ScoreError, match="other regions"):
        published([A, replace(B, regions=("ET",))], protocol(figure("slice")))
    with pytest.raises(ScoreError, match=r"name regions that were not scored; found ET"):
        published([A], protocol(figure("slice", WT=0.5, ET=0.5)))
    with pytest.raises(ScoreError, match="no slice is left"):
        published([counted("c", (0, 5, 0, 5))], protocol(figure("slice"), slices="tumour-bearing"))


def test_a_protocol_names_its_batch_if_and_only_if_it_needs_one() -> None:
    with pytest.raises(ValidationError, match="number of slices"):
        protocol(figure("batch"))
    with pytest.raises(ValidationError, match="number of slices"):
        protocol(figure("slice"), batch=4)
    with pytest.raises(ValidationError):
        figure("slice", metric="hausdorff")
    with pytest.raises(ValidationError):
        PublishedProtocol.model_validate({"source": "x", "grid": "native", "slices": "all", "figures": []})


def test_figures_stand_beside_those_of_the_same_part() -> None:
    test, train, open_figure = figure("slice", WT=0.8), figure("slice", WT=0.9), figure("pooled")
    train = train.model_copy(update={"part": "train"})
    both = protocol(test, train, open_figure)
    assert protocol_of(both, "train") == (both.model_copy(update={"figures": (train,)}), ())
    assert protocol_of(both, "test") == (both.model_copy(update={"figures": (test, open_figure)}), ())
    of_test = protocol(test, open_figure)
    assert protocol_of(of_test, "val") == (
        of_test,
        (Reason("part", "scored on the val part, published on the test part"),),
    )
    without_values = protocol(open_figure)
    assert protocol_of(without_values, "val") == (without_values, ())
