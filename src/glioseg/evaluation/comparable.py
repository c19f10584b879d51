"""What must agree before an obtained figure may be read against a published one, and what does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from glioseg.errors import plural

Aspect = Literal["part", "split", "copies", "data", "number", "settings", "epoch"]
ALL_ASPECTS: tuple[Aspect, ...] = ("part", "split", "copies", "data", "number", "settings", "epoch")
"""The part that is scored; what a split keeps together; whether copies may lie on both sides of it; the data set;
enough patients, or as many as the authors scored; the settings of the training; which epoch's network is scored."""

ENOUGH = 20
"""Patients, or pictures, from which a mean says something, unless the authors had fewer themselves."""


@dataclass(frozen=True)
class Reason:
    """Something in which a run is not as the publication.

    Args:
        aspect: what does not agree.
        words: how, as part of a sentence.
    """

    aspect: Aspect
    words: str


def against(must_agree: Iterable[Aspect], reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Why a figure must not be compared: the reasons that concern what must agree for it, each once."""
    needed = set(must_agree)
    return tuple(dict.fromkeys(reason.words for reason in reasons if reason.aspect in needed))


def too_few(n: int, noun: str, n_scored: int | None) -> tuple[Reason, ...]:
    """A reason where ``n`` are fewer than enough, and fewer than the ``n_scored`` of the authors."""
    enough = ENOUGH if n_scored is None else min(ENOUGH, n_scored)
    return (Reason("number", f"{plural(n, noun)}, fewer than {enough}"),) if n < enough else ()
