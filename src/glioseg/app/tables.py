"""Tables of what is known of a mask, as the page and spreadsheets show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glioseg.report.style import region_colour


def regions_shown(facts: Mapping[str, Any], drawn_ml: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """The table of regions.

    Args:
        facts: of the network's mask.
        drawn_ml: the volumes of a mask that was drawn, which has no intervals; None for the network's.
    """
    volumes, intervals = (facts["volumes_ml"], facts["intervals"]) if drawn_ml is None else (drawn_ml, {})
    return [
        {
            "name": name,
            "title": name,
            "colour": region_colour(name, row),
            "labels": [facts["scheme"]["labels"][label] for label in facts["scheme"]["regions"][name]],
            "volume_ml": volume,
            "interval_ml": intervals.get(name),
        }
        for row, (name, volume) in enumerate(volumes.items())
    ]


def confidence_words(confidence: Mapping[str, Any] | None) -> str:
    """The confidence in a cell of a table."""
    return "" if confidence is None or confidence["value"] is None else f"{confidence['value']:.2f}"
