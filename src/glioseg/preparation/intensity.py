"""Intensities made comparable: percentile clip, min-max, z-score; over a slice or a case, the brain or all of it.

Exact definitions, for the voxels v of a slice or a case (of its brain only, where a brain is given):

- clip: v below the p-th percentile becomes that percentile, v above the q-th becomes that one (linear interpolation
  between order statistics, as ``numpy.percentile``);
- min-max: (v - min) / (max - min), after the clip;
- z-score: (v - mean) / std with the population standard deviation, after the clip;
- where all v are equal the result is 0, never a division by zero; voxels outside the brain become 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glioseg.preparation.options import Method, PrepareOptions

Volume = npt.NDArray[np.float32]
_LARGEST = float(np.finfo(np.float32).max)


def normalise(volume: Volume, brain: npt.NDArray[np.bool_] | None, options: PrepareOptions) -> None:
    """Normalise one modality in place.

    Args:
        volume: (Z, Y, X) float32, contiguous, finite; overwritten.
        brain: (Z, Y, X); None to count every voxel.
        options: method, clip and what they are taken over.
    """
    groups = len(volume) if options.normalise_over == "slice" else 1
    rows = volume.reshape(groups, -1)
    inside = None if brain is None else brain.reshape(groups, -1)
    for number, row in enumerate(rows):
        if inside is None:
            _normalise_values(row, options.normalise, options.clip_percentiles)
            continue
        values = row[inside[number]]
        _normalise_values(values, options.normalise, options.clip_percentiles)
        row[:] = 0.0
        row[inside[number]] = values


def _normalise_values(values: Volume, method: Method, clip: tuple[float, float] | None) -> None:
    """(n,) values in place; n may be 0."""
    if values.size == 0:
        return
    is_wide = float(values.max()) - float(values.min()) > _LARGEST  # differences of values would be infinite
    if is_wide and method != "none":
        values *= np.float32(0.5)  # neither range nor deviation depends on the unit
    if clip is not None:
        low, high = np.percentile(values.astype(np.float64) if is_wide else values, clip)
        np.clip(values, low, high, out=values)
    if method == "none":
        return
    if method == "min-max":
        centre = values.min()
        scale = values.max() - centre
    else:
        # sums over nine million voxels lose their last digits in float32; and the deviation of equal values comes out
        # as the rounding of their mean, not as 0, by which noise would be blown up to unit variance
        centre = np.float32(values.mean(dtype=np.float64))
        scale = np.float32(values.std(dtype=np.float64)) if values.min() < values.max() else np.float32(0)
    values -= centre
    if scale > 0:
        values /= scale
    else:
        values[:] = 0.0
