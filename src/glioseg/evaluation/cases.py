"""One case scored: the few kilobytes that a cohort's evaluation is made of, so that no label map has to be kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from glioseg.core import LabelMap, LabelScheme
from glioseg.core.schemes import tumour_labels
from glioseg.errors import GeometryError, ScoreError
from glioseg.evaluation.calibration import ProbabilityHistogram, probability_histogram
from glioseg.evaluation.contributions import ChangedCase
from glioseg.evaluation.froc import LesionDetections, detections_of
from glioseg.evaluation.lesions import LesionRule
from glioseg.evaluation.masks import MaskPair
from glioseg.evaluation.metric import RegionMetric, RegionMetrics, VolumeUnit
from glioseg.evaluation.metrics import REGION_METRICS, value_or_none
from glioseg.evaluation.overlap import SliceCounts, count_channels, count_labels
from glioseg.evaluation.score import Flags, Integers, Score, Status, mask_status

GridName = Literal["native", "working"]
Spacing = tuple[float, float, float]


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
        detections: R counts of lesions over thresholds of probability; None where they were not asked for.
        measured: metric -> R values, of metrics that are made of masks; only these cannot be had from the counts later.
        changed: the case with each modality removed or permuted, where that was asked for.

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
    measured: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    detections: tuple[LesionDetections, ...] | None = None
    changed: tuple[ChangedCase, ...] = ()

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
        for name, values in self.measured.items():
            if len(values) != len(self.regions):
                raise ScoreError(
                    f"case {self.case} needs a value of {name} for each region",
                    found=len(values),
                    expected=len(self.regions),
                )

    @property
    def counts(self) -> Integers:
        """(R, 4) TP, FP, FN, TN of the whole case."""
        total: Integers = self.slices.regions.sum(axis=0)
        return total

    @property
    def statuses(self) -> tuple[Status, ...]:
        """Which mask is empty, region by region."""
        rows = self.counts.tolist()
        return tuple(mask_status(tp + fn, tp + fp, self.n_voxels) for tp, fp, fn, _ in rows)

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
    metrics: RegionMetrics = REGION_METRICS,
    detect_by: LesionRule | None = None,
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
        metrics: those of them that are made of masks are measured.
        detect_by: what counts as a lesion where lesions are counted over thresholds of probability; None counts none.

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
    spacing = reference.grid.spacing_mm if reference.grid.has_mm else None
    pairs = (MaskPair(_inside(reference, region), _inside(prediction, region), spacing) for region in regions)
    measured = _measured(pairs, spacing, metrics_for(reference.scheme, metrics))
    detections = None
    if detect_by is not None and probabilities is not None and tumour_labels(reference.scheme):
        voxel_mm3 = 1.0 if voxel_ml is None else 1000 * voxel_ml
        detections = tuple(
            detections_of(_inside(reference, region), channel, detect_by, voxel_mm3)
            for channel, region in zip(probabilities, regions, strict=True)
        )
    return CaseScores(case, patient, tuple(regions), slices, voxel_ml, histograms, grid, measured, detections)


def metrics_for(scheme: LabelScheme, metrics: RegionMetrics = REGION_METRICS) -> RegionMetrics:
    """Those that say something of what a scheme's labels are: tissues have no lesions."""
    if tumour_labels(scheme):
        return metrics
    return {name: metric for name, metric in metrics.items() if not metric.only_tumour}


def score_channels(
    case: str,
    patient: str,
    reference: npt.NDArray[np.generic],
    prediction: npt.NDArray[np.generic],
    regions: Sequence[str],
    probabilities: npt.NDArray[np.floating] | None = None,
    voxel_ml: float | None = None,
    grid: GridName = "native",
    spacing_mm: Spacing | None = None,
    metrics: RegionMetrics = REGION_METRICS,
) -> CaseScores:
    """Score 0/1 region channels: as ``score_case``, with (R, X, Y, Z) arrays in place of label maps.

    Without ``spacing_mm``, of the voxels along X, Y and Z, metrics that need millimetres are not measured.
    """
    slices = count_channels(reference, prediction)
    _require_channels(reference, (len(regions), *reference.shape[1:]))
    histograms = None
    if probabilities is not None:
        _require_channels(probabilities, reference.shape)
        histograms = tuple(probability_histogram(p, r) for p, r in zip(probabilities, reference, strict=True))
    pairs = (
        MaskPair(inside.astype(np.bool_, copy=False), drawn.astype(np.bool_, copy=False), spacing_mm)
        for inside, drawn in zip(reference, prediction, strict=True)
    )
    measured = _measured(pairs, spacing_mm, metrics)
    return CaseScores(case, patient, tuple(regions), slices, voxel_ml, histograms, grid, measured)


