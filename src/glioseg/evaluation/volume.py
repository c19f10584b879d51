"""Volumes of a region from its confusion counts, in voxels; whoever knows the size of a voxel multiplies.

The signed error is prediction − reference: positive where the network draws too much.
"""

from __future__ import annotations

import numpy as np

from glioseg.evaluation.overlap import FN, FP, TP, quotient
from glioseg.evaluation.score import Floats, Integers


def reference_voxels(counts: Integers) -> Floats:
    """TP + FN: (..., 4) counts -> (...)."""
    return (counts[..., TP] + counts[..., FN]).astype(np.float64)


def prediction_voxels(counts: Integers) -> Floats:
    """TP + FP."""
    return (counts[..., TP] + counts[..., FP]).astype(np.float64)


def error_voxels(counts: Integers) -> Floats:
    """Prediction − reference = FP − FN. Errors of two signs cancel in its mean: read it as a bias, beside the next."""
    return (counts[..., FP] - counts[..., FN]).astype(np.float64)


def absolute_error_voxels(counts: Integers) -> Floats:
    """|FP − FN|."""
    return np.abs(error_voxels(counts))


def error_ratio(counts: Integers) -> Floats:
    """(FP − FN) / (TP + FN), NaN where the reference is empty."""
    return quotient(error_voxels(counts), reference_voxels(counts))
