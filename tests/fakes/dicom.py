"""DICOM as scanners and archives write it, in miniature: every way in which voxels and their place can be stated.

Volumes come as (array (X, Y, Z), affine of RAS+ mm), Z being the direction from slice to slice, and are written as one
file a slice, or as one enhanced file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
)

from glioseg.io.dicom.library import silenced

SYNTAXES: Mapping[str, UID] = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "rle": RLELossless,
    "jpeg-lossless": JPEGLosslessSV1,
    "jpeg-ls": JPEGLSLossless,
    "jpeg-2000": JPEG2000Lossless,
}
_ROOT = "1.2.999.4711."
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
NAME, PATIENT, BIRTH = "Plantedname^Secretgiven", "MRN-PLANTED-4711", "19320229"
"""What no log, page, record or file name may hold."""

Voxels = npt.NDArray[Any]
Affine = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """How a series was made, and how it is written; ``tags`` go into every file, ``per_slice`` into that of a slice.

    ``positions`` moves single slices (index -> mm along the normal); ``left_out`` are slices that are not written.
    """

    number: int = 1
    description: str = ""
    tags: Mapping[str, Any] = field(default_factory=dict)
    syntax: str = "explicit"
    enhanced: bool = False
    signed: bool = True
    bits: int = 16
    rescale: tuple[float, float] | None = None
    position_at: str = "HFS"
    study: str = "1"
    patient: str = PATIENT
    shuffled: bool = True
    left_out: tuple[int, ...] = ()
    positions: Mapping[int, float] = field(default_factory=dict)
    part: str = ""

    @property
    def uid(self) -> str:
        """Of the series."""
        return f"{_ROOT}{self.study}.{self.number}"


T1N = Series(2, "t1_mprage_sag", {"ScanningSequence": ["GR", "IR"], "EchoTime": 2.3, "RepetitionTime": 1900.0,
    "InversionTime": 900.0, "FlipAngle": 9.0, "MRAcquisitionType": "3D"})  # fmt: skip
T1C = replace(T1N, number=5, description="t1_mprage_sag KM", tags={**T1N.tags, "ContrastBolusAgent": "Gadovist 7.5 ml"})
T2W = Series(3, "t2_tse_tra", {"ScanningSequence": ["SE"], "EchoTime": 98.0, "RepetitionTime": 5500.0,
    "FlipAngle": 150.0, "MRAcquisitionType": "2D"})  # fmt: skip
T2F = Series(4, "t2_tirm_tra_dark-fluid", {"ScanningSequence": ["SE", "IR"], "EchoTime": 90.0,
    "RepetitionTime": 9000.0, "InversionTime": 2500.0, "FlipAngle": 150.0, "MRAcquisitionType": "2D"})  # fmt: skip
BY_MODALITY: Mapping[str, Series] = {"t1n": T1N, "t1c": T1C, "t2w": T2W, "t2f": T2F}


def oblique(spacing: Sequence[float] = (0.9, 0.7, 3.0), degrees: Sequence[float] = (12.0, -25.0, 7.0)) -> Affine:
    """An affine of axial slices as scanners give them (X to the left, Y to the back), turned about all three axes."""
    x, y, z = np.radians(degrees)
    turn_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    turn_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turn_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn_x @ turn_y @ turn_z @ np.diag([-1.0, -1.0, 1.0]) @ np.diag(spacing)
    affine[:3, 3] = (31.5, -12.25, -40.75)
    return affine


def write_series(folder: Path, array: Voxels, affine: Affine, series: Series) -> list[Path]:
    """Write a volume (X, Y, Z) of integers; the files, in the order of Z, carry names that say another order."""
    folder.mkdir(parents=True, exist_ok=True)
    if series.enhanced:
        return [_save(folder / f"IM{series.number:04d}{series.part}", _enhanced(array, affine, series), series)]
    names = (
        np.random.default_rng(series.number).permutation(array.shape[2]) if series.shuffled else range(array.shape[2])
    )
    paths = []
    for z, name in enumerate(names):
        if z not in series.left_out:
            data = _classic(array[:, :, z], affine, z, int(name), series)
            paths.append(_save(folder / f"IM{series.number:04d}{series.part}_{int(name):04d}", data, series))
    return paths


def write_study(folder: Path, images: Mapping[str, Voxels], affine: Affine, **changes: Any) -> dict[str, list[Path]]:
    """A study with a series for each modality, on one grid, all files in one folder; ``changes`` to each series."""
    return {
        name: write_series(folder, array, affine, replace(BY_MODALITY[name], **changes))
        for name, array in images.items()
    }


def zipped(folder: Path, path: Path) -> Path:
    """A folder as an archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return path


