"""Masks that cannot be right: inverted, the head itself, beside it, turned under an unchanged header, pictures.

Of 1,448 published masks (LGG, BraTS 2015 to 2023, every third of BRISC 2025) none has a voxel at the border of the
picture, none more than 0.07 % of its voxels outside the head, and none overlaps with the head by a Dice above 0.40: the
bounds below leave room for stranger data. Nothing is refused here; these are warnings, with a picture of the case.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.core import Finding, Grid
from glioseg.errors import name_some
from glioseg.io import raster
from glioseg.io.endings import LOSSY_ENDINGS, has_ending

MOST_OF_THE_BORDER = 0.5
MOST_OUTSIDE = 0.05
LIKE_THE_HEAD = 0.7
"""A Dice."""

STANDS_OUT = 0.5
"""Standard deviations by which tumour differs from the brain in some modality, below which nothing is said of moves."""

FEWEST_SLICES = 8
"""A volume of fewer slices shows too little to say how it lies."""

_HARDLY = 0.05
"""Standard deviations that are as good as none; what stands out by less is not told by how much less."""

_SCANTY = 0.05
_FEWEST_LABEL_PIXELS = 0.01
_MOST_LABELS = 16
_Bools = npt.NDArray[np.bool_]
_Places = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]


def mask_findings(case: str, head: _Bools, tumour: _Bools) -> list[Finding]:
    """What is wrong with where the tumour of a case is.

    Args:
        case: its id.
        head: (Z, Y, X), see ``measure.tissue``.
        tumour: (Z, Y, X).
    """
    n_tumour, n_head = int(np.count_nonzero(tumour)), int(np.count_nonzero(head))
    if not n_tumour:
        return []
    border = _share_of_border(tumour)
    if border > MOST_OF_THE_BORDER:
        message = (
            f"the mask covers {100 * n_tumour / tumour.size:.0f} % of the picture and {100 * border:.0f} % of its "
            "border: tumour and background seem to be exchanged"
        )
        return [Finding("warning", "inverted-mask", message, case)]
    if not n_head:
        return []
    n_both = int(np.count_nonzero(tumour & head))
    dice = 2 * n_both / (n_tumour + n_head)
    if dice > LIKE_THE_HEAD:
        message = (
            f"the mask covers {100 * n_both / n_head:.0f} % of what is not black: a mask of the brain or the head, "
            "it seems, and not of a tumour"
        )
        return [Finding("warning", "brain-mask", message, case)]
    outside = 1 - n_both / n_tumour
    if outside > MOST_OUTSIDE:  # only now, since it takes long: black within the head is no sign of anything
        outside = np.count_nonzero(tumour & ~_without_holes(head)) / n_tumour
    if outside > MOST_OUTSIDE:
        message = (
            f"{100 * outside:.0f} % of the mask lies outside the head, where the images are black: the mask seems to "
            "be displaced, or another case's"
        )
        return [Finding("warning", "mask-outside-head", message, case)]
    return []


def better_moves(
    modalities: Mapping[str, npt.NDArray[Any]], head: _Bools, tumour: _Bools, grid: Grid
) -> Mapping[str, float]:
    """How many times more the tumour would stand out from the head if its mask were mirrored or turned.

    To stand out is to differ in mean from the head, in the modality in which it does so most, in its standard
    deviations. Of 119 published volumes and phantoms none stands out twice as much when it is moved; of those that are
    mirrored by mistake, two of three do.

    Args:
        modalities: (Z, Y, X) each.
        head: (Z, Y, X).
        tumour: (Z, Y, X).
        grid: of the case.

    Returns:
        The move in words -> the factor, where it is above 1 and the moved mask stands out by ``STANDS_OUT``.
    """
    finite = [voxels for voxels in modalities.values() if voxels.dtype.kind != "f" or bool(np.isfinite(voxels).all())]
    n_tumour = int(np.count_nonzero(tumour))
    if not n_tumour or 2 * n_tumour > np.count_nonzero(head) or 1 < len(tumour) < FEWEST_SLICES:
        return {}  # what is most of the head lies nowhere in it
    scales = [
        (float(voxels[head].mean(dtype=np.float64)), float(voxels[head].std(dtype=np.float64))) for voxels in finite
    ]
    varied = [(voxels, mean, std) for voxels, (mean, std) in zip(finite, scales, strict=True) if std > 0]
    if not varied:
        return {}

    def stands_out(places: _Places) -> float:
        return max(abs(float(voxels[places].mean(dtype=np.float64)) - mean) / std for voxels, mean, std in varied)

    as_it_is = max(stands_out(_places(tumour)), _HARDLY)
    factors = {words: stands_out(places) for words, places in _moved(_places(tumour), tumour.shape, grid).items()}
    return {words: value / as_it_is for words, value in factors.items() if value > max(as_it_is, STANDS_OUT)}


def picture_findings(case: str, paths: tuple[Path, ...]) -> list[Finding]:
    """What is odd about masks that are pictures and whose scheme has one label: the first of a kind stands for all.

    Pictures that cannot be read are passed over; reading the reference has reported them.

    Args:
        case: its id.
        paths: a picture for each slice.
    """
    said: dict[str, Finding] = {}
    for path in paths:
        pixels, in_alpha = raster.read_mask(path)
        if in_alpha:
            message = f"{path.name} is of one colour; its transparency (alpha) was read as the mask"
            said.setdefault("alpha", Finding("note", "alpha-mask", message, case))
        words = _unlike_a_mask(pixels, lossy=has_ending(path, LOSSY_ENDINGS))
        if words is not None:
            said.setdefault("unclear", Finding("warning", "unclear-mask", f"{path.name} {words}", case))
    return list(said.values())


def _share_of_border(tumour: _Bools) -> float:
    """Of the outermost pixels of every slice that has tumour."""
    slices = tumour[tumour.any(axis=(1, 2))]
    edges = (slices[:, 0], slices[:, -1], slices[:, 1:-1, 0], slices[:, 1:-1, -1])
    return sum(int(np.count_nonzero(edge)) for edge in edges) / max(1, sum(edge.size for edge in edges))


def _without_holes(head: _Bools) -> _Bools:
    return np.stack([ndimage.binary_fill_holes(slice_) for slice_ in head])


def _places(tumour: _Bools) -> _Places:
    z, y, x = np.nonzero(tumour)
    return z, y, x


def _moved(places: _Places, shape: tuple[int, ...], grid: Grid) -> Mapping[str, _Places]:
    """Where a mask would lie if it were mirrored along an axis, turned by half, or its rows and columns exchanged."""
    z, y, x = places
    depth, rows, columns = shape
    names = _axis_names(grid)
    moves: dict[str, _Places] = {
        f"mirrored {names[0]}": (z, y, columns - 1 - x),
        f"mirrored {names[1]}": (z, rows - 1 - y, x),
        "turned by 180° in the slice": (z, rows - 1 - y, columns - 1 - x),
    }
    if depth > 1:
        moves[f"mirrored {names[2]}"] = (depth - 1 - z, y, x)
    if rows == columns:
        moves["with rows and columns exchanged"] = (z, x, y)
    return moves


def _axis_names(grid: Grid) -> tuple[str, str, str]:
    """What lies at the ends of X, Y and Z."""
    if not grid.has_mm:
        return "left to right", "top to bottom", "first slice to last"
    ends = ("left to right", "front to back", "top to bottom")
    x, y, z = (ends[world] for world, _ in grid.axis_directions)
    return x, y, z


def _unlike_a_mask(grey: npt.NDArray[Any], *, lossy: bool) -> str | None:
    """Why a picture (X, Y) is no mask of one label, in words."""
    highest = float(grey.max(initial=0))
    between = np.count_nonzero((grey > highest / 8) & (grey < highest * 7 / 8)) / max(1, grey.size)
    values, counts = np.unique(grey[grey > 0], return_counts=True)
    if not lossy and 1 < len(values) <= _MOST_LABELS:
        labels = [
            value
            for value, count in zip(values, counts, strict=True)
            if count >= _FEWEST_LABEL_PIXELS * counts.sum() and _has_inside(grey == value)
        ]
        if len(labels) > 1:
            named = name_some([f"{value:g}" for value in labels], _MOST_LABELS)
            given = ",".join(f"{value:g}=NAME" for value in labels)
            return (
                f"holds several values ({named}), and the scheme has one label: {_what_counts(highest)} as tumour. "
                f"If each means something of its own, say what with `--labels {given}`"
            )
    if between <= _SCANTY:
        return None
    return (
        f"looks like a picture and not like a mask: {100 * between:.0f} % of its pixels are neither dark nor bright "
        "(an outline drawn on the scan is no mask); those from half its maximum count as tumour"
    )


def _what_counts(highest: float) -> str:
    return "all count" if highest <= raster.LARGEST_LABEL else "those from half the largest count"


def _has_inside(region: _Bools) -> bool:
    """Whether some pixel has only its like around it: the grey fringe of a resized mask is too thin for that."""
    if min(region.shape) < 3:
        return True
    inner = region[1:-1, 1:-1].copy()
    for dx in (0, 1, 2):
        for dy in (0, 1, 2):
            inner &= region[dx : region.shape[0] - 2 + dx, dy : region.shape[1] - 2 + dy]
    return bool(inner.any())
