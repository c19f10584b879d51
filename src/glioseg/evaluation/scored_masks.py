"""What is told of scored masks besides their figures: where they came from, and what several raters say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glioseg.evaluation.protocol import Evaluation
from glioseg.evaluation.raters import CONSENSUS, Agreement, ConsensusName


@dataclass(frozen=True)
class ScoreInputs:
    """What a method's figures were made of.

    Args:
        references: rater -> folder.
        prediction: folder.
        scheme: of the references, in words.
        prediction_scheme: of the predictions.
        missing: cases without a prediction, which count as if nothing had been found.
        resampled: cases whose prediction was brought to the grid of the reference.
    """

    references: Mapping[str, str]
    prediction: str
    scheme: str
    prediction_scheme: str
    missing: tuple[str, ...]
    resampled: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Its fields."""
        return {
            "references": dict(self.references),
            "prediction": self.prediction,
            "scheme": self.scheme,
            "prediction_scheme": self.prediction_scheme,
            "missing": list(self.missing),
            "missing_count_as": "empty masks: all of their reference is missed",
            "resampled": list(self.resampled),
        }


@dataclass(frozen=True, eq=False)
class RaterFigures:
    """Several raters.

    Args:
        names: of the raters.
        consensus: what the figures on top are against.
        by_reference: method -> reference (each rule of ``CONSENSUS``, each rater) -> figures.
        among: ``A against B`` -> figures of B with A as the reference.
        agreements: raters and methods side by side.
    """

    names: tuple[str, ...]
    consensus: ConsensusName
    by_reference: Mapping[str, Mapping[str, Evaluation]]
    among: Mapping[str, Evaluation]
    agreements: tuple[Agreement, ...]

    def to_json(self) -> dict[str, Any]:
        """Strict JSON; undefined figures are null."""
        blocks: dict[str, dict[str, Any]] = defaultdict(dict)
        for each in self.agreements:
            blocks[each.region][each.metric.name] = {
                "raters": each.raters.to_json(),
                "methods": {name: method.to_json() for name, method in each.methods.items()},
            }
        return {
            "names": list(self.names),
            "consensus": self.consensus,
            "consensus_meaning": CONSENSUS[self.consensus],
            "agreement": dict(blocks),
            "methods": {
                method: {reference: figures.to_json() for reference, figures in against.items()}
                for method, against in self.by_reference.items()
            },
            "among": {pair: figures.to_json() for pair, figures in self.among.items()},
        }
