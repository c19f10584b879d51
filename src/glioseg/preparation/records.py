"""What is written beside the prepared arrays: small JSON records, each sealed with a hash of its own content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from glioseg.core import Grid, LabelScheme
from glioseg.errors import CacheError
from glioseg.frozen import Frozen
from glioseg.io.files import cannot_read, replacing
from glioseg.preparation.options import PrepareOptions

VERSION = 3
"""Of the way in which cases are prepared and stored; part of every key, so that a new one prepares anew."""


class GridRecord(Frozen):
    """A ``Grid`` as JSON."""

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]
    has_mm: bool

    @classmethod
    def of(cls, grid: Grid) -> Self:
        """The record of a grid."""
        return cls(shape=grid.shape, affine=tuple(tuple(row) for row in grid.affine.tolist()), has_mm=grid.has_mm)

    def grid(self) -> Grid:
        """The grid again, bit for bit."""
        return Grid(self.shape, np.array(self.affine), self.has_mm)


class SchemeRecord(Frozen):
    """A ``LabelScheme`` as JSON."""

    name: str
    labels: dict[str, int]
    regions: dict[str, tuple[str, ...]]
    default_regions: tuple[str, ...]
    source: str

    @classmethod
    def of(cls, scheme: LabelScheme) -> Self:
        """The record of a scheme."""
        return cls(
            name=scheme.name,
            labels=dict(scheme.labels),
            regions=dict(scheme.regions),
            default_regions=scheme.default_regions,
            source=scheme.source,
        )

    def scheme(self) -> LabelScheme:
        """The scheme again."""
        return LabelScheme(self.name, self.labels, self.regions, self.default_regions, self.source)


class ArrayRecord(Frozen):
    """An array file: its name, what its header must say, its size in bytes, the CRC-32 of each slice (first axis)."""

    file: str
    shape: tuple[int, ...]
    dtype: str
    n_bytes: int
    checksums: tuple[int, ...]


class CaseRecord(Frozen):
    """One prepared case; see ``store.PreparedCase`` for the meaning."""

    key: str
    id: str
    patient: str
    category: str | None
    modalities: tuple[str, ...]
    regions: tuple[str, ...]
    missing: tuple[str, ...]
    filled_with: str | None
    native: GridRecord
    working: GridRecord
    non_black: tuple[float, ...]
    region_voxels: tuple[tuple[int, ...], ...] | None
    arrays: dict[str, ArrayRecord]


class IndexRecord(Frozen):
    """A complete cohort: written last, so that its presence says that all cases are there."""

    version: int
    key: str
    name: str
    options: PrepareOptions
    scheme: SchemeRecord | None
    modalities: tuple[str, ...]
    regions: tuple[str, ...]
    cases: dict[str, str]
    """Stem of the case's files -> key."""

    files: dict[str, str]
    """Source file, relative to the folder that holds them all -> digest of what it holds."""


_Record = TypeVar("_Record", bound=Frozen)


def write_record(path: Path, record: Frozen, *, sync: bool = True) -> None:
    """Write a record in one piece or not at all."""
    body = record.model_dump_json()
    with replacing(path, sync=sync) as temporary:
        temporary.write_text(f'{{"sha256": "{_digest(body)}",\n"record": {body}}}\n', encoding="utf-8")


def read_record(path: Path, kind: type[_Record]) -> _Record:
    """The record in a file.

    Raises:
        FileError: missing or unreadable.
        CacheError: not a record of that kind, or changed since it was written.
    """
    try:
        sealed = json.loads(path.read_bytes())
        record = kind.model_validate(sealed["record"])
        intact = sealed["sha256"] == _digest(record.model_dump_json())
    except OSError as error:
        raise cannot_read(path, error) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CacheError("not a record of a prepared cache", path=path) from error
    if not intact:
        raise CacheError("the record was changed after it was written", path=path)
    return record


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
