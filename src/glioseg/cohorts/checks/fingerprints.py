"""What tells a case from others: digests of its pixels, and a thumbnail that survives re-encoding, resizing and crops.

.. [1] Krawetz N. Kind of like that. The Hacker Factor Blog, 2013 (difference hash).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from glioseg.cohorts.dark import visible
from glioseg.cohorts.summary import Fingerprint
from glioseg.io.raster import COLOURS

PICTURE = (64, 64)
"""Rows and columns of the thumbnail of a single picture."""

VOLUME = (24, 32, 32)
"""Slices, rows and columns of the thumbnail of a volume."""

_SHOWS_SOMETHING = 0.05
_FIRST_CHOICES = ("flair", "t2f")


def fingerprint(case: str, patient: str, modalities: Mapping[str, npt.NDArray[Any]]) -> Fingerprint:
    """What ``duplicates.group_fingerprints`` compares.

    Args:
        case: its id.
        patient: whose it is; cases of one patient are never compared.
        modalities: (Z, Y, X) each, those that could be read.
    """
    none = Fingerprint(case, patient, None, np.empty(0, dtype=np.uint64), None, 0)
    shape = next((voxels.shape for voxels in modalities.values()), None)
    distinct = _distinct([voxels for voxels in modalities.values() if voxels.shape == shape])
    if shape is None or not any(_is_varied(voxels) for voxels in distinct):
        return none
    digests = [_digest([voxels[z] for voxels in distinct]) for z in range(shape[0])]
    content = hashlib.sha256(b"".join(digests))
    content.update(repr(shape).encode())
    slices = np.empty(0, dtype=np.uint64)
    if shape[0] > 1:
        shown = visible(distinct[0], _SHOWS_SOMETHING).mean(axis=(1, 2)) >= _SHOWS_SOMETHING
        leading_bytes = [digests[z][:8] for z in np.flatnonzero(shown)]
        slices = np.unique(np.frombuffer(b"".join(leading_bytes), dtype=np.uint64))
    small = thumbnail(_shown(modalities, shape))
    if small is None:
        return none
    return Fingerprint(case, patient, content.digest(), slices, small, difference_hash(small))


def _distinct(volumes: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """Without channels that repeat the first: a grey picture stored in colours equals its grey original."""
    return [voxels for row, voxels in enumerate(volumes) if row == 0 or not np.array_equal(voxels, volumes[0])]


def _is_varied(voxels: npt.NDArray[Any]) -> bool:
    low, high = np.fmin.reduce(voxels, axis=None), np.fmax.reduce(voxels, axis=None)  # NaN aside
    return bool(low < high)


def _digest(channels: Sequence[npt.NDArray[Any]]) -> bytes:
    """Of the values, whatever integer type the file gives them."""
    digest = hashlib.sha256()  # processors have instructions for it
    for pixels in channels:
        narrow = pixels
        if pixels.dtype.kind in "iu" and pixels.dtype != np.uint8:
            low, high = int(pixels.min()), int(pixels.max())
            small = low >= 0 and high < 256
            narrow = pixels.astype(np.uint8 if small else np.int32)
        digest.update(narrow.tobytes())
    return digest.digest()


def _shown(modalities: Mapping[str, npt.NDArray[Any]], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The grey image to be compared: the mean of colours, FLAIR, which most sets have, or else the first modality."""
    fitting = {name: voxels for name, voxels in modalities.items() if voxels.shape == shape}
    if set(fitting) == set(COLOURS):
        return np.asarray(sum(voxels.astype(np.float32) for voxels in fitting.values()))
    name = next((name for name in _FIRST_CHOICES if name in fitting), next(iter(fitting)))
    grey = fitting[name]
    return grey if np.isfinite(grey).all() else np.nan_to_num(grey, posinf=0.0, neginf=0.0)


def thumbnail(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint8] | None:
    """A small copy, cropped to what is brighter than 15 % of the bright parts; None where the image is constant.

    Args:
        grey: (Z, Y, X), finite; one slice gives (64, 64), more give (24, 32, 32).
    """
    low = float(grey.min())
    bright = float(np.percentile(grey[:, ::3, ::3], 99)) - low
    if bright <= 0:
        bright = float(grey.max()) - low
    if bright <= 0:
        return None
    inside = grey > low + 0.15 * bright
    rows = inside.mean(axis=2)
    box = (_extent(rows.mean(axis=1)), _extent(rows.mean(axis=0)), _extent(inside.mean(axis=0).mean(axis=0)))
    shape = (1, *PICTURE) if grey.shape[0] == 1 else VOLUME
    small = _averaged(_reduced(grey, box, shape), shape)
    bottom, top = float(small.min()), float(small.max())
    if top <= bottom:
        return None
    stretched = np.asarray(np.rint((small - bottom) * (255 / (top - bottom))), dtype=np.uint8)
    return stretched[0] if grey.shape[0] == 1 else stretched


def _extent(shares: npt.NDArray[np.float64]) -> slice:
    """From the first to the last plane that shows more than specks."""
    shown = np.flatnonzero(shares > 0.02)
    return slice(int(shown[0]), int(shown[-1]) + 1) if shown.size else slice(0, len(shares))


def _reduced(
    grey: npt.NDArray[Any], box: tuple[slice, slice, slice], shape: tuple[int, int, int]
) -> npt.NDArray[np.float32]:
    """The slices of the box, each of them cropped and brought to ``shape[1:]``; all of them still."""
    _, rows, columns = box
    corners = (columns.start, rows.start, columns.stop, rows.stop)
    slices = [
        Pillow.fromarray(pixels.astype(np.float32)).resize((shape[2], shape[1]), Pillow.Resampling.BOX, box=corners)
        for pixels in grey[box[0]]
    ]
    return np.stack([np.asarray(reduced) for reduced in slices])


def _averaged(array: npt.NDArray[np.float32], shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Every axis cut into equal parts, each the mean of what it covers, fractions of voxels included."""
    small = array
    for axis, n in enumerate(shape):
        if n != small.shape[axis]:
            small = np.moveaxis(np.tensordot(_parts(small.shape[axis], n), small, axes=(1, axis)), 0, axis)
    return np.asarray(small, dtype=np.float32)


def _parts(n_old: int, n_new: int) -> npt.NDArray[np.float32]:
    """(n_new, n_old) weights; each row sums to 1."""
    edges = np.linspace(0, n_old, n_new + 1)
    voxels = np.arange(n_old)
    covered = np.minimum(edges[1:, None], voxels + 1) - np.maximum(edges[:-1, None], voxels)
    return np.asarray(np.maximum(covered, 0) * (n_new / n_old), dtype=np.float32)


def difference_hash(small: npt.NDArray[np.uint8]) -> int:
    """64 bits: whether brightness rises from one part of a coarse grid to the next along X [1]_."""
    coarse = _averaged(small.astype(np.float32), (8, 9) if small.ndim == 2 else (4, 4, 5))
    return int.from_bytes(np.packbits(coarse[..., 1:] > coarse[..., :-1]).tobytes(), "big")
