"""Tables written by hand: all neutral but for what a test is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from glioseg.training.augment import AugmentOptions, AugmentTable, ChannelLayout, draw
from glioseg.training.randomness import DrawKey

KEY = DrawKey(seed=0, purpose="augment")
GEOMETRY = ("flip", "turn", "rotation", "scale", "shift", "elastic")
INTENSITY = ("gamma", "bias", "contrast", "brightness", "blur", "low_resolution", "noise")


def neutral_table(
    n_items: int,
    *size: int,
    n_channels: int = 1,
    **values: Any,
) -> AugmentTable:
    """A table that changes nothing but ``values``, which are broadcast to the shapes that belong there."""
    table = draw(AugmentOptions(), KEY, n_items=n_items, size=size, channels=ChannelLayout(n_channels))
    shaped: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(value, dtype=getattr(table, name).dtype), getattr(table, name).shape).copy()
        if isinstance(getattr(table, name), np.ndarray)
        else value
        for name, value in values.items()
    }
    return replace(table, **shaped)


def options_of(*names: str, probability: float = 1.0) -> AugmentOptions:
    """Options with the named changes switched on, their ranges as they come."""
    chosen: dict[str, dict[str, float]] = {name: {"probability": probability} for name in names if name != "missing"}
    if "missing" in names:
        chosen["missing"] = {"zero": probability / 2, "flair": probability / 2}
    return AugmentOptions.model_validate(chosen)
