"""Which pictures make a volume, and what is said of those that make none."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from glioseg.core import Case, Source
from glioseg.errors import FileError, GliosegError
from glioseg.io import load_image, read_grid
from glioseg.io.dicom.header import Unread, read_instances
from glioseg.io.dicom.instance import Instance
from glioseg.io.dicom.library import silenced
from glioseg.io.dicom.series import Volume, volumes_of
from glioseg.io.dicom.voxels import read_dicom
from tests.fakes.dicom import NAME, T1N, T2W, Series, Voxels, oblique, write_series, zipped

UNKNOWN = "1.2.999.4711.77"
ARRAY = np.random.default_rng(1).integers(0, 900, (7, 6, 5)).astype(np.int16)


def _volumes(folder: Path) -> list[Volume]:
    instances = [found for found in read_instances(sorted(folder.iterdir())) if isinstance(found, Instance)]
    return volumes_of(instances)


def _write(folder: Path, array: Voxels = ARRAY, series: Series = T1N, **changes: Any) -> list[Path]:
    return write_series(folder, array, oblique(), replace(series, **changes))


def _edit(path: Path, change: Callable[[pydicom.Dataset], None]) -> None:
    data = pydicom.dcmread(path)
    change(data)
    data.save_as(path)


def test_a_whole_series_is_one_volume(tmp_path: Path) -> None:
    _write(tmp_path)
    (volume,) = _volumes(tmp_path)
    assert (volume.fault, volume.remarks, volume.told_by) == (None, (), "")
    assert volume.grid is not None
    assert volume.grid.shape == ARRAY.shape
    assert volume.technique.inversion_time_ms == 900.0


def test_a_source_that_names_no_volume_is_the_first(tmp_path: Path) -> None:
    source = Source(tuple(_write(tmp_path)), "dicom")
    (volume,) = _volumes(tmp_path)
    assert read_grid(source) == volume.grid
    assert load_image(Case("a", "a", {"t1n": source})).grid == volume.grid


def test_two_echoes_of_one_series_are_two_volumes(tmp_path: Path) -> None:
    """The second echo has twice the signal; each is read alone, whichever files come first."""
    early = _write(tmp_path, series=T2W, part="a", tags={**T2W.tags, "EchoTime": 9.0, "EchoNumbers": 1})
    late = _write(tmp_path, ARRAY * 2, T2W, part="b", tags={**T2W.tags, "EchoTime": 90.0, "EchoNumbers": 2})
    first, second = _volumes(tmp_path)
    assert (first.told_by, second.told_by) == ("echo 9", "echo 90")
    assert {frame.path for frame in first.frames} == set(early)
    assert (second.part, second.n_parts) == (1, 2)
    np.testing.assert_array_equal(read_dicom([*late, *early], part=1)[0], ARRAY * 2)


def test_two_echoes_in_one_enhanced_file(tmp_path: Path) -> None:
    """Frames of both, each with its own echo time among its functional groups."""
    (path,) = _write(tmp_path, np.concatenate([ARRAY, ARRAY * 2], axis=2), T2W, enhanced=True, shuffled=False)

    def two_echoes(data: pydicom.Dataset) -> None:
        groups = data.PerFrameFunctionalGroupsSequence
        for index, group in enumerate(groups):
            echo = pydicom.Dataset()
            echo.EffectiveEchoTime = 10.0 if index < 5 else 80.0
            group.MREchoSequence = [echo]
            group.PlanePositionSequence = groups[index % 5].PlanePositionSequence

    _edit(path, two_echoes)
    np.testing.assert_array_equal(read_dicom([path], part=0)[0], ARRAY)
    np.testing.assert_array_equal(read_dicom([path], part=1)[0], ARRAY * 2)
    case = Case("a", "a", {"pd": Source((path,), "dicom", dataset="0"), "t2w": Source((path,), "dicom", dataset="1")})
    np.testing.assert_array_equal(load_image(case).array, [ARRAY, ARRAY * 2])


def test_two_times_in_one_enhanced_file(tmp_path: Path) -> None:
    """What tells its frames apart is when they were acquired, which is counted and not shown."""
    (path,) = _write(tmp_path, np.concatenate([ARRAY, ARRAY * 2], axis=2), T2W, enhanced=True, shuffled=False)

    def two_times(data: pydicom.Dataset) -> None:
        groups = data.PerFrameFunctionalGroupsSequence
        for index, group in enumerate(groups):
            group.FrameContentSequence[0].FrameAcquisitionDateTime = f"20240131{10 + index // 5}0000"
            group.PlanePositionSequence = groups[index % 5].PlanePositionSequence

    _edit(path, two_times)
    assert [volume.told_by for volume in _volumes(tmp_path)] == ["time 1 of 2", "time 2 of 2"]
    np.testing.assert_array_equal(read_dicom([path], part=1)[0], ARRAY * 2)


def test_time_points_are_volumes_of_their_own(tmp_path: Path) -> None:
    for time in (1, 2, 3):
        _write(tmp_path, ARRAY * time, part=str(time), tags={**T1N.tags, "TemporalPositionIdentifier": time})
    assert [volume.told_by for volume in _volumes(tmp_path)] == ["time_point 1", "time_point 2", "time_point 3"]


def test_times_of_slices_tell_nothing_apart(tmp_path: Path) -> None:
    for number, path in enumerate(_write(tmp_path)):
        _edit(path, lambda data, number=number: setattr(data, "AcquisitionTime", f"10{number:02d}00"))  # type: ignore[misc]
    assert len(_volumes(tmp_path)) == 1


@pytest.mark.parametrize("image_type", [["ORIGINAL", "PRIMARY", "P"], ["ORIGINAL", "PRIMARY", "P_FFE", "P"]])
def test_phase_and_magnitude_are_two_volumes(image_type: list[str], tmp_path: Path) -> None:
    """Image Type may end with its third value, which names the component."""
    _write(tmp_path, part="a")
    _write(tmp_path, ARRAY * 2, part="b", tags={**T1N.tags, "ImageType": image_type})
    assert {volume.told_by for volume in _volumes(tmp_path)} == {"component magnitude", "component phase"}


def test_an_image_type_without_a_component_names_none(tmp_path: Path) -> None:
    _write(tmp_path, tags={**T1N.tags, "ImageType": ["ORIGINAL", "PRIMARY"]})
    (volume,) = _volumes(tmp_path)
    assert "component" not in dict(volume.frames[0].apart)


@pytest.mark.parametrize(("named", "component"), [("PHASE", "phase"), ("MIXED", "magnitude")])
def test_components_of_enhanced_files(named: str, component: str, tmp_path: Path) -> None:
    """As Complex Image Component says, or, of what says none of the four, the frame's type."""
    (path,) = _write(tmp_path, enhanced=True)

    def say(data: pydicom.Dataset) -> None:
        kind = pydicom.Dataset()
        kind.ComplexImageComponent, kind.FrameType = named, ["ORIGINAL", "PRIMARY", "M", "NONE"]
        data.SharedFunctionalGroupsSequence[0].MRImageFrameTypeSequence = [kind]

    _edit(path, say)
    (volume,) = _volumes(tmp_path)
    assert {dict(frame.apart)["component"] for frame in volume.frames} == {component}


