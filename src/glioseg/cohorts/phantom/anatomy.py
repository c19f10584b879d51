"""One patient's brain: where each of its points lies in the average brain, and what tissue is there.

A patient is a smooth map from head coordinates to the average brain: an affine part for size, shape and pose, random
B-spline displacements at three scales for the folds, and a shift along the distance to the ventricles that widens them.
Tissue shares of the average are blurred by averaging 152 people; they are sharpened again, with fluid gaining where the
patient's brain has shrunk, so that single sulci appear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.cohorts.phantom.atlas import Atlas
from glioseg.cohorts.phantom.fields import Field, Floats, Frame, draw_field, draw_fields, total

_CENTRE_MM = (0.0, -18.0, 8.0)
"""MNI coordinates that lie at the origin of head coordinates: the middle of the brain."""

_FOLDS = ((42.0, 2.2), (20.0, 1.1), (9.0, 1.1))
"""(knot distance, amplitude) in mm of the random displacements; amplitude / knot distance stays below a fold-over."""


_STRIPPED = (0.04, 0.97)
"""Between these levels stripping can cut: neither into the middle of the brain nor far outside it."""


@dataclass(frozen=True)
class Anatomy:
    """Parameters of one brain.

    Args:
        matrix: (3, 3) head coordinates -> MNI coordinates, the linear part.
        folds: for each MNI axis, the random displacement fields with amplitudes in mm.
        ventricles_mm: how far the ventricles' walls are moved outwards.
        shrinkage: 0 (young brain) to 1 (wide sulci).
        sulci: field that makes some sulci wider than others.
        edge: field that makes the skull-stripping uneven.
        stripping: share of brain in the blurred mask at which the stripping cuts, and how far ``edge`` moves it; lower
            shares leave fluid and bits of the coverings, to which about 0.05 reaches 2 mm outwards.
        texture: fields of fine variation within tissues, coarse to fine.
    """

    matrix: npt.NDArray[np.float64]
    folds: tuple[tuple[tuple[Field, float], ...], ...]
    ventricles_mm: float
    shrinkage: float
    sulci: Field
    edge: Field
    texture: tuple[tuple[Field, float], ...]
    stripping: tuple[float, float] = (0.5, 0.1)


@dataclass(frozen=True)
class Tissues:
    """Tissue at the N brain voxels of a frame (in the order of ``mask``).

    Args:
        mask: (X, Y, Z) brain.
        csf, gm, wm: (N,) shares that add up to 1.
        t1: (N,) intensity of the average T1, 0..1.
        depth, ventricle: (N,) mm to the brain's edge and to the ventricles.
        atlas_mm: (3, N) MNI coordinates.
    """

    mask: npt.NDArray[np.bool_]
    csf: Floats
    gm: Floats
    wm: Floats
    t1: Floats
    depth: Floats
    ventricle: Floats
    atlas_mm: Floats


def draw_anatomy(rng: np.random.Generator, age: float) -> Anatomy:
    """Draw the brain of a patient of ``age`` years; older brains have wider sulci and ventricles on average."""
    shrinkage = float(np.clip((age - 25.0) / 60.0 + rng.normal(0.0, 0.12), 0.0, 1.0))
    return Anatomy(
        matrix=_draw_matrix(rng),
        folds=tuple(draw_fields(rng, _FOLDS) for _ in range(3)),
        ventricles_mm=float(-0.3 + 2.6 * shrinkage + rng.normal(0.0, 0.5)),
        shrinkage=shrinkage,
        sulci=draw_field(rng, 11.0),
        edge=draw_field(rng, 12.0),
        texture=draw_fields(rng, ((14.0, 0.6), (5.0, 0.6), (2.6, 0.6))),
    )


def _draw_matrix(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Scale and pose. Average-brain space is larger than most heads, hence the factors above 1."""
    size = rng.normal(1.09, 0.025)
    scale = size * (1.0 + rng.normal(0.0, 0.02, size=3))
    pitch, roll, yaw = np.deg2rad(rng.normal(0.0, (5.0, 2.0, 3.0)))
    cp, sp, cr, sr, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll), np.cos(yaw), np.sin(yaw)
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    about_y = np.array([[cr, 0.0, sr], [0.0, 1.0, 0.0], [-sr, 0.0, cr]])
    about_z = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    matrix = scale[:, None] * _product(about_z, _product(about_y, about_x))
    return np.asarray(matrix, dtype=np.float64)


