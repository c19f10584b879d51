"""Slices as cases of their own, for publications that split by slice.

A split by slice puts neighbouring slices of one tumour on both sides, so that every figure on its test part leaks.
Nothing downstream knows of it but by the cohort's finding ``split-by-slice``, which reports show in red.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from glioseg.cohorts.dark import is_dark, non_black_shares
from glioseg.console import Step
from glioseg.core import Case, Cohort, Finding, Source
from glioseg.errors import LayoutError
from glioseg.io import load_image, read_grid

SPLIT_BY_SLICE: Final = "split-by-slice"


def by_slices(cohort: Cohort, leave_out: Mapping[str, Sequence[int]] | None = None) -> Cohort:
    """Each slice (Z of the files) as a case, and a patient, of its own: ``CASE_slice_0012``.

    Picture and HDF5 stacks become one-file sources; a slice of a volume is named by its index, for which the volume's
    header is read. The facts of the case go along, with ``of_case``, ``of_patient`` and ``slice`` (from 0).

    Args:
        cohort: with whole cases.
        leave_out: case id -> slices that leave before the split, such as ``find_dark_slices`` gives.

    Raises:
        LayoutError: no slice is left.
        FileError: a header cannot be read.
    """
    without = {name: frozenset(slices) for name, slices in (leave_out or {}).items()}
    cases = [
        _slice(case, z)
        for case in cohort.cases
        for z in range(_n_slices(case))
        if z not in without.get(case.id, frozenset())
    ]
    if not cases:
        raise LayoutError(
            "no slice is left", path=cohort.name, remedy="Try `--set slices.dark_below=none`, which leaves none out"
        )
    message = (
        f"each of the {len(cases)} slices counts as a patient of its own: slices of one tumour lie in the training and "
        "in the test part, so that all figures leak"
    )
    finding = Finding("warning", SPLIT_BY_SLICE, message)
    return replace(cohort, cases=tuple(cases), findings=(*cohort.findings, finding))


def is_by_slices(cohort: Cohort) -> bool:
    """Whether the cases are slices, so that figures leak."""
    return any(finding.kind == SPLIT_BY_SLICE for finding in cohort.findings)


def find_dark_slices(cohort: Cohort, threshold: float, progress: Step | None = None) -> dict[str, tuple[int, ...]]:
    """Case id -> its dark slices (Z from 0, see ``dark``); cases without are absent. Reads every image, one at a time.

    Raises:
        FileError: an image cannot be read; see also ``io.load_image``.
    """
    dark_slices = {}
    for number, case in enumerate(cohort.cases):
        slices = load_image(case).array.transpose(0, 3, 2, 1)
        dark = np.flatnonzero(is_dark(non_black_shares(slices), threshold))
        if len(dark):
            dark_slices[case.id] = tuple(int(z) for z in dark)
        if progress is not None:
            progress(number + 1, len(cohort.cases))
    return dark_slices


def _n_slices(case: Case) -> int:
    source = next(iter(case.images.values()))
    return len(source.paths) if source.kind in ("raster", "hdf5") else read_grid(source).shape[2]


def _slice(case: Case, z: int) -> Case:
    name = f"{case.id}_slice_{z:04d}"
    return replace(
        case,
        id=name,
        patient=name,
        images={modality: _one_slice(source, z) for modality, source in case.images.items()},
        labels=None if case.labels is None else _one_slice(case.labels, z),
        facts={**case.facts, "of_case": case.id, "of_patient": case.patient, "slice": z},
    )


def _one_slice(source: Source, z: int) -> Source:
    """A slice of a source; pictures of which each shows a region are masks of the only slice there is."""
    if source.kind in ("raster", "hdf5"):
        return source if source.layers else replace(source, paths=source.paths[z : z + 1])
    return replace(source, slice_index=z)
