"""What a confidence is fitted on, what it promises, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glioseg.core.case import Counted
from glioseg.inference.bundle import Bundle
from glioseg.tasks.data import CohortPart


@dataclass(frozen=True)
class Promises:
    """What a calibration promises of patients not seen.

    Args:
        risk: expected share of a region that is missed, at most.
        level: how often an interval holds a volume, at least.
    """

    risk: float = 0.1
    level: float = 0.9


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Cases with references, and the network that is asked about them, which was not trained on them.

    Args:
        part: the cases.
        bundle: the network.
    """

    part: CohortPart
    bundle: Bundle


@dataclass(frozen=True, eq=False)
class CalibrationParts:
    """What a confidence is fitted and checked on.

    Args:
        fitted: cases that the network was not trained on; of a network that was trained on all there are, the held-out
            cases of its folds, each judged by the fold's own network.
        words: what they are.
        checked: others, that have no part in the fitting; None where there are none.
        checked_words: what these are.
        checked_is_other: whether they are other data, whose patients are no fellows of those fitted.
        training: what the network was trained on, for what scans look like there; None where that is not at hand.
        counted: what the cases are counted in.
    """

    fitted: tuple[HeldOut, ...]
    words: str
    checked: CohortPart | None = None
    checked_words: str = ""
    checked_is_other: bool = False
    training: CohortPart | None = None
    counted: Counted = "patient"


@dataclass(frozen=True)
class Calibration:
    """A fitted confidence.

    Args:
        block: what the bundle keeps.
        figures: how well it does, as ``calibration.json`` holds it.
        text: the figures in a few lines for people.
        page: that shows them.
    """

    block: Mapping[str, Any]
    figures: Mapping[str, Any]
    text: str
    page: Path
