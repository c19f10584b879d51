"""What a user may point at: a folder, a zip archive, a DICOMDIR, or a DICOM file -> the files that lie there."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from glioseg.core import Finding
from glioseg.errors import FileError, GliosegError
from glioseg.io.dicom.archive import contents, is_archive, leads_out, list_archive
from glioseg.io.dicom.header import PREAMBLE, is_dicom, read_dataset
from glioseg.io.dicom.library import silenced
from glioseg.io.dicom.values import items_of, value_of

_DIRECTORY = "dicomdir"


class StudyFiles(NamedTuple):
    """Files, and what is wrong with others."""

    root: Path
    files: tuple[Path, ...]
    findings: tuple[Finding, ...]


def is_study_file(path: Path) -> bool:
    """Whether a path is a file in which DICOM is to be looked for: a zip archive, or a DICOM file."""
    if not path.is_file():
        return False
    if is_archive(path):
        return True
    ((_, head),) = contents([path], PREAMBLE)
    return isinstance(head, bytes) and is_dicom(head)


def study_files(path: Path) -> StudyFiles:
    """The files of an archive, those that a DICOMDIR names, or the one DICOM file.

    Raises:
        FileError: an archive or a DICOMDIR that is damaged.
    """
    if is_archive(path):
        return StudyFiles(path, *list_archive(path))
    if path.name.lower() == _DIRECTORY:
        return _directory(path)
    return StudyFiles(path.parent, (path,), ())


def _directory(path: Path) -> StudyFiles:
    """The files that the records of a DICOMDIR name, whatever their order and offsets, so that circles do no harm."""
    ((_, content),) = contents([path])
    if isinstance(content, GliosegError):
        raise content
    files: dict[Path, None] = {}
    n_outside = n_missing = 0
    with silenced():
        data = read_dataset(path, content)
        for record in items_of(data, "DirectoryRecordSequence"):
            file_id = value_of(record, "ReferencedFileID")
            if file_id is None or isinstance(file_id, (bytes, int, float)):
                continue
            parts = [file_id] if isinstance(file_id, str) else [str(part) for part in file_id]
            place = PurePosixPath(*"/".join(parts).replace("\\", "/").split("/"))
            if not place.parts or leads_out(place) or "\0" in str(place):
                n_outside += 1
                continue
            file = _as_spelt(path.parent, place)
            n_missing += file is None
            if file is not None:
                files[file] = None
    if not files:
        raise FileError(
            "the DICOMDIR names no file that is there",
            found=f"{n_missing + n_outside} files that it names are not below it",
            remedy="Name the folder in which the files lie",
        )
    return StudyFiles(path.parent, tuple(files), tuple(_findings(n_outside, n_missing)))


def _as_spelt(folder: Path, place: PurePosixPath) -> Path | None:
    """The file of a name that media write in capitals, and copies of them may not."""
    for spelt in (place, PurePosixPath(str(place).lower())):
        file = folder / spelt
        if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
            return file
    return None


def _findings(n_outside: int, n_missing: int) -> list[Finding]:
    findings = []
    if n_outside:
        message = f"of the files that the DICOMDIR names {n_outside} would lie outside its folder, and were not opened"
        findings.append(Finding("error", "unreadable-file", message))
    if n_missing:
        message = f"of the files that the DICOMDIR names {n_missing} cannot be found"
        findings.append(Finding("warning", "missing-file", message))
    return findings
