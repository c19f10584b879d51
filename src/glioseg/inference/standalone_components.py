"""From probabilities to the mask of a region; stands beside the program that draws masks, and needs numpy alone."""

from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def painted(
    probabilities: npt.NDArray[Any],
    threshold: float | str,
    voxels: int,
    ml: float,
    alone: bool,
    affine: npt.NDArray[Any],
) -> Mask:
    """What is above the threshold, in components that are large enough; arguments as of ``large_components``.

    ``expected-dice`` is half of the best expected Dice of a case, at least 0.25: Lipton, Elkan & Naryanaswamy 2014.
    """
    if isinstance(threshold, str):  # expected-dice
        likely = np.sort(probabilities[probabilities > 0.25].astype("f8"))[::-1]
        expected = 2 * likely.cumsum() / (np.arange(1, len(likely) + 1) + probabilities.sum(dtype="f8"))
        threshold = max(0.25, expected.max(initial=0) / 2)
    return large_components(probabilities > threshold, voxels, ml, alone, affine)


def large_components(mask: Mask, voxels: int, ml: float, alone: bool, affine: npt.NDArray[Any]) -> Mask:
    """A mask without its components (26 neighbours) of fewer voxels, or of less than so many millilitres.

    Args:
        mask: of three axes.
        voxels: of the smallest component that stays,
        ml: and its volume.
        alone: whether nothing but the largest stays, the first of several.
        affine: of the scan, from voxels to millimetres.
    """
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    least = max(voxels, ml / voxel_ml - 1e-6)
    if not mask.any() or (least <= 1 and not alone):
        return mask
    component = _components(mask)
    sizes = np.bincount(component)
    large, stays = mask.copy(), sizes >= least
    large[mask] = (stays & (np.arange(len(sizes)) == sizes.argmax()) if alone else stays)[component]
    return large


def _components(mask: Mask) -> npt.NDArray[np.int64]:
    """For each voxel of a mask, in C order, the number of the first of its component.

    Voxels take the least number among their neighbours', and that number's own, until all of a component bear the same:
    Shiloach and Vishkin 1982, "An O(log n) parallel connectivity algorithm".
    """
    at, (_, y, x) = np.flatnonzero(np.pad(mask, 1)), np.add(mask.shape, 2)
    steps = [i * y * x + j * x + k for i, j, k in np.ndindex(3, 3, 3)]
    pairs = [np.intersect1d(at, at + step - steps[13], assume_unique=True, return_indices=True)[1:] for step in steps]
    a, b = np.hstack(pairs)
    least = np.arange(len(at))
    while (least[a] != least[b]).any():
        np.minimum.at(least, least[a], least[b])
        least = least[least]
    return least
