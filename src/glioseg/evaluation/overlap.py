"""Voxel overlap of a prediction with its reference: confusion counts per slice and region, and the ratios made of them.

Everything is derived from true and false positives and negatives per slice: a case is the sum over its slices, a
cohort the sum over its cases, so that per-slice, per-case and pooled figures cannot disagree. Definitions: Taha &
Hanbury 2015, "Metrics for evaluating 3D medical image segmentation", BMC Medical Imaging 15:29.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from glioseg.core import LabelMap, LabelScheme
from glioseg.errors import GeometryError, LabelError
from glioseg.evaluation.score import EmptyRule, Flags, Floats, apply_rule

OverlapMetric = Literal["dice", "iou", "precision", "recall", "specificity", "accuracy", "f1"]
OVERLAP_METRICS: tuple[OverlapMetric, ...] = get_args(OverlapMetric)
Integers = npt.NDArray[np.int64]
_Kind = TypeVar("_Kind", bound=np.generic)
TP, FP, FN, TN = range(4)
"""Positions on the last axis of confusion counts."""


@dataclass(frozen=True, eq=False)
class SliceCounts:
    """Confusion counts of one case.

    Args:
        regions: (S, R, 4) voxels per slice and region: TP, FP, FN, TN.
        correct: (S,) voxels per slice whose class is right, a class being what the regions can tell apart: a voxel is
            right when it is right in every region. With one region per label this is "label equals label".
    """

    regions: Integers
    correct: Integers


def count_labels(reference: LabelMap, prediction: LabelMap, regions: Sequence[str]) -> SliceCounts:
    """Confusion counts of two label maps, slice by slice along Z.

    One pass over the voxels whatever the number of regions, nested ones included: the joint histogram of the two maps'
    classes holds them all. The maps may use different schemes (4 in one may be 3 in the other) as long as both know
    the regions.

    Args:
        reference: the expert's label map.
        prediction: the model's, on the same grid.
        regions: names of R regions.

    Raises:
        GeometryError: the grids differ.
        LabelError: a scheme lacks a region.
    """
    difference = reference.grid.difference(prediction.grid)
    if difference is not None:
        raise GeometryError(
            "the prediction does not lie on the grid of its reference",
            found=difference,
            remedy="Bring the prediction back to the native grid before it is scored",
        )
    one, other = _signatures(reference.scheme, regions), _signatures(prediction.scheme, regions)
    classes = sorted({*one.tolist(), *other.tolist()})
    k = len(classes)
    dtype = np.min_scalar_type(k * k)
    code = (np.searchsorted(classes, one) * k).astype(dtype)[reference.array]
    code += np.searchsorted(classes, other).astype(dtype)[prediction.array]
    joint = np.stack([np.bincount(row, minlength=k * k) for row in _by_slice(code)]).reshape(-1, k, k)
    members = (np.array(classes)[:, None] >> np.arange(len(regions))) & 1
    tp = (joint @ members * members).sum(axis=1)
    return SliceCounts(
        _confusion(tp, joint.sum(axis=2) @ members, joint.sum(axis=1) @ members, joint.sum(axis=(1, 2))),
        np.einsum("skk->s", joint).astype(np.int64),
    )


def count_channels(reference: npt.NDArray[np.generic], prediction: npt.NDArray[np.generic]) -> SliceCounts:
    """Confusion counts of 0/1 region channels, slice by slice along Z.

    Args:
        reference: (R, X, Y, Z) bool or integers 0 and 1.
        prediction: the same of the model.

    Raises:
        GeometryError: the shapes differ or have not four axes.
        LabelError: values other than 0 and 1.
    """
    if reference.shape != prediction.shape or reference.ndim != 4:
        raise GeometryError(
            "reference and prediction need the same axes (regions, X, Y, Z)",
            found=prediction.shape,
            expected=reference.shape,
        )
    sizes = np.zeros((3, reference.shape[3], reference.shape[0]), dtype=np.int64)
    wrong = np.zeros((reference.shape[3], reference.shape[1] * reference.shape[2]), dtype=np.bool_)
    for region in range(reference.shape[0]):
        one, other = (_by_slice(_as_bool(channels[region])) for channels in (reference, prediction))
        for row, mask in enumerate((one & other, one, other)):
            sizes[row, :, region] = [np.count_nonzero(plane) for plane in mask]
        wrong |= one ^ other
    area = wrong.shape[1]
    correct = np.array([area - np.count_nonzero(plane) for plane in wrong], dtype=np.int64)
    return SliceCounts(_confusion(sizes[0], sizes[1], sizes[2], np.full(len(wrong), area)), correct)


def ratio(counts: Integers, metric: OverlapMetric) -> Floats:
    """A ratio of confusion counts.

    Dice = 2TP / (2TP + FP + FN), which F1, the harmonic mean of precision and recall, equals;
    IoU = TP / (TP + FP + FN); precision = TP / (TP + FP); recall (sensitivity) = TP / (TP + FN);
    specificity = TN / (TN + FP); accuracy = (TP + TN) / all.

    Args:
        counts: (..., 4) TP, FP, FN, TN.
        metric: which.

    Returns:
        (...) in 0..1; NaN where it is 0/0, for ``apply_rule`` to decide on.
    """
    tp, fp, fn, tn = (counts[..., i].astype(np.float64) for i in range(4))
    top, bottom = {
        "dice": (2 * tp, 2 * tp + fp + fn),
        "f1": (2 * tp, 2 * tp + fp + fn),
        "iou": (tp, tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "accuracy": (tp + tn, tp + fp + fn + tn),
    }[metric]
    values: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return values


def ruled_ratio(counts: Integers, metric: OverlapMetric, rule: EmptyRule) -> Floats:
    """``ratio`` with the rule for empty masks applied: (..., 4) counts -> (...) values, NaN where one is left out."""
    reference_empty, prediction_empty = emptiness(counts)
    return apply_rule(ratio(counts, metric), reference_empty, prediction_empty, rule)


def emptiness(counts: Integers) -> tuple[Flags, Flags]:
    """Whether the reference and whether the prediction have no voxel: (..., 4) counts -> two times (...)."""
    return counts[..., TP] + counts[..., FN] == 0, counts[..., TP] + counts[..., FP] == 0


def mean_or_none(values: Floats) -> float | None:
    """The mean of the values that are not NaN; None where there are none."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else None