def select_slices(scores: CaseScores, keep: Flags) -> CaseScores | None:
    """The case with only the slices that ``keep`` (S,) marks; None where it marks none.

    Histograms, and what was measured or counted on whole cases, are left behind.
    """
    if keep.shape != (scores.n_slices,):
        raise ScoreError(
            f"case {scores.case}: one mark per slice is needed", found=keep.shape, expected=(scores.n_slices,)
        )
    if not keep.any():
        return None
    slices = SliceCounts(scores.slices.regions[keep], scores.slices.correct[keep])
    return replace(scores, slices=slices, histograms=None, measured={}, detections=None, changed=())


def scores_of(
    scores: CaseScores, volume_unit: VolumeUnit, metrics: RegionMetrics = REGION_METRICS
) -> Mapping[str, Mapping[str, Score]]:
    """Every figure of a case: region -> metric -> Score, no rule for empty masks applied.

    Metrics are left out where the case lacks what they are made of (probabilities, masks, millimetres).

    Raises:
        GeometryError: volumes in ml of a case without millimetres.
    """
    if volume_unit == "ml" and scores.voxel_ml is None:
        raise GeometryError(f"case {scores.case} has no millimetres", remedy="Ask for volumes in voxels")
    wanted = [metric for metric in metrics.values() if metric.fits(volume_unit) and _is_at_hand(scores, metric)]
    return {
        region: {metric.name: _score(scores, row, metric, status) for metric in wanted}
        for row, (region, status) in enumerate(zip(scores.regions, scores.statuses, strict=True))
    }


def volume_unit_of(cases: Sequence[CaseScores]) -> VolumeUnit:
    """``ml`` where all cases have millimetres, else ``voxels``."""
    return "ml" if all(case.voxel_ml is not None for case in cases) else "voxels"


def _is_at_hand(scores: CaseScores, metric: RegionMetric) -> bool:
    if metric.of_masks is not None:
        return metric.name in scores.measured
    return metric.of_probabilities is None or scores.histograms is not None


def _score(scores: CaseScores, row: int, metric: RegionMetric, status: Status) -> Score:
    value = _value(scores, row, metric)
    return Score(value, metric.unit, "undefined" if value is None and status == "ok" else status)


def _value(scores: CaseScores, row: int, metric: RegionMetric) -> float | None:
    """A metric of one region, None where it is undefined."""
    if metric.of_counts is not None:
        value = float(metric.of_counts(scores.counts[row]))
        return value_or_none(value * scores.voxel_ml if metric.unit == "ml" and scores.voxel_ml is not None else value)
    if metric.of_probabilities is not None and scores.histograms is not None:
        area = metric.of_probabilities(scores.histograms[row])
        return None if area is None else area.value
    return scores.measured[metric.name][row]


def _measured(
    pairs: Iterable[MaskPair], spacing_mm: Spacing | None, metrics: RegionMetrics
) -> dict[str, tuple[float | None, ...]]:
    """The metrics that are made of masks. Pairs are made one at a time, and none where no metric asks for them."""
    functions = {
        metric.name: metric.of_masks
        for metric in metrics.values()
        if metric.of_masks is not None and (spacing_mm is not None or metric.millimetres != "needed")
    }
    if not functions:
        return {}
    rows = [[_number(name, function(pair)) for name, function in functions.items()] for pair in pairs]
    return dict(zip(functions, zip(*rows, strict=True), strict=True))


def _number(name: str, value: object) -> float | None:
    """What a metric, which may be the caller's own, gave: None where it is undefined or no finite number."""
    if value is None:
        return None
    if not isinstance(value, int | float | np.number):
        raise ScoreError(
            f"the metric {name} gave no number",
            found=f"{type(value).__name__} {value!r}"[:80],
            expected="a number in its unit, or None where it is undefined",
        )
    return value_or_none(float(value))


def _inside(labels: LabelMap, region: str) -> Flags:
    table = np.zeros(max(labels.scheme.labels.values()) + 1, dtype=np.bool_)
    table[list(labels.scheme.values_of(region))] = True
    inside: Flags = table[labels.array]
    return inside


def _require_channels(array: npt.NDArray[np.generic], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ScoreError("one channel per region is needed", found=array.shape, expected=expected)
