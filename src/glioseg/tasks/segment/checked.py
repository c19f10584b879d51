"""Cases with references as a confidence sees them: what samples say of a mask, and how good the mask was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glioseg.console import Step
from glioseg.core import LabelScheme
from glioseg.evaluation.calibration import ProbabilityHistogram, probability_histogram
from glioseg.evaluation.overlap import FP, TP, count_labels, dice
from glioseg.evaluation.score import Floats
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.familiarity import IntensityRecord, fit_intensities, intensity_features
from glioseg.inference.predictor import Predictor
from glioseg.inference.uncertainty import RegionUncertainty, Shown, UncertaintyOptions, estimate
from glioseg.io import load_labels
from glioseg.preparation.slices import channels_of
from glioseg.preparation.store import PreparedCase
from glioseg.tasks.data import CohortPart
from glioseg.tasks.segment.cohort import scheme_of

_MOST_TRAINING_CASES = 200


@dataclass(frozen=True, eq=False)
class CheckedCase:
    """What a case with a reference adds: features of its prediction, and how good it was.

    Args:
        case: its id.
        unit: what is drawn and promised to: its patient, or group of copies.
        regions: what samples say of each.
        dice: by region; None where both masks are empty.
        histograms: of the mean probability, by region.
        voxels: of the mask, by region,
        reference_voxels: and of the reference.
        voxel_ml: volume of a voxel; None where millimetres are unknown.
        intensities: (C, 6), see ``inference.familiarity``.
    """

    case: str
    unit: str
    regions: Mapping[str, RegionUncertainty]
    dice: Mapping[str, float | None]
    histograms: Mapping[str, ProbabilityHistogram]
    voxels: Mapping[str, int]
    reference_voxels: Mapping[str, int]
    voxel_ml: float | None
    intensities: Floats

    @property
    def mean_dice(self) -> float | None:
        """Over the regions that have one."""
        defined = [value for value in self.dice.values() if value is not None]
        return float(np.mean(defined)) if defined else None


def collect(predictor: Predictor, part: CohortPart, options: UncertaintyOptions, step: Step) -> list[CheckedCase]:
    """Predict every case of a part by samples, and compare it with its reference."""
    channels = channels_of(part.prepared, predictor.modalities)
    scheme = scheme_of(part.prepared)
    checked_cases = []
    for number, prepared in enumerate(part.prepared.cases, start=1):
        checked_cases.append(_checked(predictor, part, prepared, channels, scheme, options))
        step(number, len(part.prepared.cases))
    return checked_cases


def training_intensities(predictor: Predictor, part: CohortPart) -> dict[str, IntensityRecord]:
    """What each modality looks like, in up to 200 cases of a part."""
    channels = channels_of(part.prepared, predictor.modalities)
    cases = part.prepared.cases
    shown = cases[:: -(-len(cases) // _MOST_TRAINING_CASES)]
    return fit_intensities(predictor.modalities, (intensity_features(case.images[:, list(channels)]) for case in shown))


def _checked(
    predictor: Predictor,
    part: CohortPart,
    prepared: PreparedCase,
    channels: Sequence[int],
    scheme: LabelScheme,
    options: UncertaintyOptions,
) -> CheckedCase:
    images = prepared.images[:, list(channels)]
    shown = Shown(images, prepared.non_black, prepared.working, prepared.native)
    prediction = predictor.on_native_grid(
        predictor.probabilities(images, prepared.non_black), prepared.working, prepared.native
    )
    uncertainty = estimate(Ensemble((predictor,)), [shown], prediction, options)
    reference = load_labels(part.cases[prepared.id], scheme)
    regions = predictor.regions
    counts = count_labels(reference, prediction.label_map, regions).regions.sum(axis=0)
    truth = {name: np.isin(reference.array, scheme.values_of(name)) for name in regions}
    scores = dice(counts)
    return CheckedCase(
        prepared.id,
        part.units[prepared.id],
        uncertainty.regions,
        {name: None if np.isnan(value) else float(value) for name, value in zip(regions, scores, strict=True)},
        {
            name: probability_histogram(uncertainty.maps.probability[row], truth[name])
            for row, name in enumerate(regions)
        },
        {name: int(counts[row, TP] + counts[row, FP]) for row, name in enumerate(regions)},
        {name: int(truth[name].sum()) for name in regions},
        reference.grid.voxel_ml if reference.grid.has_mm else None,
        intensity_features(images),
    )
