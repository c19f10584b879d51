"""Figures of one case's voxels. Arrays have the slice axis first, (Z, Y, X): so they lie in files and in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.dark import NOISE, visible
from glioseg.cohorts.summary import HEAT_CELLS, QUANTILES, SLICE_PLACES, Distribution, HeatMap, Histogram
from glioseg.core import Grid

_N_BINS = 256
_WIDEST = 1 << 17
_FINE = 1 << 14
_STACK = 8
"""A stack of fewer pictures has no third axis worth a heat map, or a curve."""


class _Counts(NamedTuple):
    """Voxels per value (integers) or per narrow bin."""

    values: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    step: float


def planes(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(X, Y, Z) -> (Z, Y, X), contiguous; without a copy where the array lies in memory as its file did."""
    return np.ascontiguousarray(array.T)


def tissue(
    modalities: Mapping[str, npt.NDArray[Any]], shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.bool_], dict[str, npt.NDArray[np.float32]]]:
    """Where some modality shows more than black and its noise, and of each modality on which share of a slice it does.

    Args:
        modalities: (Z, Y, X) each.
        shape: of all of them, (Z, Y, X).

    Returns:
        (Z, Y, X) bool, and modality -> (Z,) float32.
    """
    inside = np.zeros(shape, dtype=np.bool_)
    seen = {}
    for name, voxels in modalities.items():
        bright = visible(voxels, NOISE)
        seen[name] = bright.mean(axis=(1, 2), dtype=np.float32)
        np.logical_or(inside, bright, out=inside)
    return inside, seen


