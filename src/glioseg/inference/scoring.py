"""A prepared case predicted and scored: the one way for validation, evaluation and comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from glioseg.core import Case, LabelMap, LabelScheme
from glioseg.errors import LabelError
from glioseg.evaluation.cases import CaseScores, score_case, score_channels
from glioseg.evaluation.contributions import CHANGES, Changed, ChangedCase, mean_inside
from glioseg.evaluation.lesions import LesionRule
from glioseg.evaluation.metric import RegionMetrics
from glioseg.evaluation.metrics import COUNTED_METRICS
from glioseg.evaluation.overlap import count_labels
from glioseg.inference.contributions import predict_changed
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.predictor import Array, Prediction, Predictor, inside_regions
from glioseg.inference.uncertainty import Shown
from glioseg.io import load_labels
from glioseg.preparation.store import PreparedCase


@dataclass(frozen=True, eq=False)
class ScoredCase:
    """A prediction and its scores.

    Args:
        scores: on the native grid, every slice.
        working: on the network's grid, for comparison with publications that scored there.
        prediction: on the native grid.
        reference: on the native grid.
        working_probabilities: (R, Z, Y, X) on the network's grid.
    """

    scores: CaseScores
    working: CaseScores
    prediction: Prediction
    reference: LabelMap
    working_probabilities: Array


def score_prepared(
    predictor: Predictor,
    prepared: PreparedCase,
    case: Case,
    channels: tuple[int, ...],
    scheme: LabelScheme,
    *,
    curves: bool = False,
    metrics: RegionMetrics = COUNTED_METRICS,
    detect_by: LesionRule | None = None,
    contributions: bool = False,
) -> ScoredCase:
    """Predict a prepared case and score it against its reference, which is read anew on the native grid.

    Args:
        predictor: the network.
        prepared: the case's arrays.
        case: the same case, for its reference.
        channels: of the prepared images that the network sees.
        scheme: of the reference, which may be another than the network's: other data has integers of its own.
        curves: also count probabilities, for ROC-AUC and average precision.
        metrics: those of them that are made of masks are measured, on the native grid; none unless asked for.
        detect_by: what counts as a lesion, where with ``curves`` lesions are counted over thresholds too.
        contributions: also score it with each modality removed and permuted.
    """
    probabilities = probabilities_of(predictor, prepared, channels)
    prediction = predictor.on_native_grid(probabilities, prepared.working, prepared.native)
    reference = load_labels(case, scheme)
    scores = score_case(
        case.id,
        case.patient,
        reference,
        prediction.label_map,
        predictor.regions,
        prediction.probabilities if curves else None,
        metrics=metrics,
        detect_by=detect_by,
    )
    if contributions:
        shown = Shown(prepared.images[:, list(channels)], prepared.non_black, prepared.working, prepared.native)
        scores = replace(scores, changed=tuple(_changed(predictor, shown, prediction, reference)))
    return ScoredCase(
        scores, _on_working_grid(predictor, prepared, probabilities), prediction, reference, probabilities
    )


def _changed(predictor: Predictor, shown: Shown, prediction: Prediction, reference: LabelMap) -> Iterator[ChangedCase]:
    """The case with each of the network's modalities removed and permuted."""
    regions, scheme, ensemble = predictor.regions, reference.scheme, Ensemble((predictor,))
    inside = np.stack([np.isin(reference.array, scheme.values_of(region)) for region in regions])
    before = mean_inside(prediction.probabilities, inside)
    for name in predictor.modalities:
        for change in CHANGES:
            after = predict_changed(ensemble, [shown], name, change)
            counts = count_labels(reference, after.label_map, regions).regions.sum(axis=0)
            yield ChangedCase(Changed(name, change), counts, mean_inside(after.probabilities, inside) - before)


def probabilities_of(predictor: Predictor, prepared: PreparedCase, channels: tuple[int, ...]) -> Array:
    """(R, Z, Y, X) on the working grid, of a prepared case of whose images the network sees some channels."""
    all_of_them = channels == tuple(range(len(prepared.modalities)))
    images = np.asarray(prepared.images) if all_of_them else prepared.images[:, list(channels)]
    return predictor.probabilities(images, prepared.non_black)


def _on_working_grid(predictor: Predictor, prepared: PreparedCase, probabilities: Array) -> CaseScores:
    predicted = inside_regions(probabilities, predictor.regions, predictor.options)
    return score_channels(
        prepared.id,
        prepared.patient,
        _as_xyz(_regions_of(prepared)),
        _as_xyz(predicted),
        predictor.regions,
        grid="working",
        metrics=COUNTED_METRICS,
    )


def _regions_of(prepared: PreparedCase) -> npt.NDArray[np.uint8]:
    regions = prepared.regions
    if regions is None:
        raise LabelError(f"case {prepared.id} has no reference", remedy="Prepare it with its masks")
    return np.asarray(regions).transpose(1, 0, 2, 3)


def _as_xyz(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """(R, Z, Y, X) -> (R, X, Y, Z)."""
    return array.transpose(0, 3, 2, 1)
