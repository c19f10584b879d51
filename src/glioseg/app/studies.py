"""What lies in an upload: its cases, what each scan was taken for, and a case as the user put it together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glioseg.cohorts.reading.case_names import case_name
from glioseg.core import Case, Cohort, Finding, Source, allowing
from glioseg.core.grid import PLANE_OF_AXIS, Grid
from glioseg.core.modalities import sequence_of
from glioseg.core.series import SeriesRow
from glioseg.errors import GliosegError, LayoutError, OptionError, name_some
from glioseg.io.dicom.header import dicom_files
from glioseg.io.endings import PICTURE_ENDINGS, VOLUME_ENDINGS, file_kind, file_stem, has_ending
from glioseg.io.load import read_grid
from glioseg.runs.read import Data, read

_SHOWN = 8
_UNTOLD = "image"
"""What readers call a modality that no name says."""


@dataclass(frozen=True)
class ScanRow:
    """A scan of a case, and what it was taken for.

    Args:
        series: by which it is named: the number of a DICOM series, or the file below the upload.
        file: what people call it.
        plane: of its slices; empty where it lies nowhere.
        spacing_mm: along X, Y, Z; None where millimetres are unknown.
        n_slices: its pictures.
        taken_for: the modality; None where it is none.
        is_used: whether it is the case's image of that modality.
        confidence: 0 to 1, of that.
        why: in words.
    """

    series: str
    file: str
    plane: str
    spacing_mm: tuple[float, float, float] | None
    n_slices: int
    taken_for: str | None
    is_used: bool
    confidence: float
    why: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        spacing = None if self.spacing_mm is None else [round(mm, 3) for mm in self.spacing_mm]
        return {name: value for name, value in vars(self).items() if name != "is_used"} | {"spacing_mm": spacing}


@dataclass(frozen=True)
class FoundCase:
    """A case of an upload.

    Args:
        key: by which it is named in the upload.
        root: the folder that was read.
        cohort: what was read, but for this case alone; None for files that no layout fits.
        case: the case, with the scans that were recognised.
        rows: of all its scans.
        sources: by the names of the rows, of what is no DICOM.
    """

    key: str
    root: Path
    cohort: Cohort | None
    case: Case
    rows: tuple[ScanRow, ...]
    sources: Mapping[str, Source]


@dataclass(frozen=True)
class Found:
    """All cases of an upload, and what is to be said of it."""

    cases: tuple[FoundCase, ...]
    findings: tuple[Finding, ...]

    def named(self, key: str) -> FoundCase | None:
        """The case of that key; None where it is no longer there."""
        return next((case for case in self.cases if case.key == key), None)


def found_in(folder: Path, max_voxels: int) -> Found:
    """The cases in the folder of an upload.

    Folders that are not one data set are read one by one; files that no layout fits are a case whose modalities the
    user has to say.

    Raises:
        LayoutError: nothing that is a scan.
    """
    _require_scans(folder)
    try:
        return _read(folder, "", max_voxels)
    except LayoutError as error:
        parts = list(_parts(folder, max_voxels))
        if not parts:
            raise error
    return Found(
        tuple(case for part in parts for case in part.cases), tuple(each for part in parts for each in part.findings)
    )


def called_by_files(recognised: Found, folder: Path) -> Found:
    """Cases that a reader has called after the folder, which is an upload's number, called after their files."""

    def called(each: FoundCase) -> FoundCase:
        if each.case.id != folder.name or not each.case.images:
            return each
        return replace(each, case=replace(each.case, id=case_name(sorted(_files(each.case)))))

    return replace(recognised, cases=tuple(called(each) for each in recognised.cases))


def case_of(recognised: FoundCase, modalities: Mapping[str, str], max_voxels: int) -> Case:
    """A case with the scans that the user chose for its modalities.

    Args:
        recognised: the case as it was recognised.
        modalities: modality -> name of a row.
        max_voxels: files that declare more are refused.

    Raises:
        OptionError: a scan that the case has not, or none at all.
    """
    if not modalities:
        raise OptionError("no scan was chosen", expected="a scan for each modality that the network needs")
    all_series = {row.series for row in recognised.rows}
    for modality, series in modalities.items():
        if series not in all_series:
            raise OptionError(
                f"there is no scan {series} for {modality}", expected=name_some(sorted(all_series), _SHOWN)
            )
    if recognised.cohort is not None and recognised.cohort.series:
        images = _of_dicom(recognised, modalities).images
    else:
        images = {name: recognised.sources[series] for name, series in modalities.items()}
    return allowing(replace(recognised.case, images={name: images[name] for name in modalities}), max_voxels)


def _of_dicom(recognised: FoundCase, modalities: Mapping[str, str]) -> Case:
    """Read again with the series that the user names in the place of those that were recognised."""
    by_itself = {row.taken_for: row.series for row in recognised.rows if row.is_used}
    if all(by_itself.get(name) == series for name, series in modalities.items()):
        return recognised.case
    cohort = read(Data(recognised.root, series=dict(modalities)))
    files = _files(recognised.case)
    same = [case for case in cohort.cases if len(cohort.cases) == 1 or files & _files(case)]
    if not same:
        raise OptionError("these series are not of one study", found=", ".join(modalities.values()))
    return same[0]


def grids_of(case: Case) -> list[Grid]:
    """The grids of those scans of a case that can be read."""
    grids = []
    for source in case.images.values():
        with suppress(GliosegError):
            grids.append(read_grid(source))
    return grids


def is_one_grid(grids: Sequence[Grid]) -> bool:
    """Whether they are one, so that nothing has to be registered."""
    return all(grids[0].difference(grid) is None for grid in grids[1:])


