"""Figures that are asked for other than the recipe of a run says."""

from __future__ import annotations

from dataclasses import dataclass

from glioseg.evaluation.conventions import ConventionName
from glioseg.evaluation.protocol import EvaluateOptions


@dataclass(frozen=True)
class Under:
    """How figures are asked for other than the recipe says.

    Args:
        convention: whose rules; None for the recipe's.
        pixels: measure distances in pixels where millimetres are unknown.
    """

    convention: ConventionName | None = None
    pixels: bool = False

    def of(self, options: EvaluateOptions) -> EvaluateOptions:
        """The recipe's options, changed."""
        pixels = self.pixels or options.pixels
        if self.convention is None:
            return options.model_copy(update={"pixels": pixels})
        return options.under(self.convention, pixels=pixels)


AS_THE_RECIPE_SAYS = Under()
