"""Gliomas: where they grow, what they are made of, what they push away and how far their oedema runs.

A lesion's core is a random ellipsoid whose radius varies with B-spline noise, so that it is lobed; it stays out of
fluid and, unless it is a butterfly glioma, on its side of the midline. Its core holds necrosis within an enhancing
rim of uneven thickness; low-grade lesions lack both rim and most of the necrosis. Oedema reaches the points that a
front starting from the core has passed, where the front is fast in white matter, slow in grey matter and all but
stopped by fluid [1]_. Growth displaces tissue radially, strongest at the core's surface, and not at all at the skull
[2]_.

.. [1] Swanson KR et al. A quantitative model for differential motility of gliomas in grey and white matter. Cell
   Proliferation 33 (2000) 317-329.
.. [2] Prastawa M et al. Simulation of brain tumors in MR images for evaluation of segmentation efficacy. Medical Image
   Analysis 13 (2009) 297-311.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.graph import MCP_Geometric

from glioseg.cohorts.phantom.anatomy import Tissues
from glioseg.cohorts.phantom.fields import Field, Floats, Frame, draw_fields, resampled, smoothstep, total

_FAR_MM = 99.0
_OEDEMA_REACH_MM = 55.0
_SPECK_MM3 = 150.0
_MAX_DRAWS = 4000
_SPEED_WM, _SPEED_GM, _SPEED_CSF = 1.0, 0.18, 0.03


@dataclass(frozen=True)
class PhantomLesion:
    """Parameters of one lesion.

    Args:
        centre: head coordinates in mm.
        side: -1 left, +1 right of the midline.
        radius_mm: mean radius of the core.
        metric: (3, 3), maps an offset in mm to one in which the core is a ball.
        lobes: fields that modulate the radius, with amplitudes relative to it.
        enhancing: whether it has an enhancing rim (high grade).
        rim: share of the radius at which necrosis ends and the rim begins.
        necrosis: field that makes the rim's inner side and the gaps in it.
        push: strength of the mass effect, below 1.
        oedema_mm: how far the oedema runs in white matter.
        butterfly: whether it may cross the midline.
    """

    centre: tuple[float, float, float]
    side: float
    radius_mm: float
    metric: npt.NDArray[np.float64]
    lobes: tuple[tuple[Field, float], ...]
    enhancing: bool
    rim: float
    necrosis: tuple[tuple[Field, float], ...]
    push: float
    oedema_mm: float
    butterfly: bool


@dataclass(frozen=True)
class TumourMaps:
    """What the tumour makes of the N brain voxels; shares are in 0..1 and lie above each other in this order.

    Args:
        oedema: share of the tissue that is oedematous, falling off softly at the edge.
        core: share that is tumour core.
        enhancing: share of the core that enhances; the rest is necrotic or does not enhance.
        nearness: 1 at the core's surface, falling to 0 where the oedema ends.
        labels: (N,) uint8 in the scheme of BraTS 2023: 1 necrotic or non-enhancing core, 2 oedema, 3 enhancing.
    """

    oedema: Floats
    core: Floats
    enhancing: Floats
    nearness: Floats
    labels: npt.NDArray[np.uint8]


def draw_lesions(
    rng: np.random.Generator, high_grade: bool, several: bool, plan: Frame, tissues: Tissues
) -> tuple[PhantomLesion, ...]:
    """Draw the lesions of a patient.

    Args:
        rng: source of all draws.
        high_grade: whether they enhance.
        several: whether there are two to four rather than one.
        plan: coarse frame of the patient's head, the same for every spacing, and
        tissues: the tissues on it before any tumour grew; decide where a lesion can start.
    """
    places, sides = _draw_places(rng, plan, tissues)
    lesions = [_draw_lesion(rng, places[0], sides[0], high_grade, None)]
    n_lesions = int(rng.integers(2, 5)) if several else 1
    for place, side in zip(places[1:], sides[1:], strict=True):
        if len(lesions) == n_lesions:
            break
        gaps = [np.sqrt(((place - np.asarray(other.centre)) ** 2).sum()) - other.radius_mm for other in lesions]
        if min(gaps) > 22.0:
            lesions.append(_draw_lesion(rng, place, side, high_grade, float(rng.uniform(4.0, 9.0))))
    return tuple(lesions)


def _draw_places(
    rng: np.random.Generator, plan: Frame, tissues: Tissues
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Points in the white matter of the cerebrum in head mm, (M, 3), and their side of the midline, (M,).

    Points are drawn in the head and kept where they fit, rather than drawn from a list of voxels that fit: a rounding
    difference at the edge of one voxel must not send every patient's tumour elsewhere.
    """
    x, y, z = tissues.atlas_mm
    # Above the tentorium: gliomas of adults are rare in the cerebellum and the brain stem.
    cerebrum = (z > -18.0 + 0.25 * np.maximum(-y - 20.0, 0.0)) & (np.abs(x) > 9.0)
    fits = np.zeros(plan.shape, dtype=bool)
    fits[tissues.mask] = cerebrum & (tissues.wm > 0.5) & (tissues.depth > 9.0) & (tissues.ventricle > 7.0)
    lateral = np.zeros(plan.shape, dtype=np.float64)
    lateral[tissues.mask] = np.sign(x)
    low, high = (np.array([axis[end] for axis in plan.axes], dtype=np.float64) for end in (0, -1))
    points = rng.uniform(low, high, size=(_MAX_DRAWS, 3))
    nearest = tuple(np.round((points - low) / plan.spacing_mm).astype(np.intp).T)
    return points[fits[nearest]], lateral[nearest][fits[nearest]]


