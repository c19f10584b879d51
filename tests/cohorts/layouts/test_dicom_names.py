"""Nobody is named by what goes wrong early: before a study has become cases with names of their own."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import JPEG2000Lossless

from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.recognise import read_cohort
from glioseg.core import allowing
from glioseg.errors import GliosegError
from glioseg.io import load_image
from glioseg.io.dicom.library import silenced
from glioseg.io.dicom.segmentation import Segment, write_segmentation
from glioseg.io.files import unforeseen_in
from tests.cli.command import glioseg
from tests.cohorts.layouts.test_dicom import IMAGES
from tests.fakes.dicom import BY_MODALITY, NAME, PATIENT, T2W, oblique, write_series, zipped
from tests.fakes.volumes import noise, save_volume

FOLDER, FILE, VALUE = "Plantedfolder_Jane", "Plantedfile_Jdoe", "Plantedvalue^Secretgiven"
PLANTED = ("planted", "secretgiven", "jane", "jdoe", PATIENT.lower(), NAME.lower(), "20240131", "101500")


def _study(root: Path) -> Path:
    """Four modalities, every file called as the patient."""
    folder = root / FOLDER
    for name, array in IMAGES.items():
        for number, path in enumerate(write_series(folder, array, oblique(), BY_MODALITY[name])):
            path.rename(folder / f"{FILE}_{name}_{number}")
    return folder


def _each(folder: Path, change: Callable[[Dataset], None], which: str = "t2w") -> Path:
    for path in folder.glob(f"{FILE}_{which}_*"):
        data = pydicom.dcmread(path)
        change(data)
        data.save_as(path)
    return folder


def _set(keyword: str, value: object) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        if isinstance(value, tuple):  # of another kind than the attribute has
            data.add_new(keyword, *value)
        else:
            setattr(data, keyword, value)

    return change


def _garbage(data: Dataset) -> None:
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
    data.PixelData = pydicom.encaps.encapsulate([VALUE.encode() * 20])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True


def _cut(folder: Path, n_bytes: int) -> Path:
    for path in folder.glob(f"{FILE}_t2w_*"):
        path.write_bytes(path.read_bytes()[:n_bytes])
    return folder


def _directory(folder: Path, *names: str) -> Path:
    data = Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    records = []
    for name in names:
        record = Dataset()
        record.DirectoryRecordType, record.PatientName, record.ReferencedFileID = "IMAGE", NAME, name.split("/")
        records.append(record)
    data.DirectoryRecordSequence = Items(records)
    data.save_as(folder / "DICOMDIR", enforce_file_format=True, little_endian=True, implicit_vr=False)
    return folder / "DICOMDIR"


def _segmentation(root: Path) -> Path:
    (case,) = read_cohort(_study(root)).cases
    write_segmentation(root / FOLDER / f"{FILE}.seg.dcm", case.images["t2f"], _segments(), "id")
    return root / FOLDER / f"{FILE}.seg.dcm"


def _alone(path: Path) -> Path:
    return path.rename(path.parents[1] / path.name)


def _written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _archive(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"\0" * 128 + b"DICM" + VALUE.encode())
    return path


def _two_times(folder: Path) -> Path:
    """One series with two volumes that times of day alone tell apart."""
    for number, time in enumerate(("101500", "111500")):
        made = replace(T2W, number=9, part="ab"[number], tags={**T2W.tags, "AcquisitionTime": time})
        write_series(folder, IMAGES["t2w"] + number, oblique(), made)
    return folder


def _stacks(folder: Path) -> Path:
    (path,) = write_series(folder, IMAGES["t2w"], oblique(), replace(T2W, number=9, enhanced=True))
    data = pydicom.dcmread(path)
    groups = list(data.PerFrameFunctionalGroupsSequence)
    for number, group in enumerate(groups):
        group.FrameContentSequence[0].StackID = VALUE[: 8 + number % 2]
        group.FrameContentSequence[0].FrameAcquisitionDateTime = "20240131101500"
        group.PlanePositionSequence = groups[number // 2 * 2].PlanePositionSequence
    data.save_as(path)
    return folder


WRONG: Mapping[str, Callable[[Path], Path]] = {
    "a modality that is a name": lambda root: _each(_study(root), _set("Modality", VALUE.upper()[:16])),
    "a modality of letters": lambda root: _each(_study(root), _set("Modality", "JANE")),
    "rows that are a name": lambda root: _each(_study(root), _set("Rows", ("LO", VALUE))),
    "a number that is a name": lambda root: _each(_study(root), _set("SeriesNumber", ("LO", VALUE))),
    "a name that is a sequence": lambda root: _each(_study(root), _set("PatientName", ("SQ", Items([Dataset()])))),
    "a position that is a name": lambda root: _each(_study(root), _set("ImagePositionPatient", ("PN", NAME))),
    "a kind that is a name": lambda root: _each(_study(root), _set("ImageType", [VALUE.upper()] * 4)),
    "a contrast that is a name": lambda root: _each(_study(root), _set("AcquisitionContrast", VALUE.upper()[:16])),
    "an agent that is a name": lambda root: _each(_study(root), _set("ContrastBolusAgent", VALUE), "t1n"),
    "a sequence that is a name": lambda root: _each(_study(root), _set("ScanningSequence", VALUE.upper()[:16])),
    "a syntax that is a name": lambda root: _each(
        _study(root), lambda data: setattr(data.file_meta, "TransferSyntaxUID", "1.2.999.4711.77")
    ),
    "no voxels": lambda root: _each(_study(root), lambda data: data.__delitem__("PixelData")),
    "empty voxels": lambda root: _each(_study(root), _set("PixelData", b"")),
    "rubbish in the place of compressed voxels": lambda root: _each(_study(root), _garbage),
    "headers that are cut off": lambda root: _cut(_study(root), 700),
    "files of nothing but a beginning": lambda root: _cut(_study(root), 150),
    "volumes told apart by the time": lambda root: _two_times(_study(root)),
    "stacks that are called": lambda root: _stacks(_study(root)),
    "no file that is DICOM": lambda root: _written(root / FOLDER / f"{FILE}.dcm", VALUE.encode()).parent,
    "files without an ending that are none": lambda root: _written(root / FOLDER / FILE, VALUE.encode()).parent,
    "a folder of archives": lambda root: zipped(_study(root / "a"), root / f"{FILE}.zip").parent,
    "a file that is none": lambda root: _written(root / FOLDER / f"{FILE}.dcm", VALUE.encode()),
    "an archive that is none": lambda root: _written(root / f"{FILE}.zip", VALUE.encode()),
    "an archive that is cut off": lambda root: _written(
        root / f"{FILE}.zip", zipped(_study(root / "a"), root / "whole.zip").read_bytes()[:-90]
    ),
    "an archive of another kind": lambda root: _written(root / f"{FILE}.tar.gz", VALUE.encode()),
    "an archive of nothing": lambda root: _archive(root / f"{FILE}.zip"),
    "an archive of texts": lambda root: zipped(
        _written(root / "a" / f"{FILE}.txt", VALUE.encode()).parent, root / f"{FILE}.zip"
    ),
    "an archive that leads out": lambda root: _archive(
        root / f"{FILE}.zip", f"../{FILE}", f"/{FILE}", f"{FOLDER}/{FILE}"
    ),
    "a directory of names that are not there": lambda root: _directory(_study(root), FILE.upper(), f"{FOLDER}/{FILE}"),
    "a directory that leads out": lambda root: _directory(_study(root), f"../{FILE}", f"/{FOLDER}/{FILE}"),
    "a directory that is damaged": lambda root: _written(
        root / FOLDER / "DICOMDIR", b"\0" * 128 + b"DICM" + VALUE.encode() * 9
    ),
    "a directory that is none": lambda root: _written(root / FOLDER / "DICOMDIR", VALUE.encode()),
    "a segmentation": lambda root: _alone(_segmentation(root)),
    "a segmentation beside its series": lambda root: _segmentation(root).parent,
    "beside another data set": lambda root: _beside(root),
}


def _beside(root: Path) -> Path:
    _study(root / "all" / "a")
    for name in ("t1n", "t1c", "t2w", "t2f", "seg"):
        save_volume(root / "all" / FILE / "BraTS-GLI-00001-000" / f"BraTS-GLI-00001-000-{name}.nii.gz", noise(1))
    return root / "all"


def _said_of(path: Path) -> str:
    """All that is said on the way from the path to voxels."""
    try:
        cohort = read_cohort(path)
    except GliosegError as error:
        return f"{error} {error.text}"
    rows = [repr(row) for row in cohort.series]
    said = [*rows, *(finding.message for finding in cohort.findings), cohort.name, cohort.reason]
    for case in cohort.cases:
        said += [case.id, case.patient, *(source.shown for source in case.images.values())]
        try:
            load_image(case)
        except GliosegError as error:
            said.append(f"{error} {error.text}")
    return "\n".join(said)


@pytest.mark.parametrize("wrong", WRONG)
def test_nobody_is_named(wrong: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with silenced():  # of what pydicom thinks of such files
        path = WRONG[wrong](tmp_path / "root")
    said = _said_of(path).lower()
    printed = "".join(capfd.readouterr()).lower()
    assert [planted for planted in PLANTED if planted in said or planted in printed] == []
    assert len(said) > 20


@pytest.mark.parametrize(
    "wrong",
    ["an archive that is none", "a directory that is damaged", "a modality that is a name", "a file that is none"],
)
@pytest.mark.parametrize("command", ["predict", "split"])
def test_nor_by_the_commands(wrong: str, command: str, tmp_path: Path) -> None:
    with silenced():
        path = WRONG[wrong](tmp_path / "root")
    (tmp_path / "here").mkdir()
    words = (command, *(("model:phantom",) if command == "predict" else ()), path)
    ran = glioseg(*words, "--out", tmp_path / "here" / "out")
    assert ran.code in (1, 2)
    said = f"{ran.out}{ran.err}".lower()
    assert [planted for planted in PLANTED if planted in said] == []


def test_a_volume_that_is_too_large_is_called_as_its_series(tmp_path: Path) -> None:
    (case,) = read_cohort(_study(tmp_path)).cases
    with pytest.raises(GliosegError, match="more voxels than are read") as caught:
        load_image(allowing(case, 10))
    assert str(caught.value).startswith(f"{case.id} series ")
    assert not [planted for planted in PLANTED if planted in str(caught.value).lower()]


def test_what_nobody_foresaw_is_not_quoted_of_a_study(tmp_path: Path) -> None:
    (case,) = read_cohort(_study(tmp_path)).cases
    error = unforeseen_in(case, "the case could not be predicted", ValueError(f"{FILE}: {VALUE}"))
    assert error.found == "ValueError"
    plain = replace(case, images={name: replace(each, name=None) for name, each in case.images.items()})
    assert FILE in str(unforeseen_in(plain, "the case could not be predicted", ValueError(FILE)).found)


def test_files_that_break_after_the_first_look_are_called_as_their_series(tmp_path: Path) -> None:
    (case,) = read_cohort(_study(tmp_path)).cases
    for path in (tmp_path / FOLDER).glob(f"{FILE}_t2f_*"):
        path.write_bytes(path.read_bytes()[:132] + VALUE.encode() * 99)
    for work in (
        lambda: load_image(case),
        lambda: write_segmentation(tmp_path / "a.dcm", replace(case.images["t2f"]), _segments(), "id"),
    ):
        with pytest.raises(GliosegError) as caught:
            work()
        assert not [planted for planted in PLANTED if planted in str(caught.value).lower()]


def test_names_are_shown_to_who_asks(tmp_path: Path) -> None:
    path = WRONG["no file that is DICOM"](tmp_path)
    with pytest.raises(GliosegError, match=f"{FOLDER}.*{FILE}.dcm"):
        read_cohort(path, options=ReadOptions(keep_ids=True))


def _segments() -> list[Segment]:
    return [Segment("WT", np.ones(IMAGES["t2f"].shape, bool), (255, 0, 0))]
