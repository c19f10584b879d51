"""What speaks against a mask: each trait alone brings its own sentence, and a plain mask brings none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from glioseg.core import Grid, Image, LabelMap
from glioseg.core.schemes import scheme_named
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Prediction, paint
from glioseg.tasks.segment.doubts import doubts

_SHAPE = (20, 20, 20)
_GRID = Grid(_SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))  # 0.008 ml a voxel
_IMAGE = Image(np.ones((1, *_SHAPE), dtype=np.float32), ("t2f",), _GRID)
Block = tuple[slice, slice, slice]


def _cube(low: int, high: int) -> Block:
    return (slice(low, high),) * 3


def _prediction(*blocks: tuple[Block, float], scheme: str = "whole-tumour") -> Prediction:
    region = "WT" if scheme == "whole-tumour" else "csf"
    probabilities = np.zeros((1, *_SHAPE), dtype=np.float32)
    for block, value in blocks:
        probabilities[0][block] = value
    labels = paint(probabilities, (region,), scheme_named(scheme), _GRID, PredictOptions())
    return Prediction(probabilities, (region,), labels)


def test_a_plain_mask_brings_no_doubt() -> None:
    assert doubts(_IMAGE, _prediction((_cube(5, 10), 0.9)), PredictOptions()) == ()


_Doubtful = tuple[Callable[[], Prediction], str]
_TRAITS: dict[str, _Doubtful] = {
    "nothing": (lambda: _prediction(), "Nothing was found"),
    # 16³ of 20³ voxels are 51 %
    "too much": (lambda: _prediction((_cube(2, 18), 0.9)), "covers 51% of what the scan shows"),
    # 6³ = 216 voxels at 0.3 (1.73 ml are possible), of which 4³ = 64 at 0.6, none above 0.75
    "undecided": (
        lambda: _prediction((_cube(5, 11), 0.3), (_cube(6, 10), 0.6)),
        "WT is undecided: 0 ml are sure (probability above 0.75), 1.73 ml are possible (above 0.25)",
    ),
    # two cubes of 27 voxels and one of 8: the largest piece holds 27 of 62, 44 %
    "scattered": (
        lambda: _prediction((_cube(2, 5), 0.9), (_cube(8, 11), 0.9), (_cube(14, 16), 0.9)),
        "in 3 separate pieces; the largest holds 44%",
    ),
    "at the edge": (lambda: _prediction((_cube(0, 5), 0.9)), "reaches the edge of the scan"),
}


@pytest.mark.parametrize("trait", _TRAITS)
def test_each_trait_has_its_sentence(trait: str) -> None:
    make, words = _TRAITS[trait]
    (sentence,) = doubts(_IMAGE, make(), PredictOptions())
    assert words in sentence


def test_tissues_may_fill_the_scan() -> None:
    found = doubts(_IMAGE, _prediction((_cube(2, 18), 0.9), scheme="ibsr"), PredictOptions())
    assert found == ()


def test_members_that_disagree() -> None:
    """40 of 125 voxels are 32 %; 30 % are let pass."""
    prediction = _prediction((_cube(5, 10), 0.9))
    assert doubts(_IMAGE, prediction, PredictOptions(), n_disputed=37) == ()
    (sentence,) = doubts(_IMAGE, prediction, PredictOptions(), n_disputed=40)
    assert "disagree on 40 voxels, 32%" in sentence


def test_one_picture_has_no_ends_along_its_depth() -> None:
    grid = Grid.of_pictures((20, 20, 1))
    array = np.zeros((20, 20, 1), dtype=np.uint8)
    array[5:10, 5:10] = 1
    labels = LabelMap(array, scheme_named("whole-tumour"), grid)
    image = Image(np.ones((1, 20, 20, 1), dtype=np.float32), ("grey",), grid)
    assert doubts(image, Prediction(array[None].astype(np.float32), ("WT",), labels), PredictOptions()) == ()
