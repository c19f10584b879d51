"""``glioseg convert``: a cohort written again in another layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from glioseg.cohorts.write import LoadedCase, load_cases, require_fit, write_cohort
from glioseg.console import QUIET, Reporter, Step
from glioseg.core import Cohort, Grid
from glioseg.errors import OptionError
from glioseg.io.files import require_folder
from glioseg.runs.read import Data, read

_T = TypeVar("_T")


Spacing = tuple[float, float, float]
"""Millimetres between columns, rows and slices."""


def convert(
    data: Data | Cohort, out: Path, layout: str, reporter: Reporter = QUIET, spacing_mm: Spacing | None = None
) -> Cohort:
    """Write a cohort again in another layout; returns what was read.

    Args:
        data: the cohort.
        out: the folder to write.
        layout: its layout.
        reporter: shows progress.
        spacing_mm: of pictures, whose files do not say it; they are then written as axial slices, columns to the
            patient's left and rows to the back.

    Raises:
        OptionError: a spacing that is not above 0, or of cases whose files state theirs.
        FileError: the folder cannot be written to, or holds other files; see ``read`` for others.
        LayoutError, GeometryError, LabelError: what the layout cannot hold, as far as it can be told before any work.
    """
    if spacing_mm is not None and not min(spacing_mm) > 0:
        found = ",".join(f"{mm:g}" for mm in spacing_mm)
        raise OptionError("`--spacing` needs millimetres above 0", found=found, expected="`--spacing 0.9,0.9,5`")
    require_folder(out)
    cohort = read(data, reporter)
    require_fit(cohort, layout)
    cases: Iterable[LoadedCase] = load_cases(cohort)
    if spacing_mm is not None:
        cases = (_with_millimetres(case, spacing_mm) for case in cases)
    with reporter.progress("Writing cases") as step:
        write_cohort(_counted(cases, len(cohort.cases), step), out, layout)
    return cohort


def _with_millimetres(case: LoadedCase, spacing_mm: Spacing) -> LoadedCase:
    """Pictures as axial slices: X, which grows to the right of the picture, to the patient's left, Y to the back."""
    if case.image.grid.has_mm:
        raise OptionError(
            f"the files of case {case.id} state their spacing",
            found="x".join(f"{mm:g}" for mm in case.image.grid.spacing_mm),
            remedy="Leave `--spacing` out",
        )
    x, y, z = spacing_mm
    grid = Grid(case.image.grid.shape, np.diag([-x, -y, z, 1.0]))
    labels = None if case.labels is None else replace(case.labels, grid=grid)
    return replace(case, image=replace(case.image, grid=grid), labels=labels)


def _counted(items: Iterable[_T], n: int, step: Step) -> Iterator[_T]:
    for number, item in enumerate(items):
        step(number, n)
        yield item
    step(n, n)
