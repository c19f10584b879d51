"""Rigid registration of two volumes of one head, whatever their contrasts.

The mutual information of their intensities (Mattes's, 50 bins) [1, 2] is brought to its highest by gradient ascent over
three rotations and three shifts, at 6, 4 and 2 mm one after the other. Samples are drawn on a regular pattern from a
fixed seed and the sums are made by one thread, so that the same volumes give the same matrix, bit for bit.

It begins where the headers put the volumes, and where their centres of mass lie upon each other; the better of the two
at 6 mm goes on.

References:
    [1] Mattes D et al. PET-CT image registration in the chest using free-form deformations. IEEE TMI 22, 2003.
    [2] Lowekamp BC et al. The design of SimpleITK. Frontiers in Neuroinformatics 7, 2013.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - its usual name
from scipy import ndimage

from glioseg.cohorts.dark import NOISE, visible
from glioseg.core import Grid
from glioseg.core.grid import LPS_TO_RAS, Affine
from glioseg.errors import GeometryError
from glioseg.preparation.resample import resample_array

Volume = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Level:
    """A resolution, and how long it is worked at."""

    mm: float
    n_samples: int
    n_steps: int


_LEVELS = (_Level(6.0, 10_000, 60), _Level(4.0, 20_000, 50), _Level(2.0, 40_000, 40))
_MIDDLE = 1
"""The level at which overlap and information are measured."""
_SHORTEST = 1e-3
_BINS = 50
_SEED = 20_150_101
_TAILS = (0.5, 99.5)
_MARGIN_MM = 8.0
_ASIDE_MM = 4.0
_FEWEST = 4


@dataclass(frozen=True, eq=False)
class Registration:
    """Where one volume lies in the world of another.

    Args:
        matrix: (4, 4), mm (RAS+) of the fixed volume -> mm of the moving one; rotation and shift alone.
        overlap_before: Dice of what the two show above black, where both fields of view reach, by their headers;
            None where they do not meet.
        overlap: the same after registration.
        sharpness: share of the mutual information that is lost 4 mm aside, as a mean over six directions.
        shift_mm: of the head's centre,
        turn_degrees: and about it, by which the headers were wrong.
        seconds: that it took.
    """

    matrix: Affine
    overlap_before: float | None
    overlap: float | None
    sharpness: float
    shift_mm: float
    turn_degrees: float
    seconds: float


@dataclass(frozen=True, eq=False)
class _Seen:
    """A volume at one resolution: (X, Y, Z), its place, and where it is above black, holes filled."""

    array: Volume
    grid: Grid
    shown: npt.NDArray[np.bool_]

    def image(self) -> sitk.Image:
        """For SimpleITK."""
        return _itk(self.array, self.grid)

    def mask(self) -> sitk.Image:
        """Where samples are taken: the head and a margin around it."""
        away = ndimage.distance_transform_edt(~self.shown, sampling=self.grid.spacing_mm)
        return _itk((away < _MARGIN_MM).astype(np.uint8), self.grid)


@dataclass(frozen=True, eq=False)
class Head:
    """A volume as registration sees it, at each of its resolutions; made once, however many are registered to it."""

    levels: tuple[_Seen, ...]

    @classmethod
    def of(cls, array: npt.NDArray[Any], grid: Grid) -> Head:
        """Of voxels (X, Y, Z).

        Raises:
            GeometryError: a volume that shows nothing, is not finite or has few slices, no millimetres, or axes that
                are not at right angles.
        """
        _require_head(array, grid)
        shown = visible(array, NOISE)
        values = np.asarray(array, dtype=np.float32)
        values = values.clip(*np.percentile(values[shown], _TAILS)) if shown.any() else values
        seen = []
        for level in reversed(_LEVELS):  # the finest first, the coarser ones from it
            coarse = grid.with_spacing([max(mm, level.mm) for mm in grid.spacing_mm])
            values = resample_array(values[None], grid, coarse, "linear")[0]
            share = resample_array(shown[None].astype(np.float32), grid, coarse, "linear")[0]
            grid, shown = coarse, share > 0.5
            seen.append(_Seen(np.ascontiguousarray(values), grid, _filled(shown, grid)))
        return cls(tuple(reversed(seen)))

    @property
    def centre_mm(self) -> Vector:
        """Of mass, of what is shown; RAS+."""
        seen = self.levels[0]
        mass = seen.shown if seen.shown.any() else np.ones_like(seen.shown)
        return np.asarray(seen.grid.affine[:3, :3] @ ndimage.center_of_mass(mass) + seen.grid.affine[:3, 3])


def register(fixed: Head, moving: Head) -> Registration:
    """Find where the moving volume lies in the world of the fixed one."""
    began = time.perf_counter()
    transform = _aligned(fixed, moving)
    matrix = LPS_TO_RAS @ _matrix(transform) @ LPS_TO_RAS
    centre = fixed.centre_mm
    return Registration(
        matrix,
        overlap(fixed, moving, np.eye(4)),
        overlap(fixed, moving, matrix),
        _sharpness(fixed, moving, transform),
        float(np.linalg.norm(matrix[:3, :3] @ centre + matrix[:3, 3] - centre)),
        float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))),
        time.perf_counter() - began,
    )


def overlap(fixed: Head, moving: Head, matrix: Affine) -> float | None:
    """Dice of what two heads show above black, where both fields of view reach; None where they do not meet.

    Args:
        fixed: one,
        moving: and the other.
        matrix: mm of the first -> mm of the second.
    """
    one, other = fixed.levels[_MIDDLE], moving.levels[_MIDDLE]
    places, meet = _places(one.grid, other.grid, matrix)
    own, theirs = one.shown.ravel()[meet], other.shown[tuple(places[:, meet])]
    total = int(own.sum()) + int(theirs.sum())
    return 2 * int((own & theirs).sum()) / total if total else None


def covered(fixed: Head, field: Grid, matrix: Affine) -> float:
    """Share of what a head shows above black that lies in another volume's field of view; 1 where it shows nothing.

    Args:
        fixed: the head.
        field: the voxels of the other volume.
        matrix: mm of the head -> mm of the other volume.
    """
    level = fixed.levels[_MIDDLE]
    _, inside = _places(level.grid, field, matrix)
    return float(inside[level.shown.ravel()].mean()) if level.shown.any() else 1.0


def _places(one: Grid, other: Grid, matrix: Affine) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(3, N) the voxels of the other grid in which centres of the first lie, and (N,) whether there are such voxels."""
    to_other = np.linalg.solve(other.affine, matrix @ one.affine)
    index = np.indices(one.shape).reshape(3, -1)
    places = np.rint(to_other[:3, :3] @ index + to_other[:3, 3:]).astype(np.int64)
    return places, np.logical_and.reduce([(at >= 0) & (at < n) for at, n in zip(places, other.shape, strict=True)])