def _files(case: Case) -> set[Path]:
    return {path for source in case.images.values() for path in source.paths}


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(folder: Path, place: str, max_voxels: int) -> Found:
    cohort = read(Data(folder, max_voxels=max_voxels))
    others = _others(folder, cohort, max_voxels)
    cases = tuple(_found_case(case, cohort, folder, place, others) for case in cohort.cases)
    return Found(cases, cohort.findings)


def _parts(folder: Path, max_voxels: int) -> Iterator[Found]:
    """The folders directly below, each as it is, and the files beside them as they lie."""
    loose = [path for path in sorted(folder.iterdir()) if path.is_file() and file_kind(path) not in (None, "hdf5")]
    if loose:
        yield Found((_loose_case(loose, folder, max_voxels),), ())
    for below in sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()):
        try:
            yield _read(below, f"{below.name}/", max_voxels)
        except LayoutError as error:
            parts = list(_parts(below, max_voxels))
            if not parts:
                yield Found((), (Finding("error", "unreadable-folder", f"{below.name}: {error.text}"),))
            for part in parts:
                yield replace(part, cases=tuple(replace(case, key=f"{below.name}/{case.key}") for case in part.cases))


def _loose_case(files: Sequence[Path], folder: Path, max_voxels: int) -> FoundCase:
    """Files whose names do not say what they show, but for those that do."""
    sources = {path.name: Source((path,), kind, max_voxels=max_voxels) for path in files if (kind := file_kind(path))}
    rows, images = [], {}
    for name, source in sources.items():
        modality = sequence_of(file_stem(Path(name)))
        is_first = modality is not None and modality not in images
        if modality is not None and is_first:
            images[modality] = source
        rows.append(_row(name, source, modality if is_first else None, is_used=is_first))
    name = case_name(list(files))
    return FoundCase(name, folder, None, Case(name, name, images), tuple(rows), sources)


def _found_case(case: Case, cohort: Cohort, folder: Path, place: str, others: Mapping[Path, Source]) -> FoundCase:
    if cohort.series:
        rows = tuple(_series_row(row) for row in cohort.series if row.case == case.id)
        first = min(_files(case)).relative_to(folder).as_posix()  # ids are digests, which another process may not know
        return FoundCase(f"{place}{first}", folder, cohort, case, rows, {})
    images = {modality: source for modality, source in case.images.items() if modality != _UNTOLD}
    sources = {_name_of(source, folder): source for source in case.images.values()}
    listed = [_row(_name_of(source, folder), source, modality, is_used=True) for modality, source in images.items()]
    used = {path for source in images.values() for path in source.paths}
    beside = {path.parent for source in case.images.values() for path in source.paths}
    for path, source in others.items():
        if path not in used and (path.parent in beside or len(cohort.cases) == 1):
            sources[_name_of(source, folder)] = source
            listed.append(_row(_name_of(source, folder), source, None, is_used=False))
    alone = replace(case, images=images)
    return FoundCase(f"{place}{case.id}", folder, cohort, alone, tuple(listed), sources)


def _others(folder: Path, cohort: Cohort, max_voxels: int) -> dict[Path, Source]:
    """Volumes in the folder of which no name says what they show; a case may be put together of them."""
    if cohort.series:
        return {}
    sources = [source for case in cohort.cases for name, source in case.images.items() if name != _UNTOLD]
    used = {path for source in sources for path in source.paths}
    used |= {path for case in cohort.cases if case.labels is not None for path in case.labels.paths}
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path not in used)
    return {
        path: Source((path,), kind, max_voxels=max_voxels)
        for path in files
        if has_ending(path, VOLUME_ENDINGS) and (kind := file_kind(path)) is not None
    }


def _series_row(row: SeriesRow) -> ScanRow:
    return ScanRow(
        series=row.label,
        file=f"series {row.label}{f' ({row.words})' if row.words else ''}",
        plane=row.plane,
        spacing_mm=row.spacing_mm,
        n_slices=row.n_slices,
        taken_for=row.taken_for,
        is_used=row.is_used,
        confidence=row.confidence,
        why="; ".join((row.why, *row.remarks)),
    )


def _row(name: str, source: Source, modality: str | None, *, is_used: bool) -> ScanRow:
    """What the header of a file says of it; of a file that cannot be read why."""
    why = "its name says so" if is_used else "its name does not say what it shows"
    try:
        grid = read_grid(source)
    except GliosegError as error:
        return ScanRow(name, name, "", None, 0, modality, is_used, 0.0, f"it cannot be read: {error.what}")
    plane = PLANE_OF_AXIS[grid.axis_directions[2][0]] if grid.has_mm else ""
    spacing = grid.spacing_mm if grid.has_mm else None
    return ScanRow(name, name, plane, spacing, grid.shape[2], modality, is_used, 1.0 if is_used else 0.0, why)


def _name_of(source: Source, folder: Path) -> str:
    first = source.paths[0]
    place = first if len(source.paths) == 1 else first.parent
    name = place.relative_to(folder).as_posix() if place != folder else "."
    return name if source.channel is None else f"{name}, channel {source.channel + 1}"


def _require_scans(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    if any(has_ending(path, (*VOLUME_ENDINGS, *PICTURE_ENDINGS, ".h5", ".hdf5")) for path in files):
        return
    if next(dicom_files(files), None) is not None:
        return
    names = name_some([path.relative_to(folder).as_posix() for path in files], 4)
    raise LayoutError(
        "none of these files is a scan",
        found=names or "no file",
        expected="DICOM files of an MR study, NIfTI files (.nii.gz) or pictures (.png, .jpg, .tif)",
        remedy="Drop the folder of the study, or a zip of it",
    )
