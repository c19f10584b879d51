"""Figures that are asked for other than the recipe of a run says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glioseg.errors import OptionError, name_some
from glioseg.evaluation.conventions import ConventionName
from glioseg.evaluation.metric import OwnMetrics
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.tasks.scoring import NOBODY, Publication, Scoring
from glioseg.tasks.task import AnyTask


@dataclass(frozen=True)
class Under:
    """How figures are asked for other than the recipe says.

    Args:
        convention: whose rules; None for the recipe's.
        pixels: measure distances in pixels where millimetres are unknown.
        contributions: also say what each modality contributed.
    """

    convention: ConventionName | None = None
    pixels: bool = False
    contributions: bool = False

    def of(self, options: EvaluateOptions) -> EvaluateOptions:
        """The recipe's options, changed."""
        pixels = self.pixels or options.pixels
        if self.convention is None:
            return options.model_copy(update={"pixels": pixels})
        return options.under(self.convention, pixels=pixels)

    def scoring(self, options: EvaluateOptions, metrics: OwnMetrics = (), publication: Publication = NOBODY) -> Scoring:
        """How a part is scored by a recipe's options; see ``Scoring`` for the others."""
        return Scoring(self.of(options), publication, metrics, self.contributions)

    def require(
        self, task: AnyTask, modalities: Sequence[str], metrics: OwnMetrics = (), *, detect: bool = False
    ) -> None:
        """Refuse before any work what a network has no scores of.

        Raises:
            OptionError: a detector has none, nor has a network of one modality any to be left out.
        """
        if self.contributions and detect:
            raise OptionError(
                "what modalities contributed is told of masks and classes",
                found="`--contributions` and `--detect`",
                remedy="Leave one out",
            )
        task.require_scores(metrics, detect=detect)
        if not self.contributions:
            return
        task.require_contributions()
        if len(modalities) < 2:
            raise OptionError(
                "the network sees one modality: none can be left out",
                found=name_some(modalities),
                remedy="Leave `--contributions` out",
            )


AS_THE_RECIPE_SAYS = Under()
