"""The confidence in a mask as a bundle keeps it: fitted by ``glioseg calibrate``, read by ``predict``.

The block ``confidence`` of a bundle is a ``ConfidenceRecord``: a linear model of the Dice, thresholds that keep a
promised risk, errors of volumes, temperatures, and what the training's intensities look like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError
from scipy.special import expit, logit

from glioseg.core.case import Counted
from glioseg.errors import FileError, plural
from glioseg.evaluation.confidence import CheckRecord, DiceModel
from glioseg.evaluation.score import Floats
from glioseg.evaluation.uncertainty import mean_defined
from glioseg.frozen import Frozen
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.familiarity import IntensityRecord, distances
from glioseg.inference.uncertainty import RegionUncertainty, Uncertainty, UncertaintyOptions

FEATURES = ("expected_dice", "agreement", "log_size", "log_distance")
_TELLING = 0.02
"""A feature that lowers the expected Dice by less is no reason."""
_FAR = 2.5
"""A modality this many standard deviations from the training is unlike it; of 24 phantom patients none is above 2.1."""


class RegionRecord(Frozen):
    """What was found of one region.

    Attributes:
        temperature: that divides the logits of the probability that is written.
        risk_threshold: probability above which a voxel is in the cautious mask; None with too few patients for it.
        volume_error: bound on the error of the cube root of the volume, in the unit of ``volume_unit``; None likewise.
        ece: calibration error of the voxels before and after the temperature, of patients who had no part in it.
        missed: what the cautious mask was found to miss of the region, mean over random halves of the patients.
        covered: of the volumes of such halves, the share that lay in their intervals.
    """

    temperature: float = Field(1.0, gt=0)
    risk_threshold: float | None = Field(None, ge=0, le=1)
    volume_error: float | None = Field(None, ge=0)
    ece: tuple[float, float] | None = None
    missed: float | None = None
    covered: float | None = None


class DiceRecord(Frozen):
    """``DiceModel``, and the confidence below which a mask is to be looked at."""

    centre: tuple[float, float, float, float]
    scale: tuple[float, float, float, float]
    weights: tuple[float, float, float, float]
    offset: float
    low: float

    def model(self) -> DiceModel:
        """The model."""
        return DiceModel(self.centre, self.scale, self.weights, self.offset)


class ConfidenceRecord(Frozen):
    """The block ``confidence`` of a bundle that segments.

    Attributes:
        kind: of record; another one is another version's.
        options: the samples that it was fitted with, and that ``predict --uncertainty`` therefore takes.
        fitted_on: cohort and part, in words.
        n_cases: with a Dice,
        n_patients: and whose they are, or how many pictures, where these do not say whom they show.
        counted: patients or pictures.
        dice: model of the mean Dice over regions.
        risk: expected share of a region that the cautious mask may miss.
        level: of the intervals of volumes.
        volume_unit: ``ml`` or ``voxels``.
        regions: by name.
        intensities: what each modality looks like in the training.
        checks: how well it foretold the Dice of others, the check that counts first.
    """

    kind: Literal["masks-1"] = "masks-1"
    options: UncertaintyOptions
    fitted_on: str
    n_cases: int
    n_patients: int
    counted: Counted = "patient"
    dice: DiceRecord
    risk: float = Field(gt=0, lt=1)
    level: float = Field(gt=0, lt=1)
    volume_unit: Literal["ml", "voxels"]
    regions: Mapping[str, RegionRecord]
    intensities: Mapping[str, IntensityRecord]
    checks: tuple[CheckRecord, ...] = ()

    @property
    def cases_words(self) -> str:
        """How many cases it was fitted on, and whose: "31 cases of 29 patients", "791 pictures with a Dice"."""
        who = plural(self.n_patients, self.counted)
        return f"{plural(self.n_cases, 'case')} of {who}" if self.counted == "patient" else f"{who} with a Dice"


@dataclass(frozen=True)
class Judgement:
    """What a fitted confidence says of one mask.

    Args:
        confidence: expected mean Dice over regions, 0 to 1.
        is_low: whether it is lower than that of nine in ten cases that it was fitted on.
        reasons: what lowers it, the weightiest first, in words.
        unlike: modality -> distance, of those that are unlike the training's.
    """

    confidence: float
    is_low: bool
    reasons: tuple[str, ...]
    unlike: Mapping[str, float]


def record_of(info: BundleInfo) -> ConfidenceRecord | None:
    """What a bundle keeps; None where nobody has fitted it.

    Raises:
        FileError: the block is of another version, or damaged.
    """
    if info.confidence is None:
        return None
    try:
        record = ConfidenceRecord.model_validate(info.confidence)
    except ValidationError as error:
        first = error.errors()[0]
        raise _unreadable(info, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if set(record.regions) != set(info.regions):
        raise _unreadable(info, f"regions {', '.join(record.regions)}")
    return record


def _unreadable(info: BundleInfo, found: str) -> FileError:
    return FileError(
        "the bundle's confidence cannot be read", path=info.name, found=found, remedy="Fit it anew: `glioseg calibrate`"
    )


def features_of(regions: Mapping[str, RegionUncertainty], sizes: Sequence[float], distance: float) -> Floats:
    """(4,) what the confidence is made of, in the order of ``FEATURES``; where nothing is drawn, nothing is expected.

    Args:
        regions: what samples say of each.
        sizes: of the regions' masks, in ml or voxels.
        distance: of the intensities, the largest of the modalities.
    """
    expected = mean_defined(region.expected_dice for region in regions.values()) or 0.0
    agreed = mean_defined(region.agreement for region in regions.values()) or 0.0
    return np.array([expected, agreed, np.log10(max(sizes) + 0.1), np.log10(distance + 0.1)])


def judge(
    record: ConfidenceRecord,
    uncertainty: Uncertainty,
    sizes: Sequence[float],
    modalities: Sequence[str],
    intensities: Floats,
) -> Judgement:
    """The expected Dice of a mask, and what lowers it.

    Args:
        record: of the bundle.
        uncertainty: by the record's own samples.
        sizes: of the regions' masks, in the record's unit.
        modalities: of the network,
        intensities: and their features (C, 6).
    """
    apart = distances(record.intensities, modalities, intensities)
    features = features_of(uncertainty.regions, sizes, max(apart.values(), default=0.0))
    model = record.dice.model()
    confidence = float(model.expected(features[None])[0])
    added = dict(zip(FEATURES, model.contributions(features[None])[0].tolist(), strict=True))
    unlike = {name: distance for name, distance in apart.items() if distance > _FAR}
    lowering = sorted((value, name) for name, value in added.items() if value < -_TELLING)
    words = {
        "expected_dice": "the probabilities are undecided",
        "agreement": f"asked {len(uncertainty.samples)} times, the network draws different outlines",
        "log_size": f"the largest region has {max(sizes):.3g} {record.volume_unit}, which is unusual",
        "log_distance": "the intensities are unlike the training's",
    }
    return Judgement(confidence, confidence < record.dice.low, tuple(words[name] for _, name in lowering), unlike)


def calibrated(probabilities: npt.NDArray[np.float32], temperature: float) -> npt.NDArray[np.float32]:
    """σ(logit(p) / T); 0 and 1 stay what they are."""
    return np.asarray(expit(logit(probabilities) / np.float32(temperature)), dtype=np.float32)


def volume_bounds(volume: float, error: float) -> tuple[float, float]:
    """The interval of a volume whose cube root is off by at most ``error``."""
    root = np.cbrt(volume)
    return float(max(0.0, root - error) ** 3), float((root + error) ** 3)
