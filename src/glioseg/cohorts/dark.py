"""Dark slices: what counts as black, how much of a slice does not, and which slices a dark-scan filter removes.

A slice is dark where the share of its raw values that are not black, counted over all modalities, is below a threshold;
a slice that is black all over always is.

*Black* is 0, and nothing else, where values are those of 8 bit, whole numbers from 0 to 255, whatever type they are
stored in. Elsewhere it is the value of the corners (0 after skull stripping), and where the corners disagree, 1/255 of
the range above its lower end.

The published LGG set loses 50 of its 3,929 slices, 47 without and 3 with tumour (Patsatzi & Whiteley Tscherniak 2023),
where ``count_nonzero`` over a slice's 256 x 256 x 3 values is below 75,000. Of 66 of its 110 patients, 2,268 slices,
the same rule removes 37, 34 without and 3 with tumour: the loss is not spread evenly over the patients.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

BLACK = 1 / 255
"""Share of its range up to which a voxel of a noisy volume is black."""

NOISE = 10 / 255
"""The same, for what is tissue: the background noise of the LGG pictures reaches 7."""

_FULL = 255
_CLEAN = 0.125
"""Of an 8-bit volume whose background is clean: what lies between black and noise, as a share of what is brighter. It
is below 0.05 in BraTS that was rescaled to 8 bit, above 0.3 in LGG."""

LGG_THRESHOLD = 75_000 / (256 * 256 * 3)
"""0.3814697265625, exact in binary: a slice of 75,000 values stays."""

DEFAULT_THRESHOLD = 0.02
"""For all other cohorts: next to nothing of the head is left on such a slice."""

THRESHOLDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, LGG_THRESHOLD)
"""Those that a description shows side by side; at 0 only all-black slices go."""


def dark_threshold(layout: str) -> float:
    """The threshold that is used unless another is stated."""
    return LGG_THRESHOLD if layout == "lgg" else DEFAULT_THRESHOLD


def visible(voxels: npt.NDArray[Any], share: float) -> npt.NDArray[np.bool_]:
    """Where an image is not black: same shape as ``voxels``, which may have any axes; NaN is black.

    Args:
        voxels: one modality of a whole case, raw.
        share: how far above black counts, as a share of full scale (8 bit: 255; noisy volumes: their range); of no
            effect where the background is clean: the corners agree on its value or, of 8 bit, hardly anything lies
            between black and that share.
    """
    if _is_8_bit(voxels):
        bright = np.asarray(voxels > round(share * _FULL))
        lit = np.asarray(voxels != 0)
        n_bright = int(np.count_nonzero(bright))
        return lit if np.count_nonzero(lit) - n_bright <= _CLEAN * n_bright else bright
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
    """Share of each slice's values that are not black, over all modalities.

    Args:
        modalities: raw voxels of each, all of one shape, the slice axis first: (Z, Y, X).

    Returns:
        (Z,) float32 from 0 to 1.
    """
    shares = [_not_black(voxels).mean(axis=(1, 2)) for voxels in modalities]
    return np.mean(shares, axis=0).astype(np.float32) if shares else np.empty(0, dtype=np.float32)


def is_dark(shares: npt.NDArray[np.floating], threshold: float) -> npt.NDArray[np.bool_]:
    """Which slices a filter removes, by their ``non_black_shares``; those that could not be read (NaN) stay."""
    return np.asarray((shares < threshold) | (shares == 0))


def _not_black(voxels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    is_8_bit = voxels.dtype == np.uint8 or _is_8_bit(voxels)
    return np.asarray(voxels != 0) if is_8_bit else visible(voxels, BLACK)


def _is_8_bit(voxels: npt.NDArray[Any]) -> bool:
    """Whether values are whole numbers from 0 to 255, some beyond noise, whatever type they are stored in."""
    if voxels.size == 0:
        return False
    low, high = voxels.min(), voxels.max()
    if not (low >= 0 and round(NOISE * _FULL) < high <= _FULL):  # NaN is not
        return False
    return voxels.dtype.kind in "iu" or bool((voxels == np.rint(voxels)).all())


def _background(voxels: npt.NDArray[Any]) -> float | None:
    """The value that more than half of the corners have, unless they are the whole image's brightest."""
    corners = voxels[np.ix_(*((0, n - 1) for n in voxels.shape))].ravel()
    values, counts = np.unique(corners, return_counts=True)
    most = int(np.argmax(counts))
    if 2 * counts[most] <= len(corners):
        return None
    value = float(values[most])
    return None if value == float(voxels.max()) > float(voxels.min()) else value
