"""Masks drawn over scans. All pictures are (rows, columns, 3) uint8, all masks (rows, columns) of the same size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.report import style

Colours = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


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
