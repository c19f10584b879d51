"""Small cohorts on disk, with pixels that can be told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from glioseg.core import Case, Cohort, Grid, LabelScheme, Source, scheme_named
from glioseg.io.nifti import write_nifti

SHAPE = (12, 10, 6)
GRID = Grid(SHAPE, np.diag([-1.0, -1.0, 1.0, 1.0]))
MODALITIES = ("t1c", "t2f")
SCHEME = scheme_named("brats2021")


def brain_box() -> tuple[slice, slice, slice]:
    """Where the toy brain is; black around it."""
    return slice(2, 11), slice(3, 8), slice(1, 5)


def toy_volume(seed: int) -> np.ndarray:
    """(X, Y, Z) int16, 100..999 in the brain, 0 outside."""
    volume = np.zeros(SHAPE, dtype=np.int16)
    box = brain_box()
    volume[box] = np.random.default_rng(seed).integers(100, 1000, volume[box].shape)
    return volume


def toy_labels(seed: int) -> np.ndarray:
    """(X, Y, Z) uint8 with all labels of BraTS 2021, on slices 2 and 3 only."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[4:8, 4:7, 2:4] = np.random.default_rng(seed).choice(np.array([1, 2, 4]), (4, 3, 2))
    return labels


def write_case(
    folder: Path, number: int, *, labels: bool = True, lacking: str | None = None, grid: Grid = GRID
) -> Case:
    """One case of one patient as NIfTI."""
    name = f"case-{number}"
    images = {}
    for position, modality in enumerate(MODALITIES):
        path = folder / name / f"{modality}.nii.gz"
        if modality != lacking:
            write_nifti(path, toy_volume(10 * number + position), grid)
            images[modality] = Source((path,), "nifti")
    source = None
    if labels:
        write_nifti(folder / name / "seg.nii.gz", toy_labels(number), grid)
        source = Source((folder / name / "seg.nii.gz",), "nifti")
    return Case(name, f"patient-{number}", images, source)


def cohort_of(*cases: Case, scheme: LabelScheme | None = SCHEME, **more: Any) -> Cohort:
    """A cohort of these cases."""
    return Cohort("toy", "volumes", "made by a test", cases, MODALITIES, scheme, **more)


def toy_cohort(folder: Path, n: int = 3) -> Cohort:
    """``n`` cases of ``n`` patients."""
    return cohort_of(*(write_case(folder, number) for number in range(n)))
