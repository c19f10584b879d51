"""One case: from an image and its reference on the native grid to arrays on the working grid.

The cache and prediction on new scans both come through here, so that a network is never shown anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.dark import NOISE, non_black_shares, visible
from glioseg.core import Grid, Image, LabelMap
from glioseg.core.grid import Box
from glioseg.core.labels import LabelScheme, encode_regions, painting_order
from glioseg.core.modalities import named_among
from glioseg.errors import CacheError, GeometryError
from glioseg.preparation.intensity import normalise
from glioseg.preparation.options import PLANE_ORIENTATIONS, Plane, PrepareOptions
from glioseg.preparation.resample import is_exact, resample_array

"""Directions in which columns, rows and slices grow."""

_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True, eq=False)
class PreparedArrays:
    """What a network sees of one case, and where it lies.

    Args:
        images: (Z, C, Y, X) float16; channel order is ``modalities``. Rounding: 11 significant bits, so a relative
            error of at most 2^-11 (0.05 %) and, for z-scores within ±4, an absolute one below 0.002.
        regions: (Z, R, Y, X) uint8 0/1; None where the case has no reference.
        modalities: the cohort's, whether or not the case has them.
        missing: those of them that the case lacks.
        filled_with: the modality whose channel stands in for them; None where they are 0.
        native: the grid of the files.
        working: the grid of the arrays: X columns, Y rows, Z slices.
        non_black: (Z,) float32, share of the values of the raw slice, before any crop and over all modalities, that
            are not black (``cohorts.dark``).
    """

    images: npt.NDArray[np.float16]
    regions: npt.NDArray[np.uint8] | None
    modalities: tuple[str, ...]
    missing: tuple[str, ...]
    filled_with: str | None
    native: Grid
    working: Grid
    non_black: npt.NDArray[np.float32]


def prepare_arrays(
    image: Image,
    labels: LabelMap | None,
    modalities: Sequence[str],
    regions: Sequence[str],
    options: PrepareOptions,
) -> PreparedArrays:
    """Turn, crop, normalise and resize one case, in this order.

    Labels are shrunk by vote: a voxel belongs to a region where at least half of it does (see ``vote``), so that the
    region's border neither moves nor grows; where voxels coincide they are copied.

    Args:
        image: the modalities that the case has, in any order.
        labels: the reference on the same grid, or None.
        modalities: names of the channels, in their order.
        regions: names of the regions; unused without ``labels``.
        options: see there.

    Raises:
        GeometryError: image and reference lie on different grids; a plane or a spacing is asked of pictures.
        CacheError: intensities that are not finite or do not fit into 16 bits.
        LabelError: regions that the scheme does not have, or that overlap without one holding the other.
    """
    turned = _turned(image.grid, options.plane)
    slices = resample_array(image.array, image.grid, turned, "nearest").transpose(0, 3, 2, 1)
    shown = np.logical_or.reduce([visible(channel, NOISE) for channel in slices]).T
    cropped = turned.cropped(_brain_box(shown, square=options.size is not None)) if options.crop_to_brain else turned
    working = _resized(cropped, options)
    brain = np.ascontiguousarray(resample_array(shown[None], turned, cropped, "nearest")[0].T)
    missing = tuple(name for name in modalities if name not in image.modalities)
    stand_in = named_among(options.missing, image.modalities)
    filled_with = stand_in if missing and stand_in in image.modalities else None
    return PreparedArrays(
        images=_images(image, modalities, filled_with, cropped, working, brain, options),
        regions=None if labels is None else _regions(labels, image.grid, regions, cropped, working),
        modalities=tuple(modalities),
        missing=missing,
        filled_with=filled_with,
        native=image.grid,
        working=working,
        non_black=non_black_shares(slices)[nearest_slices(turned, working)],
    )


def _images(
    image: Image,
    modalities: Sequence[str],
    filled_with: str | None,
    cropped: Grid,
    working: Grid,
    brain: npt.NDArray[np.bool_],
    options: PrepareOptions,
) -> npt.NDArray[np.float16]:
    """(Z, C, Y, X); a modality that the image lacks shows ``filled_with``, or 0."""
    images = np.zeros((working.shape[2], len(modalities), working.shape[1], working.shape[0]), dtype=np.float16)
    for channel, name in enumerate(modalities):
        if name in image.modalities:
            images[:, channel] = _channel(image, name, cropped, working, brain if options.brain_only else None, options)
    for channel, name in enumerate(modalities):
        if name not in image.modalities and filled_with is not None:
            images[:, channel] = images[:, modalities.index(filled_with)]
    return images


def vote(shares: npt.NDArray[np.float32], scheme: LabelScheme, regions: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Shares of each voxel that lie in each region -> whether the voxel belongs to it.

    Regions that exclude each other vote together: the voxel is inside where their shares sum to half or more, and
    belongs to the largest. Nested regions stay nested. Exact halves, which halving a picture produces along every
    second straight border, go in and out in the manner of a chessboard: always in would let regions grow, always out
    would let them shrink.

    Args:
        shares: (R, Z, Y, X) in 0..1.
        scheme: the meaning of the regions.
        regions: names of the R regions.

    Returns:
        (R, Z, Y, X) uint8 0/1.
    """
    z, y, x = np.ogrid[tuple(slice(n) for n in shares.shape[1:])]
    # shares are sums of float32 weights and miss an exact half by some 1e-7: the chessboard decides within 1e-4 of it
    half = np.where((z + y + x) % 2 == 0, np.float32(0.5 - 1e-4), np.float32(0.5 + 1e-4))
    order = painting_order(scheme, regions)
    sets = [frozenset(scheme.values_of(region)) for region in regions]
    inside = np.zeros(shares.shape, dtype=bool)
    for level in sorted({depth for depth, _, _ in order}):
        rows = [row for depth, row, _ in order if depth == level]
        within = shares[rows].sum(axis=0) > half
        largest = shares[rows].argmax(axis=0)
        for number, row in enumerate(rows):
            inside[row] = within & (largest == number)
            for holder in (other for other, values in enumerate(sets) if sets[row] < values):
                inside[row] &= inside[holder]
    return inside.astype(np.uint8)