def _number(part: str) -> int:
    """A part's name as the last number of a UID."""
    return int.from_bytes(part.encode(), "big")


def _common(series: Series, uid: str, storage: UID) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = storage
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = storage, uid
    data.PatientName, data.PatientID, data.PatientBirthDate = NAME, series.patient, BIRTH
    data.PatientSex, data.PatientAge = "F", "091Y"
    data.StudyInstanceUID, data.SeriesInstanceUID = f"{_ROOT}{series.study}", series.uid
    data.FrameOfReferenceUID = f"{_ROOT}{series.study}.999"
    data.StudyID, data.AccessionNumber, data.StudyDate, data.StudyTime = "S1", "ACC-PLANTED", "20240131", "101500"
    data.ReferringPhysicianName = "Planteddoctor"
    data.Modality, data.Manufacturer = "MR", "Fake"
    data.PositionReferenceIndicator = ""
    data.SeriesNumber, data.SeriesDescription = series.number, series.description
    data.PatientPosition = series.position_at
    data.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    return data


def _place(data: Dataset, affine: Affine, z: int, series: Series) -> None:
    lps = LPS @ affine
    step = lps[:3, 2] / np.linalg.norm(lps[:3, 2])
    position = lps[:3, 3] + z * lps[:3, 2] + series.positions.get(z, 0.0) * step
    data.ImagePositionPatient = [f"{value:.8g}" for value in position]


def _orient(data: Dataset, affine: Affine) -> None:
    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    data.ImageOrientationPatient = [
        f"{value:.10g}" for value in (*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1]))
    ]


def _measure(data: Dataset, affine: Affine) -> None:
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
    data.PixelSpacing = [f"{y:.8g}", f"{x:.8g}"]
    data.SliceThickness = data.SpacingBetweenSlices = f"{z:.8g}"


def _pixels(data: Dataset, frames: Voxels, series: Series) -> None:
    """Voxels (frames, rows, columns)."""
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = frames.shape[1:]
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, series.bits, series.bits - 1
    data.PixelRepresentation = int(series.signed)
    data.PixelData = frames.astype("<i2" if series.signed else "<u2").tobytes()


def _classic(picture: Voxels, affine: Affine, z: int, number: int, series: Series) -> FileDataset:
    data = _common(series, f"{series.uid}.{z + 1}.{_number(series.part)}", MRImageStorage)
    data.InstanceNumber = number + 1
    _place(data, affine, z, series)
    _orient(data, affine)
    _measure(data, affine)
    _pixels(data, picture.T[None], series)
    if series.rescale is not None:
        data.RescaleSlope, data.RescaleIntercept = (f"{value:.8g}" for value in series.rescale)
        data.RescaleType = "US"
    for keyword, value in series.tags.items():
        setattr(data, keyword, value)
    return data


