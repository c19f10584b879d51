"""Prepared cases on disk: one uncompressed array per case and kind, mapped into memory and checked before use."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from glioseg.core import Case, Grid, LabelScheme
from glioseg.errors import CacheError, GliosegError, SplitError, name_some, plural
from glioseg.io.files import replacing
from glioseg.preparation.case import PreparedArrays
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.records import ArrayRecord, CaseRecord, GridRecord, IndexRecord, read_record, write_record
from glioseg.preparation.slice_array import SliceArray, checksum


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """One case of a prepared cohort: facts in memory, pixels on disk.

    Args:
        folder: where its files are.
        id: as in the cohort, as are
        patient: and
        category: (class of a classification cohort).
        modalities: names of the channels of ``images``.
        region_names: names of the channels of ``regions``.
        missing: modalities that the case lacks; their channels show
        filled_with: this modality, or 0 where it is None.
        native: the grid of the files.
        working: the grid of the arrays: X columns, Y rows, Z slices. ``resample_array`` goes from one to the other.
        non_black: (Z,) float32, share of the values of the raw slice that are not black (``cohorts.dark``).
        region_voxels: (Z, R) int64, voxels of each region on each slice of the working grid; None without reference.
        arrays: kind -> file.
        mend: prepares the case anew, where a slice is found to be damaged; None where nobody can.
    """

    folder: Path
    id: str
    patient: str
    category: str | None
    modalities: tuple[str, ...]
    region_names: tuple[str, ...]
    missing: tuple[str, ...]
    filled_with: str | None
    native: Grid
    working: Grid
    non_black: npt.NDArray[np.float32]
    region_voxels: npt.NDArray[np.int64] | None
    arrays: Mapping[str, ArrayRecord]
    mend: Callable[[], None] | None = field(default=None, repr=False)
    _checked: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict, init=False, repr=False)

    @property
    def n_slices(self) -> int:
        """Slices of the working grid."""
        return self.working.shape[2]

    @property
    def images(self) -> SliceArray:
        """(Z, C, Y, X) float16, mapped read-only: a slice is read, and checked, when it is looked at."""
        return self._mapped("images")

    @property
    def regions(self) -> SliceArray | None:
        """(Z, R, Y, X) uint8 0/1, likewise; None where the case has no reference."""
        return self._mapped("regions") if "regions" in self.arrays else None

    def _mapped(self, kind: str) -> SliceArray:
        record = self.arrays[kind]
        checked = self._checked.setdefault(kind, np.zeros(record.shape[0], dtype=bool))
        return SliceArray(self.folder / record.file, record, checked, self.mend)


@dataclass(frozen=True, eq=False)
class PreparedCohort:
    """A prepared cohort, complete and checked.

    Args:
        folder: where it lies, beside other cohorts that were prepared in the same way.
        key: hash of everything that went into it.
        name: the cohort's.
        options: how it was prepared.
        scheme: meaning of the labels; None without.
        modalities: names of the channels of every case's images.
        region_names: names of the channels of every case's regions.
        cases: in the cohort's order.
        files: source file, relative to the folder that holds them all -> digest of what it holds.
    """

    folder: Path
    key: str
    name: str
    options: PrepareOptions
    scheme: LabelScheme | None
    modalities: tuple[str, ...]
    region_names: tuple[str, ...]
    cases: tuple[PreparedCase, ...]
    files: Mapping[str, str]

    def __repr__(self) -> str:
        """In a line."""
        what = f"{plural(len(self.cases), 'case')}; {', '.join(self.modalities)}"
        return f"PreparedCohort({self.name}: {what}; {self.folder})"

    @property
    def index(self) -> Path:
        """The file that says which cases it has."""
        return index_at(self.folder, self.key)


def index_at(folder: Path, key: str) -> Path:
    """The index of the cohort of that key: written last, so that its presence says that all cases are there."""
    return folder / f"index-{key[:20]}.json"


def of_patients(prepared: PreparedCohort, patients: Collection[str]) -> PreparedCohort:
    """The cases of some patients, such as the training part of a split.

    Raises:
        SplitError: none, or a patient who has no prepared case.
    """
    names = set(patients)
    unknown = sorted(names - {case.patient for case in prepared.cases})
    if unknown or not patients:
        raise SplitError(
            "the prepared cohort lacks patients" if unknown else "a part of the split is empty",
            path=prepared.folder,
            found=name_some(unknown) if unknown else None,
        )
    return replace(prepared, cases=tuple(case for case in prepared.cases if case.patient in names))


def open_prepared(path: Path, mend: Callable[[str], Callable[[], None]] | None = None) -> PreparedCohort:
    """A complete prepared cohort; pixels are mapped, and checked, when they are asked for.

    Args:
        path: of the index (``index_at``).
        mend: stem of a case -> what prepares it anew; None refuses damaged slices.

    Raises:
        CacheError: not complete, or damaged: names the first fault.
        FileError: there is no such cache.
    """
    folder, index = path.parent, read_record(path, IndexRecord)
    cases = tuple(
        replace(read_case(folder, stem, key, thorough=False), mend=None if mend is None else mend(stem))
        for stem, key in index.cases.items()
    )
    return PreparedCohort(
        folder=folder,
        key=index.key,
        name=index.name,
        options=index.options,
        scheme=None if index.scheme is None else index.scheme.scheme(),
        modalities=index.modalities,
        region_names=index.regions,
        cases=cases,
        files=index.files,
    )


def read_case(folder: Path, stem: str, key: str, *, thorough: bool) -> PreparedCase:
    """One case, checked: its record's seal and key, header and size of its arrays; ``thorough``: every slice of them.

    Raises:
        CacheError: anything is not as it was written.
        FileError: its record is missing.
    """
    path = folder / f"{stem}.json"
    record = read_record(path, CaseRecord)
    if record.key != key:
        raise CacheError("the prepared case belongs to another state of the cohort", path=path)
    for array in record.arrays.values():
        _check_array(folder / array.file, array, thorough=thorough)
    voxels = record.region_voxels
    return PreparedCase(
        folder=folder,
        id=record.id,
        patient=record.patient,
        category=record.category,
        modalities=record.modalities,
        region_names=record.regions,
        missing=record.missing,
        filled_with=record.filled_with,
        native=record.native.grid(),
        working=record.working.grid(),
        non_black=np.asarray(record.non_black, dtype=np.float32),
        region_voxels=None if voxels is None else np.asarray(voxels, dtype=np.int64).reshape(-1, len(record.regions)),
        arrays=record.arrays,
    )


def write_case(
    folder: Path,
    stem: str,
    key: str,
    case: Case,
    regions: tuple[str, ...],
    prepared: PreparedArrays,
) -> None:
    """Write the arrays of a case and then its record; nothing is synced to disk yet.

    Args:
        folder: of the cache.
        stem: how the names of the files begin.
        key: hash of what went into the case.
        case: whose they are.
        regions: names of the regions.
        prepared: the arrays.

    Raises:
        FileError: the disk is full, or the folder cannot be written to.
    """
    arrays = {"images": write_array(folder / f"{stem}.images.npy", prepared.images)}
    voxels = None
    if prepared.regions is not None:
        arrays["regions"] = write_array(folder / f"{stem}.regions.npy", prepared.regions)
        voxels = prepared.regions.sum(axis=(2, 3), dtype=np.int64)
    record = CaseRecord(
        key=key,
        id=case.id,
        patient=case.patient,
        category=case.category,
        modalities=prepared.modalities,
        regions=regions,
        missing=prepared.missing,
        filled_with=prepared.filled_with,
        native=GridRecord.of(prepared.native),
        working=GridRecord.of(prepared.working),
        non_black=tuple(prepared.non_black.tolist()),
        region_voxels=None if voxels is None else tuple(map(tuple, voxels.tolist())),
        arrays=arrays,
    )
    write_record(folder / f"{stem}.json", record, sync=False)


def write_array(path: Path, array: npt.NDArray[np.generic]) -> ArrayRecord:
    """Write an array (Z, ...) in one piece or not at all, and give what is to be known of it; not synced yet."""
    header = _header(array.shape, array.dtype.str)
    with replacing(path, sync=False) as temporary, temporary.open("wb") as file:
        file.write(header)
        file.write(array.data)
    return ArrayRecord(
        file=path.name,
        shape=array.shape,
        dtype=array.dtype.str,
        n_bytes=len(header) + array.nbytes,
        checksums=_checksums(array),
    )


def _checksums(array: npt.NDArray[np.generic]) -> tuple[int, ...]:
    return tuple(checksum(part) for part in array)


@lru_cache(maxsize=64)
def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    """What stands before the values of such an array in its file; cases of one cohort mostly have the same."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    return header.getvalue()


