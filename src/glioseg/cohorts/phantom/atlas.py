"""The average brain that every phantom patient is made from.

The maps are the ICBM 2009a non-linear symmetric average T1 and its grey and white matter maps [1]_ [2]_ as nilearn
installs them: (197, 233, 189) voxels of 1 mm, skull-stripped, values 0..255. They are read straight from nilearn's
package folder, because importing ``nilearn.datasets`` costs seconds.

.. [1] Fonov V et al. Unbiased average age-appropriate atlases for pediatric studies. NeuroImage 54 (2011) 313-327.
.. [2] Fonov V et al. Unbiased nonlinear average age-appropriate brain templates from birth to adulthood. NeuroImage 47
   (2009) S102.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.errors import FileError

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

COARSE_MM = 2.0
"""Spacing of the distance maps; they are smooth, so that 2 mm hold all of them."""

_MARGIN = 8
_OPENING_MM, _REGROWTH_MM = 5.0, 4.0
_BRAIN_THRESHOLD = 0.2
"""Share of the T1 maximum above which a voxel is brain: the threshold of nilearn's own brain mask."""


@dataclass(frozen=True)
class Atlas:
    """Maps of the average brain, cropped to it, on axes that grow to right, anterior, superior.

    Args:
        t1, gm, wm: (X, Y, Z) uint8 at 1 mm; T1 intensity and shares of grey and white matter, 255 = 1.
        brain: (X, Y, Z) uint8 at 1 mm; blurred brain mask, whose edge is at 127.
        depth: (x, y, z) float32 at 2 mm; distance to the brain's edge in mm, positive inside.
        ventricle: (x, y, z) float32 at 2 mm; distance to the lateral and third ventricles in mm, negative inside.
        origin: MNI coordinates in mm of the centre of voxel (0, 0, 0) of all maps.
    """

    t1: Bytes
    gm: Bytes
    wm: Bytes
    brain: Bytes
    depth: Floats
    ventricle: Floats
    origin: tuple[float, float, float]

    def sample(self, name: str, points: Floats) -> Floats:
        """A map at MNI coordinates.

        Args:
            name: field of the atlas.
            points: (3, ...) mm.

        Returns:
            (...) float32; shares in 0..1, distances in mm. Outside, shares are 0 and distances those of the border.
        """
        array = getattr(self, name)
        fine = array.dtype == np.uint8
        step = 1.0 if fine else COARSE_MM
        index = np.stack([(points[i] - np.float32(self.origin[i])) / np.float32(step) for i in range(3)])
        values = ndimage.map_coordinates(
            array, index, output=np.float32, order=1, mode="constant" if fine else "nearest", prefilter=False
        )
        return np.asarray(values / np.float32(255.0) if fine else values, dtype=np.float32)


@lru_cache(maxsize=3)
def load_atlas(spacing_mm: float) -> Atlas:
    """The atlas, low-passed for patients of the given spacing so that sampling it does not alias.

    Args:
        spacing_mm: distance of the voxels that will be sampled, 1 or more.

    Raises:
        FileError: nilearn or its template files are missing.
    """
    if spacing_mm <= 1.0:
        return _load_unfiltered()
    atlas = load_atlas(1.0)
    sigma = 0.35 * float(np.sqrt(spacing_mm**2 - 1.0))
    t1, gm, wm = (ndimage.gaussian_filter(array, sigma) for array in (atlas.t1, atlas.gm, atlas.wm))
    return replace(atlas, t1=t1, gm=gm, wm=wm)


def template() -> tuple[Floats, npt.NDArray[np.float64]]:
    """The average T1 as nilearn has it, (197, 233, 189) from 0 to 1, without skull, and its affine (4, 4).

    Raises:
        FileError: nilearn or its template is missing.
    """
    array, origin = _read("t1")
    affine = np.eye(4)
    affine[:3, 3] = origin
    return array, affine