def is_usable(array: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where voxels are numbers that single precision, in which networks compute, can hold."""
    return np.asarray(np.abs(array) <= np.finfo(np.float32).max)


def distribution(voxels: npt.NDArray[Any], brain: npt.NDArray[np.bool_]) -> Distribution | None:
    """Intensities of one modality over the brain, or over all voxels where nothing is; None without a finite one."""
    values = voxels[brain] if brain.any() else voxels.ravel()
    if values.dtype.kind == "f":
        values = values[is_usable(values)]
    if values.size == 0:
        return None
    fine = _count(values)
    n = int(values.size)
    if fine.step == 1.0:
        mean = float(fine.counts @ fine.values) / n
        variance = float(fine.counts @ (fine.values - mean) ** 2) / n
    else:
        mean, variance = float(values.mean(dtype=np.float64)), float(values.var(dtype=np.float64))
    total = np.cumsum(fine.counts)
    ranks = np.searchsorted(total, np.asarray(QUANTILES) * (n - 1), side="right")
    quantiles = tuple(float(value) for value in fine.values[ranks])
    histogram = _coarse(fine, quantiles, is_8_bit=voxels.dtype == np.uint8)
    low, high = float(values.min()), float(values.max())
    return Distribution(n, mean, float(np.sqrt(variance)), low, high, quantiles, histogram, by_place(voxels, brain))


def by_place(voxels: npt.NDArray[Any], brain: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """How intensities over the brain spread at ``SLICE_PLACES`` places of a stack, see ``Distribution.by_place``.

    A place has every slice that it touches, so that none is empty where there are fewer slices than places.
    """
    brain = brain if brain.any() else np.ones_like(brain)
    shown = np.flatnonzero(brain.any(axis=(1, 2)))
    if len(brain) < _STACK:
        return np.empty((0, len(QUANTILES)), dtype=np.float32)
    first, n_slices = int(shown[0]), int(shown[-1] - shown[0]) + 1
    table = np.full((SLICE_PLACES, len(QUANTILES)), np.nan, dtype=np.float32)
    for place in range(SLICE_PLACES):
        start, stop = place * n_slices // SLICE_PLACES, -(-(place + 1) * n_slices // SLICE_PLACES)
        slices = slice(first + start, first + stop)
        values = voxels[slices][brain[slices]]
        values = values[is_usable(values)] if values.dtype.kind == "f" else values
        if values.size:
            table[place] = np.quantile(values, QUANTILES, method="lower")
    return table


def _count(intensities: npt.NDArray[Any]) -> _Counts:
    low, high = float(intensities.min()), float(intensities.max())
    if intensities.dtype.kind in "iub" and high - low < _WIDEST:
        wide = intensities.astype(np.int32) if intensities.dtype.itemsize < 4 else intensities
        counts = np.bincount((wide - wide.min()).astype(np.int32))
        return _Counts(np.arange(len(counts), dtype=np.float64) + low, counts, 1.0)
    step = (high - low) / _FINE
    if min(abs(np.spacing(low)), abs(np.spacing(high))) * _FINE >= high - low or step < np.finfo(np.float32).tiny:
        return _Counts(np.array([low]), np.array([intensities.size]), 1.0)  # one value, but for how it is written
    counts = np.histogram(intensities.astype(np.float64), _FINE, (low, high))[0]
    middles = (np.arange(_FINE, dtype=np.float64) + 0.5) * step + low
    return _Counts(np.asarray(middles, dtype=np.float64), counts, step)


def _coarse(fine: _Counts, quantiles: Sequence[float], *, is_8_bit: bool) -> Histogram:
    """Whole integers per bin, so that no bin is fuller than its neighbours by rounding alone."""
    low, high = (0.0, 255.0) if is_8_bit else (quantiles[0], quantiles[-1])
    if fine.step == 1.0:
        width = float(np.ceil((high - low + 1) / _N_BINS))
        n_bins = int(np.ceil((high - low + 1) / width))
        low -= 0.5
    else:
        width, n_bins = max((high - low) / _N_BINS, fine.step), _N_BINS
    places = np.clip(np.floor((fine.values - low) / width), 0, n_bins - 1).astype(np.int64)
    counts = np.bincount(places, weights=fine.counts, minlength=n_bins)
    return Histogram(low, low + n_bins * width, np.rint(counts).astype(np.int64))


def correlation(
    modalities: Mapping[str, npt.NDArray[Any]], names: Sequence[str], brain: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Pearson's r between modalities over the brain voxels of the middle third of the slices.

    Args:
        modalities: (Z, Y, X) each.
        names: the order of rows and columns; those that ``modalities`` lacks, and constant ones, give NaN.
        brain: (Z, Y, X).
    """
    table = np.full((len(names), len(names)), np.nan, dtype=np.float32)
    n = brain.shape[0]
    middle = slice(n // 3, n - n // 3)
    inside = brain[middle]
    rows = [row for row, name in enumerate(names) if name in modalities]
    if not rows or not inside.any():
        return table
    values = np.stack([modalities[names[row]][middle][inside].astype(np.float32) for row in rows])
    finite = np.isfinite(values).all(axis=0)
    values = values if finite.all() else values[:, finite]
    varied = [place for place in range(len(rows)) if values.shape[1] > 1 and np.ptp(values[place]) > 0]
    if varied:
        places = np.array(rows)[varied]
        table[np.ix_(places, places)] = _pearson(values[varied])
    return table


def _pearson(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(M, M) of the rows of (M, n), none of them constant; in place, ``corrcoef`` makes three copies in double."""
    values -= values.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    values /= np.sqrt(np.einsum("mn,mn->m", values, values, dtype=np.float64))[:, None].astype(np.float32)
    return np.asarray(np.clip(values @ values.T, -1.0, 1.0), dtype=np.float32)


def centre_voxel(tumour: npt.NDArray[np.bool_]) -> tuple[int, int, int] | None:
    """(X, Y, Z) of the tumour voxel nearest to the centre of mass of the slice with most tumour; None without tumour.

    Args:
        tumour: (Z, Y, X).
    """
    areas = np.count_nonzero(tumour, axis=(1, 2))
    if not areas.any():
        return None
    z = int(np.argmax(areas))
    rows, columns = np.nonzero(tumour[z])
    nearest = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
    return int(columns[nearest]), int(rows[nearest]), z


def heat_maps(tumour: npt.NDArray[np.bool_], brain: npt.NDArray[np.bool_], grid: Grid) -> tuple[HeatMap, ...]:
    """Where the tumour projects to, in the brain's bounding box; one map per plane, none without tumour.

    Args:
        tumour: (Z, Y, X).
        brain: (Z, Y, X).
        grid: of the case; where its orientation is known the maps are in anatomical directions.
    """
    if not tumour.any():
        return ()
    flat = [np.asarray(tumour.any(axis=2 - axis)) for axis in range(3)]
    extents = _extents(brain, flat)
    maps = []
    for plane, names, (first, second), signs in _planes_of(grid):
        through = 3 - first - second
        shown = (flat[through].T if first < second else flat[through]).astype(np.float32)  # the quick way to multiply
        table = _cells(extents[first], shown.shape[0]) @ shown @ _cells(extents[second], shown.shape[1]).T
        maps.append(HeatMap(plane, names, table[:: signs[0], :: signs[1]] > 0))
    return tuple(maps)


def _extents(brain: npt.NDArray[np.bool_], flat: Sequence[npt.NDArray[np.bool_]]) -> list[tuple[int, int]]:
    """First and last voxel along X, Y and Z that shows brain or tumour; ``flat`` is the tumour seen along X, Y, Z."""
    along_z, along_y = brain.any(axis=0) | flat[2], brain.any(axis=1) | flat[1]
    shown = (along_z.any(axis=0), along_z.any(axis=1), along_y.any(axis=1))
    places = [np.flatnonzero(along) for along in shown]
    return [(int(along[0]), int(along[-1])) for along in places]


def _planes_of(grid: Grid) -> list[tuple[str, tuple[str, str], tuple[int, int], tuple[int, int]]]:
    """For each plane: its name, what its two axes are called, the grid's axes (0 X, 1 Y, 2 Z) that they are, and -1
    for those that run against their name.
    """
    if not grid.has_mm:
        pictures = ("picture", ("column", "row"), (0, 1), (1, 1))
        across = [
            ("column-slice", ("column", "slice"), (0, 2), (1, 1)),
            ("row-slice", ("row", "slice"), (1, 2), (1, 1)),
        ]
        return [pictures, *across] if grid.shape[2] >= _STACK else [pictures]
    names = ("right", "anterior", "superior")
    voxel = {world: axis for axis, (world, _) in enumerate(grid.axis_directions)}
    sign = dict(grid.axis_directions)
    return [
        (plane, (names[first], names[second]), (voxel[first], voxel[second]), (sign[first], sign[second]))
        for plane, first, second in (("axial", 0, 1), ("coronal", 0, 2), ("sagittal", 1, 2))
    ]


def _cells(extent: tuple[int, int], n: int) -> npt.NDArray[np.float32]:
    """(HEAT_CELLS, n): which voxels of an axis each cell of the bounding box holds.

    A voxel is in the cell where its centre lies; a cell smaller than a voxel has the one in which its own centre lies.
    """
    first, width = extent[0], extent[1] - extent[0] + 1
    table = np.zeros((HEAT_CELLS, n), dtype=np.float32)
    inside = np.arange(width)
    table[((inside + 0.5) * HEAT_CELLS / width).astype(np.intp), first + inside] = 1
    cells = np.arange(HEAT_CELLS)
    table[cells, first + ((cells + 0.5) * width / HEAT_CELLS).astype(np.intp)] = 1
    return table
