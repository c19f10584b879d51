"""One case scored: volumes, probabilities, chosen slices, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from glioseg.errors import GeometryError, ScoreError
from glioseg.evaluation import CaseScores, SliceCounts, score_case, score_channels, scores_of, select_slices
from tests.evaluation.drawing import counted, drawn, labels

REFERENCE = labels(".eee .nt. .e..", ".... .... ....")
PREDICTION = labels(".ee. .... ....", ".... .tt. ....")


def test_volumes_in_millilitres() -> None:
    """A voxel has 1 × 2 × 5 mm³ = 0.01 ml. WT: reference 6 voxels, prediction 4, 2 shared."""
    case = score_case("a", "p", REFERENCE, PREDICTION, ["WT", "ET"])
    figures = scores_of(case, "ml")["WT"]
    volumes = {name: score for name, score in figures.items() if "volume" in name}
    assert {name: score.value for name, score in volumes.items()} == pytest.approx(
        {
            "volume_reference_ml": 0.06,
            "volume_prediction_ml": 0.04,
            "volume_error_ml": -0.02,
            "volume_error_abs_ml": 0.02,
            "volume_error_ratio": -1 / 3,
        }
    )
    assert [score.unit for score in volumes.values()] == ["ml", "ml", "ml", "ml", "ratio"]
    assert scores_of(case, "ml")["ET"]["volume_error_ratio"].value == pytest.approx(1.0)


def test_pictures_have_volumes_in_voxels_only() -> None:
    one, other = labels("##. ...", scheme="lgg", has_mm=False), labels("#.. ...", scheme="lgg", has_mm=False)
    case = score_case("a", "p", one, other, ["tumour"])
    assert scores_of(case, "voxels")["tumour"]["volume_error_voxels"].value == -1
    with pytest.raises(GeometryError, match="has no millimetres"):
        scores_of(case, "ml")


def test_every_figure_says_which_mask_was_empty() -> None:
    empty = labels(".... .... ....", ".... .... ....")
    for reference, prediction, status in (
        (REFERENCE, PREDICTION, "ok"),
        (empty, PREDICTION, "reference_empty"),
        (REFERENCE, empty, "prediction_empty"),
        (empty, empty, "both_empty"),
    ):
        probabilities = np.full((1, 4, 3, 2), 0.5)
        figures = scores_of(score_case("a", "p", reference, prediction, ["WT"], probabilities), "ml")["WT"]
        assert {score.status for score in figures.values()} == {status}
        assert {"dice", "volume_error_ml", "roc_auc", "average_precision"} <= set(figures)
        assert (figures["roc_auc"].value is None) == (status in ("reference_empty", "both_empty"))
        assert (figures["volume_error_ratio"].value is None) == (status in ("reference_empty", "both_empty"))


def test_a_reference_that_fills_the_image() -> None:
    figures = scores_of(score_case("a", "p", labels("ee"), labels("e."), ["WT"], np.full((1, 2, 1, 1), 0.4)), "ml")
    assert figures["WT"]["specificity"].value is None
    assert figures["WT"]["specificity"].status == "reference_full"
    assert figures["WT"]["roc_auc"].value is None


def test_probabilities_are_held_against_each_region() -> None:
    """WT given its own reference as probability ranks all its voxels first, TC given the opposite last."""
    wt, tc = REFERENCE.array > 0, np.isin(REFERENCE.array, (1, 4))
    probabilities = np.stack([wt * 0.8, ~tc * 0.8])
    figures = scores_of(score_case("a", "p", REFERENCE, PREDICTION, ["WT", "TC"], probabilities), "ml")
    assert figures["WT"]["roc_auc"].value == 1
    assert figures["TC"]["roc_auc"].value == 0


def test_channels_give_the_same_case() -> None:
    probabilities = np.random.default_rng(0).random((1, 4, 3, 2))
    from_labels = score_case("a", "p", REFERENCE, PREDICTION, ["WT"], probabilities)
    reference, prediction = (each.array[None] > 0 for each in (REFERENCE, PREDICTION))
    grid = REFERENCE.grid
    from_channels = score_channels(
        "a", "p", reference, prediction, ["WT"], probabilities, grid.voxel_ml, spacing_mm=grid.spacing_mm
    )
    assert scores_of(from_labels, "ml") == scores_of(from_channels, "ml")
    assert from_labels.pixel_accuracy == from_channels.pixel_accuracy == (2 + 16) / 24


def test_slices_that_are_chosen() -> None:
    case = score_case("a", "p", REFERENCE, PREDICTION, ["WT"])
    first = select_slices(case, np.array([True, False]))
    assert first is not None
    assert (first.n_slices, first.n_voxels, first.counts.tolist()) == (1, 12, [[2, 0, 4, 6]])
    assert select_slices(case, np.array([False, False])) is None
    with pytest.raises(ScoreError, match="one mark per slice"):
        select_slices(case, np.array([True]))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ScoreError, match="one channel per region"):
        score_case("a", "p", REFERENCE, PREDICTION, ["WT"], np.zeros((2, 4, 3, 2)))
    masks = drawn("##", "..")[None] > 0
    with pytest.raises(ScoreError, match="one channel per region"):
        score_channels("a", "p", masks, masks, ["WT", "TC"])
    with pytest.raises(ScoreError, match="one channel per region"):
        score_channels("a", "p", masks, masks, ["WT"], np.zeros((1, 2, 1, 1)))
    with pytest.raises(ScoreError, match="counts for each slice and region"):
        CaseScores("a", "p", ("WT", "TC"), counted("a", (1, 1, 1, 1)).slices)
    with pytest.raises(ScoreError, match="counts for each slice and region"):
        CaseScores("a", "p", ("WT",), SliceCounts(np.zeros((0, 1, 4), dtype=int), np.zeros(0, dtype=int)))
    with pytest.raises(ScoreError, match="a histogram for each region"):
        CaseScores("a", "p", ("WT",), counted("a", (1, 1, 1, 1)).slices, histograms=())