@pytest.mark.parametrize(
    ("said", "sequences"),
    [
        ({"EchoPulseSequence": "SPIN"}, {"SE", "IR"}),
        ({"EchoPulseSequence": "GRADIENT"}, {"GR", "IR"}),
        ({"EchoPulseSequence": "BOTH", "EchoPlanarPulseSequence": "YES"}, {"SE", "GR", "EP", "IR"}),
        ({"EchoPulseSequence": "BOTH", "EchoPlanarPulseSequence": "NO", "InversionTime": 0.0}, {"SE", "GR"}),
    ],
)
def test_sequences_of_enhanced_files(said: dict[str, Any], sequences: set[str], tmp_path: Path) -> None:
    _write(tmp_path, enhanced=True, tags={**T1N.tags, **said})
    (volume,) = _volumes(tmp_path)
    assert volume.technique.sequences == sequences


FAULTS: dict[str, dict[str, Any]] = {
    "1 of its slices is missing": {"left_out": (2,)},
    "2 of its slices are missing": {"left_out": (1, 3)},
    "its slices lie unevenly": {"positions": {2: 0.4}},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_gaps_make_no_volume(fault: str, tmp_path: Path) -> None:
    _write(tmp_path, np.repeat(ARRAY, 2, axis=2), **FAULTS[fault])
    (volume,) = _volumes(tmp_path)
    assert volume.grid is None
    assert fault in str(volume.fault)


def test_rounding_of_positions_is_nothing_and_more_is_said(tmp_path: Path) -> None:
    """Slices are 3 mm apart: 0.03 mm is rounding, 0.2 mm is said, and 0.4 mm (above) is none."""
    for name, off in (("rounding", 0.03), ("uneven", 0.2)):
        _write(tmp_path / name, positions={2: off})
    assert _volumes(tmp_path / "rounding")[0].remarks == ()
    (uneven,) = _volumes(tmp_path / "uneven")
    assert uneven.grid is not None
    assert uneven.remarks == ("its slices lie unevenly, by up to 0.2 mm",)


def test_pictures_that_are_there_twice_are_read_once(tmp_path: Path) -> None:
    paths = _write(tmp_path)
    shutil.copy(paths[1], tmp_path / "copy")
    (volume,) = _volumes(tmp_path)
    assert volume.fault is None
    assert volume.remarks == ("1 of its pictures is there twice, and read once",)


def test_pictures_of_one_uid_at_several_places_are_all_read(tmp_path: Path) -> None:
    """As programs write them that remove names and number nothing anew."""
    for path in _write(tmp_path):
        _edit(path, _set("SOPInstanceUID", "1.2.3"))
    (volume,) = _volumes(tmp_path)
    assert (len(volume.frames), volume.fault, volume.remarks) == (ARRAY.shape[2], None, ())


def test_other_pictures_at_one_place_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, part="a")
    _write(tmp_path, ARRAY + 1, part="b")
    (volume,) = _volumes(tmp_path)
    assert volume.fault == "several of its pictures lie at one place, and nothing tells them apart"


