"""What several raters have in common, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from glioseg.errors import ScoreError
from glioseg.evaluation.case_table import RegionTable
from glioseg.evaluation.comparison import CompareOptions
from glioseg.evaluation.raters import agreements, consensus
from glioseg.evaluation.table import case_rows
from tests.evaluation.drawing import counted, drawn

Voxels = np.ndarray[Any, Any]


def _masks(*drawings: str) -> list[Voxels]:
    return [drawn(text) > 0 for text in drawings]


def test_majority_by_hand() -> None:
    """Of three raters two make a majority, of two and of four it takes more than half."""
    three = _masks("##..#", ".##.#", ".#..#")
    assert consensus(three, "majority")[:, 0, 0].tolist() == [False, True, False, False, True]
    assert consensus(three[:2], "majority")[:, 0, 0].tolist() == [False, True, False, False, True]
    assert consensus([*three, three[0]], "majority")[:, 0, 0].tolist() == [False, True, False, False, True]
    with pytest.raises(ScoreError, match="two raters or more"):
        consensus(three[:1], "majority")


def _staple(masks: Sequence[Voxels]) -> Voxels:
    """The EM of Warfield 2004 as it is written: the prior is the mean of all decisions, every rater starts near 1."""
    drawn_by = np.stack([mask.ravel() for mask in masks]).astype(float)
    prior, inside = drawn_by.mean(), np.zeros(drawn_by.shape[1])
    found, rejected = np.full((2, len(masks), 1), 0.99999)
    for _ in range(200):
        true = prior * np.where(drawn_by, found, 1 - found).prod(axis=0)
        false = (1 - prior) * np.where(drawn_by, 1 - rejected, rejected).prod(axis=0)
        inside = true / (true + false)
        found = (inside * drawn_by).sum(axis=1, keepdims=True) / inside.sum()
        rejected = ((1 - inside) * (1 - drawn_by)).sum(axis=1, keepdims=True) / (1 - inside).sum()
    return np.asarray(inside.reshape(masks[0].shape) > 0.5)


@pytest.mark.parametrize("noise", [(0.02, 0.1, 0.2), (0.05, 0.05, 0.1, 0.1)])
def test_staple_as_it_is_written(noise: tuple[float, ...]) -> None:
    """In the box around all masks with a margin of one voxel, whatever lies beyond it."""
    rng = np.random.default_rng(0)
    truth = np.zeros((12, 10, 9), np.bool_)
    truth[2:9, 2:8, 2:7] = True
    around = np.pad(np.ones((10, 8, 7), np.bool_), 1)
    masks = [(truth ^ (rng.random(truth.shape) < share)) & around for share in noise]
    masks[0][1, 1, 1] = masks[0][-2, -2, -2] = True  # so that the box is known
    padded = [np.pad(mask, ((0, 20), (0, 0), (0, 0))) for mask in masks]
    found = consensus(padded, "staple")
    assert np.array_equal(found[:12], _staple(masks))
    assert not found[12:].any()


@pytest.mark.parametrize("rule", ["majority", "staple"])
def test_raters_who_agree(rule: str) -> None:
    """What all drew is the consensus, be it nothing or everything."""
    for drawing in ("....", ".##.", "####"):
        mask = drawn(drawing) > 0
        assert np.array_equal(consensus([mask] * 3, rule), mask)  # type: ignore[arg-type]


def test_agreement_by_hand() -> None:
    """Dice of two raters 0.5 and 1.0 in two cases, mean 0.75; of the method with them (0.4, 0.6) and (0.8, 1.0).

    Its means over the raters are 0.5 and 0.9, so that it differs by 0.0 and -0.1 from theirs.
    """

    def table(*dice: float) -> RegionTable:
        cases = [
            counted(f"p{number}", (round(10 * value), 10 - round(10 * value), 10 - round(10 * value), 80))
            for number, value in enumerate(dice)
        ]
        return RegionTable(case_rows(cases))

    options = CompareOptions(n_resamples=100)
    found = {
        each.metric.name: each for each in agreements([table(0.5, 1)], {"m": [table(0.4, 0.8), table(0.6, 1)]}, options)
    }
    assert set(found) == {"dice", "iou"}  # what was not measured cannot be compared
    dice = found["dice"]
    assert dice.raters.spread.mean == pytest.approx(0.75)
    assert dice.methods["m"].figure.values.tolist() == pytest.approx([0.5, 0.9])
    assert dice.methods["m"].difference == pytest.approx(-0.05)
