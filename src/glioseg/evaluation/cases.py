"""One case scored: the few kilobytes that a cohort's evaluation is made of, so that no label map has to be kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from glioseg.core import LabelMap
from glioseg.errors import GeometryError, ScoreError
from glioseg.evaluation.calibration import (
    CurveFigure,
    ProbabilityHistogram,
    average_precision,
    probability_histogram,
    roc_auc,
)
from glioseg.evaluation.overlap import (
    FN,
    FP,
    OVERLAP_METRICS,
    TP,
    Integers,
    SliceCounts,
    count_channels,
    count_labels,
    ratio,
)
from glioseg.evaluation.score import Flags, Score, mask_status

GridName = Literal["native", "working"]
VolumeUnit = Literal["ml", "voxels"]
CURVES = ("roc_auc", "average_precision")


@dataclass(frozen=True, eq=False)
class CaseScores:
    """What one case adds to an evaluation.

    Args:
        case: its id.
        patient: whose it is.
        regions: names of R regions.
        slices: confusion counts of its S slices, (S, R, 4), and its correct voxels.
        voxel_ml: volume of a voxel, None where millimetres are unknown.
        histograms: R histograms of probabilities; None where only a label map was at hand.
        grid: the grid that was scored on.

    Raises:
        ScoreError: parts that do not fit each other.
    """

    case: str
    patient: str
    regions: tuple[str, ...]
    slices: SliceCounts
    voxel_ml: float | None = None
    histograms: tuple[ProbabilityHistogram, ...] | None = None
    grid: GridName = "native"

    def __post_init__(self) -> None:
        n_slices = len(self.slices.correct)
        expected = (n_slices, len(self.regions), 4)
        if not n_slices or not self.regions or self.slices.regions.shape != expected:
            raise ScoreError(
                f"case {self.case} needs counts for each slice and region",
                found=self.slices.regions.shape,
                expected=expected,
            )
        if self.histograms is not None and len(self.histograms) != len(self.regions):
            raise ScoreError(
                f"case {self.case} needs a histogram for each region",
                found=len(self.histograms),
                expected=len(self.regions),
            )

    @property
    def counts(self) -> Integers:
        """(R, 4) TP, FP, FN, TN of the whole case."""
        total: Integers = self.slices.regions.sum(axis=0)
        return total

    @property
    def n_slices(self) -> int:
        """How many slices were scored."""
        return len(self.slices.correct)

    @property
    def n_voxels(self) -> int:
        """How many voxels were scored."""
        return int(self.slices.regions[:, 0].sum())

    @property
    def pixel_accuracy(self) -> float:
        """Correct voxels of the label map / all."""
        return int(self.slices.correct.sum()) / self.n_voxels


def score_case(
    case: str,
    patient: str,
    reference: LabelMap,
    prediction: LabelMap,
    regions: Sequence[str],
    probabilities: npt.NDArray[np.floating] | None = None,
    grid: GridName = "native",
) -> CaseScores:
    """Score a predicted label map against its reference, every slice along Z.

    Slices that a recipe leaves out are background in ``prediction`` and count as such.

    Args:
        case: its id.
        patient: whose it is.
        reference: the expert's label map, on the native grid (or the recipe's, with ``grid="working"``).
        prediction: the model's, on the same grid, of the same or another scheme that knows the regions.
        regions: names of R regions.
        probabilities: (R, X, Y, Z) of the regions, for ROC-AUC and average precision.
        grid: which grid that is.

    Raises:
        GeometryError: the grids differ.
        LabelError: a scheme lacks a region.
        ScoreError: probabilities of another shape, NaN or outside 0..1.
    """
    slices = count_labels(reference, prediction, regions)
    voxel_ml = reference.grid.voxel_ml if reference.grid.has_mm else None
    histograms = None
    if probabilities is not None:
        _require_channels(probabilities, (len(regions), *reference.array.shape))
        histograms = tuple(
            probability_histogram(channel, _inside(reference, region))
            for channel, region in zip(probabilities, regions, strict=True)
        )
    return CaseScores(case, patient, tuple(regions), slices, voxel_ml, histograms, grid)


def score_channels(
    case: str,
    patient: str,
    reference: npt.NDArray[np.generic],
    prediction: npt.NDArray[np.generic],
    regions: Sequence[str],
    probabilities: npt.NDArray[np.floating] | None = None,
    voxel_ml: float | None = None,
    grid: GridName = "native",
) -> CaseScores:
    """Score 0/1 region channels: as ``score_case``, with (R, X, Y, Z) arrays in place of label maps."""
    slices = count_channels(reference, prediction)
    _require_channels(reference, (len(regions), *reference.shape[1:]))
    histograms = None
    if probabilities is not None:
        _require_channels(probabilities, reference.shape)
        histograms = tuple(probability_histogram(p, r) for p, r in zip(probabilities, reference, strict=True))
    return CaseScores(case, patient, tuple(regions), slices, voxel_ml, histograms, grid)


def select_slices(scores: CaseScores, keep: Flags) -> CaseScores | None:
    """The case with only the slices that ``keep`` (S,) marks; None where it marks none. Histograms are left behind."""
    if keep.shape != (scores.n_slices,):
        raise ScoreError(
            f"case {scores.case}: one mark per slice is needed", found=keep.shape, expected=(scores.n_slices,)
        )
    if not keep.any():
        return None
    slices = SliceCounts(scores.slices.regions[keep], scores.slices.correct[keep])
    return replace(scores, slices=slices, histograms=None)


def scores_of(scores: CaseScores, volume_unit: VolumeUnit) -> Mapping[str, Mapping[str, Score]]:
    """Every figure of a case: region -> metric -> Score, no rule for empty masks applied.

    Volumes carry their unit in their name: ``volume_reference_ml``, ``volume_prediction_ml``, ``volume_error_ml``
    (prediction − reference), ``volume_error_abs_ml``, and ``volume_error_ratio`` (error / reference).
    """
    return {
        region: _overlap_scores(scores, row) | _volume_scores(scores, row, volume_unit) | _curve_scores(scores, row)
        for row, region in enumerate(scores.regions)
    }


def volume_unit_of(cases: Sequence[CaseScores]) -> VolumeUnit:
    """``ml`` where all cases have millimetres, else ``voxels``."""
    return "ml" if all(case.voxel_ml is not None for case in cases) else "voxels"


def curve_figure(histogram: ProbabilityHistogram, metric: str) -> CurveFigure | None:
    """The area under one of ``CURVES``."""
    return roc_auc(histogram) if metric == "roc_auc" else average_precision(histogram)


def _overlap_scores(scores: CaseScores, row: int) -> dict[str, Score]:
    counts = scores.counts[row]
    status = mask_status(int(counts[TP] + counts[FN]), int(counts[TP] + counts[FP]), scores.n_voxels)
    values = {metric: float(ratio(counts, metric)) for metric in OVERLAP_METRICS}
    return {metric: Score(None if np.isnan(value) else value, "ratio", status) for metric, value in values.items()}


def _volume_scores(scores: CaseScores, row: int, unit: VolumeUnit) -> dict[str, Score]:
    if unit == "ml" and scores.voxel_ml is None:
        raise GeometryError(f"case {scores.case} has no millimetres", remedy="Ask for volumes in voxels")
    size = scores.voxel_ml if unit == "ml" and scores.voxel_ml is not None else 1.0
    tp, fp, fn, _ = (int(count) for count in scores.counts[row])
    status = mask_status(tp + fn, tp + fp, scores.n_voxels)
    error = fp - fn
    return {
        f"volume_reference_{unit}": Score((tp + fn) * size, unit, status),
        f"volume_prediction_{unit}": Score((tp + fp) * size, unit, status),
        f"volume_error_{unit}": Score(error * size, unit, status),
        f"volume_error_abs_{unit}": Score(abs(error) * size, unit, status),
        "volume_error_ratio": Score(error / (tp + fn) if tp + fn else None, "ratio", status),
    }


def _curve_scores(scores: CaseScores, row: int) -> dict[str, Score]:
    if scores.histograms is None:
        return {}
    histogram = scores.histograms[row]
    tp, fp, fn, _ = (int(count) for count in scores.counts[row])
    status = mask_status(tp + fn, tp + fp, scores.n_voxels)
    figures = {metric: curve_figure(histogram, metric) for metric in CURVES}
    return {
        metric: Score(None if figure is None else figure.value, "ratio", status) for metric, figure in figures.items()
    }


def _inside(labels: LabelMap, region: str) -> Flags:
    table = np.zeros(max(labels.scheme.labels.values()) + 1, dtype=np.bool_)
    table[list(labels.scheme.values_of(region))] = True
    inside: Flags = table[labels.array]
    return inside


def _require_channels(array: npt.NDArray[np.generic], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ScoreError("one channel per region is needed", found=array.shape, expected=expected)
