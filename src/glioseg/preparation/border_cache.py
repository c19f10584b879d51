"""Border terms of a prepared cohort, computed once: kept only for slices with two or more components."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glioseg.errors import CacheError, FileError
from glioseg.frozen import Frozen
from glioseg.preparation.border import BorderOptions, border_term
from glioseg.preparation.records import ArrayRecord, read_record, write_record
from glioseg.preparation.slice_array import SliceArray
from glioseg.preparation.store import PreparedCase, PreparedCohort, write_array

_VERSION = 2


class _BorderRecord(Frozen):
    """The maps of one case (N, R, Y, X) float16, and the Z indices of their slices."""

    slices: tuple[int, ...]
    maps: ArrayRecord


@dataclass(frozen=True)
class BorderMaps:
    """The border terms of each case, read and checked when they are looked at.

    Args:
        cases: case id -> Z index -> place of its map in
        maps: case id -> (N, R, Y, X) float16.
    """

    cases: Mapping[str, Mapping[int, int]]
    maps: Mapping[str, SliceArray]

    def at(self, case: str, z: int) -> npt.NDArray[np.float16] | None:
        """The border term (R, Y, X) of a slice; None where it is 0 all over."""
        place = self.cases[case].get(z)
        return None if place is None else self.maps[case][place]


def border_maps(prepared: PreparedCohort, options: BorderOptions) -> BorderMaps:
    """The border terms of all cases with a reference, made where they are not in the cache yet.

    They lie beside the arrays that they were made from, in a folder named by the options, so that they go with them.
    """
    text = f"{_VERSION} {options.model_dump_json()}"
    folder = prepared.folder / f"borders-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    cases, maps = {}, {}
    for case in prepared.cases:
        if case.regions is None:
            continue
        path = folder / f"{Path(case.arrays['regions'].file).stem}.json"
        make = partial(_write, case, options, path)
        record = _record_at(path) or make()
        cases[case.id] = {z: place for place, z in enumerate(record.slices)}
        checked = np.zeros(len(record.slices), dtype=bool)
        maps[case.id] = SliceArray(folder / record.maps.file, record.maps, checked, make)
    return BorderMaps(cases, maps)


def _record_at(path: Path) -> _BorderRecord | None:
    try:
        record = read_record(path, _BorderRecord)
    except (CacheError, FileError):
        return None
    return record if (path.parent / record.maps.file).exists() else None


def _write(case: PreparedCase, options: BorderOptions, path: Path) -> _BorderRecord:
    regions = case.regions
    if regions is None:
        raise CacheError(f"case {case.id} has no reference")
    slices, maps = [], []
    for z in range(len(regions)):
        terms = np.stack(
            [border_term(mask, w0=options.w0, sigma=options.sigma, form=options.form) for mask in regions[z]]
        )
        if terms.any():
            slices.append(z)
            maps.append(terms.astype(np.float16))
    stacked = np.stack(maps) if maps else np.zeros((0, *regions.shape[1:]), dtype=np.float16)
    record = _BorderRecord(slices=tuple(slices), maps=write_array(path.with_suffix(".npy"), stacked))
    write_record(path, record)  # the maps first: where the record stands, they are whole
    return record
