"""Scans that were dropped, looked at before anything runs: what cannot be read, and what is a mask and no scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.app.studies import Found, FoundCase, ScanRow
from glioseg.core import Finding, Source
from glioseg.core.labels import distinct
from glioseg.errors import GliosegError
from glioseg.io.load import Voxels, read_sources

_FEW_VALUES = 12
"""A scan that was never more than so many grey values is none."""


_UNREAD = "it cannot be read: "


@dataclass(frozen=True)
class _Verdict:
    """Why a file is no scan, in words, and the faults that keep it from being read; of a sound one neither."""

    why: str | None
    faults: tuple[GliosegError, ...] = ()


def looked_at(recognised: Found) -> Found:
    """The same without the scans that cannot be read, each with a finding that says why, and one for each mask.

    Scans whose names do not say what they show are looked at too, before somebody chooses them: their rows say it.
    """
    findings: list[Finding] = []
    verdicts: dict[Source, _Verdict] = {}
    cases = []
    for case in recognised.cases:
        voxels = read_sources(case.case.images)
        faults = {name: each for name, each in voxels.items() if isinstance(each, GliosegError)}
        findings += (_damaged(case, f"{name} cannot be used, {_file(case, name)}", faults[name]) for name in faults)
        findings += _masks(case, {name: each for name, each in voxels.items() if not isinstance(each, GliosegError)})
        rows, others = _others(case, verdicts)
        findings += others
        cases.append(_without(replace(case, rows=rows), faults))
    return Found(tuple(cases), (*recognised.findings, *findings))


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


def _others(case: FoundCase, verdicts: dict[Source, _Verdict]) -> tuple[tuple[ScanRow, ...], list[Finding]]:
    """The rows, where those that nobody has chosen yet say what is wrong with them, and the findings of these.

    A file that may belong to any of several cases is looked at once.
    """
    rows, findings = [], []
    for row in case.rows:
        source = case.sources.get(row.series)
        if source is not None and not row.is_used and not row.why.startswith(_UNREAD):
            if source not in verdicts:
                verdicts[source] = _verdict(source)
                findings += [_damaged(case, row.series, fault) for fault in verdicts[source].faults]
            row = replace(row, why=verdicts[source].why or row.why)
        rows.append(row)
    return tuple(rows), findings


def _verdict(source: Source) -> _Verdict:
    (voxels,) = read_sources({"": source}).values()
    if isinstance(voxels, GliosegError):
        return _Verdict(f"{_UNREAD}{voxels.what}", (voxels,))
    values = _mask_values(voxels.array)
    return _Verdict(values and f"it looks like a mask and not like a scan: it holds the values {values} alone")


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