def _draw_lesion(
    rng: np.random.Generator, place: npt.NDArray[np.float64], side: float, high_grade: bool, radius_mm: float | None
) -> PhantomLesion:
    radius = float(np.exp(rng.normal(np.log(17.0), 0.33))) if radius_mm is None else radius_mm
    radius = float(np.clip(radius, 4.0, 30.0))
    oedema = rng.uniform(6.0, 26.0) if high_grade else rng.uniform(2.0, 9.0)
    return PhantomLesion(
        centre=(float(place[0]), float(place[1]), float(place[2])),
        side=float(side),
        radius_mm=radius,
        metric=_draw_metric(rng),
        lobes=draw_fields(rng, ((max(radius * 0.75, 5.0), 0.24), (max(radius * 0.33, 3.0), 0.11))),
        enhancing=high_grade,
        rim=float(rng.uniform(0.45, 0.82)) if radius > 7.0 else float(rng.uniform(0.0, 0.5)),
        necrosis=draw_fields(rng, ((max(radius * 0.5, 4.0), 0.14), (3.0, 0.07))),
        push=float(rng.uniform(0.3, 0.75) if high_grade else rng.uniform(0.1, 0.4)),
        oedema_mm=float(oedema * np.clip(radius / 15.0, 0.6, 1.15)),
        butterfly=bool(rng.random() < 0.12),
    )


