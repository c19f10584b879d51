"""Miniatures of ``volumes``: 6 x 5 x 4 voxels with a block of labels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from glioseg.core import Grid
from glioseg.io.metaimage import write_metaimage

SHAPE = (6, 5, 4)
AFFINE = np.diag([0.9375, 0.9375, 1.5, 1.0])


def noise(seed: int) -> npt.NDArray[np.int16]:
    """(6, 5, 4) int16."""
    return np.random.default_rng(seed).integers(0, 500, SHAPE).astype(np.int16)


def labels(*values: int) -> npt.NDArray[np.uint8]:
    """(6, 5, 4) uint8 with one voxel of each value."""
    array = np.zeros(SHAPE, dtype=np.uint8)
    for index, value in enumerate(values):
        array[1 + index, 2, 1] = value
    return array


def save_volume(path: Path, array: npt.NDArray[Any]) -> Path:
    """Write as the ending says; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nii", ".nii.gz")):
        nibabel.Nifti1Image(array, AFFINE).to_filename(path)
    else:
        write_metaimage(path, array, Grid(SHAPE, AFFINE))
    return path


def write_ibsr(root: Path, numbers: Iterable[int]) -> Path:
    """IBSR18 as in ``IBSR_04/IBSR_04.nii.gz`` with ``IBSR_04_seg.nii.gz``, a 4th axis of length 1."""
    for number in numbers:
        name = f"IBSR_{number:02d}"
        save_volume(root / name / f"{name}.nii.gz", noise(number)[..., None])
        save_volume(root / name / f"{name}_seg.nii.gz", labels(1, 2, 3)[..., None])
    return root
