"""Masks are drawn where they are, and nowhere else."""

from __future__ import annotations

import numpy as np

from glioseg.report import style
from glioseg.report.figures.overlay import border, colours_of, filled, mask_picture, outlined, painted

_GREY = colours_of(np.full((9, 9), 80, dtype=np.uint8))


def _square() -> np.ndarray:
    mask = np.zeros((9, 9), dtype=np.uint8)
    mask[2:7, 2:7] = 1
    return mask


def test_the_border_is_the_ring_inside_the_mask() -> None:
    # . . . . . . .
    # . # # # # # .      5 x 5 with its inner 3 x 3 left out: 16 pixels
    # . # o o o # .
    ring = border(_square(), 1)
    inner = np.zeros((9, 9), dtype=bool)
    inner[3:6, 3:6] = True
    assert ring.sum() == 16
    assert np.array_equal(ring | inner, _square() > 0)
    assert border(_square(), 2).sum() == 24


def test_masks_at_the_edge_of_the_picture_are_closed() -> None:
    assert border(np.ones((4, 4)), 1).sum() == 12


def test_outlines_touch_only_the_border() -> None:
    drawn = outlined(_GREY, _square(), style.REFERENCE, 1)
    changed = (drawn != _GREY).any(axis=2)
    assert np.array_equal(changed, border(_square(), 1))
    assert (drawn[changed] == style.rgb(style.REFERENCE)).all()
    assert (_GREY == 80).all()


def test_fillings_let_the_picture_through() -> None:
    drawn = filled(_GREY, _square(), "#ff0000", 0.5)
    assert drawn[4, 4].tolist() == [168, 40, 40]  # half of 255 and half of 80: 167.5
    assert drawn[0, 0].tolist() == [80, 80, 80]


def test_an_empty_mask_changes_nothing() -> None:
    empty = np.zeros((9, 9))
    assert np.array_equal(outlined(_GREY, empty, style.REFERENCE), _GREY)
    assert np.array_equal(filled(_GREY, empty, style.REFERENCE), _GREY)


def test_every_label_has_its_colour() -> None:
    labels = np.zeros((9, 9), dtype=np.uint8)
    labels[1:4, 1:4], labels[5:8, 5:8] = 1, 4
    drawn = mask_picture(labels, {1: "#0000ff", 4: "#00ff00"})
    assert drawn[2, 2].tolist() == [0, 0, 255]
    assert drawn[6, 6].tolist() == [0, 255, 0]
    assert drawn[labels == 0].max() == 0
    over = painted(_GREY, labels, {1: "#0000ff"}, 0.5)
    assert over[1, 1].tolist() == [0, 0, 255]
    assert over[2, 2].tolist() == [40, 40, 168]
    assert over[6, 6].tolist() == [80, 80, 80]


def test_reference_and_prediction_differ_in_hue_and_lightness() -> None:
    red, green = np.array(style.rgb(style.REFERENCE)), np.array(style.rgb(style.PREDICTION))
    assert red.argmax() == 0
    assert green.argmax() == 1
    weights = np.array([0.2126, 0.7152, 0.0722])
    assert green @ weights > red @ weights + 60