def _draw_metric(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A random rotation times unequal axes of unit volume."""
    first, second = rng.normal(size=3), rng.normal(size=3)
    first /= np.sqrt((first**2).sum())
    second -= (first * second).sum() * first
    second /= np.sqrt((second**2).sum())
    axes = np.stack([first, second, np.cross(first, second)])
    stretch = np.exp(rng.normal(0.0, 0.22, size=3))
    stretch /= np.cbrt(stretch.prod())
    return np.asarray(axes * stretch[:, None], dtype=np.float64)


def pushed(lesions: Sequence[PhantomLesion], frame: Frame, depth: Floats) -> Floats:
    """How far tissue has been pushed by the time it is at each voxel.

    A point at a distance r, in units of 1.15 core radii, has come from r (1 - push / (1 + r³)), which is one-to-one
    for push < 1 and falls off as an incompressible medium's displacement does.

    Args:
        lesions: the tumour.
        frame: voxel centres.
        depth: (X, Y, Z) mm to the brain's edge, where nothing moves.

    Returns:
        (3, X, Y, Z) mm.
    """
    shift = np.zeros((3, *frame.shape), dtype=np.float32)
    anchored = smoothstep(depth / np.float32(16.0))
    x = frame.open_axes()[0]
    for lesion in lesions:
        offset, distance = _offset(lesion, frame)
        reach = np.float32(lesion.push) / (1.0 + (distance / np.float32(1.15 * lesion.radius_mm)) ** 3)
        # The falx holds the other hemisphere back.
        reach *= anchored * (0.4 + 0.6 * smoothstep(0.5 + lesion.side * x / np.float32(14.0)))
        for i in range(3):
            shift[i] += reach * offset[i]
    return shift


def _offset(lesion: PhantomLesion, frame: Frame) -> tuple[tuple[Floats, Floats, Floats], Floats]:
    """Offset from the centre in mm along three open axes, and the distance in the core's metric (X, Y, Z)."""
    x, y, z = (axis - np.float32(lesion.centre[i]) for i, axis in enumerate(frame.open_axes()))
    squares = np.zeros(frame.shape, dtype=np.float32)
    for row in lesion.metric.astype(np.float32):
        squares += (row[0] * x + row[1] * y + row[2] * z) ** 2
    return (x, y, z), np.sqrt(squares)


def core_level(lesion: PhantomLesion, frame: Frame, tissues: Tissues) -> Floats:
    """Distance from the centre over the core's radius at the brain voxels (N,): below 1 inside the core."""
    level = (_offset(lesion, frame)[1] / np.float32(lesion.radius_mm) + total(lesion.lobes, frame))[tissues.mask]
    level += np.float32(0.9) * tissues.csf
    if not lesion.butterfly:
        level += smoothstep(-lesion.side * tissues.atlas_mm[0] / np.float32(4.0))
    return np.asarray(level, dtype=np.float32)


def front_times(lesions: Sequence[PhantomLesion], plan: Frame, tissues: Tissues) -> list[Floats]:
    """For each lesion, when its oedema's front passes the coarse frame's voxels: (X, Y, Z), in mm of white matter."""
    speed = np.float32(_SPEED_CSF) + (_SPEED_WM - _SPEED_CSF) * tissues.wm + (_SPEED_GM - _SPEED_CSF) * tissues.gm
    cost = np.full(plan.shape, -1.0)
    cost[tissues.mask] = plan.spacing_mm / speed
    solid = np.zeros(plan.shape, dtype=bool)
    solid[tissues.mask] = tissues.csf < 0.4
    times = []
    for lesion in lesions:
        level = np.full(plan.shape, 9.0, dtype=np.float32)
        level[tissues.mask] = core_level(lesion, plan, tissues)
        box = _box(lesion, plan)
        # At least the darkest point of the level is inside, however small the lesion.
        local = level[box]
        starts = np.argwhere((local < 1.0) | (local == local.min()))
        passed, _ = MCP_Geometric(cost[box]).find_costs([tuple(start) for start in starts])
        time = np.full(plan.shape, _FAR_MM, dtype=np.float32)
        time[box] = np.minimum(passed, _FAR_MM)
        # Fluid and the outside hold large times, which interpolation would carry into the tissue beside them.
        times.append(np.where(solid, time, ndimage.minimum_filter(time, 3)))
    return times


def _box(lesion: PhantomLesion, plan: Frame) -> tuple[slice, slice, slice]:
    reach = 1.6 * lesion.radius_mm + _OEDEMA_REACH_MM
    cuts = [
        np.searchsorted(plan.axes[i], [lesion.centre[i] - reach, lesion.centre[i] + reach]).tolist() for i in range(3)
    ]
    return slice(*cuts[0]), slice(*cuts[1]), slice(*cuts[2])


def tumour_maps(
    rng: np.random.Generator,
    lesions: Sequence[PhantomLesion],
    times: Sequence[Floats],
    plan: Frame,
    frame: Frame,
    tissues: Tissues,
) -> TumourMaps:
    """Paint the lesions onto the brain voxels of a frame.

    Args:
        rng: source of the oedema's unevenness.
        lesions: the tumour.
        times: ``front_times`` of each on
        plan: the coarse frame.
        frame: the frame to paint on, with its
        tissues: after the mass effect.
    """
    uneven = total(draw_fields(rng, ((12.0, 2.2), (5.0, 1.4))), frame)[tissues.mask]
    edge_mm = max(1.4, 0.8 * frame.spacing_mm)
    soft = float(rng.uniform(3.0, 7.0))
    oedema, core, enhancing, nearness = (np.zeros_like(tissues.csf) for _ in range(4))
    for lesion, time in zip(lesions, times, strict=True):
        level = core_level(lesion, frame, tissues)
        inside = smoothstep((1.0 - level) * np.float32(lesion.radius_mm / edge_mm) + 0.5)
        passed = resampled(time, plan, frame)[tissues.mask] + uneven
        swollen = smoothstep((np.float32(lesion.oedema_mm) - passed) / np.float32(soft) + 0.5)
        nearness = np.maximum(nearness, np.clip(1.0 - passed / np.float32(lesion.oedema_mm + soft), 0.0, 1.0))
        oedema = np.maximum(oedema, swollen * (1.0 - tissues.csf) * np.clip(tissues.wm + 0.35 * tissues.gm, 0.0, 1.0))
        if lesion.enhancing:
            enhancing = np.maximum(enhancing, inside * _enhancing_share(lesion, frame, tissues, level, edge_mm))
        core = np.maximum(core, inside)
    labels = _labels(frame, tissues.mask, np.maximum(oedema, core), core, enhancing)
    return TumourMaps(oedema, core, enhancing, nearness, labels)


def _enhancing_share(lesion: PhantomLesion, frame: Frame, tissues: Tissues, level: Floats, edge_mm: float) -> Floats:
    noise = total(lesion.necrosis, frame)[tissues.mask]
    wall = smoothstep((level + noise - np.float32(lesion.rim)) * np.float32(lesion.radius_mm / edge_mm) + 0.5)
    gaps = smoothstep((noise + np.float32(0.27)) * np.float32(8.0))
    return wall * gaps


def _labels(
    frame: Frame, mask: npt.NDArray[np.bool_], whole: Floats, core: Floats, enhancing: Floats
) -> npt.NDArray[np.uint8]:
    """Labels by what most of a voxel is, without the specks that an annotator would not draw."""
    dense = np.zeros(mask.shape, dtype=np.float32)
    dense[mask] = whole
    drawn = ndimage.gaussian_filter(dense, 0.8 / frame.spacing_mm)[mask] > 0.45
    labels = np.where(drawn, np.uint8(2), np.uint8(0))
    labels[core > 0.5] = 1
    labels[(core > 0.5) & (enhancing > 0.45)] = 3
    dense[mask] = labels
    parts, _ = ndimage.label(dense)
    sizes = np.bincount(parts.ravel()) * frame.spacing_mm**3
    return np.where((sizes < _SPECK_MM3)[parts[mask]], np.uint8(0), labels)
