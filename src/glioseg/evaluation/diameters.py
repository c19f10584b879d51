"""Bidimensional diameters of tumours, as RANO measures them, on a mask.

What is measured is the enhancing part where there is one, else the whole tumour as FLAIR shows it [1]. Each lesion,
voxels that touch by a face, an edge or a corner, is measured in the axial slice in which the product of its diameters
is largest: the longest segment inside it, and the longest segment inside it that crosses this one at a right angle.
Both must be at least 10 mm, or twice the distance between slices where these are more than 5 mm apart, and the lesion
has to be seen in two slices or more; what is smaller is not measurable [1, 2]. The burden is the sum of the products of
the largest measurable lesions, two of them unless another number is asked for [1].

Where this goes beyond the words of RANO, or beside the program AutoRANO [3]:

- Segments lie inside the lesion all along and end at corners of its voxels; the second meets the first at 90°. AutoRANO
  lets a tenth of a segment run outside and the angle be 5.7° off, ends segments at centres of voxels, takes the slice
  of the largest area, and sums five lesions.
- Necrosis that the enhancing rim encloses in the slice is measured with it, from outer border to outer border. A
  resection cavity is not: of what the rim encloses only labels of the tumour core count [2].
- Axial slices are those of the grid that come nearest to it, so that of an oblique series its own slices are measured.

A person who measures chooses where borders are unclear, and leaves out what is no tumour. This does neither.

References:
    [1] Wen PY et al. RANO 2.0: update to the Response Assessment in Neuro-Oncology criteria for high- and low-grade
        gliomas in adults. J Clin Oncol 2023;41:5187-5199.
    [2] Wen PY et al. Updated response assessment criteria for high-grade gliomas. J Clin Oncol 2010;28:1963-1972.
    [3] Chang K et al. Automatic assessment of glioma burden (AutoRANO). Neuro-Oncology 2019;21:1412-1422.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull

from glioseg.core import Grid, LabelMap
from glioseg.core.components import bounding_box, label_components

LEAST_MM = 10.0
MOST_TARGETS = 2
"""Lesions whose products are summed, the largest first [1]."""
_THICK_SLICES = 2.0
"""A diameter is at least so many distances between slices."""
_FEWEST_SLICES = 2
_EDGE = 1e-6
"""Of a voxel: what lies nearer to a border is on it."""
_MOST_CORNERS = 300
"""Of a longer border only every second, third, … corner is looked at, beside those of its convex hull."""
_AT_ONCE, _FINELY_AT_ONCE = 4096, 64
_FEW_STEPS = 5
_PER_VOXEL = 3
"""Points of a segment, for each voxel that it passes, at which it is asked whether it is inside."""

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LesionDiameters:
    """The diameters of one lesion.

    Args:
        long_mm: the longest diameter.
        short_mm: the longest one at a right angle to it.
        slice_index: the slice, from 0,
        axis: along this axis of the array.
        points: (4, 3) voxel indices, centres being whole numbers: both ends of the first, then of the second.
        points_mm: (4, 3) the same in RAS+ mm.
        volume_ml: of the lesion.
    """

    long_mm: float
    short_mm: float
    slice_index: int
    axis: int
    points: Points
    points_mm: Points
    volume_ml: float

    @property
    def product_mm2(self) -> float:
        """One diameter times the other."""
        return self.long_mm * self.short_mm

    def to_json(self) -> dict[str, Any]:
        """Numbers rounded to what they are good for; slices counted from 1."""
        return {
            "axial_slice": self.slice_index + 1,
            "long_mm": round(self.long_mm, 1),
            "short_mm": round(self.short_mm, 1),
            "product_mm2": round(self.product_mm2, 1),
            "volume_ml": round(self.volume_ml, 4),
            "points_mm": [[round(float(value), 2) for value in point] for point in self.points_mm],
        }


@dataclass(frozen=True, eq=False)
class Diameters:
    """What is measurable of a case.

    Args:
        region: that was measured; None where the mask is empty.
        least_mm: what both diameters of a lesion must reach.
        lesions: all that are measurable, the largest product first.
        n_small: lesions that are not.
        most_targets: how many lesions are summed.
    """

    region: str | None
    least_mm: float
    lesions: tuple[LesionDiameters, ...]
    n_small: int
    most_targets: int = MOST_TARGETS

    @property
    def targets(self) -> tuple[LesionDiameters, ...]:
        """The lesions that are summed."""
        return self.lesions[: self.most_targets]

    @property
    def sum_mm2(self) -> float:
        """The sum of their products; 0 where nothing is measurable."""
        return sum(lesion.product_mm2 for lesion in self.targets)

    def to_json(self) -> dict[str, Any]:
        """As the JSON file of a case has it."""
        return {
            "region": self.region,
            "least_mm": round(self.least_mm, 1),
            "sum_of_products_mm2": round(self.sum_mm2, 1),
            "n_targets": len(self.targets),
            "n_not_measurable": self.n_small,
            "lesions": [lesion.to_json() for lesion in self.lesions],
        }


def measure_diameters(labels: LabelMap, region: str | None = None, *, most_targets: int = MOST_TARGETS) -> Diameters:
    """The diameters of the lesions of a mask.

    Args:
        labels: the mask, on the grid of the scan.
        region: what is measured; None for the enhancing part where there is one, else the whole tumour.
        most_targets: how many lesions are summed.

    Raises:
        GeometryError: the grid has no millimetres.
        LabelError: the scheme has no such region.
    """
    spacing = labels.grid.spacing_mm
    axis = [world for world, _ in labels.grid.axis_directions].index(2)
    least = max(LEAST_MM, _THICK_SLICES * spacing[axis])
    measured = _region_of(labels) if region is None else region
    mask = np.isin(labels.array, labels.scheme.values_of(measured)) if measured is not None else np.zeros(1, dtype=bool)
    if not mask.any():
        return Diameters(region, least, (), 0, most_targets)
    box = bounding_box(mask)
    mask = mask[box]
    components, n_lesions = label_components(mask)
    core = np.isin(labels.array[box], labels.scheme.values_of("TC")) if "TC" in labels.scheme.regions else mask
    lesions = []
    for number, place in enumerate(ndimage.find_objects(components), start=1):
        inside = components[place] == number
        lesion = _measured(inside, core[place], [*_starts(box, place)], axis, labels.grid, least)
        if lesion is not None:
            lesions.append(lesion)
    lesions.sort(key=lambda lesion: -lesion.product_mm2)
    return Diameters(measured, least, tuple(lesions), n_lesions - len(lesions), most_targets)


def _region_of(labels: LabelMap) -> str | None:
    """The enhancing part where there is one, else what stands for the whole tumour; None where there is nothing."""
    for name in ("ET", "WT", "tumour"):
        if name in labels.scheme.regions and np.isin(labels.array, labels.scheme.values_of(name)).any():
            return name
    return None


def _starts(outer: tuple[slice, ...], inner: tuple[slice, ...]) -> Iterator[int]:
    """Where a box within a box begins."""
    for first, second in zip(outer, inner, strict=True):
        yield first.start + second.start


def _measured(
    lesion: Mask, core: Mask, start: list[int], axis: int, grid: Grid, least: float
) -> LesionDiameters | None:
    """The largest pair of diameters among the slices of a lesion; None where it is not measurable."""
    in_plane = [other for other in range(3) if other != axis]
    to_mm = _plane_metric(grid, in_plane)
    if np.count_nonzero(lesion.any(axis=tuple(in_plane))) < _FEWEST_SLICES:
        return None
    product, index, ends = 0.0, -1, np.zeros((4, 2))
    for section in sorted(_sections(lesion, core, axis, to_mm, least), key=lambda section: -section.most):
        if section.most <= product:
            break
        pair = _pair_of(section, to_mm, least, product)
        if pair is not None:
            product, index, ends = _length(pair[:2], to_mm) * _length(pair[2:], to_mm), section.index, pair
    if index < 0:
        return None
    points = np.zeros((4, 3))
    points[:, in_plane] = ends - 0.5  # corners of voxels are counted from 0, centres of voxels too
    points[:, axis] = index
    points += start
    world = points @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    long_mm, short_mm = _length(ends[:2], to_mm), _length(ends[2:], to_mm)
    volume = float(np.count_nonzero(lesion)) * grid.voxel_ml
    return LesionDiameters(long_mm, short_mm, start[axis] + index, axis, points, world, volume)


@dataclass(frozen=True, eq=False)
class _Section:
    """A slice of a lesion: its number, its voxels, the corners of its border, and what its product is at most."""

    index: int
    mask: Mask
    corners: Points
    most: float


def _sections(lesion: Mask, core: Mask, axis: int, to_mm: Points, least: float) -> Iterator[_Section]:
    """The slices that are long enough.

    Two segments that cross at a right angle span half their product, which is no more than the convex hull.
    """
    for index in range(lesion.shape[axis]):
        section = np.take(lesion, index, axis=axis)
        if not section.any() or np.linalg.norm(to_mm @ section.shape) < least:
            continue
        filled = section | (ndimage.binary_fill_holes(section) & np.take(core, index, axis=axis))
        corners = _border_corners(filled)
        hull = ConvexHull(corners @ to_mm.T)
        if len(corners) > _MOST_CORNERS:
            every = np.arange(0, len(corners), -(-len(corners) // _MOST_CORNERS))
            corners = corners[np.union1d(every, hull.vertices)]
        yield _Section(index, filled, corners, 2 * float(hull.volume))  # which in a plane is the area


def _plane_metric(grid: Grid, in_plane: list[int]) -> Points:
    """(2, 2) by which voxels of a slice become mm of its plane, in which lengths and angles are true."""
    columns = grid.affine[:3, in_plane]
    return np.asarray(np.linalg.cholesky(columns.T @ columns).T, dtype=np.float64)


def _length(ends: Points, to_mm: Points) -> float:
    return float(np.linalg.norm(to_mm @ (ends[1] - ends[0])))


def _pair_of(section: _Section, to_mm: Points, least: float, product: float) -> Points | None:
    """(4, 2) the ends of the two diameters, in corners of voxels; None unless their product is above ``product``."""
    slack = float(np.linalg.norm(to_mm.sum(axis=1)))  # the second has its ends between corners and may be longer
    ends = _longest_inside(section, to_mm, max(least, product**0.5 - slack))
    if ends is None:
        return None
    across = _longest_across(section, ends, to_mm)
    if across is None or _length(across, to_mm) < least or _length(ends, to_mm) * _length(across, to_mm) <= product:
        return None
    return np.concatenate([ends, across])


def _border_corners(section: Mask) -> Points:
    """(N, 2) the corners of voxels at which inside and outside meet; corner (0, 0) is the outer one of voxel (0, 0)."""
    padded = np.pad(section, 1).astype(np.int8)
    around = padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]
    return np.argwhere((around > 0) & (around < 4)).astype(np.float64)


def _longest_inside(section: _Section, to_mm: Points, least: float) -> Points | None:
    """(2, 2) the ends of the longest segment between two corners that lies inside all along."""
    corners = section.corners
    places = corners @ to_mm.T
    squares = (places**2).sum(axis=1)
    apart = squares[:, None] + squares[None] - 2 * places @ places.T
    rows, columns = np.nonzero(np.triu(apart >= least**2, 1))
    order = np.argsort(-apart[rows, columns], kind="stable")
    for first in range(0, len(order), _AT_ONCE):
        tried = order[first : first + _AT_ONCE]
        pairs = np.stack([corners[rows[tried]], corners[columns[tried]]], axis=1)
        pairs = pairs[_are_inside(section.mask, pairs, _FEW_STEPS)]  # most that leave the lesion are found out here
        for some in range(0, len(pairs), _FINELY_AT_ONCE):
            part = pairs[some : some + _FINELY_AT_ONCE]
            n_steps = _PER_VOXEL * int(np.ceil(np.abs(part[:, 1] - part[:, 0]).max())) + 1
            inside = _are_inside(section.mask, part, n_steps)
            if inside.any():
                return np.asarray(part[inside.argmax()], dtype=np.float64)
    return None


def _are_inside(mask: Mask, pairs: Points, n_steps: int) -> Mask:
    """Whether the segments (N, 2, 2) lie inside at so many points, evenly spread; on the border is inside."""
    steps = (np.arange(n_steps) + 0.5) / n_steps
    points = pairs[:, 0, None] + steps[None, :, None] * (pairs[:, 1] - pairs[:, 0])[:, None]
    return np.asarray(_voxels_at(mask, points).all(axis=1), dtype=bool)


def _voxels_at(mask: Mask, points: Points) -> Mask:
    """Whether points (…, 2) lie in voxels of a slice or on their border."""
    places = np.floor(points - _EDGE).astype(np.int32) + np.floor(points + _EDGE).astype(np.int32) + 2
    return np.asarray(_closed(mask)[places[..., 0], places[..., 1]], dtype=bool)


def _closed(mask: Mask) -> Mask:
    """(2 N + 3, …) lines between voxels, voxels, lines in turn: a line is inside where a voxel beside it is."""
    closed = np.zeros((2 * mask.shape[0] + 3, 2 * mask.shape[1] + 3), dtype=bool)
    closed[2:-1:2, 2:-1:2] = mask
    for axis in (0, 1):
        closed |= np.roll(closed, 1, axis) | np.roll(closed, -1, axis)
    return closed


def _longest_across(section: _Section, ends: Points, to_mm: Points) -> Points | None:
    """(2, 2) the ends of the longest segment inside that crosses another at a right angle.

    As one walks along the other, its length changes evenly between corners of the border: it is longest next to one.
    """
    along = ends[1] - ends[0]
    metric = to_mm.T @ to_mm
    across = np.array([-(metric[1] @ along), metric[0] @ along])
    across /= np.linalg.norm(across)
    shares = (section.corners - ends[0]) @ metric @ along / (along @ metric @ along)
    near = np.concatenate([shares - _EDGE, shares + _EDGE])
    near = np.unique(near[(near > 0) & (near < 1)])
    if not near.size:
        return None
    feet = ends[0] + near[:, None] * along
    reach = _reach(section.mask, feet, across)
    best = int((reach[:, 1] - reach[:, 0]).argmax())
    return np.stack([feet[best] + side * across for side in reach[best]])


def _reach(mask: Mask, feet: Points, direction: Points) -> Points:
    """(N, 2) how far one can go from each foot, inside, backwards (below 0) and onwards along a direction."""
    padded = np.pad(mask, 1).astype(np.int8)
    far = np.stack([np.full(len(feet), -np.inf), np.full(len(feet), np.inf)], axis=1)
    for axis in (0, 1):
        if abs(direction[axis]) < _EDGE:
            continue
        edges = np.diff(padded, axis=axis)
        lines, along = np.nonzero(edges if axis == 0 else edges.T)
        steps = (lines[None] - feet[:, axis, None]) / direction[axis]
        hits = feet[:, 1 - axis, None] + steps * direction[1 - axis] - (along - 1)  # along an edge of length 1
        is_hit = (hits >= -_EDGE) & (hits <= 1 + _EDGE)
        before, after = is_hit & (steps < -_EDGE), is_hit & (steps > _EDGE)
        far[:, 0] = np.maximum(far[:, 0], np.where(before, steps, -np.inf).max(axis=1, initial=-np.inf))
        far[:, 1] = np.minimum(far[:, 1], np.where(after, steps, np.inf).min(axis=1, initial=np.inf))
    leads_inside = [_voxels_at(mask, feet + sign * 4 * _EDGE * direction) for sign in (-1, 1)]
    return np.where(np.stack(leads_inside, axis=1), far, 0.0)
