"""Scans that were dropped, looked at before anything runs: what cannot be read, and what is a mask and no scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.app.studies import Found, FoundCase, ScanRow
from glioseg.core import Finding
from glioseg.core.labels import distinct
from glioseg.errors import GliosegError
from glioseg.io.load import Voxels, read_sources

_FEW_VALUES = 12
"""A scan that was never more than so many grey values is none."""


_UNREAD = "it cannot be read: "


def looked_at(found: Found) -> Found:
    """The same without the scans that cannot be read, each with a finding that says why, and one for each mask.

    Scans whose names do not say what they show are looked at too, before somebody chooses them: their rows say it.
    """
    findings: list[Finding] = []
    cases = []
    for case in found.cases:
        voxels = read_sources(case.case.images)
        faults = {name: each for name, each in voxels.items() if isinstance(each, GliosegError)}
        findings += (_damaged(case, f"{name} cannot be used, {_file(case, name)}", faults[name]) for name in faults)
        findings += _masks(case, {name: each for name, each in voxels.items() if not isinstance(each, GliosegError)})
        rows, others = _others(case)
        findings += others
        cases.append(_without(replace(case, rows=rows), faults))
    return Found(tuple(cases), (*found.findings, *findings))


def _damaged(case: FoundCase, what: str, fault: GliosegError) -> Finding:
    found = f": {fault.found}" if fault.found else ""
    remedy = f" {fault.remedy}." if fault.remedy else ""
    return Finding("error", "unreadable-file", f"{what}: {fault.what}{found}.{remedy}", case.case.id)


def _masks(case: FoundCase, voxels: dict[str, Voxels]) -> Iterator[Finding]:
    for name, (array, _) in voxels.items():
        values = _mask_values(array)
        if values is not None:
            message = (
                f"{_file(case, name)}, taken for {name}, looks like a mask and not like a scan: it holds the values "
                f"{values} alone. Choose another file for {name}"
            )
            yield Finding("warning", "mask-as-scan", message, case.case.id)


def _others(case: FoundCase) -> tuple[tuple[ScanRow, ...], list[Finding]]:
    """The rows, where those that nobody has chosen yet say what is wrong with them, and the findings of these."""
    unused = [row.series for row in case.rows if not row.is_used and not row.why.startswith(_UNREAD)]
    voxels = read_sources({series: case.sources[series] for series in unused if series in case.sources})
    why: dict[str, str] = {}
    findings = []
    for series, each in voxels.items():
        if isinstance(each, GliosegError):
            why[series] = f"{_UNREAD}{each.what}"
            findings.append(_damaged(case, series, each))
        elif (values := _mask_values(each.array)) is not None:
            why[series] = f"it looks like a mask and not like a scan: it holds the values {values} alone"
    return tuple(replace(row, why=why.get(row.series, row.why)) for row in case.rows), findings


def _mask_values(array: npt.NDArray[Any]) -> str | None:
    """The few values of a mask; None of a scan."""
    values = _whole_values(array)
    return ", ".join(map(str, values)) if values is not None and len(values) <= _FEW_VALUES else None


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
        replace(row, is_used=False, confidence=0.0, why=f"{_UNREAD}{faults[row.taken_for].what}")
        if row.is_used and row.taken_for in faults
        else row
        for row in case.rows
    )
    return replace(case, case=replace(case.case, images=images), rows=rows)
