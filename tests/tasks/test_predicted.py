"""What is said of networks beside predictions: figures of what was shown, how many taught them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glioseg.inference.bundle import read_info
from glioseg.inference.card import Card, DataFacts, Figure
from glioseg.tasks.predicted import (
    _taught_by,
    figure_words,
    filling_words,
    kept_share,
    kept_words,
    measured_words,
    network_cards,
    shown_as_zeros,
)


def _info(*figures: Figure, modalities: tuple[str, ...] = ("t1n", "t1c", "t2f"), task: str = "segment") -> Any:
    card = Card(name="n", about="a", figures=figures)
    return SimpleNamespace(modalities=modalities, card=card, task=task)


def _figure(
    of: str, value: float, only: tuple[str, ...] = (), data: str = "BraTS", metric: str = "dice", **more: Any
) -> Figure:
    return Figure(data=data, part="test", of=of, metric=metric, value=value, only=only, **more)


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
    "other metrics of the same region": (
        {"t1n": "zero", "t1c": "zero"},
        (*FIGURES, _figure("WT", 4.2, metric="hd95"), _figure("WT", 6.1, ("t2f",), metric="hd95")),
        (
            "With t2f alone its dice is 0.80 of WT (0.86), 0.16 of ET (0.70), on BraTS, test, "
            "in brackets with all modalities",
        ),
    ),
    "a figure of no region, as of classes": (
        {"t1n": "zero", "t1c": "zero"},
        (_figure("", 0.9, metric="accuracy"), _figure("", 0.72, ("t2f",), metric="accuracy")),
        ("With t2f alone its accuracy is 0.72 (0.90), on BraTS, test, in brackets with all modalities",),
    ),
    "all of them": ({}, FIGURES, ()),
}


@pytest.mark.parametrize("name", CASES)
def test_the_figures_are_those_of_what_was_shown(name: str) -> None:
    filled, figures, words = CASES[name]
    assert measured_words(filled, (_info(*figures),)) == words


def test_several_modalities_are_listed() -> None:
    info = _info(*FIGURES, modalities=("t1n", "t1c", "t2w", "t2f"))
    (words,) = measured_words({"t2w": "zero"}, (info,))
    assert words == "How good this network is with t1n, t1c and t2f alone was not measured"


def test_what_is_given_and_not_shown_is_not_called_missing() -> None:
    """A network that can do with t1c alone is shown no t2w, of a case that has both and lacks t1n and t2f."""
    filled = {"t1n": "zero", "t2w": "zero", "t2f": "zero"}
    missing = "t1n, t2w and t2f were missing, and nothing (zeros) stands in: what is seen there best may be wrong"
    assert filling_words(filled, ("t1c",)) == (missing,)
    given, others = filling_words(filled, ("t1c", "t2w"))
    assert given.startswith("t2w is given and not used: ")
    assert others.startswith("t1n and t2f were missing, and nothing (zeros) stands in")


def test_the_page_says_of_a_figure_what_was_shown() -> None:
    assert figure_words(_figure("WT", 0.86)) == "BraTS, test: WT dice 0.86"
    assert figure_words(_figure("", 0.9, ("t1c", "t2f"), metric="auc", ci95=(0.8, 1))) == (
        "BraTS, test, t1c and t2f alone: auc 0.90 (95 % 0.80 to 1.00)"
    )


def test_the_facts_of_a_network_have_names_of_their_own() -> None:
    """A table by name would show one of two alone: of the networks of a page of scores the cohort that trained them."""
    info = read_info(Path("model:phantom"))
    (card,) = network_cards((info,))
    names = [name for name, _ in card.facts if name != "Scored on"]
    assert len(set(names)) == len(names)
    assert dict(card.facts)["Trained on"].startswith(str(info.provenance["cohort"]))


def test_what_was_missing_or_black_was_shown_as_zeros() -> None:
    images = np.zeros((2, 3, 4, 4), dtype=np.float16)
    images[1, 1, 0, 0] = -1
    assert shown_as_zeros((_info(), _info()), (images, images)) == ["t1n", "t2f"]


def test_a_confidence_says_what_it_was_multiplied_by() -> None:
    assert kept_words("agreement", 1.0, "Dice") == "agreement"
    assert kept_words("agreement", 0.615, "Dice") == (
        "agreement; times 0.61, the share of its Dice that the network keeps with what it was shown"
    )
    assert kept_words("agreement", None, "Dice").startswith("not stated: modalities were missing, and nobody measured")


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


def test_a_classifier_keeps_a_share_of_its_accuracy() -> None:
    figures = (_figure("", 0.9, metric="accuracy"), _figure("", 0.72, ("t2f",), metric="accuracy"))
    others = (_figure("", 0.8, metric="auc"), _figure("", 0.4, ("t2f",), metric="auc"))
    info = _info(*figures, *others, task="classify")
    assert kept_share(("t1n", "t1c"), (info,)) == pytest.approx(0.8)
    assert kept_share(("t2f",), (info,)) is None
    assert kept_share((), (info,)) == 1.0


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
