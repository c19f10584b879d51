"""Masks drawn as text, so that the expected values can be counted with the finger."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid, LabelMap, scheme_named
from glioseg.evaluation import CaseScores, SliceCounts

LETTERS = {".": 0, "n": 1, "e": 2, "t": 4, "#": 255}
"""``.`` background; BraTS 2021: ``n`` NCR, ``e`` ED, ``t`` ET; LGG: ``#`` tumour."""


def drawn(*slices: str) -> npt.NDArray[np.uint8]:
    """(X, Y, Z) from one drawing per slice: a row of text is a row Y, a letter a column X."""
    planes = [np.array([[LETTERS[letter] for letter in row] for row in text.split()]) for text in slices]
    return np.stack(planes, axis=-1).transpose(1, 0, 2).astype(np.uint8)


def labels(*slices: str, scheme: str = "brats2021", has_mm: bool = True) -> LabelMap:
    """A label map on a grid of voxels of 1 × 2 × 5 mm (10 mm³ = 0.01 ml), or of pictures."""
    array = drawn(*slices)
    grid = Grid(array.shape, np.diag([1.0, 2.0, 5.0, 1.0])) if has_mm else Grid.of_pictures(array.shape)
    return LabelMap(array, scheme_named(scheme), grid)


def counted(
    case: str,
    *slices: tuple[int, int, int, int],
    patient: str | None = None,
    regions: tuple[str, ...] = ("WT",),
    voxel_ml: float | None = None,
) -> CaseScores:
    """A case of which only TP, FP, FN and TN per slice are known, the same in every region."""
    counts = np.array([[row] * len(regions) for row in slices], dtype=np.int64)
    correct = counts[:, 0, 0] + counts[:, 0, 3]
    return CaseScores(case, patient or case, regions, SliceCounts(counts, correct), voxel_ml)
