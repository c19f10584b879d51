"""What is said of networks beside predictions: figures of what was shown, how many taught them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from glioseg.inference.card import Card, DataFacts, Figure
from glioseg.tasks.predicted import _taught_by, kept_share, measured_words


def _info(*figures: Figure) -> Any:
    card = Card(name="n", about="a", figures=figures)
    return SimpleNamespace(modalities=("t1n", "t1c", "t2f"), card=card)


def _figure(of: str, value: float, only: tuple[str, ...] = (), data: str = "BraTS") -> Figure:
    return Figure(data=data, part="test", of=of, metric="dice", value=value, only=only)


FIGURES = (_figure("WT", 0.86), _figure("ET", 0.7), _figure("WT", 0.8, ("t2f",)), _figure("ET", 0.16, ("t2f",)))
CASES = {
    "a set that was scored": (
        {"t1n": "zero", "t1c": "zero"},
        FIGURES,
        (
            "With t2f alone its dice is 0.80 of WT (0.86), 0.16 of ET (0.70), on BraTS, test, "
            "in brackets with all modalities",
        ),
    ),
    "scored with nothing else": (
        {"t1n": "zero", "t1c": "zero"},
        (_figure("WT", 0.8, ("t2f",)),),
        ("With t2f alone its dice is 0.80 of WT, on BraTS, test",),
    ),
    "a set that nobody scored": (
        {"t1n": "zero"},
        FIGURES,
        ("How good this network is with t1c and t2f alone was not measured",),
    ),
    "three of four": (
        {"t2w": "zero"},
        FIGURES,
        ("How good this network is with t1n, t1c and t2f alone was not measured",),
    ),
    "all of them": ({}, FIGURES, ()),
}


@pytest.mark.parametrize("name", CASES)
def test_the_figures_are_those_of_what_was_shown(name: str) -> None:
    filled, figures, words = CASES[name]
    assert measured_words(filled, (_info(*figures),)) == words


@pytest.mark.parametrize(
    ("lacking", "figures", "share"),
    [
        ((), (), 1.0),
        (("t1n", "t1c"), FIGURES, 0.96 / 1.56),  # (0.8 + 0.16) of (0.86 + 0.7)
        (("t1n",), FIGURES, 0.96 / 1.56),  # t1c beside it was not scored, and takes nothing away
        (("t1n",), (*FIGURES, _figure("WT", 0.9, ("t1c", "t2f"))), 1.0),
        (("t2f",), FIGURES, None),
        (("t1n", "t1c"), FIGURES[2:], None),
        (("t1n", "t1c"), (*FIGURES[:2], _figure("WT", 0.8, ("t2f",), "elsewhere")), None),
    ],
)
def test_the_share_that_is_kept_without_modalities(
    lacking: tuple[str, ...], figures: tuple[Figure, ...], share: float | None
) -> None:
    assert kept_share(lacking, (_info(*figures),)) == (share if share is None else pytest.approx(share))


def test_no_share_is_known_of_several_or_without_a_card() -> None:
    info = _info(*FIGURES)
    assert kept_share(("t1n",), (info, info)) is None
    assert kept_share(("t1n",), (SimpleNamespace(modalities=("t1n", "t2f"), card=None),)) is None  # type: ignore[arg-type]


def test_nothing_is_said_of_several_or_without_a_card() -> None:
    info = _info(*FIGURES)
    assert measured_words({"t1n": "zero"}, (info, info)) == ()
    assert measured_words({"t1n": "zero"}, (SimpleNamespace(modalities=("t1n", "t2f"), card=None),)) == ()  # type: ignore[arg-type]


def _taught(provenance: dict[str, Any], *n_patients: int | None) -> str:
    data = tuple(DataFacts(name=f"d{number}", role="training", n_patients=n) for number, n in enumerate(n_patients))
    card = Card(name="n", about="a", data=data) if data else None
    return _taught_by(SimpleNamespace(provenance=provenance, card=card))  # type: ignore[arg-type]


def test_pictures_that_do_not_say_whom_they_show_are_not_counted_as_patients() -> None:
    assert _taught({"patients_trained_on": 28}) == "28 patients"
    assert _taught({"patients_trained_on": 28}, 28) == "28 patients"
    assert _taught({"patients_trained_on": 3750}, None) == "3,750 pictures"
    assert _taught({"patients_trained_on": 1, "counted": "picture"}) == "1 picture"
    assert _taught({}) == ""
