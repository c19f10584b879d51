"""Images and label maps print in a line."""

from __future__ import annotations

import numpy as np

from glioseg.core import Grid, Image, LabelMap, scheme_named


def test_an_image_prints_in_a_line() -> None:
    grid = Grid((4, 3, 2), np.diag([-1.0, -1.0, 2.5, 1.0]))
    image = Image(np.zeros((2, 4, 3, 2), np.int16), ("t1c", "t2f"), grid)
    assert repr(image) == "Image(t1c, t2f: 4x3x2 voxels of 1x1x2.5 mm, LPS, int16)"
    labels = LabelMap(np.zeros((4, 3, 2), np.uint8), scheme_named("whole-tumour"), grid)
    assert repr(labels) == "LabelMap(whole-tumour: 0 background, 1 WT; 4x3x2 voxels of 1x1x2.5 mm, LPS)"


def test_a_picture_has_no_millimetres() -> None:
    picture = Image(np.zeros((1, 4, 3, 1), np.uint8), ("grey",), Grid.of_pictures((4, 3, 1)))
    assert repr(picture) == "Image(grey: 4x3x1 pixels, uint8)"
