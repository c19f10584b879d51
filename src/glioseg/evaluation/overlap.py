"""Voxel overlap of a prediction with its reference: confusion counts per slice and region, and the ratios made of them.

Everything is derived from true and false positives and negatives per slice: a case is the sum over its slices, a
cohort the sum over its cases, so that per-slice, per-case and pooled figures cannot disagree. Definitions: Taha &
Hanbury 2015, "Metrics for evaluating 3D medical image segmentation", BMC Medical Imaging 15:29.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from glioseg.core import LabelMap, LabelScheme
from glioseg.errors import GeometryError, LabelError
from glioseg.evaluation.score import Flags, Floats, Integers

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
    # A voxel's class is the set of regions that hold it, as bits; a pair of classes (reference, prediction) is one
    # number below k², so that one histogram of these numbers per slice holds every region's counts, nested ones too.
    of_reference, of_prediction = _signatures(reference.scheme, regions), _signatures(prediction.scheme, regions)
    classes = sorted({*of_reference.tolist(), *of_prediction.tolist()})
    k = len(classes)
    dtype = np.min_scalar_type(k * k)
    code = (np.searchsorted(classes, of_reference) * k).astype(dtype)[reference.array]
    code += np.searchsorted(classes, of_prediction).astype(dtype)[prediction.array]
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
        inside, drawn = (_by_slice(_as_bool(channels[region])) for channels in (reference, prediction))
        for row, mask in enumerate((inside & drawn, inside, drawn)):
            sizes[row, :, region] = [np.count_nonzero(plane) for plane in mask]
        wrong |= inside ^ drawn
    area = wrong.shape[1]
    correct = np.array([area - np.count_nonzero(plane) for plane in wrong], dtype=np.int64)
    return SliceCounts(_confusion(sizes[0], sizes[1], sizes[2], np.full(len(wrong), area)), correct)


def dice(counts: Integers) -> Floats:
    """Dice = 2TP / (2TP + FP + FN); F1, the harmonic mean of precision and recall, is the same."""
    tp, fp, fn, _ = _floats(counts)
    return quotient(2 * tp, 2 * tp + fp + fn)


def iou(counts: Integers) -> Floats:
    """Intersection over union (Jaccard) = TP / (TP + FP + FN) = Dice / (2 − Dice)."""
    tp, fp, fn, _ = _floats(counts)
    return quotient(tp, tp + fp + fn)


def precision(counts: Integers) -> Floats:
    """Precision = TP / (TP + FP)."""
    tp, fp, _, _ = _floats(counts)
    return quotient(tp, tp + fp)


def recall(counts: Integers) -> Floats:
    """Recall, or sensitivity = TP / (TP + FN)."""
    tp, _, fn, _ = _floats(counts)
    return quotient(tp, tp + fn)


def specificity(counts: Integers) -> Floats:
    """Specificity = TN / (TN + FP). Almost all voxels are background, so that it hardly tells networks apart."""
    _, fp, _, tn = _floats(counts)
    return quotient(tn, tn + fp)


def accuracy(counts: Integers) -> Floats:
    """Accuracy = (TP + TN) / all. The background decides here too: no mask at all has a high one."""
    tp, fp, fn, tn = _floats(counts)
    return quotient(tp + tn, tp + fp + fn + tn)


def quotient(part: Floats, whole: Floats) -> Floats:
    """Part / whole, NaN where it is 0/0, for ``apply_rule`` to decide on."""
    values: Floats = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
    return values


def emptiness(counts: Integers) -> tuple[Flags, Flags]:
    """Whether the reference and whether the prediction have no voxel: (..., 4) counts -> two times (...)."""
    return counts[..., TP] + counts[..., FN] == 0, counts[..., TP] + counts[..., FP] == 0


def mean_or_none(values: Floats) -> float | None:
    """The mean of the values that are not NaN; None where there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None


def _floats(counts: Integers) -> tuple[Floats, Floats, Floats, Floats]:
    """(..., 4) counts -> TP, FP, FN and TN, each (...)."""
    tp, fp, fn, tn = (counts[..., position].astype(np.float64) for position in range(4))
    return tp, fp, fn, tn


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
