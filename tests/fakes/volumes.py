"""Miniatures of ``volumes``: 6 x 5 x 4 voxels with a voxel of each label.

IBSR comes from the writer. Single volumes are put where a test wants them: the writer gives every case a folder and
every modality a name, and what this layout is about are folders and names of other kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from glioseg.cohorts.write import LoadedCase, write_cohort
from glioseg.core import Grid, Image, LabelMap, scheme_named
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


def write_ibsr(root: Path, numbers: Sequence[int]) -> Path:
    """IBSR18: ``IBSR_04/IBSR_04.nii.gz`` with ``IBSR_04_seg.nii.gz``.

    The writer counts from 1 and writes three axes; the publisher's files have a 4th of length 1.
    """
    names = [f"IBSR_{number:02d}" for number in numbers]
    grid = Grid(SHAPE, AFFINE)
    cases = [
        LoadedCase(
            name,
            name,
            Image(noise(number)[None], ("t1n",), grid),
            LabelMap(labels(1, 2, 3), scheme_named("ibsr"), grid),
        )
        for name, number in zip(names, numbers, strict=True)
    ]
    with TemporaryDirectory() as folder:
        write_cohort(cases, Path(folder), "volumes")
        for written, name in zip(sorted(path for path in Path(folder).iterdir() if path.is_dir()), names, strict=True):
            for path in written.iterdir():
                array = np.asarray(nibabel.load(path).dataobj)[..., None]
                save_volume(root / name / path.name.replace(written.name, name), array)
    return root