def test_few_slices_in_three_planes_are_a_localiser(tmp_path: Path) -> None:
    for part, degrees in (("a", (0.0, 0.0, 0.0)), ("b", (90.0, 0.0, 0.0)), ("c", (0.0, 90.0, 0.0))):
        write_series(tmp_path, ARRAY[:, :, :3], oblique(degrees=degrees), replace(T2W, part=part))
    volumes = _volumes(tmp_path)
    assert [volume.fault for volume in volumes] == ["a localiser"] * 3
    assert "pictures of 3 orientations or sizes" in volumes[0].remarks


def test_two_planes_of_many_slices_are_two_volumes(tmp_path: Path) -> None:
    """Six slices each are more than a localiser has."""
    for part, degrees in (("a", (0.0, 0.0, 0.0)), ("b", (90.0, 0.0, 0.0))):
        array = np.concatenate([ARRAY, ARRAY[:, :, :1]], axis=2)
        write_series(tmp_path, array, oblique(degrees=degrees), replace(T2W, part=part))
    volumes = _volumes(tmp_path)
    assert [(volume.fault, volume.remarks) for volume in volumes] == [
        (None, ("pictures of 2 orientations or sizes",))
    ] * 2


def _remove(*keywords: str) -> Callable[[pydicom.Dataset], None]:
    def change(data: pydicom.Dataset) -> None:
        for keyword in keywords:
            delattr(data, keyword)

    return change


