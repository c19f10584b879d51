"""Cohorts written by hand, voxel by voxel, so that every count in a test can be read off its drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Case, Cohort, Facts, Finding, Grid, Source, scheme_named
from glioseg.io.nifti import write_nifti
from glioseg.io.raster import write_picture

Array = npt.NDArray[Any]
SHAPE = (12, 10, 6)


def ras(shape: tuple[int, int, int] = SHAPE, spacing: float = 1.0) -> Grid:
    """X grows to the right, Y to anterior, Z to superior."""
    return Grid(shape, np.diag([spacing, spacing, spacing, 1.0]))


def head(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> Array:
    """int16 noise from 100 to 999, 0 in a frame of one voxel along X and Y; all slices show something."""
    array = np.zeros(shape, dtype=np.int16)
    inner = (shape[0] - 2, shape[1] - 2, shape[2])
    array[1:-1, 1:-1] = np.random.default_rng(seed).integers(100, 1000, inner)
    return array


def tumour(*voxels: tuple[int, int, int], value: int = 1, shape: tuple[int, int, int] = SHAPE) -> Array:
    """uint8, ``value`` in the voxels named."""
    array = np.zeros(shape, dtype=np.uint8)
    for x, y, z in voxels:
        array[x, y, z] = value
    return array


def volume_case(
    folder: Path,
    name: str,
    images: Mapping[str, Array],
    labels: Array | None = None,
    *,
    patient: str | None = None,
    grid: Grid | None = None,
    facts: Facts | None = None,
) -> Case:
    """A case of NIfTI files, one per modality, on a grid of 1 mm in RAS."""
    sources = {}
    for modality, array in images.items():
        path = folder / f"{name}_{modality}.nii.gz"
        write_nifti(path, array, grid or ras(array.shape))
        sources[modality] = Source((path,), "nifti")
    mask = None
    if labels is not None:
        path = folder / f"{name}_seg.nii.gz"
        write_nifti(path, labels, grid or ras(labels.shape))
        mask = Source((path,), "nifti")
    return Case(name, patient or name, sources, mask, facts=facts or {})


def picture_case(
    folder: Path,
    name: str,
    slices: Sequence[Array],
    masks: Sequence[Array] | None = None,
    *,
    patient: str | None = None,
    category: str | None = None,
    ending: str = ".png",
) -> Case:
    """A case of pictures (X, Y) or (X, Y, 3), one file per slice; modalities grey, or pre, flair and post."""
    paths = tuple(folder / f"{name}_{number}{ending}" for number in range(len(slices)))
    for path, pixels in zip(paths, slices, strict=True):
        write_picture(path, pixels)
    sources = {"grey": Source(paths, "raster")}
    if slices[0].ndim == 3:
        sources = {modality: Source(paths, "raster", row) for row, modality in enumerate(("pre", "flair", "post"))}
    labels = None
    if masks is not None:
        mask_paths = tuple(folder / f"{name}_{number}_mask.png" for number in range(len(masks)))
        for path, pixels in zip(mask_paths, masks, strict=True):
            write_picture(path, pixels)
        labels = Source(mask_paths, "raster")
    return Case(name, patient or name, sources, labels, category)


def cohort(
    *cases: Case, scheme: str | None = "brats2023", layout: str = "volumes", findings: tuple[Finding, ...] = ()
) -> Cohort:
    """All modalities that some case has, in the order in which they come up."""
    modalities = tuple(dict.fromkeys(name for case in cases for name in case.images))
    categories = tuple(sorted({case.category for case in cases if case.category is not None}))
    known = None if scheme is None else scheme_named(scheme)
    return Cohort("hand-made", layout, "by hand", cases, modalities, known, categories, findings)