def _require_head(array: npt.NDArray[Any], grid: Grid) -> None:
    if not grid.has_mm:
        raise GeometryError(
            "pictures have no millimetres, without which nothing can be registered",
            expected="volumes (NIfTI, MetaImage, NRRD, DICOM)",
        )
    if min(grid.shape) < _FEWEST:
        raise GeometryError(
            "a volume this thin cannot be registered",
            found=f"{' × '.join(map(str, grid.shape))} voxels",
            expected=f"{_FEWEST} or more along each axis",
        )
    if not np.isfinite(array).all():
        raise GeometryError("voxels that are not finite cannot be registered", found="NaN or Inf")
    if array.min() == array.max():
        raise GeometryError("a scan that shows nothing cannot be registered", found=f"{array.flat[0]:g} everywhere")
    cosines = grid.affine[:3, :3] / np.asarray(grid.spacing)
    if np.abs(cosines.T @ cosines - np.eye(3)).max() > 1e-3:
        raise GeometryError(
            "the axes of the voxels are not at right angles, and no rigid registration mends that",
            found=f"an affine of {np.round(grid.affine[:3, :3], 3).tolist()}",
        )


def _filled(shown: npt.NDArray[np.bool_], grid: Grid) -> npt.NDArray[np.bool_]:
    """Axial section by section, so that a head that is cut off below has no open end."""
    upwards = [world for world, _ in grid.axis_directions].index(2)
    return np.stack([ndimage.binary_fill_holes(part) for part in np.moveaxis(shown, upwards, 0)], axis=upwards)


