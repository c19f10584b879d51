"""Connected components of masks: voxels that touch by a face, an edge or a corner (26 neighbours) are of one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.evaluation.score import Flags

_NEIGHBOURS = np.ones((3, 3, 3), dtype=np.bool_)  # scipy's default are the 6 that share a face


def connected_components(mask: Flags) -> tuple[npt.NDArray[np.int32], int]:
    """(X, Y, Z) -> the number of each voxel's component, from 1, and 0 outside; how many there are."""
    components = np.zeros(mask.shape, dtype=np.int32)
    n = ndimage.label(mask, structure=_NEIGHBOURS, output=components)
    return components, int(n)


def remove_small_components(mask: Flags, min_voxels: int) -> Flags:
    """The mask (X, Y, Z) without its components of fewer than ``min_voxels`` voxels."""
    if min_voxels <= 1 or not mask.any():
        return mask.copy()
    box = bounding_box(mask)
    components, _ = connected_components(mask[box])
    is_large = np.bincount(components.ravel()) >= min_voxels
    is_large[0] = False
    filtered = np.zeros_like(mask)
    filtered[box] = is_large[components]
    return filtered


def largest_component(mask: Flags) -> Flags:
    """The mask (X, Y, Z) with its largest component alone, the first of several that are as large."""
    if not mask.any():
        return mask.copy()
    box = bounding_box(mask)
    components, _ = connected_components(mask[box])
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    largest = np.zeros_like(mask)
    largest[box] = components == sizes.argmax()
    return largest


def bounding_box(mask: Flags) -> tuple[slice, slice, slice]:
    """The smallest box around a mask (X, Y, Z) that has a voxel; labelling it costs less than labelling the image."""
    spans = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    x, y, z = (slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    return x, y, z
