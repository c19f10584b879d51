"""Toy cases with pixels, from which the writers make miniatures of every layout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glioseg.cohorts.write import LoadedCase
from glioseg.core import Facts, Grid, Image, LabelMap, scheme_named

SHAPE = (6, 5, 4)
MODALITIES = ("t1n", "t1c", "t2w", "t2f")


def brats_grid(shape: tuple[int, int, int] = SHAPE, spacing: float = 1.0) -> Grid:
    """As in the NIfTI files of BraTS: X grows to the left, Y to posterior, the origin at the last row."""
    affine = np.diag([-spacing, -spacing, spacing, 1.0])
    affine[1, 3] = spacing * (shape[1] - 1)
    return Grid(shape, affine)


def toy_case(
    index: int = 1,
    *,
    patient: str | None = None,
    scheme: str | None = "brats2023",
    values: Sequence[int] = (1, 2, 3),
    modalities: tuple[str, ...] = MODALITIES,
    grid: Grid | None = None,
    facts: Facts | None = None,
) -> LoadedCase:
    """Case ``toy-1`` with random intensities in 1..999, black in one corner, and one voxel of each label in slice 1.

    Voxel (1, 2, 1) has the first of ``values``, (2, 2, 1) the second and so on.
    """
    grid = brats_grid() if grid is None else grid
    array = np.random.default_rng(index).integers(1, 1000, (len(modalities), *grid.shape)).astype(np.int16)
    array[:, 0, 0] = 0
    labels = None
    if scheme is not None:
        painted = np.zeros(grid.shape, dtype=np.uint8)
        painted[1 : 1 + len(values), 2, 1] = values
        labels = LabelMap(painted, scheme_named(scheme), grid)
    name = f"toy-{index}"
    return LoadedCase(name, patient or name, Image(array, modalities, grid), labels, facts or {})


def toy_cases(n: int, *, scheme: str | None = "brats2023", values: Sequence[int] = (1, 2, 3)) -> list[LoadedCase]:
    """``n`` patients of one case, with facts."""
    return [
        toy_case(
            index, scheme=scheme, values=values, facts={"age": 40 + index, "survival_days": 100 * index, "sex": "F"}
        )
        for index in range(1, n + 1)
    ]
