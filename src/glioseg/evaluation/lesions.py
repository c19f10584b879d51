"""Lesions of a reference matched with those of a prediction, as the challenge BraTS 2023 does it.

A large lesion that is found hides small ones that are missed from a Dice of the whole mask; so each lesion counts alike
[1]. The rules are those of the challenge's program [2], to the letter:

- Components have 26 neighbours. The reference is dilated with an element of 18 neighbours; what grows together is one
  lesion, whose size and overlap are those of its own voxels, without the dilation.
- A component of the prediction that touches a dilated lesion belongs to it with all its voxels. It may belong to
  several lesions, and a lesion may have several.
- A lesion of at most ``most_dropped`` mm³ (voxels, where these are unknown; the challenge's are 1 mm³) does not count,
  neither as missed nor as found, and what belongs to it is no false positive.
- Components that belong to no lesion are false positives, however small.

References:
    [1] Kazerooni AF et al. The Brain Tumor Segmentation (BraTS) Challenge 2023. arXiv:2305.17033.
    [2] Saluja R. BraTS-2023-Metrics, 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.core.components import bounding_box, label_components
from glioseg.errors import ScoreError
from glioseg.evaluation.score import Flags, Integers

_ELEMENT = ndimage.generate_binary_structure(3, 2)  # a voxel and its 18 neighbours by faces and edges
WORST_MM = 374.0
"""The distance of a lesion that is missed, or false: about the diagonal of 240 × 240 × 155 voxels of 1 mm."""


@dataclass(frozen=True)
class LesionRule:
    """What counts as one lesion.

    Args:
        n_dilations: how often the reference is dilated before its lesions are told apart.
        most_dropped: size in mm³ up to which a lesion of the reference does not count.
        by_faces: whether voxels of a lesion touch by faces alone, and not by edges and corners too.
        name: whose rule it is.

    Raises:
        ScoreError: less than no dilation, or a negative size.
    """

    n_dilations: int
    most_dropped: float
    by_faces: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.n_dilations < 0 or self.most_dropped < 0:
            raise ScoreError("a rule for lesions has no negative numbers", found=self.describe())

    def describe(self) -> str:
        """In words, as protocols have it."""
        times = "1 dilation" if self.n_dilations == 1 else f"{self.n_dilations} dilations"
        grown = f"{times} with 18 neighbours" if self.n_dilations else "no dilation"
        dropped = f"up to {self.most_dropped:g} mm³ dropped" if self.most_dropped else "none dropped"
        words = f"{6 if self.by_faces else 26} neighbours, {grown}, {dropped}"
        return f"{self.name}: {words}" if self.name else words


GLIOMA = LesionRule(n_dilations=3, most_dropped=50, name="BraTS 2023, glioma")
MENINGIOMA = LesionRule(n_dilations=1, most_dropped=50, name="BraTS 2023, meningioma")
METASTASES = LesionRule(n_dilations=1, most_dropped=2, name="BraTS 2023, metastases")
"""Of the tasks of BraTS 2023: GLI, SSA and PED; MEN; MET."""
ANY_OVERLAP = LesionRule(n_dilations=0, most_dropped=0, by_faces=True, name="MetricsReloaded")
"""Of the program MetricsReloaded: a lesion is found where anything that was predicted overlaps with it."""


@dataclass(frozen=True)
class Lesion:
    """A lesion of the reference that counts.

    Args:
        number: in ``LesionMatch.reference``.
        dice: with all that belongs to it; 0 where nothing does.
        components: the numbers of what belongs to it, in ``LesionMatch.prediction``; none where it was missed.
    """

    number: int
    dice: float
    components: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LesionMatch:
    """The lesions of a case.

    Args:
        reference: (X, Y, Z) the number of the lesion that a voxel is of, 0 outside.
        prediction: (X, Y, Z) the number of the component.
        lesions: those of the reference that count.
        n_false: components of the prediction that belong to none, not even to one that does not count.
    """

    reference: npt.NDArray[np.int32]
    prediction: npt.NDArray[np.int32]
    lesions: tuple[Lesion, ...]
    n_false: int

    @property
    def n_found(self) -> int:
        """Lesions to which a component belongs."""
        return sum(bool(lesion.components) for lesion in self.lesions)

    @property
    def n_missed(self) -> int:
        """The others."""
        return len(self.lesions) - self.n_found


def match_lesions(reference: Flags, prediction: Flags, rule: LesionRule, voxel_mm3: float) -> LesionMatch:
    """Find the lesions and what belongs to them.

    The Dice of a lesion is 2 |own ∩ prediction| / (|own| + Σ |components|): its own voxels, without the dilation, with
    all voxels of the components that belong to it, the part of them that lies in other lesions too.

    Args:
        reference: (X, Y, Z) the expert's mask, with room for the dilation where the image has it.
        prediction: the same of the model.
        rule: what counts as a lesion.
        voxel_mm3: the size of a voxel; 1 where it is unknown.
    """
    grown, n_lesions = _grown(reference, rule)
    components, n_components = label_components(prediction, by_faces=rule.by_faces)
    numbered = np.where(reference, grown, 0)
    pairs = _pairs(grown, components)
    sizes = np.bincount(numbered.ravel(), minlength=n_lesions + 1)
    hits = np.bincount(numbered[prediction], minlength=n_lesions + 1)
    of_components = np.bincount(components.ravel(), minlength=n_components + 1)
    drawn = np.bincount(pairs[:, 0], weights=of_components[pairs[:, 1]], minlength=n_lesions + 1)
    belonging = np.split(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(1, n_lesions + 1)))
    lesions = tuple(
        Lesion(number, float(2 * hits[number] / (sizes[number] + drawn[number])), tuple(belonging[number].tolist()))
        for number in range(1, n_lesions + 1)
        if sizes[number] * voxel_mm3 > rule.most_dropped
    )
    return LesionMatch(numbered, components, lesions, n_components - len(np.unique(pairs[:, 1])))


def count_detections(
    reference: Flags,
    probabilities: npt.NDArray[np.floating],
    thresholds: Sequence[float],
    rule: LesionRule,
    voxel_mm3: float,
) -> tuple[int, Integers, Integers]:
    """Lesions that count, and at each threshold how many of them are found and how many components are false.

    What lies above a threshold is matched as ``match_lesions`` does; the reference is dilated once for all of them, and
    what lies above a higher threshold is looked for in the box of what lies above a lower one.

    Args:
        reference: (X, Y, Z) the expert's mask.
        probabilities: (X, Y, Z) of the region.
        thresholds: T of them.
        rule: what counts as a lesion.
        voxel_mm3: the size of a voxel; 1 where it is unknown.
    """
    n_found, n_false = np.zeros((2, len(thresholds)), dtype=np.int64)
    anything = reference | (probabilities > min(thresholds))
    if not anything.any():
        return 0, n_found, n_false
    x, y, z = (
        slice(max(side.start - rule.n_dilations, 0), side.stop + rule.n_dilations) for side in bounding_box(anything)
    )
    cropped, cropped_probabilities = reference[x, y, z], probabilities[x, y, z]
    grown, n_lesions = _grown(cropped, rule)
    sizes = np.bincount(np.where(cropped, grown, 0).ravel(), minlength=n_lesions + 1) * voxel_mm3
    counts = sizes > rule.most_dropped
    counts[0] = False  # the background
    for place in np.argsort(thresholds):
        above = cropped_probabilities > thresholds[place]
        if not above.any():
            break
        box = bounding_box(above)
        cropped_probabilities, grown = cropped_probabilities[box], grown[box]
        components, n_components = label_components(above[box], by_faces=rule.by_faces)
        pairs = _pairs(grown, components)
        n_found[place] = np.count_nonzero(counts[np.unique(pairs[:, 0])])
        n_false[place] = n_components - len(np.unique(pairs[:, 1]))
    return int(np.count_nonzero(counts)), n_found, n_false


def _grown(reference: Flags, rule: LesionRule) -> tuple[npt.NDArray[np.int32], int]:
    """The dilated lesions, numbered, and how many: in the box that they reach, since false specks lie far off."""
    grown = np.zeros(reference.shape, np.int32)
    if not reference.any():
        return grown, 0
    x, y, z = (
        slice(max(side.start - rule.n_dilations, 0), side.stop + rule.n_dilations) for side in bounding_box(reference)
    )
    cropped = reference[x, y, z]
    around = ndimage.binary_dilation(cropped, _ELEMENT, rule.n_dilations) if rule.n_dilations else cropped
    grown[x, y, z], n_lesions = label_components(around, by_faces=rule.by_faces)
    return grown, n_lesions


def _pairs(grown: npt.NDArray[np.int32], components: npt.NDArray[np.int32]) -> Integers:
    """(N, 2) each dilated lesion with each component that it touches, sorted, once each."""
    touch = (grown > 0) & (components > 0)
    of_lesions, of_components = (numbers[touch].astype(np.int64) for numbers in (grown, components))
    n_numbers = int(of_components.max(initial=0)) + 1
    return np.stack(np.divmod(np.unique(of_lesions * n_numbers + of_components), n_numbers), axis=1)
