"""Dark slices: what counts as black, how much of a slice does not, and which slices a dark-scan filter removes.

A slice is dark where the share of its raw pixels that are not black in some modality is below a threshold; a slice
that is black all over always is.

*Black* is, in 8-bit pictures, a value of 0 or 1: the LGG pictures are noisy, and most of their background is 1 where it
is not 0. In volumes it is the value of the corners (0 after skull stripping), and where the corners disagree, 1/255 of
the range above its lower end.

The published LGG set is said to lose 50 of its 3,929 slices, 47 without and 3 with tumour (Patsatzi & Whiteley
Tscherniak 2023), by a filter that is not given. Of 66 of its 110 patients, 2,268 slices (1,448 without, 820 with
tumour), a proportional loss is 26.6 and 1.8. Of all thresholds in steps of 0.01, for black levels from 0 to 16, 0.27 at
level 1 comes closest: 27 and 1. Sixteen of these are whole heads, small in the picture, on the clean background of one
patient; higher black levels remove truly dark slices alone, and never one with tumour.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

BLACK = 1 / 255
"""Share of full scale up to which an 8-bit pixel, or a voxel of a noisy volume, is black."""

NOISE = 10 / 255
"""The same, for what is tissue: the background noise of the LGG pictures reaches 7."""

LGG_THRESHOLD = 0.27
DEFAULT_THRESHOLD = 0.02
"""For all other cohorts: next to nothing of the head is left on such a slice."""

THRESHOLDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.27, 0.3)
"""Those that a description shows side by side; at 0 only all-black slices go."""


def dark_threshold(layout: str) -> float:
    """The threshold that is used unless another is stated."""
    return LGG_THRESHOLD if layout == "lgg" else DEFAULT_THRESHOLD


def visible(voxels: npt.NDArray[Any], share: float) -> npt.NDArray[np.bool_]:
    """Where an image is not black: same shape as ``voxels``, which may have any axes; NaN is black.

    Args:
        voxels: one modality of a whole case, raw.
        share: how far above black counts, as a share of full scale (8 bit: 255; noisy volumes: their range); of no
            effect where the corners agree on the background's value.
    """
    if voxels.dtype == np.uint8:
        return np.asarray(voxels > round(share * 255))
    finite = np.isfinite(voxels)
    if not finite.all():
        filled = np.where(finite, voxels, voxels[finite].min(initial=0))
        return np.asarray(visible(filled, share) & finite, dtype=np.bool_)
    background = _background(voxels)
    if background is not None:
        return np.asarray(voxels != background)
    low, high = float(voxels.min()), float(voxels.max())
    return np.asarray(voxels > low + share * (high - low))


def non_black_shares(modalities: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Share of each slice's pixels that are not black in some modality.

    Args:
        modalities: raw voxels of each, all of one shape, the slice axis first: (Z, Y, X).

    Returns:
        (Z,) float32 from 0 to 1.
    """
    not_black: npt.NDArray[np.bool_] | None = None
    for voxels in modalities:
        bright = visible(voxels, BLACK)
        not_black = bright if not_black is None else not_black | bright
    if not_black is None:
        return np.empty(0, dtype=np.float32)
    return np.asarray(not_black.mean(axis=(1, 2)), dtype=np.float32)


def is_dark(shares: npt.NDArray[np.floating], threshold: float) -> npt.NDArray[np.bool_]:
    """Which slices a filter removes, by their ``non_black_shares``; those that could not be read (NaN) stay."""
    return np.asarray((shares < threshold) | (shares == 0))


def _background(voxels: npt.NDArray[Any]) -> float | None:
    """The value that more than half of the corners have, unless they are the whole image's brightest."""
    corners = voxels[np.ix_(*((0, n - 1) for n in voxels.shape))].ravel()
    values, counts = np.unique(corners, return_counts=True)
    most = int(np.argmax(counts))
    if 2 * counts[most] <= len(corners):
        return None
    value = float(values[most])
    return None if value == float(voxels.max()) > float(voxels.min()) else value
