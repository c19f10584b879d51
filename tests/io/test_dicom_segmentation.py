"""DICOM segmentations, read back by highdicom and by pydicom: the same voxels at the same place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from glioseg.core import Source
from glioseg.errors import GeometryError, OptionError
from glioseg.io.dicom.deidentify import Deidentified
from glioseg.io.dicom.library import silenced
from glioseg.io.dicom.segmentation import Segment, write_segmentation
from glioseg.io.dicom.voxels import read_dicom_grid
from tests.fakes.dicom import BIRTH, LPS, NAME, PATIENT, T2W, Affine, Series, oblique, write_series, zipped

SHAPE = (9, 7, 5)
ARRAY = np.arange(int(np.prod(SHAPE))).reshape(SHAPE).astype(np.int16)
MODEL = "phantom-1234"
FLIPPED = np.diag([0.9, -0.9, -3.0, 1.0])
AFFINES = {
    "oblique": oblique(),
    "flipped": FLIPPED,
    "anisotropic": oblique((0.45, 1.1, 6.0)),
    "sagittal": np.array([[0, 0, 1.2, -20.0], [-1.0, 0, 0, 30.0], [0, -1.0, 0, 40.0], [0, 0, 0, 1.0]]),
}


def _nested() -> dict[str, npt.NDArray[np.bool_]]:
    """Three regions, one in the other, that no turn or flip maps onto itself."""
    masks = {name: np.zeros(SHAPE, dtype=bool) for name in ("WT", "TC", "ET")}
    masks["WT"][1:6, 2:6, 1:5] = masks["TC"][2:5, 2:4, 1:3] = masks["ET"][2:4, 2:3, 1:2] = True
    masks["WT"][8, 0, 4] = True
    return masks


def _segments(masks: dict[str, npt.NDArray[np.bool_]]) -> list[Segment]:
    return [Segment(name, mask, (200, 30 * number, 0)) for number, (name, mask) in enumerate(masks.items())]


def _written(
    tmp_path: Path, affine: Affine, series: Series, masks: dict[str, npt.NDArray[np.bool_]], **more: Any
) -> Any:
    paths = write_series(tmp_path / "in", ARRAY, affine, series)
    write_segmentation(tmp_path / "out.dcm", Source(tuple(paths), "dicom"), _segments(masks), MODEL, **more)
    return paths, read_dicom_grid(paths)


def _require_valid(data: pydicom.Dataset) -> None:
    """Every value is what its VR may hold: pydicom warns of one that is too long, say, which archives refuse."""
    assert sum(1 for _ in data.iterall()) > len(data)


def _points(mask: npt.NDArray[np.bool_], affine: Affine) -> npt.NDArray[np.float64]:
    """RAS mm of the voxels of a mask, in an order of their own."""
    world = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    return world[np.lexsort(world.round(3).T)]


def _by_highdicom(path: Path, number: int) -> npt.NDArray[np.float64]:
    with silenced():
        volume = highdicom.seg.segread(str(path)).get_volume(segment_numbers=[number], combine_segments=False)
    return _points(np.asarray(volume.array)[..., 0] > 0, LPS @ volume.affine)


def _by_pydicom(path: Path, number: int) -> npt.NDArray[np.float64]:
    """Frame by frame, each with the place that it states."""
    data = pydicom.dcmread(path)
    shared = data.SharedFunctionalGroupsSequence[0]
    row, column = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    rows_mm, columns_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    pixels, points = data.pixel_array.reshape(-1, data.Rows, data.Columns), []
    for frame, group in zip(pixels, data.PerFrameFunctionalGroupsSequence, strict=True):
        of_map = data.SegmentationType == "LABELMAP"
        if not of_map and group.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
            continue
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        indices = np.argwhere(frame == number if of_map else frame > 0)
        points.append(position + indices[:, 1:] * columns_mm * row + indices[:, :1] * rows_mm * column)
    world = np.concatenate(points) * (-1.0, -1.0, 1.0)
    return np.asarray(world[np.lexsort(world.round(3).T)], dtype=np.float64)


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_regions_come_back_voxel_for_voxel_at_their_place(affine: Affine, enhanced: bool, tmp_path: Path) -> None:
    masks = _nested()
    paths, grid = _written(tmp_path, affine, replace(T2W, enhanced=enhanced), masks)
    for number, mask in enumerate(masks.values(), start=1):
        expected = _points(mask, grid.affine)
        for found in (_by_highdicom(tmp_path / "out.dcm", number), _by_pydicom(tmp_path / "out.dcm", number)):
            np.testing.assert_allclose(found, expected, atol=1e-3)
    data = pydicom.dcmread(tmp_path / "out.dcm")
    referenced = {item.ReferencedSOPInstanceUID for item in data.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referenced == {pydicom.dcmread(path).SOPInstanceUID for path in paths}
    assert data.FrameOfReferenceUID == pydicom.dcmread(paths[0]).FrameOfReferenceUID
    for group in data.PerFrameFunctionalGroupsSequence:
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        assert list(group.PlanePositionSequence[0].ImagePositionPatient) == list(_position(source, paths))


def _position(source: pydicom.Dataset, paths: list[Path]) -> list[float]:
    """Where the picture lies that a segmentation refers to."""
    for path in paths:
        data = pydicom.dcmread(path)
        if data.SOPInstanceUID == source.ReferencedSOPInstanceUID:
            if "ReferencedFrameNumber" not in source:
                return list(data.ImagePositionPatient)
            group = data.PerFrameFunctionalGroupsSequence[int(source.ReferencedFrameNumber) - 1]
            return list(group.PlanePositionSequence[0].ImagePositionPatient)
    raise AssertionError("a picture that is not there")


def test_segments_are_coded_and_coloured(tmp_path: Path) -> None:
    _written(tmp_path, oblique(), T2W, _nested())
    data = pydicom.dcmread(tmp_path / "out.dcm")
    assert data.SegmentationType == "BINARY"
    codes = [
        (item.SegmentLabel.partition(":")[0], item.SegmentedPropertyTypeCodeSequence[0])
        for item in data.SegmentSequence
    ]
    assert [(name, code.CodeValue, code.CodingSchemeDesignator) for name, code in codes] == [
        ("WT", "108369006", "SCT"),
        ("TC", "4147007", "SCT"),
        ("ET", "C113842", "NCIt"),
    ]
    assert all(item.RecommendedDisplayCIELabValue for item in data.SegmentSequence)
    assert all(
        MODEL in item.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName for item in data.SegmentSequence
    )
    assert (str(data.PatientName), data.PatientID, data.PatientBirthDate) == (NAME, PATIENT, BIRTH)
    _require_valid(data)


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_regions_that_exclude_each_other_are_a_label_map(affine: Affine, tmp_path: Path) -> None:
    masks = {name: np.zeros(SHAPE, dtype=bool) for name in ("NCR", "ED")}
    masks["NCR"][1:3, 1:3, 1:3] = masks["ED"][5:8, 2:6, 2:5] = True
    _, grid = _written(tmp_path, affine, T2W, masks)
    data = pydicom.dcmread(tmp_path / "out.dcm")
    assert data.SegmentationType == "LABELMAP"
    codes = {item.SegmentNumber: item.SegmentedPropertyTypeCodeSequence[0].CodeValue for item in data.SegmentSequence}
    assert (codes[1], codes[2]) == ("6574001", "79654002"), "necrosis and oedema, in SNOMED CT"
    for number, mask in enumerate(masks.values(), start=1):
        for found in (_by_highdicom(tmp_path / "out.dcm", number), _by_pydicom(tmp_path / "out.dcm", number)):
            np.testing.assert_allclose(found, _points(mask, grid.affine), atol=1e-3)


def test_a_mask_of_nothing_is_written_too(tmp_path: Path) -> None:
    _written(tmp_path, oblique(), T2W, {name: np.zeros(SHAPE, dtype=bool) for name in ("WT", "TC")})
    assert not pydicom.dcmread(tmp_path / "out.dcm").pixel_array.any()


def test_one_region_alone(tmp_path: Path) -> None:
    masks = {"ET": _nested()["ET"]}
    _, grid = _written(tmp_path, oblique(), T2W, masks)
    np.testing.assert_allclose(_by_highdicom(tmp_path / "out.dcm", 1), _points(masks["ET"], grid.affine), atol=1e-3)


def test_one_volume_of_an_enhanced_file_that_holds_two(tmp_path: Path) -> None:
    """The mask lies on the slices of the second echo alone."""
    (path,) = write_series(
        tmp_path, np.concatenate([ARRAY, ARRAY], axis=2), oblique(), replace(T2W, enhanced=True, shuffled=False)
    )
    data = pydicom.dcmread(path)
    for index, group in enumerate(data.PerFrameFunctionalGroupsSequence):
        echo = pydicom.Dataset()
        echo.EffectiveEchoTime = 10.0 if index < 5 else 80.0
        group.MREchoSequence = [echo]
        group.PlanePositionSequence = data.PerFrameFunctionalGroupsSequence[index % 5].PlanePositionSequence
    data.save_as(path)
    masks = _nested()
    write_segmentation(tmp_path / "out.dcm", Source((path,), "dicom", dataset="1"), _segments(masks), MODEL)
    grid = read_dicom_grid([path], 1)
    np.testing.assert_allclose(_by_pydicom(tmp_path / "out.dcm", 1), _points(masks["WT"], grid.affine), atol=1e-3)
    groups = pydicom.dcmread(tmp_path / "out.dcm").PerFrameFunctionalGroupsSequence
    sources = [group.DerivationImageSequence[0].SourceImageSequence[0] for group in groups]
    assert {int(source.ReferencedFrameNumber) for source in sources} == {7, 8, 9, 10}, (
        "slices 1 to 4 of the second five"
    )


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_deidentified_nothing_of_the_patient_is_left(enhanced: bool, tmp_path: Path) -> None:
    tags = {
        **T2W.tags,
        "OtherPatientIDs": "OTHER-PLANTED",
        "StudyDescription": "Plantedstudy",
        "InstitutionName": "Plantedclinic",
    }
    new = Deidentified("patient-0123456789", b"salt")
    paths, grid = _written(tmp_path, oblique(), replace(T2W, tags=tags, enhanced=enhanced), _nested(), new=new)
    content = (tmp_path / "out.dcm").read_bytes().lower()
    source = pydicom.dcmread(paths[0])
    planted = [*NAME.split("^"), PATIENT, BIRTH, "planted", "20240131", source.StudyInstanceUID, source.SOPInstanceUID]
    assert not [each for each in planted if str(each).lower().encode() in content]
    data = pydicom.dcmread(tmp_path / "out.dcm")
    assert (data.PatientID, data.PatientIdentityRemoved) == ("patient-0123456789", "YES")
    assert data.StudyInstanceUID == new.uid(source.StudyInstanceUID)
    _require_valid(data)
    np.testing.assert_allclose(_by_pydicom(tmp_path / "out.dcm", 1), _points(_nested()["WT"], grid.affine), atol=1e-3)


def test_a_series_in_an_archive(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "in", ARRAY, oblique(), T2W)
    archive = zipped(tmp_path / "in", tmp_path / "in.zip")
    inside = tuple(archive / path.name for path in paths)
    write_segmentation(tmp_path / "out.dcm", Source(inside, "dicom"), _segments(_nested()), MODEL)
    assert len(_by_pydicom(tmp_path / "out.dcm", 1)) == _nested()["WT"].sum()


LACKING: dict[str, tuple[str, object]] = {
    "a series without a frame of reference": ("FrameOfReferenceUID", None),
    "a study without a UID": ("StudyInstanceUID", None),
    "a date that is none": ("StudyDate", "/etc"),
}


@pytest.mark.parametrize("name", LACKING)
def test_a_series_that_lacks_what_a_segmentation_takes_over(name: str, tmp_path: Path) -> None:
    keyword, value = LACKING[name]
    paths = write_series(tmp_path / "in", ARRAY, oblique(), T2W)
    with silenced():
        for path in paths:
            data = pydicom.dcmread(path)
            if value is None:
                delattr(data, keyword)
            else:
                setattr(data, keyword, value)
            data.save_as(path)
    source = Source(tuple(paths), "dicom", name="case-1 series 3")
    with pytest.raises(
        GeometryError, match="case-1 series 3: a DICOM segmentation cannot be made of this series"
    ) as error:
        write_segmentation(tmp_path / "out.dcm", source, _segments(_nested()), MODEL)
    assert "Leave seg out" in str(error.value)
    assert "/etc" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_cannot_be_a_segmentation(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, dtype=bool)
    (path, *_) = write_series(tmp_path, ARRAY, oblique(), T2W)
    with pytest.raises(OptionError, match="no DICOM code is known for some regions; found csf"):
        write_segmentation(tmp_path / "out.dcm", Source((path,), "dicom"), [Segment("csf", mask, (0, 0, 0))], MODEL)
    with pytest.raises(OptionError, match="needs a DICOM series"):
        write_segmentation(tmp_path / "out.dcm", Source((path,), "nifti"), [Segment("WT", mask, (0, 0, 0))], MODEL)
