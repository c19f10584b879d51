"""The two masks of a region, and the figures of shape that are made of them.

All metrics of a case get the same pair, which finds its surfaces and its lesions once, in the box around both masks,
when the first of them asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from glioseg.core.components import Slices, bounding_box
from glioseg.errors import GeometryError
from glioseg.evaluation import surface
from glioseg.evaluation.lesions import GLIOMA, WORST_MM, Lesion, LesionMatch, LesionRule, match_lesions
from glioseg.evaluation.score import Flags, Integers
from glioseg.evaluation.surface import SurfaceDistances

NSD_TOLERANCE_MM = 1.0
"""Of the metric ``nsd``."""


@dataclass(frozen=True, eq=False)
class MaskPair:
    """One region of a case as metrics of shape see it.

    Args:
        reference: (X, Y, Z) the expert's mask.
        prediction: the same of the model, on the same grid.
        spacing_mm: of the voxels along X, Y, Z; None where millimetres are unknown.
    """

    reference: Flags
    prediction: Flags
    spacing_mm: tuple[float, float, float] | None
    _matches: dict[LesionRule, LesionMatch] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def surfaces(self) -> tuple[Integers, Integers]:
        """(N, 3) and (M, 3): the surface voxels of reference and prediction, as indices in the image."""
        box = self._box(0)
        axes = [axis for axis in range(3) if self.reference.shape[axis] > 1]
        corner = [side.start for side in box]
        reference, prediction = (
            surface.surface_of(mask[box], axes) + corner for mask in (self.reference, self.prediction)
        )
        return reference, prediction

    @cached_property
    def in_pixels(self) -> MaskPair:
        """The same masks as if a voxel were 1 mm in every direction, so that millimetres are pixels."""
        return MaskPair(self.reference, self.prediction, (1.0, 1.0, 1.0))

    @cached_property
    def distances(self) -> SurfaceDistances | None:
        """Between the surfaces, in mm; None where one of the masks is empty.

        Raises:
            GeometryError: millimetres are unknown.
        """
        return self.distances_between(*self.surfaces)

    def distances_between(self, reference: Integers, prediction: Integers) -> SurfaceDistances | None:
        """The same of parts of the surfaces, (N, 3) and (M, 3); None where one has no voxel.

        Raises:
            GeometryError: millimetres are unknown.
        """
        if self.spacing_mm is None:
            raise GeometryError(
                "distances are in mm, which are unknown here", remedy="Mark the metric as millimetres='needed'"
            )
        if not len(reference) or not len(prediction):
            return None
        return surface.distances_between(reference, prediction, self.spacing_mm)

    def lesions(self, rule: LesionRule = GLIOMA) -> LesionMatch:
        """The lesions under a rule, which are found once."""
        if rule not in self._matches:
            box = self._box(rule.n_dilations)
            voxel_mm3 = 1.0 if self.spacing_mm is None else prod(self.spacing_mm)
            self._matches[rule] = match_lesions(self.reference[box], self.prediction[box], rule, voxel_mm3)
        return self._matches[rule]

    def lesion_distances(self, lesion: Lesion, rule: LesionRule = GLIOMA) -> SurfaceDistances | None:
        """Between a lesion and all that belongs to it; None where it was missed.

        Components touch nothing else of their mask, so that their surfaces are parts of its surface.
        """
        match = self.lesions(rule)
        corner = [side.start for side in self._box(rule.n_dilations)]
        reference, prediction = self.surfaces
        numbers = match.reference[tuple((reference - corner).T)]
        components = match.prediction[tuple((prediction - corner).T)]
        return self.distances_between(
            reference[numbers == lesion.number], prediction[np.isin(components, lesion.components)]
        )

    @cached_property
    def _inner_box(self) -> Slices:
        """Around both masks; a single voxel where both are empty."""
        either = self.reference | self.prediction
        return bounding_box(either) if either.any() else (slice(0, 1), slice(0, 1), slice(0, 1))

    def _box(self, margin: int) -> Slices:
        """The same with a margin, as far as the image reaches."""
        x, y, z = (
            slice(max(side.start - margin, 0), min(side.stop + margin, n))
            for side, n in zip(self._inner_box, self.reference.shape, strict=True)
        )
        return x, y, z


def hd(pair: MaskPair) -> float | None:
    """Hausdorff distance in mm."""
    return None if pair.distances is None else surface.hausdorff(pair.distances)


def hd95(pair: MaskPair) -> float | None:
    """Its 95th percentile, the larger of the two sides'."""
    return None if pair.distances is None else surface.hausdorff_95(pair.distances)


def mean_surface_distance(pair: MaskPair) -> float | None:
    """The mean over both surfaces."""
    return None if pair.distances is None else surface.mean_distance(pair.distances)


def nsd(pair: MaskPair, tolerance_mm: float = NSD_TOLERANCE_MM) -> float | None:
    """Normalised surface Dice; like Dice 0 where one mask is empty and undefined where both are."""
    if pair.distances is None:
        return 0.0 if any(len(side) for side in pair.surfaces) else None
    return surface.share_within(pair.distances, tolerance_mm)


def lesion_dice(pair: MaskPair, rule: LesionRule = GLIOMA) -> float:
    """The sum of the lesions' Dice over lesions and false positives; 1 where there is neither."""
    match = pair.lesions(rule)
    n_counted = len(match.lesions) + match.n_false
    return sum(lesion.dice for lesion in match.lesions) / n_counted if n_counted else 1.0


def lesion_hd95(pair: MaskPair, rule: LesionRule = GLIOMA) -> float:
    """The mean HD95 over lesions and false positives, 374 mm for what is missed or false; 0 where there is none."""
    match = pair.lesions(rule)
    n_counted = len(match.lesions) + match.n_false
    if not n_counted:
        return 0.0
    all_distances = (pair.lesion_distances(lesion, rule) for lesion in match.lesions)
    sum_mm = sum(WORST_MM if distances is None else surface.hausdorff_95(distances) for distances in all_distances)
    return (sum_mm + match.n_false * WORST_MM) / n_counted


def lesion_sensitivity(pair: MaskPair, rule: LesionRule = GLIOMA) -> float | None:
    """Found lesions / lesions; undefined where the reference has none that counts."""
    match = pair.lesions(rule)
    return match.n_found / len(match.lesions) if match.lesions else None


def lesion_precision(pair: MaskPair, rule: LesionRule = GLIOMA) -> float | None:
    """Found lesions / (found lesions + false positives); undefined where there is neither."""
    match = pair.lesions(rule)
    n_positive = match.n_found + match.n_false
    return match.n_found / n_positive if n_positive else None


def lesion_f1(pair: MaskPair, rule: LesionRule = GLIOMA) -> float | None:
    """2 found / (2 found + missed + false); undefined where there is nothing to count."""
    match = pair.lesions(rule)
    whole = 2 * match.n_found + match.n_missed + match.n_false
    return 2 * match.n_found / whole if whole else None


def n_lesions(pair: MaskPair, rule: LesionRule = GLIOMA) -> float:
    """Lesions of the reference that count."""
    return float(len(pair.lesions(rule).lesions))


def n_lesions_found(pair: MaskPair, rule: LesionRule = GLIOMA) -> float:
    """Those to which something predicted belongs."""
    return float(pair.lesions(rule).n_found)


def n_lesions_false(pair: MaskPair, rule: LesionRule = GLIOMA) -> float:
    """What was predicted and belongs to no lesion."""
    return float(pair.lesions(rule).n_false)
