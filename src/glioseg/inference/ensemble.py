"""Several networks as one: their probabilities are averaged on the native grid, so that planes and sizes may differ.

Every network counts alike. A region's threshold is the mean of the members' thresholds, and so is its smallest
component, rounded; where all members paint the most probable region (softmax), so does the ensemble. One network alone
is an ensemble too, and says what it would say by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glioseg.console import Step
from glioseg.core import Grid, Image, LabelMap
from glioseg.errors import OptionError
from glioseg.evaluation.overlap import count_labels, dice
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Array, Prediction, Predictor, paint
from glioseg.inference.thresholds import EXPECTED_DICE, Threshold


@dataclass(frozen=True)
class MemberPrediction:
    """What one member says of a case.

    Args:
        label_map: painted from its own probabilities with its own thresholds, on the native grid.
        dice: by region, its agreement with the ensemble; None where neither has a voxel of the region.
    """

    label_map: LabelMap
    dice: dict[str, float | None]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Predictors whose regions and labels mean the same.

    Args:
        members: at least one.

    Raises:
        OptionError: no member, or members that disagree about regions or the meaning of labels.
    """

    members: tuple[Predictor, ...]

    def __post_init__(self) -> None:
        if not self.members:
            raise OptionError("an ensemble needs at least one network")
        for number, member in enumerate(self.members[1:], start=2):
            _require_same_meaning(self.members[0], member, number)

    @property
    def regions(self) -> tuple[str, ...]:
        """Those of the first member, in its order."""
        return self.members[0].regions

    @property
    def modalities(self) -> tuple[str, ...]:
        """All that some member needs, in the order of their first mention."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.modalities))

    @property
    def options(self) -> PredictOptions:
        """How the averaged probabilities become a label map."""
        return averaged_options([member.options for member in self.members], self.regions)

    def watched(self, told: Step) -> Ensemble:
        """The same, which says how many slices or windows of each look are done."""
        return Ensemble(tuple(replace(member, told=told) for member in self.members))

    def predict(self, image: Image, native: Grid | None = None) -> tuple[Prediction, tuple[MemberPrediction, ...]]:
        """The ensemble's prediction of an image that holds what each member needs, on its own grid or on ``native``;
        see ``together``.

        Raises:
            GeometryError: see ``Predictor.predict``.
        """
        return self.together(member.predict(image, native) for member in self.members)

    def together(self, predictions: Iterable[Prediction]) -> tuple[Prediction, tuple[MemberPrediction, ...]]:
        """The mean, and what each member says; of one alone there is nothing to tell apart.

        Probabilities are added up one member at a time, so that memory does not grow with the number of members but by
        their label maps.

        Args:
            predictions: of the members, in their order, of one case on its native grid.
        """
        one_by_one = iter(predictions)
        first = next(one_by_one)
        if len(self.members) == 1:
            return first, ()
        total, maps = first.probabilities, [first.label_map]
        for member, prediction in zip(self.members[1:], one_by_one, strict=True):
            rows = [member.regions.index(region) for region in self.regions]
            total += prediction.probabilities[rows]  # regions may stand in another order
            maps.append(prediction.label_map)
        total /= len(self.members)
        labels = paint(total, self.regions, self.members[0].scheme, first.label_map.grid, self.options)
        return Prediction(total, self.regions, labels), tuple(
            MemberPrediction(label_map, agreement(label_map, labels, self.regions)) for label_map in maps
        )


def averaged_options(options: Sequence[PredictOptions], regions: Sequence[str]) -> PredictOptions:
    """Means of thresholds and of smallest components; what is no number (kinds, softmax, …) where all have it.

    A threshold that some member chooses for each case is chosen for each case, from the mean probabilities.
    """
    kinds = options[0].kinds if all(member.kinds == options[0].kinds for member in options) else ()
    regions = [region for region in regions if region not in kinds]  # which have no outline of their own
    smallest = {region: round(_mean([member.min_voxels.get(region, 0) for member in options])) for region in regions}
    volumes = {region: _mean([member.min_ml.get(region, 0.0) for member in options]) for region in regions}
    sizes = {
        "min_voxels": {region: n for region, n in smallest.items() if n},
        "min_ml": {region: ml for region, ml in volumes.items() if ml},
    }
    alone = tuple(region for region in regions if all(region in member.largest_component for member in options))
    if all(member.activation == "softmax" for member in options):
        return PredictOptions(activation="softmax", largest_component=alone, **sizes)
    thresholds = {region: _together([member.threshold_of(region) for member in options]) for region in regions}
    return PredictOptions(thresholds=thresholds, largest_component=alone, kinds=kinds, **sizes)


def agreement(first: LabelMap, second: LabelMap, regions: Sequence[str]) -> dict[str, float | None]:
    """Dice of two label maps by region; None where both are empty."""
    values = dice(count_labels(second, first, regions).regions.sum(axis=0))
    return {region: None if np.isnan(value) else float(value) for region, value in zip(regions, values, strict=True)}


def dissent(labels: LabelMap, contributions: Sequence[MemberPrediction]) -> Array:
    """(X, Y, Z) share of the members whose label is not the ensemble's."""
    different = np.zeros(labels.array.shape, dtype=np.float32)
    for contribution in contributions:
        different += contribution.label_map.array != labels.array
    different /= len(contributions)
    return different


def _together(thresholds: Sequence[Threshold]) -> Threshold:
    numbers = [threshold for threshold in thresholds if threshold != EXPECTED_DICE]
    return _mean(numbers) if len(numbers) == len(thresholds) else EXPECTED_DICE


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _require_same_meaning(first: Predictor, member: Predictor, number: int) -> None:
    if set(first.regions) != set(member.regions):
        raise OptionError(
            f"the networks of an ensemble predict the same regions, and network {number} predicts others",
            found=", ".join(member.regions),
            expected=", ".join(first.regions),
            remedy="Leave it out, or train it with the same prepare.regions",
        )
    meanings = [
        (dict(network.scheme.labels), {region: network.scheme.values_of(region) for region in first.regions})
        for network in (first, member)
    ]
    if meanings[0] != meanings[1]:
        raise OptionError(
            f"the labels of network {number} mean something else",
            found=f"{member.scheme.name}: {member.scheme.describe()}",
            expected=f"{first.scheme.name}: {first.scheme.describe()}",
            remedy="Train the networks on data of one label scheme: `glioseg convert` writes it in another",
        )