def _load_unfiltered() -> Atlas:
    t1, origin = _read("t1")
    gm, wm = _read("gm")[0], _read("wm")[0]
    brain = _brain_mask(t1)
    extents = [np.flatnonzero(brain.any(axis=_others(axis))) for axis in range(3)]
    low = np.array([max(int(places[0]) - _MARGIN, 0) for places in extents])
    high = np.array([int(places[-1]) + _MARGIN + 1 for places in extents])
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    inside = brain[box]
    t1, gm, wm = t1[box] * inside, gm[box] * inside, wm[box] * inside
    depth, ventricle = _distances(t1, gm, wm, inside, origin + low)
    soft = ndimage.gaussian_filter(inside.astype(np.float32), 1.2)
    corner = tuple(float(value) for value in origin + low)
    maps = (_as_bytes(t1), _as_bytes(gm), _as_bytes(wm), _as_bytes(soft))
    return Atlas(*maps, depth, ventricle, (corner[0], corner[1], corner[2]))


def _read(name: str) -> tuple[Floats, npt.NDArray[np.float64]]:
    """One map scaled to 0..1, and the MNI coordinates of its first voxel."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise FileError("the phantom needs nilearn's brain maps", remedy="Install them with: pip install nilearn")
    folder = Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data"
    path = folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
    if not path.is_file():
        raise FileError("nilearn's brain map is missing", path=path, remedy="Install nilearn 0.10 or newer again")
    image = nibabel.loadsave.load(path)
    if not isinstance(image, nibabel.nifti1.Nifti1Image) or image.affine is None:
        raise FileError("nilearn's brain map is not a NIfTI file", path=path, remedy="Install nilearn again")
    array = np.asarray(image.dataobj, dtype=np.float32)
    return array / array.max(), np.asarray(image.affine[:3, 3], dtype=np.float64)


def _others(axis: int) -> tuple[int, int]:
    first, second = (other for other in range(3) if other != axis)
    return first, second


def _brain_mask(t1: Floats) -> Bools:
    """Brain without the bits of nerves and vessels that stick out of the published mask."""
    mask = np.asarray(ndimage.binary_fill_holes(t1 > _BRAIN_THRESHOLD), dtype=bool)
    # An opening by distance, on every second voxel because that is eight times cheaper, with a little regrowth: balls
    # leave no flat faces, and poles and gyri keep their tips.
    core = ndimage.distance_transform_edt(mask[::2, ::2, ::2]) * 2.0 > _OPENING_MM
    parts, _ = ndimage.label(core)
    core = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    away = (ndimage.distance_transform_edt(~core) * 2.0).astype(np.float32)
    away = np.repeat(np.repeat(np.repeat(away, 2, axis=0), 2, axis=1), 2, axis=2)
    near = ndimage.gaussian_filter(away, 1.0)[: mask.shape[0], : mask.shape[1], : mask.shape[2]]
    return np.asarray(mask & (near < _OPENING_MM + _REGROWTH_MM), dtype=bool)


def _distances(
    t1: Floats, gm: Floats, wm: Floats, brain: Bools, origin: npt.NDArray[np.float64]
) -> tuple[Floats, Floats]:
    """Distance to the brain's edge and to the ventricles, at 2 mm."""
    every = (slice(None, None, 2),) * 3
    inside = brain[every]
    depth = _signed_distance(inside)
    x, y, z = (
        (origin[axis] + COARSE_MM * np.arange(inside.shape[axis])).reshape([-1 if i == axis else 1 for i in range(3)])
        for axis in range(3)
    )
    fluid = ((1.0 - gm - wm)[every] > 0.4) & (t1[every] < 0.55) & (depth > 14.0)
    # The cisterns behind the third ventricle and below the brain are fluid too, but no ventricles.
    fluid &= (z > -14.0) & (z < 36.0) & (np.abs(x) < 42.0) & (y < 38.0) & ~((np.abs(x) < 10.0) & (y < -24.0))
    parts, _ = ndimage.label(fluid, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())
    keep = np.flatnonzero(sizes > 60)
    ventricle = -_signed_distance(np.isin(parts, keep[keep > 0]))
    return depth, np.asarray(ndimage.gaussian_filter(ventricle, 0.7), dtype=np.float32)


def _signed_distance(mask: Bools) -> Floats:
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    return np.asarray((inside - outside) * COARSE_MM, dtype=np.float32)


def _as_bytes(array: Floats) -> Bytes:
    return np.asarray(np.clip(np.round(array * 255.0), 0, 255), dtype=np.uint8)
