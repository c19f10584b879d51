"""Smooth random fields: white noise on a coarse lattice of knots, raised to any grid by cubic B-splines.

A field is a function of millimetres, not of voxels: the same patient drawn at 1 mm and at 3 mm has the same anatomy.
Sums run over the four knots around a voxel in a fixed order and without BLAS, so that results do not depend on the
number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_LOW_MM = (-90.0, -125.0, -95.0)
_HIGH_MM = (90.0, 95.0, 105.0)
_UNIT_VARIANCE = 0.479**1.5
"""Standard deviation of a cubic B-spline field with unit white coefficients: 0.479 is the mean over a knot interval of
the sum of squared basis functions, on each of three axes."""


@dataclass(frozen=True)
class Frame:
    """A box of voxel centres in head coordinates (mm; right, anterior, superior).

    Args:
        axes: coordinates along X, Y, Z, evenly spaced.
    """

    axes: tuple[Floats, Floats, Floats]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along X, Y, Z."""
        x, y, z = (len(axis) for axis in self.axes)
        return x, y, z

    @property
    def spacing_mm(self) -> float:
        """Distance of neighbouring voxels."""
        return float(self.axes[0][1] - self.axes[0][0])

    def open_axes(self) -> tuple[Floats, Floats, Floats]:
        """The coordinates shaped (X, 1, 1), (1, Y, 1), (1, 1, Z)."""
        return self.axes[0][:, None, None], self.axes[1][None, :, None], self.axes[2][None, None, :]

    def window(self, box: tuple[slice, slice, slice]) -> Frame:
        """The part of the frame in ``box``."""
        x, y, z = (axis[part] for axis, part in zip(self.axes, box, strict=True))
        return Frame((x, y, z))


@dataclass(frozen=True)
class Field:
    """A smooth random field of zero mean and unit variance.

    Args:
        knots: (kx, ky, kz) coefficients.
        knot_mm: distance of the knots; features are about twice as large.
    """

    knots: Floats
    knot_mm: float

    def on(self, frame: Frame) -> Floats:
        """The field's values on a frame, (X, Y, Z) float32."""
        array = self.knots
        for axis in range(3):
            array = _raise_axis(array, axis, frame.axes[axis], _LOW_MM[axis], self.knot_mm)
        return array


def draw_field(rng: np.random.Generator, knot_mm: float) -> Field:
    """Draw a field that covers the head."""
    shape = [int(np.ceil((high - low) / knot_mm)) + 4 for low, high in zip(_LOW_MM, _HIGH_MM, strict=True)]
    knots = rng.standard_normal(shape, dtype=np.float32) / np.float32(_UNIT_VARIANCE)
    return Field(knots, knot_mm)


def draw_fields(rng: np.random.Generator, octaves: Sequence[tuple[float, float]]) -> tuple[tuple[Field, float], ...]:
    """Draw fields with their amplitudes; ``octaves`` gives (knot distance in mm, amplitude)."""
    return tuple((draw_field(rng, knot_mm), amplitude) for knot_mm, amplitude in octaves)


def total(fields: Sequence[tuple[Field, float]], frame: Frame) -> Floats:
    """The sum of fields, each times its amplitude, on a frame."""
    result = np.zeros(frame.shape, dtype=np.float32)
    for field, amplitude in fields:
        result += np.float32(amplitude) * field.on(frame)
    return result


def smoothstep(array: npt.NDArray[np.floating]) -> Floats:
    """0 below 0, 1 above 1, and a smooth rise between."""
    t = np.clip(array, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def resampled(array: Floats, source: Frame, frame: Frame) -> Floats:
    """An array of one frame on another, linearly, axis by axis."""
    for axis in range(3):
        step = source.spacing_mm
        place = (frame.axes[axis].astype(np.float64) - float(source.axes[axis][0])) / step
        first = np.clip(np.floor(place).astype(np.intp), 0, array.shape[axis] - 2)
        weight = np.clip(place - first, 0.0, 1.0).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
        array = np.take(array, first, axis=axis) * (1.0 - weight) + np.take(array, first + 1, axis=axis) * weight
    return np.asarray(array, dtype=np.float32)


def _raise_axis(array: Floats, axis: int, coordinates: Floats, low: float, knot_mm: float) -> Floats:
    # Beyond the head the field keeps its value at the border.
    place = np.clip((coordinates.astype(np.float64) - low) / knot_mm, 0.0, array.shape[axis] - 3.0)
    first = np.minimum(np.floor(place).astype(np.intp), array.shape[axis] - 4)
    weights = _bspline_weights(place - first)
    shape = [-1 if i == axis else 1 for i in range(3)]
    result = np.take(array, first, axis=axis) * weights[0].reshape(shape)
    for tap in (1, 2, 3):
        result += np.take(array, first + tap, axis=axis) * weights[tap].reshape(shape)
    return np.asarray(result, dtype=np.float32)


def _bspline_weights(t: npt.NDArray[np.float64]) -> tuple[Floats, Floats, Floats, Floats]:
    """Weights of the four cubic B-splines that reach a point at ``t`` (0..1) between its knots."""
    a = (1.0 - t) ** 3 / 6.0
    b = (3.0 * t**3 - 6.0 * t**2 + 4.0) / 6.0
    c = (-3.0 * t**3 + 3.0 * t**2 + 3.0 * t + 1.0) / 6.0
    d = t**3 / 6.0
    return a.astype(np.float32), b.astype(np.float32), c.astype(np.float32), d.astype(np.float32)
