"""What each modality contributed to a mask: what becomes of it where the modality is removed or permuted.

What the two words mean stands in ``evaluation.contributions``, which sums them up over a cohort.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from glioseg.evaluation.contributions import CHANGES, Change
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.predictor import Prediction
from glioseg.inference.uncertainty import Shown


@dataclass(frozen=True)
class ModalityEffect:
    """What becomes of a region where a modality is removed or permuted.

    Args:
        probability: change of the mean probability inside the region as it was drawn with all modalities.
        volume: change of its volume, as a share of what it was.
    """

    probability: float
    volume: float


Effects = dict[str, dict[str, dict[Change, ModalityEffect]]]
"""Region -> modality -> change -> effect."""


def changed(images: npt.NDArray[np.float16], channel: int, change: Change) -> npt.NDArray[np.float16]:
    """A copy of images (Z, C, Y, X) in which one modality is removed or permuted."""
    copied = np.array(images)
    values = copied[:, channel]  # a view
    if change == "removed":
        values[...] = 0
    else:
        values[values != 0] = np.random.default_rng(0).permutation(values[values != 0])
    return copied


def predict_changed(ensemble: Ensemble, shown: Sequence[Shown], name: str, change: Change) -> Prediction:
    """The networks' prediction of a case in which a modality is removed or permuted, for each that sees it."""
    cases = [
        replace(case, images=changed(case.images, member.modalities.index(name), change))
        if name in member.modalities
        else case
        for member, case in zip(ensemble.members, shown, strict=True)
    ]
    return ensemble.together(
        member.on_native_grid(member.probabilities(case.images, case.non_black), case.working, case.native)
        for member, case in zip(ensemble.members, cases, strict=True)
    )[0]


def modality_effects(
    ensemble: Ensemble, shown: Sequence[Shown], prediction: Prediction, regions: Sequence[str]
) -> Effects:
    """What becomes of regions without each modality.

    Args:
        ensemble: one network or several.
        shown: the case as each of them sees it.
        prediction: what they say together of the case as it is.
        regions: that are drawn in it.
    """
    rows = {region: prediction.regions.index(region) for region in regions}
    inside = {region: mask for region in regions if (mask := _inside(prediction, region)).any()}
    effects: Effects = {region: {} for region in inside}
    for name in ensemble.modalities:
        after: Mapping[Change, Prediction] = {
            change: predict_changed(ensemble, shown, name, change) for change in CHANGES
        }
        for region, mask in inside.items():
            before, row = float(prediction.probabilities[rows[region]][mask].mean()), rows[region]
            effects[region][name] = {
                change: ModalityEffect(
                    float(left.probabilities[row][mask].mean()) - before,
                    int(_inside(left, region).sum()) / int(mask.sum()) - 1,
                )
                for change, left in after.items()
            }
    return effects


def _inside(prediction: Prediction, region: str) -> npt.NDArray[np.bool_]:
    labels = prediction.label_map
    return np.isin(labels.array, labels.scheme.values_of(region))
