"""Which kind of tumour a mask shows, where all of its outline is of one (``predict.kinds``), and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from glioseg.core import LabelMap
from glioseg.core.labels import kind_sums
from glioseg.evaluation.kinds import NONE
from glioseg.inference.predictor import Prediction

_DECIDED = 0.6
"""A kind with a smaller share of what is said of all kinds is not to be relied on."""


def kind_said(labels: LabelMap, kinds: Sequence[str]) -> str:
    """The kind that the mask is painted as; ``none`` of an empty one."""
    painted = int(labels.array.max(initial=0))
    return next((kind for kind in kinds if painted in labels.scheme.values_of(kind)), NONE)


def kind_shares(prediction: Prediction, kinds: Sequence[str]) -> dict[str, float]:
    """Kind -> its share of the probabilities of all kinds within the outline; 0 of each where none has any."""
    sums = kind_sums(prediction.probabilities, prediction.regions, kinds, prediction.label_map.array > 0)
    total = float(sums.sum())
    return {kind: float(kind_sum) / total if total else 0.0 for kind, kind_sum in zip(kinds, sums, strict=True)}


def kind_doubts(prediction: Prediction, kinds: Sequence[str]) -> Iterator[str]:
    """A sentence where the kind of an outline is hardly more than a guess."""
    said, shares = kind_said(prediction.label_map, kinds), kind_shares(prediction, kinds)
    if said == NONE:
        return
    if not any(shares.values()):
        yield f"No kind of tumour has any probability within the outline: that it is painted as {said} means nothing"
    elif shares[said] < _DECIDED:
        yield f"The kind is undecided: {_in_words(shares)} of what is said within the outline"


def _in_words(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{kind} {share:.0%}" for kind, share in sorted(shares.items(), key=lambda item: -item[1]))
