"""Whether a scan shows the skull.

Where a head has its skull, the way from its outline inwards leads through skin and fat, which are bright, through bone,
which is dark, and into the brain. Where the skull was removed, it begins in the brain or in fluid. So on four axial
slices of the upper half rays go from the outline to the middle: on each, the darkest place between the brightest of the
first 10 mm and the depth of 24 mm is held against the darker of what lies before and behind it. The share of rays on
which it falls below 0.4 of that is 0 to 0.22 in 116 volumes of BraTS and 9 of IBSR, without skull; the largest of the
three modalities of a patient is 0.59 or more in all 66 of LGG, with skull (docs/results.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.core import Grid, Image
from glioseg.errors import GeometryError

WITH_SKULL = 0.4
"""The share of rays from which on a head is taken to have its skull."""

Floats = npt.NDArray[np.float32]
_SLICES = (0.5, 0.6, 0.7, 0.8)
"""Of the height of what is shown, from below."""
_SPARSE = 2
"""Each second row and column tells which slices show the head."""
_RAYS = 72
_DEPTH_MM = 34
_SKIN_MM, _BONE_MM = 10, 24
_INNER_MM = 25.0
_DIP = 0.4
_FINE_MM = 2.0
_GAP_MM = 7.0
"""Gaps in the scalp that are closed."""
_SMALLEST_MM2 = 5_000.0
"""A section of a head has more; less tells nothing."""


def has_skull(image: Image) -> bool | None:
    """Whether some modality of a case shows a skull; None of pictures, and where no section is one of a head."""
    seen = most_skull(image)
    return None if seen is None else seen[1] >= WITH_SKULL


def most_skull(image: Image) -> tuple[str, float] | None:
    """The first modality that shows a skull with its share of rays, or the one with the largest; None as above."""
    most: tuple[str, float] | None = None
    if not image.grid.has_mm:
        return None
    for name, array in zip(image.modalities, image.array, strict=True):
        share = skull_share(array, image.grid)
        if share is not None and (most is None or share > most[1]):
            most = (name, share)
        if most is not None and most[1] >= WITH_SKULL:
            break
    return most


def skull_share(array: npt.NDArray[Any], grid: Grid) -> float | None:
    """The share of rays from the outline inwards that cross bone, 0 to 1; None where no section is one of a head.

    Args:
        array: (X, Y, Z) of one modality.
        grid: its place.

    Raises:
        GeometryError: pictures, whose orientation and millimetres are not known.
    """
    if not grid.has_mm:
        raise GeometryError("the skull is looked for in volumes", found="pictures without millimetres")
    upright, turned = _upright(array, grid)
    height = _shown_slices(_floats(upright[::_SPARSE, ::_SPARSE]))
    if len(height) == 0:
        return None
    levels = [int(height[0] + share * (height[-1] - height[0])) for share in _SLICES]
    dips = [dip for z in levels for dip in _dips(_floats(upright[:, :, z]), turned.spacing_mm[:2])]
    return float(np.mean(np.array(dips) < _DIP)) if dips else None


def _floats(values: npt.NDArray[Any]) -> Floats:
    return np.nan_to_num(values.astype(np.float32))


def _upright(array: npt.NDArray[Any], grid: Grid) -> tuple[npt.NDArray[Any], Grid]:
    """With axes that grow to right, anterior, superior; nothing is copied."""
    turned = grid.with_orientation("RAS")
    to_source = np.linalg.solve(grid.affine, turned.affine)[:3, :3]
    order = [int(axis) for axis in np.abs(to_source).argmax(axis=0)]
    moved = array.transpose(order)
    flipped = tuple(axis for axis, source in enumerate(order) if to_source[source, axis] < 0)
    return np.flip(moved, flipped), turned


def _shown_slices(upright: Floats) -> npt.NDArray[np.int64]:
    low, high = _range(upright)
    share = (upright > low + 0.15 * (high - low)).mean(axis=(0, 1))
    return np.flatnonzero(share > 0.02)


def _range(values: Floats) -> tuple[float, float]:
    low = float(np.percentile(values, 5))
    above = values[values > low]
    return low, float(np.percentile(above, 95)) if above.size else low


def _dips(section: Floats, spacing_mm: tuple[float, ...]) -> list[float]:
    """For each ray the darkest place under the skin, as a share of what is around it."""
    smooth = ndimage.gaussian_filter(section, [0.7 / mm for mm in spacing_mm])
    low, high = _range(smooth)
    outline = _outline(smooth > low + 0.15 * (high - low), spacing_mm)
    if outline is None or outline.sum() * spacing_mm[0] * spacing_mm[1] < _SMALLEST_MM2:
        return []
    inner = ndimage.distance_transform_edt(outline, sampling=spacing_mm) > _INNER_MM
    level = float(np.median(smooth[inner])) - low if inner.any() else 0.0
    if level <= 0:
        return []
    return [
        _dip(profile / level) for profile in _profiles(smooth - low, outline, spacing_mm) if len(profile) >= _DEPTH_MM
    ]


def _outline(bright: npt.NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> npt.NDArray[np.bool_] | None:
    """The largest piece with all that it encloses: a ring of scalp holds the brain within."""
    n_steps = max(1, round(_GAP_MM / max(spacing_mm)))
    margin = n_steps + 2
    clean = ndimage.binary_opening(bright) if max(spacing_mm) <= _FINE_MM else bright  # else the scalp would go, too
    closed = ndimage.binary_closing(np.pad(clean, margin), iterations=n_steps)
    pieces, n_pieces = ndimage.label(ndimage.binary_fill_holes(closed)[margin:-margin, margin:-margin])
    if n_pieces == 0:
        return None
    return np.asarray(pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()))


def _profiles(values: Floats, outline: npt.NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> list[Floats]:
    """Values at steps of 1 mm from the outline to the middle, ray by ray, no further than they are looked at.

    None of a section whose middle lies outside its outline: it has the shape of no head.
    """
    centre = ndimage.center_of_mass(outline)
    angles = np.linspace(0, 2 * np.pi, _RAYS, endpoint=False)[:, None]
    reach = np.arange(0.0, 150.0)
    places = [centre[axis] + turn(angles) * reach / spacing_mm[axis] for axis, turn in enumerate((np.cos, np.sin))]
    inside = ndimage.map_coordinates(outline.astype(np.float32), places, order=0) > 0.5
    if not inside[:, 0].all():
        return []
    along = ndimage.map_coordinates(values, places, order=1)
    ends = [int(np.flatnonzero(ray)[-1]) + 1 for ray in inside]
    return [ray[:end][::-1][:_DEPTH_MM] for ray, end in zip(along, ends, strict=True)]


def _dip(profile: Floats) -> float:
    skin = int(profile[:_SKIN_MM].argmax())
    bone = skin + int(profile[skin:_BONE_MM].argmin())
    return float(profile[bone] / max(1e-3, min(profile[skin], profile[bone:].max())))
