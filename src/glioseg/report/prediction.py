"""The picture that goes with a prediction."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow

from glioseg.core import Image, LabelMap
from glioseg.core.labels import painting_order
from glioseg.io.raster import COLOURS
from glioseg.report import style
from glioseg.report.figures.overlay import colours_of, painted
from glioseg.report.figures.views import cut_slice, display_limits, shade
from glioseg.report.pixels import main_modality


def overlay_picture(image: Image, labels: LabelMap, regions: Sequence[str]) -> bytes:
    """The slice with most of the predicted tumour (the middle one without), as it is and with the mask: PNG bytes.

    Args:
        image: on the native grid.
        labels: the prediction on the same grid.
        regions: that were predicted; each is drawn in its colour.
    """
    counts = (labels.array > 0).sum(axis=(0, 1))
    z = int(counts.argmax()) if counts.any() else labels.array.shape[2] // 2
    names = main_modality(image.modalities)
    cuts = []
    for name in names:
        volume = image.array[image.modalities.index(name)]
        cuts.append(shade(cut_slice(volume, image.grid, z).pixels, display_limits(volume, image.grid)))
    picture = np.stack(cuts, axis=2) if names == COLOURS else colours_of(cuts[0])
    colours = {
        value: style.region_colour(regions[row]) for _, row, value in painting_order(labels.scheme, list(regions))
    }
    mask = np.ascontiguousarray(cut_slice(labels.array, labels.grid, z).pixels.astype(np.uint8))
    sheet = np.concatenate([picture, painted(picture, mask, colours)], axis=1)
    buffer = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(sheet)).save(buffer, "PNG")
    return buffer.getvalue()