def _itk(array: npt.NDArray[Any], grid: Grid) -> sitk.Image:
    """The same for SimpleITK, whose world grows to left, posterior and superior."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    lps = LPS_TO_RAS @ grid.affine
    image.SetSpacing([float(mm) for mm in grid.spacing])
    image.SetOrigin([float(mm) for mm in lps[:3, 3]])
    turn, _ = np.linalg.qr(lps[:3, :3])  # at right angles exactly, as SimpleITK wants it
    turn *= np.sign((turn * lps[:3, :3]).sum(axis=0))
    image.SetDirection([float(value) for value in turn.ravel()])
    return image


def _aligned(fixed: Head, moving: Head) -> sitk.Euler3DTransform:
    """The transform of points of the fixed volume to those of the moving one."""
    centre = LPS_TO_RAS[:3, :3] @ fixed.centre_mm
    shift = LPS_TO_RAS[:3, :3] @ (moving.centre_mm - fixed.centre_mm)
    candidates = [_climbed(fixed, moving, 0, _euler(centre, begin)) for begin in (np.zeros(3), shift)]
    best = min(candidates, key=lambda pair: pair[1])[0]
    for level in range(1, len(_LEVELS)):
        best, _ = _climbed(fixed, moving, level, best)
    return best


def _euler(centre: Vector, shift: Vector) -> sitk.Euler3DTransform:
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(mm) for mm in centre])
    transform.SetTranslation([float(mm) for mm in shift])
    return transform


def _method(fixed: _Seen, level: _Level) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(fixed.mask())
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(min(1.0, level.n_samples / fixed.array.size), _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _climbed(
    fixed: Head, moving: Head, number: int, start: sitk.Euler3DTransform
) -> tuple[sitk.Euler3DTransform, float]:
    """The transform that is reached at a level, and its metric: the mutual information, negative."""
    level, one, other = _LEVELS[number], fixed.levels[number], moving.levels[number]
    method = _method(one, level)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=level.mm / 2,
        minStep=_SHORTEST * level.mm,
        numberOfIterations=level.n_steps,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    transform = sitk.Euler3DTransform(start)
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(one.image(), other.image())
    except RuntimeError:  # hardly a sample lies in the other volume: as bad as can be
        return start, 0.0
    return transform, float(method.GetMetricValue())


def _sharpness(fixed: Head, moving: Head, transform: sitk.Euler3DTransform) -> float:
    method, fixed_image = _method(fixed.levels[_MIDDLE], _LEVELS[_MIDDLE]), fixed.levels[_MIDDLE].image()
    other = moving.levels[_MIDDLE].image()

    def information(shift: Vector) -> float:
        moved = sitk.Euler3DTransform(transform)
        moved.SetTranslation([float(mm) for mm in np.array(transform.GetTranslation()) + shift])
        method.SetInitialTransform(moved)
        try:
            return -float(method.MetricEvaluate(fixed_image, other))
        except RuntimeError:
            return 0.0

    here = information(np.zeros(3))
    aside = [information(sign * _ASIDE_MM * axis) for axis in np.eye(3) for sign in (-1, 1)]
    return 0.0 if here <= 0 else 1 - float(np.mean(aside)) / here


def _matrix(transform: sitk.Euler3DTransform) -> Affine:
    """(4, 4) of a transform about a centre, of LPS mm."""
    turn = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = centre + np.array(transform.GetTranslation()) - turn @ centre
    return matrix
