"""Connected components of masks.

Two voxels are of one component where they touch by a face, an edge or a corner (26 neighbours), unless faces alone are
asked for: a thin rim that runs askew through the grid would fall apart under these.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Slices = tuple[slice, slice, slice]


def label_components(mask: Mask, *, by_faces: bool = False) -> tuple[npt.NDArray[np.int32], int]:
    """The number of each voxel's component (X, Y, Z), 0 outside, and how many there are."""
    components = np.zeros(mask.shape, dtype=np.int32)
    structure = ndimage.generate_binary_structure(3, 1 if by_faces else 3)
    n_components = ndimage.label(mask, structure=structure, output=components)
    return components, int(n_components)


def bounding_box(mask: Mask) -> Slices:
    """The smallest box (X, Y, Z) that holds a mask, which must not be empty."""
    spans = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    x, y, z = (slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    return x, y, z


def remove_small_components(mask: Mask, min_voxels: int) -> Mask:
    """A copy of the mask (X, Y, Z) without its components of fewer than ``min_voxels`` voxels."""
    if min_voxels <= 1 or not mask.any():
        return mask.copy()
    box = bounding_box(mask)
    components, _ = label_components(mask[box])
    is_large = np.bincount(components.ravel()) >= min_voxels
    is_large[0] = False  # the background
    large = np.zeros_like(mask)
    large[box] = is_large[components]
    return large


def largest_component(mask: Mask) -> Mask:
    """A copy of the mask (X, Y, Z) with its largest component alone; the first of several that are as large."""
    if not mask.any():
        return mask.copy()
    box = bounding_box(mask)
    components, _ = label_components(mask[box])
    sizes = np.bincount(components.ravel())
    sizes[0] = 0  # the background
    largest = np.zeros_like(mask)
    largest[box] = components == sizes.argmax()
    return largest