def _product(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Matrix product as plain sums, the same on every processor."""
    return np.asarray((first[:, :, None] * second[None, :, :]).sum(axis=1), dtype=np.float64)


def resting_points(anatomy: Anatomy, frame: Frame) -> Floats:
    """Where the voxels of a frame lie in the average brain by size, pose and folds alone: (3, X, Y, Z) MNI mm."""
    here = frame.open_axes()
    points = np.empty((3, *frame.shape), dtype=np.float32)
    for i, row in enumerate(anatomy.matrix.astype(np.float32)):
        points[i] = row[0] * here[0] + row[1] * here[1] + row[2] * here[2] + np.float32(_CENTRE_MM[i])
        points[i] += total(anatomy.folds[i], frame)
    return points


def atlas_points(resting: Floats, anatomy: Anatomy, atlas: Atlas, frame: Frame, shift: Floats | None = None) -> Floats:
    """Where the voxels of a frame lie in the average brain.

    Args:
        resting: ``resting_points`` of the frame.
        anatomy: the patient's brain.
        atlas: the average brain.
        frame: voxel centres in head coordinates.
        shift: (3, X, Y, Z) mm by which a tumour has pushed the tissue that is now at each voxel.

    Returns:
        (3, X, Y, Z) MNI coordinates in mm.
    """
    points = resting.copy()
    if shift is not None:
        for i, row in enumerate(anatomy.matrix.astype(np.float32)):
            points[i] -= row[0] * shift[0] + row[1] * shift[1] + row[2] * shift[2]
    _widen_ventricles(points, anatomy, atlas, frame)
    return points


def _widen_ventricles(points: Floats, anatomy: Anatomy, atlas: Atlas, frame: Frame) -> None:
    """Move the points towards the ventricles, most at their walls and less with distance."""
    distance = atlas.sample("ventricle", points)
    reach = np.exp(-np.maximum(distance, 0.0) / np.float32(14.0)) * np.float32(anatomy.ventricles_mm)
    # In the narrow ventricles themselves the full shift would overshoot the middle.
    reach *= np.clip(1.0 + distance / np.float32(5.0), 0.0, 1.0)
    for i, slope in enumerate(np.gradient(distance, frame.spacing_mm)):
        points[i] -= reach * slope.astype(np.float32)


def brain_mask(anatomy: Anatomy, atlas: Atlas, frame: Frame, points: Floats) -> npt.NDArray[np.bool_]:
    """The voxels that skull-stripping leaves, (X, Y, Z): one connected piece."""
    level = np.clip(anatomy.stripping[0] + anatomy.stripping[1] * anatomy.edge.on(frame), *_STRIPPED)
    mask = atlas.sample("brain", points) > level
    parts, _ = ndimage.label(mask)
    return np.asarray(parts == np.bincount(parts.ravel())[1:].argmax() + 1, dtype=bool)


def tissues_at(anatomy: Anatomy, atlas: Atlas, frame: Frame, points: Floats, mask: npt.NDArray[np.bool_]) -> Tissues:
    """Tissue shares and distances at the brain voxels of a frame."""
    inside = points[:, mask]
    t1, gm, wm = (atlas.sample(name, inside) for name in ("t1", "gm", "wm"))
    depth, ventricle = atlas.sample("depth", inside), atlas.sample("ventricle", inside)
    sulci = anatomy.sulci.on(frame)[mask]
    csf, gm, wm = _sharpened(t1, gm, wm, depth, sulci, anatomy.shrinkage, frame.spacing_mm)
    return Tissues(mask, csf, gm, wm, t1, depth, ventricle, inside)


def _sharpened(
    t1: Floats, gm: Floats, wm: Floats, depth: Floats, sulci: Floats, shrinkage: float, spacing_mm: float
) -> tuple[Floats, Floats, Floats]:
    """Shares of one person from shares of the average, with edges about a voxel wide (partial volume)."""
    fluid = np.clip(1.0 - gm - wm, 0.0, 1.0)
    # Narrow sulci are averaged away in the tissue maps, but leave the T1 of the cortex darker.
    hidden = np.clip((0.64 - t1) / 0.26, 0.0, 1.0) * np.clip(1.0 - 2.0 * wm, 0.0, 1.0)
    fluid = np.maximum(fluid, hidden)
    outer = np.clip((34.0 - depth) / 12.0, 0.0, 1.0)
    gain = np.exp(outer * (0.25 + 0.9 * (shrinkage - 0.4) + 0.55 * sulci))
    power = 3.0 / np.sqrt(spacing_mm) + 0.6
    scores = [(share + 0.01) ** power for share in (fluid * gain, 1.12 * gm, wm)]
    whole = scores[0] + scores[1] + scores[2]
    csf, grey, white = (np.asarray(score / whole, dtype=np.float32) for score in scores)
    return csf, grey, white
