"""Channels that hold the same voxels as another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def repeated_channels(
    array: npt.NDArray[Any] | Sequence[npt.NDArray[Any]], modalities: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Groups of two or more modalities whose voxels are equal, every one of them; constant channels never count.

    Args:
        array: (C, ...) one channel per modality, or one array for each, all of one shape; slices or whole volumes.
        modalities: the name of each channel.
    """
    groups: list[list[int]] = []
    for row in range(len(modalities)):
        for group in groups:
            if _equal(array[group[0]], array[row]):
                group.append(row)
                break
        else:
            groups.append([row])
    return tuple(
        tuple(modalities[row] for row in group) for group in groups if len(group) > 1 and np.ptp(array[group[0]]) > 0
    )


def _equal(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> bool:
    """Exactly equal; one line of voxels through the middle settles most comparisons."""
    middle = tuple(n // 2 for n in first.shape[1:])
    if not np.array_equal(first[(slice(None), *middle)], second[(slice(None), *middle)]):
        return False
    return bool(np.array_equal(first, second))
