"""What DICOM may lie in: a folder's files, a zip archive, a DICOMDIR."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.errors import FileError
from glioseg.io.dicom import archive
from glioseg.io.dicom.archive import is_archive
from glioseg.io.dicom.codestream import size_of
from glioseg.io.dicom.study_files import is_study_file, study_files
from tests.fakes.dicom import T1N, dicomdir, oblique, write_series, zipped

ARRAY = np.zeros((4, 3, 2), dtype=np.int16)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_series(tmp_path / "study", ARRAY, oblique(), T1N)
    return tmp_path / "study"


def test_an_archive_has_its_name_and_its_content(study: Path, tmp_path: Path) -> None:
    """Neither says it alone: office files are zip too, and a name is soon given."""
    packed = zipped(study, tmp_path / "STUDY.ZIP")
    (tmp_path / "letter.docx").write_bytes(packed.read_bytes())
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "folder.zip").mkdir()
    assert is_archive(packed)
    assert not any(is_archive(tmp_path / name) for name in ("letter.docx", "text.zip", "folder.zip", "gone.zip"))


def test_where_dicom_is_looked_for(study: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM" * 50)
    assert is_study_file(zipped(study, tmp_path / "study.zip"))
    assert is_study_file(next(study.iterdir()))
    assert not any(is_study_file(path) for path in (study, tmp_path / "notes.txt", tmp_path / "gone"))


def test_a_file_alone(study: Path) -> None:
    path = next(study.iterdir())
    assert study_files(path) == (study, (path,), ())


def test_a_directory_names_its_files_and_what_is_missing(study: Path) -> None:
    """Names are in capitals on media, and small in a copy of them."""
    paths = sorted(study.iterdir())
    for path in paths:
        path.rename(study / path.name.lower())
    directory = dicomdir(study, *(path.name for path in paths), "GONE", "../OUT", "/etc/passwd", "C:\\OUT")
    root, files, findings = study_files(directory)
    assert (root, set(files)) == (study, {study / path.name.lower() for path in paths})
    assert [(finding.severity, finding.kind, finding.message) for finding in findings] == [
        (
            "error",
            "unreadable-file",
            "of the files that the DICOMDIR names 2 would lie outside its folder, and were not opened",
        ),
        ("warning", "missing-file", "of the files that the DICOMDIR names 2 cannot be found"),
    ]


def test_a_directory_of_files_that_are_not_there(study: Path) -> None:
    for path in study.iterdir():
        path.unlink()
    with pytest.raises(FileError, match=r"names no file that is there; found 2 files that it names are not below it"):
        study_files(dicomdir(study, "GONE", "../OUT"))


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"nothing" * 9)
    with pytest.raises(FileError):
        study_files(tmp_path / "DICOMDIR")


def test_an_archive_that_is_damaged(study: Path, tmp_path: Path) -> None:
    packed = zipped(study, tmp_path / "study.zip")
    content = packed.read_bytes()
    packed.write_bytes(content[: len(content) // 2])
    assert not is_archive(packed)  # its list of members stands at the end
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("../IM1", b"x")
        file.writestr("DICOM/", b"")
    assert study_files(packed).files == ()


def test_a_file_larger_than_those_that_are_read(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of it is refused, its beginning is read: what a file is stands there."""
    path = next(study.iterdir())
    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    ((_, refused),) = archive.contents([path], 1000)
    assert isinstance(refused, FileError)
    assert re.search(
        r"the file is larger than those that are read; found [\d,]+ bytes; expected at most 1,000", str(refused)
    )
    ((_, head),) = archive.contents([path], 132)
    assert head == path.read_bytes()[:132]


@pytest.mark.parametrize("is_progressive", [False, True])
def test_what_a_jpeg_says_of_its_size(is_progressive: bool, tmp_path: Path) -> None:
    Pillow.new("L", (30, 20)).save(tmp_path / "a.jpg", progressive=is_progressive)
    assert size_of((tmp_path / "a.jpg").read_bytes()) == (20, 30)
    assert size_of((tmp_path / "a.jpg").read_bytes()[:40]) is None
    assert size_of(b"something else") is None
