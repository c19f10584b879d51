"""Scans that were dropped, looked at before anything runs: what cannot be read, and what is a mask and no scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.app.studies import Found, FoundCase
from glioseg.core import Finding
from glioseg.core.labels import distinct
from glioseg.errors import GliosegError
from glioseg.io.load import Voxels, read_sources

_FEW_VALUES = 12
"""A scan that was never more than so many grey values is none."""


def looked_at(found: Found) -> Found:
    """The same without the scans that cannot be read, each with a finding that says why, and one for each mask."""
    findings: list[Finding] = []
    cases = []
    for case in found.cases:
        voxels = read_sources(case.case.images)
        faults = {name: each for name, each in voxels.items() if isinstance(each, GliosegError)}
        findings += _damaged(case, faults)
        findings += _masks(case, {name: each for name, each in voxels.items() if not isinstance(each, GliosegError)})
        cases.append(_without(case, faults))
    return Found(tuple(cases), (*found.findings, *findings))


def _damaged(case: FoundCase, faults: dict[str, GliosegError]) -> Iterator[Finding]:
    for name, fault in faults.items():
        found = f": {fault.found}" if fault.found else ""
        remedy = f" {fault.remedy}." if fault.remedy else ""
        message = f"{name} cannot be used, {_file(case, name)}: {fault.what}{found}.{remedy}"
        yield Finding("error", "unreadable-file", message, case.case.id)


def _masks(case: FoundCase, voxels: dict[str, Voxels]) -> Iterator[Finding]:
    for name, (array, _) in voxels.items():
        values = _whole_values(array)
        if values is not None and len(values) <= _FEW_VALUES:
            listed = ", ".join(map(str, values))
            message = (
                f"{_file(case, name)}, taken for {name}, looks like a mask and not like a scan: it holds the values "
                f"{listed} alone. Choose another file for {name}"
            )
            yield Finding("warning", "mask-as-scan", message, case.case.id)


def _whole_values(array: npt.NDArray[Any]) -> list[int] | None:
    """The values of an array of whole numbers; None of one that has others."""
    if array.dtype.kind == "f":
        sample = array.ravel(order="K")[:: max(1, array.size // 4096)]
        if not np.isfinite(sample).all() or (sample != np.rint(sample)).any() or len(np.unique(sample)) > _FEW_VALUES:
            return None
        if not np.isfinite(array).all() or (array != np.rint(array)).any():
            return None
        return distinct(array.astype(np.int64))
    return distinct(array) if array.dtype.kind in "iu" else None


def _file(case: FoundCase, name: str) -> str:
    return next((row.file for row in case.rows if row.is_used and row.taken_for == name), name)


def _without(case: FoundCase, faults: dict[str, GliosegError]) -> FoundCase:
    """The case without scans that cannot be read; their rows say so."""
    images = {name: source for name, source in case.case.images.items() if name not in faults}
    rows = tuple(
        replace(row, is_used=False, confidence=0.0, why=f"it cannot be read: {faults[row.taken_for].what}")
        if row.is_used and row.taken_for in faults
        else row
        for row in case.rows
    )
    return replace(case, case=replace(case.case, images=images), rows=rows)
