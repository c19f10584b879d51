"""The parts of a split, and the one order in which each purpose names them."""

from __future__ import annotations

from typing import Literal

PartName = Literal["train", "val", "test"]

PARTS: tuple[PartName, ...] = ("train", "val", "test")
"""As patients are dealt out, and as files and counts list them."""

HEADLINE_ORDER: tuple[PartName, ...] = ("test", "val", "train")
"""As figures are looked at: patients that decided nothing first."""