def _set(keyword: str, value: Any) -> Callable[[pydicom.Dataset], None]:
    return lambda data: setattr(data, keyword, value)


def _wrong_vr(data: pydicom.Dataset) -> None:
    del data.ImagePositionPatient
    data.add_new("ImagePositionPatient", "LO", [NAME, NAME, NAME])


HEADERS: dict[str, Callable[[pydicom.Dataset], None]] = {
    "does not say where it lies": _remove("ImagePositionPatient"),
    "not say where": _set("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
    "where it lies": _wrong_vr,
    "how large a voxel is": _set("PixelSpacing", [0, 0]),
    "no picture in it": _remove("Rows"),
    "a picture in colour": _set("SamplesPerPixel", 3),
    "writing burnt in": _set("BurnedInAnnotation", "YES"),
    "CT, not MR": _set("Modality", "CT"),
    "a segmentation, not a scan": _set("Modality", "SEG"),
    "no voxels": _set("PixelData", b""),
    "no voxels in it": _remove("PixelData"),
    "cut off": _set("PixelData", bytes(40)),
    "more than are read": _set("NumberOfFrames", 2_000_000_000),
    "12 bits": _set("BitsAllocated", 12),
    "77 of 16 bits of a voxel in use": _set("BitsStored", 77),
    "of kind 9": _set("PixelRepresentation", 9),
    "stored as a negative": _set("PhotometricInterpretation", "MONOCHROME1"),
    "a picture in colour, not a scan": _set("PhotometricInterpretation", "PALETTE COLOR"),
    "voxels of 1e+09 × 1e+09 × 3 mm, as no scanner makes them": _set("PixelSpacing", ["1e9", "1e9"]),
    "voxels of 0.001 × 0.001 × 3 mm": _set("PixelSpacing", ["1e-3", "1e-3"]),
    "written in a way that is not read": lambda data: setattr(data.file_meta, "TransferSyntaxUID", UNKNOWN),
    "places the voxels as no grid can": _set("PixelSpacing", ["1e-30", "1e-30"]),
}


@pytest.mark.parametrize("fault", HEADERS)
def test_headers_that_make_no_volume_are_named(fault: str, tmp_path: Path) -> None:
    paths = _write(tmp_path)
    with silenced():
        for path in paths:
            _edit(path, HEADERS[fault])
    (volume, *_) = _volumes(tmp_path)
    assert fault in str(volume.fault)
    assert volume.grid is None
    with pytest.raises(FileError, match="series 7: the series cannot be used") as error:
        read_dicom(paths, name="series 7")
    assert NAME not in str(error.value)


@pytest.mark.parametrize("syntax", ["explicit", "rle", "jpeg-lossless"])
def test_a_cut_file_costs_its_series(syntax: str, tmp_path: Path) -> None:
    paths = _write(tmp_path, np.repeat(ARRAY, 3, axis=0), syntax=syntax)
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    (volume,) = _volumes(tmp_path)
    assert volume.fault == "1 of its 5 files: cut off: not all of its voxels are there"


def test_a_header_that_is_cut_off_is_an_unread_file(tmp_path: Path) -> None:
    paths = _write(tmp_path)
    paths[0].write_bytes(paths[0].read_bytes()[:600])
    found = list(read_instances(paths))
    assert [each.why for each in found if isinstance(each, Unread)] in (
        ["the DICOM file is damaged or cut off"],
        ["it names no series"],
    )
    assert len(found) == 5


def test_a_header_that_is_cut_off_and_names_no_series_costs_none(tmp_path: Path) -> None:
    """Wherever it ends, though the study is known."""
    path = _write(tmp_path)[0]

    def without_series(data: pydicom.Dataset) -> None:
        del data.SeriesInstanceUID

    _edit(path, without_series)
    content = path.read_bytes()
    study = content.index(b"\x20\x00\x0d\x00UI")
    for end in range(study + 64, min(study + 364, len(content)), 5):
        path.write_bytes(content[:end])
        (found,) = read_instances([path])
        assert isinstance(found, Unread), end


@pytest.mark.parametrize(
    ("name", "is_coded", "has_agent"),
    [(None, False, None), ("Gadovist", False, True), ("NONE", False, False), ("NONE", True, True), (None, True, True)],
)
def test_who_was_given_an_agent(name: str | None, is_coded: bool, has_agent: bool | None, tmp_path: Path) -> None:
    """A code says it, whatever the name; of names, ``NONE`` and its like say that there was none."""

    def say(data: pydicom.Dataset) -> None:
        if name is not None:
            data.ContrastBolusAgent = name
        if is_coded:
            data.ContrastBolusAgentSequence = [pydicom.Dataset()]
            data.ContrastBolusAgentSequence[0].CodeMeaning = "Gadobutrol"

    (path, *rest) = _write(tmp_path)
    for each in rest:
        each.unlink()
    _edit(path, say)
    (volume,) = _volumes(tmp_path)
    assert volume.technique.has_agent is has_agent


def test_a_data_set_that_is_packed_as_a_whole_is_not_unpacked(tmp_path: Path) -> None:
    (path, *_) = _write(tmp_path)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.PixelData = bytes(1 << 20)
    data.save_as(path)
    (found,) = read_instances([path])
    assert isinstance(found, Unread)
    assert "packed as a whole" in found.why


def _forged(path: Path, marker: bytes, at: int, size: bytes) -> None:
    content = bytearray(path.read_bytes())
    start = content.index(marker, 400)
    content[start + at : start + at + len(size)] = size
    path.write_bytes(content)


FORGED = {
    "jpeg-lossless": (b"\xff\xc3", 5, struct.pack(">2H", 65000, 65000)),
    "jpeg-ls": (b"\xff\xf7", 5, struct.pack(">2H", 65000, 65000)),
    "jpeg-2000": (b"\xff\x4f\xff\x51", 8, struct.pack(">2I", 1 << 31, 1 << 31)),
}


@pytest.mark.parametrize("syntax", FORGED)
def test_a_compressed_picture_that_says_a_giant_size_is_not_decoded(syntax: str, tmp_path: Path) -> None:
    paths = _write(tmp_path, np.repeat(ARRAY, 3, axis=0), syntax=syntax, signed=False)
    _forged(paths[0], *FORGED[syntax])
    with pytest.raises(FileError, match="of another size than the header declares"):
        read_dicom(paths, name="series 7")


@pytest.mark.parametrize("syntax", ["rle", "jpeg-lossless", "jpeg-ls", "jpeg-2000"])
def test_damaged_codestreams_are_refused_in_a_sentence(syntax: str, tmp_path: Path) -> None:
    """Bytes in the middle of a picture are overwritten; what still decodes is a picture of its size."""
    paths = _write(tmp_path, np.repeat(ARRAY, 3, axis=0), syntax=syntax, signed=False)
    content = bytearray(paths[0].read_bytes())
    content[-120:-60] = b"\xff" * 60
    paths[0].write_bytes(content)
    said = _what_is_said(paths)
    assert said is None or said.startswith("series 7: the voxels")


def _what_is_said(paths: list[Path]) -> str | None:
    """Of files of a series; None where it is read, with pictures of its size."""
    try:
        array, _ = read_dicom(paths, name="series 7")
    except GliosegError as error:
        return str(error)
    return None if array.shape == (21, 6, 5) else f"{array.shape}"


def test_an_archive_is_read_in_place(tmp_path: Path) -> None:
    paths = _write(tmp_path / "study")
    archive = zipped(tmp_path / "study", tmp_path / "study.zip")
    inside = tuple(archive / path.name for path in paths)
    np.testing.assert_array_equal(
        load_image(Case("a", "a", {"t1n": Source(inside, "dicom")})).array,
        load_image(Case("a", "a", {"t1n": Source(tuple(paths), "dicom")})).array,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study", "study.zip"]
