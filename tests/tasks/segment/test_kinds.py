"""What is said of the kind of an outline is what is painted, and a guess is called one."""

from __future__ import annotations

import numpy as np
import pytest

from glioseg.core import Grid, Image, scheme_named
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Prediction, paint
from glioseg.tasks.segment.doubts import doubts
from glioseg.tasks.segment.kinds import kind_said, kind_shares

REGIONS = ("tumour", "glioma", "meningioma", "pituitary")
KINDS = REGIONS[1:]
OPTIONS = PredictOptions(kinds=KINDS)
GRID = Grid((20, 20, 1), np.eye(4), has_mm=False)
IMAGE = Image(np.ones((1, 20, 20, 1), dtype=np.float32), ("grey",), GRID)


def _prediction(*kinds: float, tumour: float = 0.9) -> Prediction:
    """A square of 16 pixels within which each kind has one probability."""
    probabilities = np.zeros((4, 20, 20, 1), dtype=np.float32)
    for row, value in enumerate((tumour, *kinds)):
        probabilities[row, 8:12, 8:12] = value
    return Prediction(probabilities, REGIONS, paint(probabilities, REGIONS, scheme_named("brisc"), GRID, OPTIONS))


@pytest.mark.parametrize(
    ("kinds", "said", "shares", "doubt"),
    [
        ((0.1, 0.8, 0.1), "meningioma", (0.1, 0.8, 0.1), None),
        # shares 0.4, 0.35 and 0.25
        ((0.16, 0.14, 0.1), "glioma", (0.4, 0.35, 0.25), "undecided: glioma 40%, meningioma 35%, pituitary 25% of"),
        ((0.0, 0.0, 0.0), "glioma", (0.0, 0.0, 0.0), "that it is painted as glioma means nothing"),
    ],
)
def test_the_kind_is_the_one_that_is_painted(
    kinds: tuple[float, ...], said: str, shares: tuple[float, ...], doubt: str | None
) -> None:
    prediction = _prediction(*kinds)
    assert np.unique(prediction.label_map.array).tolist() == [0, scheme_named("brisc").labels[said]]
    assert kind_said(prediction.label_map, KINDS) == said
    assert [*kind_shares(prediction, KINDS).values()] == pytest.approx(shares)
    found = doubts(IMAGE, prediction, OPTIONS)
    assert [doubt in sentence for sentence in found if doubt] == ([True] if doubt else [])
    assert doubt or not found  # a kind below its threshold is no doubt of its own: the outline is the tumour's


def test_an_empty_mask_is_of_no_kind() -> None:
    prediction = _prediction(0.9, 0.0, 0.0, tumour=0.4)
    assert kind_said(prediction.label_map, KINDS) == "none"
    assert doubts(IMAGE, prediction, OPTIONS)[0].startswith("Nothing was found")
