from __future__ import annotations

import pytest
from pydantic import ValidationError

from glioseg.training.augment import AugmentOptions


def test_nothing_is_changed_unless_asked_for() -> None:
    options = AugmentOptions()
    assert not any(getattr(options, name).probability for name in AugmentOptions.model_fields)


def test_a_recipe_states_probability_and_range() -> None:
    options = AugmentOptions.model_validate({"rotation": {"probability": 0.5, "range": [-30, 30]}})
    assert (options.rotation.probability, options.rotation.range) == (0.5, (-30.0, 30.0))
    assert AugmentOptions.model_validate(options.model_dump(mode="json")) == options


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rotation": {"probability": 1.5}}, "less than or equal to 1"),
        ({"rotation": {"range": [10, -10]}}, "not a range within -180 to 180"),
        ({"scale": {"range": [0, 2]}}, "not a range within 0.25 to 4"),
        ({"shift": {"range": [-1, 1]}}, "not a range within -0.5 to 0.5"),
        ({"gamma": {"range": [-1, 2]}}, "not a range"),
        ({"contrast": {"range": [0, 2]}}, "not a range"),
        ({"brightness": {"range": [-9, 2]}}, "not a range"),
        ({"blur": {"range": [-1, 2]}}, "not a range"),
        ({"bias": {"range": [-1, 1]}}, "not a range"),
        ({"noise": {"range": [0, float("inf")]}}, "finite"),
        ({"low_resolution": {"range": [0.5, 2]}}, "not a range within 1 to 8"),
        ({"elastic": {"range": [0, 0.1], "cells": 5}}, "could fold"),
        ({"missing": {"zero": 0.6, "flair": 0.6}}, "add up to 1 at most"),
        ({"missing": {"zero": 0.6, "at_most": 0}}, "greater than or equal to 1"),
        ({"flip": {"axes": []}}, "at least 1 item"),
        ({"flip": {"axes": ["x"]}}, "width"),
        ({"rotate": {}}, "Extra inputs"),
        ({"turn": {"range": [0, 1]}}, "Extra inputs"),
    ],
)
def test_refusals(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AugmentOptions.model_validate(wrong)