def _signatures(scheme: LabelScheme, regions: Sequence[str]) -> Integers:
    """For each integer up to the scheme's largest: a bit per region that holds it."""
    table = np.zeros(max(scheme.labels.values()) + 1, dtype=np.int64)
    for bit, region in enumerate(regions):
        table[list(scheme.values_of(region))] |= 1 << bit
    return table


def _by_slice(array: npt.NDArray[_Kind]) -> npt.NDArray[_Kind]:
    """(X, Y, Z) -> (Z, X * Y), contiguous: counting runs over memory in order."""
    return np.ascontiguousarray(np.moveaxis(array, 2, 0)).reshape(array.shape[2], -1)


def _as_bool(channel: npt.NDArray[np.generic]) -> Flags:
    if channel.dtype == np.bool_:
        return channel.view(np.bool_)
    mask = channel.astype(np.bool_)
    if channel.dtype.kind not in "iu" or not np.array_equal(mask, channel):
        raise LabelError("region channels hold 0 and 1", found=channel.dtype)
    return mask


def _confusion(tp: Integers, reference: Integers, prediction: Integers, total: Integers) -> Integers:
    """(S, R) sizes of the overlap and of the masks and (S,) of the slices -> (S, R, 4)."""
    fp, fn = prediction - tp, reference - tp
    return np.stack([tp, fp, fn, total[:, None] - tp - fp - fn], axis=-1).astype(np.int64)
