"""Images and label maps: arrays that know what their channels and integers mean and where their voxels lie.

The type decides the interpolation (as in TorchIO): an ``Image`` is interpolated linearly, a ``LabelMap`` by the nearest
voxel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glioseg.core.grid import Grid
from glioseg.core.labels import LabelScheme
from glioseg.errors import GeometryError, LabelError


@dataclass(frozen=True, eq=False)
class Image:
    """Co-registered modalities of one case.

    Args:
        array: (C, X, Y, Z), real numbers, one channel per modality, in the file's own intensity units.
        modalities: the name of each channel, each once.
        grid: where the voxels lie; shape (X, Y, Z).

    Raises:
        GeometryError: the array's axes do not match the grid or the modalities.
    """

    array: npt.NDArray[np.generic]
    modalities: tuple[str, ...]
    grid: Grid

    def __post_init__(self) -> None:
        if self.array.ndim != 4 or self.array.shape[1:] != self.grid.shape:
            raise GeometryError(
                "the array of an image does not fit its grid", found=self.array.shape, expected=("C", *self.grid.shape)
            )
        if len(self.modalities) != self.array.shape[0] or len(set(self.modalities)) != len(self.modalities):
            raise GeometryError(
                "an image needs one name per channel, each once", found=self.modalities, expected=self.array.shape[0]
            )
        if self.array.dtype.kind not in "biuf":
            raise GeometryError("an image holds real numbers", found=self.array.dtype)

    def __repr__(self) -> str:
        """In a line: millions of voxels are no answer to somebody who prints an image."""
        return f"Image({', '.join(self.modalities)}: {self.grid.describe()}, {self.array.dtype})"


@dataclass(frozen=True, eq=False)
class LabelMap:
    """The integer class of every voxel, with the scheme that says what the integers mean.

    Args:
        array: (X, Y, Z) of an integer type; 0 is background.
        scheme: the meaning of the integers.
        grid: where the voxels lie; shape (X, Y, Z).

    Raises:
        GeometryError: the array's axes do not match the grid.
        LabelError: the array is not of an integer type, or holds values that the scheme does not know.
    """

    array: npt.NDArray[np.integer]
    scheme: LabelScheme
    grid: Grid

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise GeometryError(
                "the array of a label map does not fit its grid", found=self.array.shape, expected=self.grid.shape
            )
        if self.array.dtype.kind not in "iu":
            raise LabelError("a label map holds integers", found=self.array.dtype)
        unknown = self.scheme.unknown_values(self.array)
        if unknown:
            raise LabelError(
                f"label values outside the scheme {self.scheme.name}",
                found=", ".join(map(str, unknown)),
                expected=self.scheme.describe(),
                remedy="Choose with `--scheme` the scheme that the labels were drawn with",
            )

    def __repr__(self) -> str:
        """In a line, as that of an image."""
        return f"LabelMap({self.scheme.name}: {self.scheme.describe()}; {self.grid.describe()})"
