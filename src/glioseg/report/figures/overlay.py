"""Masks drawn over scans. All pictures are (rows, columns, 3) uint8, all masks (rows, columns) of the same size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.report import style

Colours = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
_OPACITY = 0.55
HEAT = "turbo"
"""The colour map of everything that is more or less: how much a place spoke for an answer, how uncertain it is."""
_FOR, _AGAINST = "#e5383b", "#2a7de1"


def colours_of(grey: npt.NDArray[np.uint8]) -> Colours:
    """A grey picture with three equal channels; a colour picture as it is."""
    return grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)


def border(mask: npt.NDArray[Any], width: int = 2) -> Mask:
    """The pixels of ``mask`` that are less than ``width`` steps (in rows and columns) from its outside.

    Pixels at the edge of the picture count as border, so that a mask that fills the picture has an outline too.
    """
    inside = mask > 0
    return inside & ~ndimage.binary_erosion(inside, iterations=width)


def outlined(picture: Colours, mask: npt.NDArray[Any], colour: str, width: int = 2) -> Colours:
    """``picture`` with the border of ``mask`` in ``colour``; every other pixel stays as it was."""
    drawn = picture.copy()
    drawn[border(mask, width)] = style.rgb(colour)
    return drawn


def filled(picture: Colours, mask: npt.NDArray[Any], colour: str, opacity: float = 0.45) -> Colours:
    """``picture`` with ``mask`` laid over it; anatomy shows through unless ``opacity`` is 1."""
    drawn = picture.copy()
    inside = mask > 0
    over = np.asarray(style.rgb(colour), dtype=np.float32) * opacity
    drawn[inside] = np.rint(drawn[inside] * (1.0 - opacity) + over).astype(np.uint8)
    return drawn


def painted(
    picture: Colours, labels: npt.NDArray[np.uint8], colours: Mapping[int, str], opacity: float = 0.5
) -> Colours:
    """``picture`` with every label value in its colour, softly filled and crisply outlined."""
    drawn = picture
    for value, colour in colours.items():
        drawn = outlined(filled(drawn, labels == value, colour, opacity), labels == value, colour, 1)
    return drawn


def mask_picture(labels: npt.NDArray[np.uint8], colours: Mapping[int, str]) -> Colours:
    """The mask alone, on black."""
    return painted(np.zeros((*labels.shape, 3), dtype=np.uint8), labels, colours, opacity=1.0)


def heat(picture: npt.NDArray[np.uint8], values: npt.NDArray[np.float32]) -> Colours:
    """``picture`` with a map (rows, columns) in 0..1 laid over it, the more opaque the higher it is."""
    over = np.asarray(mpl.colormaps[HEAT](values))[..., :3].astype(np.float32) * 255
    opacity = (_OPACITY * values)[..., None]
    return np.asarray(np.rint(colours_of(picture) * (1 - opacity) + over * opacity), dtype=np.uint8)


def for_and_against(picture: npt.NDArray[np.uint8], values: npt.NDArray[np.float32]) -> Colours:
    """``picture`` with a map in −1..1 laid over it: red what is above 0, blue what is below."""
    signs = np.where((values >= 0)[..., None], style.rgb(_FOR), style.rgb(_AGAINST)).astype(np.float32)
    opacity = np.abs(values)[..., None]
    return np.asarray(np.rint(colours_of(picture) * (1 - opacity) + signs * opacity), dtype=np.uint8)
