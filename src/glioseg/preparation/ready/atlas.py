"""The space of an atlas."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.phantom.atlas import template
from glioseg.core import Grid

NAMES = {"mni": "MNI, ICBM 2009a symmetric"}


def atlas_brain() -> tuple[npt.NDArray[np.float32], Grid]:
    """The average brain without its skull, T1, (197, 233, 189) at 1 mm in MNI coordinates; it lies in nilearn's wheel.

    Raises:
        FileError: nilearn or its template is missing.
    """
    array, affine = template()
    return array, Grid((array.shape[0], array.shape[1], array.shape[2]), affine)
