"""The shading of the coil, evened out.

References:
    [1] Tustison NJ et al. N4ITK: improved N3 bias correction. IEEE TMI 29, 1310-1320, 2010.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - its usual name

from glioseg.cohorts.dark import NOISE, visible
from glioseg.core import Grid
from glioseg.errors import GeometryError
from glioseg.preparation.resample import resample_array

_FIELD_MM = 4.0
"""Voxels on which the field is found: it is smooth."""
_STEPS = (50, 50, 30)
_FEWEST = 2
"""Such voxels along each axis, below which N4 finds no field."""


def without_shading(array: npt.NDArray[Any], grid: Grid) -> npt.NDArray[np.float32]:
    """A modality divided by the field that N4 finds in it [1]; what is black stays as it is.

    Args:
        array: (X, Y, Z), finite.
        grid: its place, in mm.

    Raises:
        GeometryError: the volume is too thin for a field that varies along all three axes.
    """
    values = np.asarray(array, dtype=np.float32)
    shown = visible(array, NOISE) & (values > 0)
    coarse = grid.with_spacing([max(spacing, _FIELD_MM) for spacing in grid.spacing_mm])
    if min(coarse.shape) < _FEWEST:
        raise GeometryError(
            "the shading of a volume this thin cannot be evened out",
            found=grid.describe(),
            expected=f"{1.5 * _FIELD_MM:g} mm or more along each axis, and {_FEWEST} voxels",
            remedy="Leave `--n4` out",
        )
    small = sitk.GetImageFromArray(_turned(resample_array(values[None], grid, coarse, "linear")[0]))
    share = resample_array(shown[None].astype(np.float32), grid, coarse, "linear")[0]
    mask = sitk.GetImageFromArray((_turned(share) > 0.5).astype(np.uint8))
    for image in (small, mask):
        image.SetSpacing([float(mm) for mm in coarse.spacing_mm])
    filtered = sitk.N4BiasFieldCorrectionImageFilter()
    filtered.SetMaximumNumberOfIterations(list(_STEPS))
    filtered.SetNumberOfThreads(1)
    filtered.Execute(small, mask)
    log_field = _turned(sitk.GetArrayFromImage(filtered.GetLogBiasFieldAsImage(small)))
    field = np.exp(resample_array(log_field[None].astype(np.float32), coarse, grid, "linear")[0])
    return np.where(shown, values / field, values).astype(np.float32)


def _turned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array.transpose(2, 1, 0))