def _enhanced(array: Voxels, affine: Affine, series: Series) -> FileDataset:
    data = _common(series, f"{series.uid}.1.{_number(series.part)}", EnhancedMRImageStorage)
    data.InstanceNumber, data.NumberOfFrames = 1, array.shape[2]
    tags = dict(series.tags)
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([Dataset()]), Items([Dataset()])
    _orient(shared.PlaneOrientationSequence[0], affine)
    _measure(shared.PixelMeasuresSequence[0], affine)
    echo, timing, modifier = Dataset(), Dataset(), Dataset()
    echo.EffectiveEchoTime = float(tags.pop("EchoTime", 0.0))
    timing.RepetitionTime, timing.FlipAngle = float(tags.pop("RepetitionTime", 0.0)), float(tags.pop("FlipAngle", 0.0))
    inversion = float(tags.pop("InversionTime", 0.0))
    modifier.InversionRecovery = "YES" if inversion else "NO"
    if inversion:
        modifier.InversionTimes = [inversion]
    shared.MREchoSequence, shared.MRModifierSequence = Items([echo]), Items([modifier])
    shared.MRTimingAndRelatedParametersSequence = Items([timing])
    if series.rescale is not None:
        scaling = Dataset()
        scaling.RescaleSlope, scaling.RescaleIntercept = (f"{value:.8g}" for value in series.rescale)
        scaling.RescaleType = "US"
        shared.PixelValueTransformationSequence = Items([scaling])
    sequences = tags.pop("ScanningSequence", ["SE"])
    data.EchoPulseSequence = "GRADIENT" if "GR" in sequences else "SPIN"
    data.SharedFunctionalGroupsSequence = Items([shared])
    order = (
        np.random.default_rng(series.number).permutation(array.shape[2]) if series.shuffled else range(array.shape[2])
    )
    groups = []
    for z in order:
        group, place, content = Dataset(), Dataset(), Dataset()
        _place(place, affine, int(z), series)
        content.StackID, content.InStackPositionNumber = "1", int(z) + 1
        content.DimensionIndexValues = [1, int(z) + 1]
        group.PlanePositionSequence, group.FrameContentSequence = Items([place]), Items([content])
        groups.append(group)
    data.PerFrameFunctionalGroupsSequence = Items(groups)
    _pixels(data, np.stack([array[:, :, z].T for z in order]), series)
    for keyword, value in tags.items():
        setattr(data, keyword, value)
    return data


def _save(path: Path, data: FileDataset, series: Series) -> Path:
    syntax = SYNTAXES[series.syntax]
    if series.syntax in ("jpeg-lossless", "jpeg-2000"):
        data.save_as(path, enforce_file_format=True)
        _with_gdcm(path, "JPEGLosslessProcess14_1" if series.syntax == "jpeg-lossless" else "JPEG2000Lossless")
    elif series.syntax == "big-endian":
        size = data.BitsAllocated // 8
        data.PixelData = np.frombuffer(data.PixelData, f"<u{size}").astype(f">u{size}").tobytes()
        data.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, data, implicit_vr=False, little_endian=False, enforce_file_format=True)
    elif series.syntax in ("explicit", "implicit"):
        data.file_meta.TransferSyntaxUID = syntax
        data.save_as(path, enforce_file_format=True, implicit_vr=series.syntax == "implicit", little_endian=True)
    else:
        data.compress(syntax, generate_instance_uid=False)
        data.save_as(path, enforce_file_format=True)
    return path


def _with_gdcm(path: Path, syntax: str) -> None:
    """Write the file again in a way that pydicom has no encoder of its own for."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def dicomdir(folder: Path, *more: str) -> Path:
    """A directory of the files in a folder, and of ``more`` names; its records lead in a circle."""
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    records = []
    for name in [*(path.name for path in sorted(folder.iterdir()) if path.name.startswith("IM")), *more]:
        record = pydicom.Dataset()
        record.OffsetOfTheNextDirectoryRecord = record.OffsetOfReferencedLowerLevelDirectoryEntity = 400
        record.RecordInUseFlag, record.DirectoryRecordType = 65535, "IMAGE"
        with silenced():  # of names that no medium has
            record.ReferencedFileID = name.split("/")
        records.append(record)
    data.DirectoryRecordSequence = records
    path = folder / "DICOMDIR"
    with silenced():
        data.save_as(path, enforce_file_format=True)
    return path
