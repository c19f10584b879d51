"""What is told of classes that a network says when it is asked in several ways."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glioseg.inference.card import Card, Figure
from glioseg.inference.classifier import Classification
from glioseg.tasks.classify.predict import ClassifyMembers, ClassPrediction
from glioseg.tasks.classify.uncertain import ClassSamples, changed_minds, sample_facts

SAMPLES = ClassSamples(("as it is", "mirrored", "smaller", "larger"), np.array([[0.2, 0.8]] * 3 + [[0.6, 0.4]]))


def _mean(arrays: Any = None) -> Classification:
    return Classification(("no", "yes"), np.array([[0.3, 0.7]]), arrays)


@pytest.mark.parametrize(
    ("kept", "confidence", "words"),
    [
        (1.0, 0.75, "share of 4 samples that say the same class; the class's own calibrated probability stands above"),
        (0.8, 0.6, "above; times 0.80, the share of its accuracy that the network keeps with what it was shown"),
        (None, None, "not stated: modalities were missing, and nobody measured how good the network is without them"),
    ],
)
def test_the_confidence_falls_with_what_is_missing(kept: float | None, confidence: float | None, words: str) -> None:
    facts = sample_facts(SAMPLES, _mean(), kept)
    assert facts["confidence"] == confidence
    assert facts["confidence_is"].endswith(words)


@pytest.mark.parametrize(("scored", "kept"), [(False, None), (True, 0.8)])
def test_a_class_knows_what_its_network_was_shown(scored: bool, kept: float | None) -> None:
    """A classifier of two modalities of which one was zeros: its card may have an accuracy of the other alone."""
    alone = Figure(data="d", metric="accuracy", value=0.72, only=("t2f",))
    figures = (Figure(data="d", metric="accuracy", value=0.9), *((alone,) if scored else ()))
    card = Card(name="n", about="a", figures=figures)
    info: Any = SimpleNamespace(modalities=("t1n", "t2f"), card=card, task="classify")
    images = np.zeros((1, 2, 4, 4), dtype=np.float16)
    images[:, 1] = 1
    fields: dict[str, Any] = {field.name: None for field in dataclasses.fields(ClassPrediction)}
    fields |= {"members": ClassifyMembers((), (info,)), "mean": _mean(SimpleNamespace(images=images))}
    assert ClassPrediction(**fields)._kept() == (kept if kept is None else pytest.approx(kept))


def test_another_class_is_told() -> None:
    assert changed_minds(SAMPLES, _mean()) == ("Asked 4 times (mirrored, scaled, …), the answer is no in 1 of them",)