def _turned(native: Grid, plane: Plane) -> Grid:
    if native.has_mm:
        return native.with_orientation(PLANE_ORIENTATIONS[plane])
    if plane != "axial":
        raise GeometryError(
            f"{plane} slices of pictures, whose orientation is unknown, cannot be made",
            expected="volumes with an affine (NIfTI, MetaImage, NRRD)",
            remedy='Use plane = "axial", which leaves pictures as they are',
        )
    return native


def _brain_box(shown: npt.NDArray[np.bool_], *, square: bool) -> Box:
    """The bounding box of what is shown, (X, Y, Z); all of the grid where nothing is."""
    box = []
    for axis in range(3):
        filled = np.flatnonzero(shown.any(axis=tuple({0, 1, 2} - {axis})))
        box.append((int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, shown.shape[axis]))
    if square:
        side = max(high - low for low, high in box[:2])
        box[:2] = [((low + high - side) // 2, (low + high - side) // 2 + side) for low, high in box[:2]]
    return box[0], box[1], box[2]


def _resized(cropped: Grid, options: PrepareOptions) -> Grid:
    if options.size is not None:
        return cropped.resized((options.size, options.size, cropped.shape[2]))
    if options.spacing_mm is not None:
        across = cropped.spacing_mm[2]
        return cropped.with_spacing((*options.spacing_mm, across)[:3])
    return cropped


def _channel(
    image: Image,
    name: str,
    cropped: Grid,
    working: Grid,
    brain: npt.NDArray[np.bool_] | None,
    options: PrepareOptions,
) -> npt.NDArray[np.float32]:
    """(Z, Y, X) of one modality on the working grid, normalised."""
    row = image.modalities.index(name)
    raw = resample_array(image.array[row : row + 1], image.grid, cropped, "nearest")[0].T
    volume = np.array(raw, dtype=np.float32, order="C")
    if not np.isfinite(volume).all():
        raise CacheError(
            f"{name} holds values that are not finite",
            found=f"{int((~np.isfinite(volume)).sum())} voxels of NaN or Inf",
            remedy="Mend or leave out the case; `glioseg inspect` lists such files",
        )
    normalise(volume, brain, options)
    largest = float(max(volume.max(), -volume.min()))
    if not largest <= _LARGEST:
        raise CacheError(
            f"the intensities of {name} do not fit into 16-bit floating point",
            found=f"{largest:.6g}",
            expected=f"at most {_LARGEST:.0f}",
            remedy='Normalise them: normalise = "z-score" or "min-max"',
        )
    channel: npt.NDArray[np.float32] = resample_array(volume.T[None], cropped, working, "linear")[0].T
    return channel


def _regions(
    labels: LabelMap, native: Grid, regions: Sequence[str], cropped: Grid, working: Grid
) -> npt.NDArray[np.uint8]:
    difference = native.difference(labels.grid)
    if difference is not None:
        raise GeometryError(
            "the reference lies on another grid than the images",
            found=difference,
            remedy="Resample the reference to the images first",
        )
    painting_order(labels.scheme, regions)
    integers = resample_array(labels.array[None], native, cropped, "nearest")[0].T
    masks = encode_regions(integers, labels.scheme, regions)
    if not is_exact(cropped, working):
        shares = [resample_array(mask.T[None], cropped, working, "share")[0].T for mask in masks]
        masks = vote(np.stack(shares), labels.scheme, regions)
    return np.ascontiguousarray(masks.transpose(1, 0, 2, 3))


def nearest_slices(native: Grid, working: Grid) -> npt.NDArray[np.int64]:
    """(Z,) for each slice of the working grid the nearest one of the scan, from 0.

    They are counted along that axis of the scan which lies nearest to the direction of the working grid's slices. A
    crop moves the numbers, another orientation turns them round.
    """
    to_native = np.linalg.solve(native.affine, working.affine)
    lengths = np.linalg.norm(native.affine[:3, :3], axis=0)
    axis = int(np.abs(to_native[:3, 2] * lengths).argmax())
    first = [*((n - 1) / 2 for n in working.shape[:2]), 0, 1]
    centres = to_native[axis] @ first + to_native[axis, 2] * np.arange(working.shape[2])
    return np.asarray(np.rint(centres).clip(0, native.shape[axis] - 1), dtype=np.int64)
