"""Maps of numbers beside a mask, one channel for each region: probabilities, uncertainty, explanations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid
from glioseg.io.nifti import write_nifti
from glioseg.io.tiff import write_float_stack

_STEPS = np.float32(1024)


def rounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """To 1/1024: what lies below that says nothing, and would make the files ten times as large."""
    return np.asarray(np.rint(values * _STEPS) / _STEPS)


def write_map(values: npt.NDArray[Any], grid: Grid, path: Path) -> str:
    """Write (R, X, Y, Z): NIfTI, or TIFF pages of a picture.

    Args:
        values: numbers of each region.
        grid: of the mask.
        path: of the file, without its ending.

    Returns:
        the name of the file.

    Raises:
        FileError: it cannot be written.
    """
    if grid.has_mm:
        file = path.with_name(f"{path.name}.nii.gz")
        write_nifti(file, np.moveaxis(values, 0, 3) if len(values) > 1 else values[0], grid)
    else:
        file = path.with_name(f"{path.name}.tif")
        write_float_stack(file, values.astype(np.float32))
    return file.name
