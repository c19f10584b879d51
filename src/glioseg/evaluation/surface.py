"""Surfaces of masks and the distances between them.

The surface of a mask is those of its voxels that have a face towards the outside, and outside the image is outside the
mask. Distances run from the middle of a surface voxel to the middle of the nearest one of the other mask. Programs
that put a mesh between the voxels, weigh its parts by their area or take the 95th percentile of both sides together
give other figures for the same masks: ``docs/evaluation.md`` compares them.

References:
    [1] Maier-Hein L, Reinke A et al. Metrics reloaded: recommendations for image analysis validation. Nat Methods 2024.
    [2] Nikolov S et al. Clinically applicable segmentation of head and neck anatomy for radiotherapy. JMIR 2021.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from glioseg.evaluation.score import Flags, Floats, Integers


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """How far the surfaces of two masks lie apart, neither of which is empty.

    Args:
        from_reference: (N,) from each surface voxel of the reference to the nearest of the prediction.
        from_prediction: (M,) the same from the prediction.
    """

    from_reference: Floats
    from_prediction: Floats


def surface_of(mask: Flags, axes: Iterable[int]) -> Integers:
    """(N, 3) the indices of the surface voxels of a mask (X, Y, Z).

    Args:
        mask: what lies beyond its borders counts as outside.
        axes: along which a face counts. A picture has no faces along Z: all of its mask would be surface.
    """
    padded = np.pad(mask, 1)
    interior = mask.copy()
    for axis in axes:
        for start in (0, 2):
            window = [slice(1, -1)] * 3
            window[axis] = slice(start, start + mask.shape[axis])
            interior &= padded[tuple(window)]
    return np.argwhere(mask & ~interior)


def distances_between(
    reference: npt.NDArray[np.generic], prediction: npt.NDArray[np.generic], spacing: tuple[float, float, float]
) -> SurfaceDistances:
    """In the unit of ``spacing``, between surfaces (N, 3) and (M, 3) of at least one voxel each, which are indices."""
    of_reference, of_prediction = (np.multiply(points, spacing) for points in (reference, prediction))
    return SurfaceDistances(_nearest(of_reference, of_prediction), _nearest(of_prediction, of_reference))


def hausdorff(distances: SurfaceDistances) -> float:
    """The largest distance of either side."""
    return float(max(distances.from_reference.max(), distances.from_prediction.max()))


def hausdorff_95(distances: SurfaceDistances) -> float:
    """The 95th percentile of each side, and of these two the larger; percentiles are interpolated linearly."""
    return float(max(np.percentile(side, 95) for side in (distances.from_reference, distances.from_prediction)))


def mean_distance(distances: SurfaceDistances) -> float:
    """The mean over the surface voxels of both sides together (average symmetric surface distance)."""
    n_voxels = distances.from_reference.size + distances.from_prediction.size
    return float((distances.from_reference.sum() + distances.from_prediction.sum()) / n_voxels)


def share_within(distances: SurfaceDistances, tolerance: float) -> float:
    """Normalised surface Dice [2]: the share of both surfaces' voxels that lie within a tolerance of the other."""
    near = sum(np.count_nonzero(side <= tolerance) for side in (distances.from_reference, distances.from_prediction))
    return near / (distances.from_reference.size + distances.from_prediction.size)


def _nearest(points: Floats, others: Floats) -> Floats:
    """(N,) from each point to the nearest of the others."""
    tree = cKDTree(others, balanced_tree=False, compact_nodes=False)  # a fifth of the time, on points of a grid
    return np.asarray(tree.query(points)[0])
