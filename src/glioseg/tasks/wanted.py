"""What is asked of a prediction beside its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glioseg.inference.uncertainty import UncertaintyOptions


@dataclass(frozen=True)
class Wanted:
    """What is asked beside the answer.

    Args:
        uncertainty: the samples by which it is judged how far the answer can be trusted; None where nobody asks.
        explain: whether it is shown what the networks looked at.
    """

    uncertainty: UncertaintyOptions | None = None
    explain: bool = False

    def is_in(self, sidecar: Mapping[str, Any]) -> bool:
        """Whether the JSON file of a case that was predicted before holds all of it."""
        asked = {"uncertainty": self.uncertainty is not None, "explanation": self.explain}
        return all(name in sidecar for name, is_asked in asked.items() if is_asked)


NOTHING_MORE = Wanted()
