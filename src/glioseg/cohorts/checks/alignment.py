"""How alike two pictures are once one of them is shifted and stretched a little to lie on the other.

Many pairs are looked at at once, and at half the size first: there, few pairs of different pictures come near the
bound, and a look costs an eighth.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Thumbnails = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

PICTURE_BOUND = 0.95
"""Correlation from which pictures are near duplicates, over 64 x 64 pixels, the best of small shifts and stretches."""

WORTH_ALIGNING = 0.75
"""Correlation from which a pair is aligned; below it, pictures are different however they are moved."""

_WORTH_A_CLOSER_LOOK = 0.93
_MARGIN = 1 / 16
_FURTHEST = np.array([0.25, 1 / 8, 0.25, 1 / 8])
_FIRST_STEP = np.array([0.08, 1 / 16, 0.08, 1 / 16])
_SHORTEST_STEP = 1 / 16
_MOVES = np.concatenate([np.diag(_FIRST_STEP), -np.diag(_FIRST_STEP)])


def picture_correlations(first: Thumbnails, second: Thumbnails) -> npt.NDArray[np.float64]:
    """Pearson's r of each pair, the highest that is found when the second is shifted by up to an eighth of its size and
    stretched or shrunk by up to a quarter along each axis; a climb from where they are, ended at ``PICTURE_BOUND``.

    A pair that cannot be a copy keeps the correlation of the two as they are.

    Args:
        first: (n, size, size) thumbnails; the size is even.
        second: (n, size, size), each compared with its counterpart.

    Returns:
        (n,) correlations, 0 where a picture is of one grey.
    """
    fixed, moving = first.astype(np.float32), second.astype(np.float32)
    best = _correlations(_unit(fixed), moving)
    pairs = np.flatnonzero((best >= WORTH_ALIGNING) & (best < PICTURE_BOUND))
    roughly = _climb(_halved(fixed[pairs]), _halved(moving[pairs]), _WORTH_A_CLOSER_LOOK)
    pairs = pairs[roughly >= _WORTH_A_CLOSER_LOOK]
    best[pairs] = _climb(fixed[pairs], moving[pairs], PICTURE_BOUND)
    return best


def _climb(first: Floats, second: Floats, bound: float) -> npt.NDArray[np.float64]:
    """(n,) the best correlations; each pair moves on its own and halves its steps where none leads up."""
    n, size = first.shape[:2]
    margin = round(size * _MARGIN)
    inner = _unit(first[:, margin : size - margin, margin : size - margin])
    best = _correlations(_unit(first), second)
    place, step = np.zeros((n, 4)), np.ones(n)
    while len(climbing := np.flatnonzero((step >= _SHORTEST_STEP) & (best < bound))):
        moved = np.zeros(n, dtype=np.bool_)
        for move in _MOVES:
            target = place[climbing] + step[climbing, None] * move
            within = (np.abs(target) <= _FURTHEST).all(axis=1)
            pairs, target = climbing[within], target[within]
            correlations = _correlations(inner[pairs], _resampled(second[pairs], target, margin))
            better = correlations > best[pairs] + 1e-4
            pairs = pairs[better]
            best[pairs], place[pairs], moved[pairs] = correlations[better], target[better], True
        step[climbing[~moved[climbing]]] /= 2
    return best


def _resampled(pictures: Floats, places: npt.NDArray[np.float64], margin: int) -> Floats:
    """(n, inner, inner): the middle of each picture, stretched and shifted along its rows and columns."""
    size = pictures.shape[1]
    rows, columns = (_weights(places[:, axis], places[:, axis + 1] * size, size, margin) for axis in (0, 2))
    return np.asarray(rows @ pictures @ columns.transpose(0, 2, 1), dtype=np.float32)


def _weights(stretch: npt.NDArray[np.float64], shift: npt.NDArray[np.float64], size: int, margin: int) -> Floats:
    """(n, inner, size) weights that resample an axis linearly, its middle moved by ``shift`` pixels."""
    middle = (size - 1) / 2
    centres = np.arange(margin, size - margin) - middle
    places = np.clip(centres * (1 + stretch[:, None]) + middle + shift[:, None], 0, size - 1)
    below = np.minimum(places.astype(np.intp), size - 2)
    above = (places - below).astype(np.float32)
    table = np.zeros((*places.shape, size), dtype=np.float32)
    np.put_along_axis(table, below[..., None], 1 - above[..., None], axis=2)
    np.put_along_axis(table, below[..., None] + 1, above[..., None], axis=2)
    return table


def _halved(pictures: Floats) -> Floats:
    """(n, size, size) -> (n, size/2, size/2): means of 2 x 2 pixels."""
    n, size = len(pictures), pictures.shape[1]
    return np.asarray(pictures.reshape(n, size // 2, 2, size // 2, 2).mean(axis=(2, 4)), dtype=np.float32)


def _unit(pictures: Floats) -> Floats:
    """Each picture less its mean and of length 1; 0 where it is of one grey."""
    centred = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt(np.square(centred).sum(axis=(1, 2), keepdims=True))
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=length > 0), dtype=np.float32)


def _correlations(unit: Floats, pictures: Floats) -> npt.NDArray[np.float64]:
    return np.asarray(np.einsum("nij,nij->n", unit, _unit(pictures)), dtype=np.float64)