def _fault_of_header(file: BinaryIO, record: ArrayRecord) -> str | None:
    """What is wrong with the header of a file; one that another numpy has spaced differently is right as well."""
    expected = _header(record.shape, record.dtype)
    if file.read(len(expected)) == expected:
        return None
    file.seek(0)
    if np.lib.format.read_magic(file) != (1, 0):
        return "another format"
    header = np.lib.format.read_array_header_1_0(file)
    return None if header == (record.shape, False, np.dtype(record.dtype)) else "another array"


def _check_array(path: Path, record: ArrayRecord, *, thorough: bool) -> None:
    try:
        with path.open("rb") as file:
            fault, n_bytes = _fault_of_header(file, record), os.fstat(file.fileno()).st_size
        if fault is None and n_bytes != record.n_bytes:
            fault = f"{n_bytes} bytes in place of {record.n_bytes}"
        if fault is None and thorough and _checksums(np.load(path, mmap_mode="r")) != record.checksums:
            fault = "another content"
    except (OSError, ValueError) as error:
        fault = f"{type(error).__name__}: {error}"
    if fault is not None:
        raise CacheError("a file of the prepared cache is damaged", path=path, found=fault)


def case_files(folder: Path, stem: str) -> list[Path]:
    """The files of a case that are there."""
    paths = (folder / f"{stem}{ending}" for ending in (".images.npy", ".regions.npy", ".json"))
    return [path for path in paths if path.exists()]


def is_sound(folder: Path, stem: str, key: str, *, thorough: bool) -> bool:
    """Whether a case is there and undamaged; see ``read_case``."""
    try:
        read_case(folder, stem, key, thorough=thorough)
    except GliosegError:
        return False
    return True
