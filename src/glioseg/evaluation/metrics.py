"""Every metric, once: its name, its unit, which way is better, its words, and the function that computes it.

A new metric is a function, an entry here and a test. Scores of cases, evaluations, tables, comparisons, studies and
reports go through these tables and show what they find, with its unit; none of them knows a metric by name that it
does not single out on purpose (a chart of Dice, a column of recall).

Segmentation (``REGION_METRICS``): a figure of one region of one case. Classification (``CLASS_METRICS``): a figure of
many items, of each class against all others or of all classes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from glioseg.errors import ScoreError
from glioseg.evaluation import class_items, masks, overlap, sources, volume
from glioseg.evaluation.calibration import average_precision, brier, calibration_error, roc_auc
from glioseg.evaluation.lesions import GLIOMA, WORST_MM, LesionRule
from glioseg.evaluation.masks import MaskPair
from glioseg.evaluation.metric import Better, ClassMetric, MetricUnit, RegionMetric, RegionMetrics, VolumeUnit, table_of
from glioseg.evaluation.score import OF_RATIOS, EmptyRule, EmptyValues, Floats, Integers


def _ratio(name: str, words: str, about: str, function: Callable[[Integers], Floats], source: str = "") -> RegionMetric:
    return RegionMetric(
        name, words, about, picks_best=True, source=source, of_counts=function, pooled=True, empty=OF_RATIOS
    )


def _distance(
    name: str, words: str, about: str, function: Callable[[MaskPair], float | None], source: str
) -> RegionMetric:
    """In mm; what a rule for empty masks gives is 0 mm for two of them and, as BraTS 2023 has it, 374 mm for one."""
    return RegionMetric(
        name,
        words,
        about,
        "mm",
        "lower",
        2,
        source=source,
        of_masks=function,
        empty=EmptyValues(both_empty=0.0, one_empty=WORST_MM),
        millimetres="needed",
        in_results=name == "hd95",
    )


_DISTANCES: tuple[tuple[str, str, str, Callable[[MaskPair], float | None], str], ...] = (
    ("hd", "Hausdorff distance", "largest distance between the surfaces", masks.hd, sources.HAUSDORFF),
    (
        "hd95",
        "HD95",
        "95th percentile of the distances of either surface to the other, the larger one",
        masks.hd95,
        sources.HAUSDORFF,
    ),
    (
        "mean_surface_distance",
        "Mean surface distance",
        "mean of the distances of both surfaces to the other",
        masks.mean_surface_distance,
        sources.SURFACE_MEAN,
    ),
)
"""Name, words, formula, function and source, in mm and in pixels alike."""


def _surfaces() -> Iterable[RegionMetric]:
    """Of the voxels that have a face towards the outside, one computation for all of them."""
    for entry in _DISTANCES:
        yield _distance(*entry)
    yield RegionMetric(
        "nsd",
        f"Surface Dice at {masks.NSD_TOLERANCE_MM:g} mm",
        f"share of both surfaces within {masks.NSD_TOLERANCE_MM:g} mm of the other (normalised surface Dice)",
        source=sources.SURFACE_DICE,
        of_masks=masks.nsd,
        empty=OF_RATIOS,
        millimetres="needed",
    )


def _pixels() -> Iterable[RegionMetric]:
    """Distances of what has no millimetres; a slice counts as one pixel. No rule gives an empty mask a distance."""
    for name, words, about, function, source in _DISTANCES:
        yield RegionMetric(
            f"{name}_pixels",
            words,
            about,
            "pixels",
            "lower",
            2,
            source=source,
            of_masks=partial(_in_pixels, function),
            millimetres="unknown",
            in_results=False,
        )


def _in_pixels(function: Callable[[MaskPair], float | None], pair: MaskPair) -> float | None:
    return function(pair.in_pixels)


def _lesions(rule: LesionRule) -> Iterable[RegionMetric]:
    """Lesion by lesion; ``evaluation.lesions`` has the rules."""
    size = f"above {rule.most_dropped:g} mm³" if rule.most_dropped else "of any size"
    entries: tuple[tuple[str, str, str, MetricUnit, Better, Callable[..., float | None]], ...] = (
        ("lesion_dice", "Lesion-wise Dice", "Σ Dice / (lesions + false)", "ratio", "higher", masks.lesion_dice),
        ("lesion_hd95", "Lesion-wise HD95", "mean; 374 mm if missed or false", "mm", "lower", masks.lesion_hd95),
        ("lesion_sensitivity", "Lesion sensitivity", "found / lesions", "ratio", "higher", masks.lesion_sensitivity),
        ("lesion_precision", "Lesion precision", "found / (found + false)", "ratio", "higher", masks.lesion_precision),
        ("lesion_f1", "Lesion F1", "2 found / (2 found + missed + false)", "ratio", "higher", masks.lesion_f1),
        ("n_lesions", "Lesions", f"of the reference, {size}", "number", "neither", masks.n_lesions),
        (
            "n_lesions_found",
            "Found lesions",
            "with a prediction near",
            "number",
            "neither",
            masks.n_lesions_found,
        ),
        ("n_lesions_false", "False lesions", "predicted, near no lesion", "number", "lower", masks.n_lesions_false),
    )
    for name, words, about, unit, better, function in entries:
        yield RegionMetric(
            name,
            words,
            about,
            unit,
            better,
            3 if unit == "ratio" else 2,
            source=sources.BRATS,
            of_masks=partial(function, rule=rule),
            millimetres="needed" if unit == "mm" else "any",
            in_results=False,
            only_tumour=True,
        )


def _volumes(unit: VolumeUnit) -> Iterable[RegionMetric]:
    """In ml where all cases have millimetres, else in voxels; the unit is part of the name."""
    entries: tuple[tuple[str, str, str, Better, Callable[[Integers], Floats]], ...] = (
        ("volume_reference", "Reference volume", "TP + FN", "neither", volume.reference_voxels),
        ("volume_prediction", "Predicted volume", "TP + FP", "neither", volume.prediction_voxels),
        ("volume_error", "Volume error", "prediction − reference", "nearer to 0", volume.error_voxels),
        ("volume_error_abs", "Absolute volume error", "|error|", "lower", volume.absolute_error_voxels),
    )
    for name, words, about, better, function in entries:
        yield RegionMetric(
            f"{name}_{unit}",
            words,
            about,
            unit,
            better,
            of_counts=function,
            millimetres="needed" if unit == "ml" else "unknown",
            in_results=False,
        )


REGION_METRICS: RegionMetrics = table_of(
    (
        _ratio("dice", "Dice", "2 TP / (2 TP + FP + FN)", overlap.dice, sources.DICE),
        _ratio("iou", "IoU", "TP / (TP + FP + FN)", overlap.iou, sources.JACCARD),
        _ratio("precision", "Precision", "TP / (TP + FP)", overlap.precision, sources.RETRIEVAL),
        _ratio("recall", "Recall (sensitivity)", "TP / (TP + FN)", overlap.recall, sources.DIAGNOSIS),
        _ratio("specificity", "Specificity", "TN / (TN + FP)", overlap.specificity, sources.DIAGNOSIS),
        _ratio("accuracy", "Accuracy", "(TP + TN) / all", overlap.accuracy),
        _ratio("f1", "F1", "harmonic mean of precision and recall, which is Dice", overlap.dice, sources.RETRIEVAL),
        *_volumes("ml"),
        *_volumes("voxels"),
        RegionMetric(
            "volume_error_ratio",
            "Relative volume error",
            "volume error / reference volume",
            better="nearer to 0",
            of_counts=volume.error_ratio,
            in_results=False,
        ),
        *_surfaces(),
        *_lesions(GLIOMA),
        RegionMetric(
            "roc_auc",
            "ROC-AUC (voxels)",
            "chance that a voxel inside has a higher probability than one outside",
            source=sources.ROC,
            of_probabilities=roc_auc,
        ),
        RegionMetric(
            "average_precision",
            "Average precision",
            "Σ (recall_k − recall_(k−1)) · precision_k over thresholds",
            source=sources.AVERAGE_PRECISION,
            of_probabilities=average_precision,
        ),
        RegionMetric(
            "brier",
            "Brier score",
            "mean over voxels of (probability − 1 or 0)²",
            "number",
            "lower",
            4,
            source=sources.BRIER,
            of_probabilities=brier,
            in_results=False,
        ),
        RegionMetric(
            "ece",
            "Calibration error (ECE)",
            "mean gap between probability and share inside, over tenths of probability",
            "ratio",
            "lower",
            4,
            source=sources.CALIBRATION,
            of_probabilities=calibration_error,
            in_results=False,
        ),
    )
)
"""Figures of a region, in the order of tables and files."""


def region_metrics(rule: LesionRule = GLIOMA, *, pixels: bool = False) -> RegionMetrics:
    """``REGION_METRICS`` with lesions by another rule; with distances in pixels, where millimetres are unknown."""
    of_lesions = {metric.name: metric for metric in _lesions(rule)}
    table = [of_lesions.get(name, metric) for name, metric in REGION_METRICS.items()]
    return table_of((*table, *(_pixels() if pixels else ())))


COUNTED_METRICS: RegionMetrics = table_of(metric for metric in REGION_METRICS.values() if metric.of_masks is None)
"""Those for which no mask has to be measured: all that picks a model, a threshold or stands in a log."""

CLASS_METRICS: Mapping[str, ClassMetric] = table_of(
    (
        ClassMetric(
            "accuracy",
            "Accuracy",
            "right / all",
            picks_best=True,
            of_items=class_items.accuracy,
            of_outcomes=class_items.is_right,
        ),
        ClassMetric(
            "balanced_accuracy",
            "Balanced accuracy",
            "mean recall of the classes",
            picks_best=True,
            source=sources.BALANCED,
            of_items=class_items.balanced_accuracy,
        ),
        ClassMetric(
            "precision", "Precision", "TP / (TP + FP)", source=sources.RETRIEVAL, of_each_class=class_items.precision
        ),
        ClassMetric(
            "recall",
            "Recall (sensitivity)",
            "TP / (TP + FN)",
            source=sources.DIAGNOSIS,
            of_each_class=class_items.recall,
        ),
        ClassMetric(
            "specificity",
            "Specificity",
            "TN / (TN + FP)",
            source=sources.DIAGNOSIS,
            of_each_class=class_items.specificity,
        ),
        ClassMetric(
            "f1",
            "F1",
            "2 TP / (2 TP + FP + FN)",
            picks_best=True,
            source=sources.RETRIEVAL,
            of_each_class=class_items.f1,
        ),
        ClassMetric(
            "auc",
            "ROC-AUC",
            "chance that an item of the class has a higher probability than another",
            picks_best=True,
            source=sources.ROC,
            of_each_class=class_items.auc,
        ),
        ClassMetric(
            "average_precision",
            "Average precision",
            "Σ (recall_k − recall_(k−1)) · precision_k over thresholds",
            picks_best=True,
            source=sources.AVERAGE_PRECISION,
            of_each_class=class_items.average_precision,
        ),
        ClassMetric(
            "log_loss",
            "Log loss",
            "mean of −ln(probability of the true class)",
            "number",
            "lower",
            source=sources.LOG_LOSS,
            of_items=class_items.log_loss,
            of_outcomes=class_items.own_log_loss,
        ),
        ClassMetric(
            "brier",
            "Brier score",
            "mean over items of the sum over classes of (probability − 1 or 0)²",
            "number",
            "lower",
            source=sources.BRIER,
            of_items=class_items.brier,
        ),
        ClassMetric(
            "ece",
            "Calibration error (ECE)",
            "mean gap between confidence and accuracy over bins of confidence",
            better="lower",
            source=sources.CALIBRATION,
            of_items=class_items.calibration_error,
        ),
        ClassMetric(
            "confidence",
            "Mean confidence",
            "mean probability of the predicted class",
            better="neither",
            of_items=class_items.mean_confidence,
            of_outcomes=class_items.own_confidence,
        ),
    )
)
"""Figures of classified items, in the order of files."""

OVERLAP_METRICS: tuple[str, ...] = tuple(name for name, metric in REGION_METRICS.items() if metric.pooled)
"""Those that can be scored over slices, batches, cases and pooled voxels alike, as publications do."""
REGION_SCORES: tuple[str, ...] = tuple(name for name, metric in REGION_METRICS.items() if metric.picks_best)
CLASS_SCORES: tuple[str, ...] = tuple(name for name, metric in CLASS_METRICS.items() if metric.picks_best)
"""Those by which the best model can be picked."""


def ratio(counts: Integers, name: str) -> Floats:
    """One of ``OVERLAP_METRICS``: (..., 4) TP, FP, FN, TN -> (...) in 0..1; NaN where it is 0/0."""
    function = REGION_METRICS[name].of_counts
    if function is None:
        raise ScoreError(f"{name} is not made of confusion counts", expected=f"one of {', '.join(OVERLAP_METRICS)}")
    return function(counts)


def ruled_ratio(counts: Integers, name: str, rule: EmptyRule) -> Floats:
    """``ratio`` with the rule for empty masks applied: (..., 4) counts -> (...) values, NaN where one is left out."""
    reference_empty, prediction_empty = overlap.emptiness(counts)
    return REGION_METRICS[name].ruled(ratio(counts, name), reference_empty, prediction_empty, rule)


def value_or_none(value: float) -> float | None:
    """None in place of NaN, as strict JSON wants it."""
    return None if np.isnan(value) else float(value)


def _one_of(names: tuple[str, ...]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"there is no metric {name} here: one of {', '.join(names)}")
        return name

    return AfterValidator(check)


OverlapMetricName = Annotated[str, _one_of(OVERLAP_METRICS)]
MetricName = Annotated[str, _one_of(tuple(dict.fromkeys((*REGION_METRICS, *CLASS_METRICS))))]
ClassMetricName = Annotated[str, _one_of(tuple(CLASS_METRICS))]
ScoreName = Annotated[str, _one_of(tuple(dict.fromkeys((*REGION_SCORES, *CLASS_SCORES))))]
"""Names in options: the tables are closed, so that an unknown one is an error that lists those that there are."""
