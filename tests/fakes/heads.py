"""A patient as a scanner sees him: each modality on a grid of its own, moved, in thick slices; heads with skull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from glioseg.cohorts.phantom import PhantomOptions, generate_patient
from glioseg.core import Grid, Image
from glioseg.core.grid import Affine
from glioseg.io.load import Voxels

AXES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
"""World axes along which X, Y and Z of a plane's slices run."""


def rigid(degrees: Sequence[float], shift_mm: Sequence[float], centre_mm: Sequence[float] = (0.0, 0.0, 0.0)) -> Affine:
    """(4, 4): turned about a point, then shifted."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = np.asarray(centre_mm) - matrix[:3, :3] @ np.asarray(centre_mm) + np.asarray(shift_mm)
    return matrix


def acquired(
    image: Image, name: str, plane: str, spacing_mm: Sequence[float], motion: Affine | None = None, seed: int = 0
) -> Voxels:
    """One modality as a scanner acquires it: slices of that thickness, averaged over it, with noise.

    Args:
        image: the patient.
        name: of the modality.
        plane: of the slices.
        spacing_mm: along X, Y, Z of the new grid.
        motion: mm of the scanner -> mm of the patient's own image; None where he did not move.
        seed: of the noise.
    """
    own = image.array[image.modalities.index(name)].astype(np.float32)
    grid = _around(image.grid, plane, spacing_mm)
    n_layers = max(1, round(spacing_mm[2] / min(image.grid.spacing_mm)))
    total = np.zeros(grid.shape, dtype=np.float32)
    for layer in range(n_layers):
        aside = np.eye(4)
        aside[2, 3] = (layer + 0.5) / n_layers - 0.5
        places = np.linalg.solve(image.grid.affine, (np.eye(4) if motion is None else motion) @ grid.affine @ aside)
        total += ndimage.affine_transform(own, places[:3, :3], places[:3, 3], output_shape=grid.shape, order=1)
    total /= n_layers
    noise = np.random.default_rng(seed).normal(0, 0.01 * float(np.percentile(own[own > 0], 95)), grid.shape)
    return Voxels(np.where(total > 0, np.abs(total + noise), 0).astype(np.float32), grid)


def patient(spacing_mm: float = 3.0, seed: int = 5) -> Image:
    """A phantom without skull."""
    return generate_patient(PhantomOptions(n_patients=1, spacing_mm=spacing_mm, seed=seed), 0).image


def with_skull(image: Image) -> Image:
    """The same with 3 mm of fluid, 6 mm of bone and 5 mm of scalp around the brain, the bone nearly dark."""
    margin = int(np.ceil(20 / min(image.grid.spacing_mm)))
    grid = image.grid.cropped(_padded(image.grid, margin))
    array = np.pad(image.array, ((0, 0), *((margin, margin),) * 3)).astype(np.float32)
    brain = ndimage.binary_fill_holes(np.asarray(array.any(axis=0)))
    away = ndimage.distance_transform_edt(~brain, sampling=grid.spacing_mm)
    for channel in array:
        tissue = float(np.median(channel[brain]))
        for share, low, high in ((0.4, 0, 3), (0.08, 3, 9), (1.6, 9, 14)):
            channel[(away > low) & (away <= high)] = share * tissue
    return Image(array, image.modalities, grid)


def error_mm(found: Affine, true: Affine, image: Image) -> npt.NDArray[np.float64]:
    """How far points of the brain end up apart under two matrices, in mm."""
    index = np.argwhere(image.array.any(axis=0))[::97]
    points = np.c_[index, np.ones(len(index))] @ image.grid.affine.T
    return np.asarray(np.linalg.norm((points @ (found - true).T)[:, :3], axis=1))


def study(image: Image, motions: Mapping[str, Affine]) -> dict[str, Voxels]:
    """A glioma study: T1 in 3-D, the others in 5 mm slices, no two grids alike."""
    made = {
        "t1n": acquired(image, "t1n", "sagittal", (3, 3, 3), motions.get("t1n"), 1),
        "t1c": acquired(image, "t1c", "axial", (2.5, 2.5, 5), motions.get("t1c"), 2),
        "t2w": acquired(image, "t2w", "coronal", (2.5, 2.5, 5), motions.get("t2w"), 3),
        "t2f": acquired(image, "t2f", "axial", (3, 3, 5), motions.get("t2f"), 4),
    }
    return {name: made[name] for name in image.modalities}


def _around(grid: Grid, plane: str, spacing_mm: Sequence[float]) -> Grid:
    """Slices of a plane around all of a grid."""
    corners = grid.outer_corners()
    low, high = corners.min(axis=0) - 12, corners.max(axis=0) + 12
    axes = AXES[plane]
    shape = [round(float(high[world] - low[world]) / mm) for world, mm in zip(axes, spacing_mm, strict=True)]
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, mm) in enumerate(zip(axes, spacing_mm, strict=True)):
        affine[world, axis] = mm
    affine[:3, 3] = (low + high) / 2 - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid((shape[0], shape[1], shape[2]), affine)


def _padded(grid: Grid, margin: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    x, y, z = ((-margin, n + margin) for n in grid.shape)
    return x, y, z
