"""What is said of a study that was made ready: what was done, and what of it should be looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glioseg.core import Grid
from glioseg.preparation.ready.brain import Brain
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.preparation.ready.record import Extracted, Moved, ReadyRecord
from glioseg.preparation.ready.registration import Registration

GOOD = Registration(np.eye(4), 0.75, 0.95, 0.31, 7.46, 6.12, 1.26)
BRAIN = Extracted("t1n", 1234.56, "deepbet", 3.2, is_odd=False)
ATLAS = "the atlas MNI, ICBM 2009a symmetric"
DOUBTFUL = "The registration of t2w and t2f to t1c is doubtful: "
ASIDE = "moved aside by 4 mm they agree about as well"


def _record(moved: tuple[Moved, ...] = (), brain: Extracted | None = None, **skull: float) -> ReadyRecord:
    options = ReadyOptions(register=True, brain_extract=True)
    return ReadyRecord(options, "t1c", (1.0, 1.0, 1.004), moved, skull, brain, (), 1.0)


@pytest.mark.parametrize(
    ("found", "doubt"),
    [
        (GOOD, None),
        (replace(GOOD, overlap=0.8, sharpness=0.2), None),
        (replace(GOOD, overlap=0.79), "the heads overlap by 0.79 only (Dice)"),
        (replace(GOOD, overlap=None), "their fields of view do not meet"),
        (
            replace(GOOD, sharpness=0.19),
            f"{ASIDE} (by 19% less, of one patient some 30 %), as scans of two patients do",
        ),
        (replace(GOOD, sharpness=-0.3), f"{ASIDE} (by 0% less, of one patient some 30 %), as scans of two patients do"),
    ],
)
def test_doubts_of_a_registration(found: Registration, doubt: str | None) -> None:
    assert Moved(("t2w", "t2f"), "t1c", found).doubts == (() if doubt is None else (DOUBTFUL + doubt,))


def test_what_is_not_covered_is_said() -> None:
    said = "of what t1c shows; beyond, zeros stand in"
    assert Moved(("t2w",), "t1c", GOOD, 0.9).doubts == ()
    assert Moved(("t2w",), "t1c", GOOD, 0.47).doubts == (f"t2w shows 47% {said}",)
    assert Moved(("t2w", "t2f"), "t1c", GOOD, 0.47).doubts == (f"t2w and t2f show 47% {said}",)


def test_an_average_of_many_heads_is_sharp_nowhere() -> None:
    blurred = replace(GOOD, sharpness=0.05)
    assert Moved(("t1n",), ATLAS, blurred).doubts == ()
    assert len(Moved(("t1n",), ATLAS, replace(blurred, overlap=0.5)).doubts) == 1


def test_what_was_done_in_words() -> None:
    moved, turned = Moved(("t2w",), "t1c", replace(GOOD, overlap_before=None)), Moved(("t1n",), ATLAS, GOOD)
    brought = "all was brought to voxels of 1 × 1 × 1 mm; masks lie on the grid of t1c"
    alone = "all modalities lie on one grid: none was registered to another"
    assert _record((moved, turned), BRAIN, t1c=0.3, t2w=0.61).words == (
        "t2w moved by 7.5 mm and 6.1° to t1c; overlap none before, 0.95 after",
        f"t1n moved by 7.5 mm and 6.1° to {ATLAS}; overlap 0.75 before, 0.95 after",
        brought,
        "a skull was found (bone on 61% of the ways from the outline inwards)",
        "what is not brain was removed, by deepbet in t1n: 1,235 ml of brain are left",
    )
    assert _record((turned,)).words[1:] == (
        alone,
        brought,
        "no skull was found (no section is one of a head), and nothing was removed",
    )


def test_the_record_as_plain_values() -> None:
    record = _record((Moved(("t2w",), "t1c", GOOD, 0.4567),), replace(BRAIN, is_odd=True), t2w=0.40001)
    facts = record.to_json()
    assert (facts["mask_on"], facts["spacing_mm"], facts["skull"]) == ("t1c", [1.0, 1.0, 1.004], {"t2w": 0.4})
    assert (facts["has_skull"], facts["brain"]["volume_ml"]) == (True, 1234.6)
    assert (facts["registered"][0]["covered"], facts["registered"][0]["shift_mm"]) == (0.457, 7.46)
    assert facts["doubts"] == [
        "t2w shows 46% of what t1c shows; beyond, zeros stand in",
        "The brain that was found has 1,235 ml, which is none of an adult's",
    ]
    assert _record().to_json()["has_skull"] is None
    assert _record(t2w=0.39).to_json()["has_skull"] is False


@pytest.mark.parametrize(
    ("volume_ml", "is_odd"), [(699.0, True), (700.0, False), (1300.0, False), (2000.0, False), (2001.0, True)]
)
def test_brains_of_no_adult_are_odd(volume_ml: float, is_odd: bool) -> None:
    mask = np.ones((2, 2, 2), dtype=bool)
    assert Brain(mask, Grid((2, 2, 2), np.eye(4)), "t1n", volume_ml, 1.0).is_odd == is_odd
