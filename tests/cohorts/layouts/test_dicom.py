"""DICOM studies as cases: which series is taken for what, and what is said of the rest."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.recognise import read_cohort
from glioseg.core import Cohort, SeriesRow
from glioseg.errors import FileError, GeometryError, GliosegError, LayoutError, OptionError
from glioseg.inference.modalities import shown_modalities
from glioseg.io import load_image
from tests.fakes.dicom import (
    BY_MODALITY,
    PATIENT,
    T1C,
    T1N,
    T2W,
    Series,
    dicomdir,
    oblique,
    write_series,
    write_study,
    zipped,
)

SHAPE = (7, 6, 5)
IMAGES = {
    name: np.random.default_rng(number).integers(0, 900, SHAPE).astype(np.int16)
    for number, name in enumerate(BY_MODALITY)
}
KEEPING = ReadOptions(keep_ids=True)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Four modalities, all files in one folder, and what else lies about."""
    write_study(tmp_path / "study", IMAGES, oblique())
    (tmp_path / "study" / "notes.txt").write_text("x")
    (tmp_path / "study" / "README").write_text("no DICOM")
    return tmp_path / "study"


def _write(folder: Path, series: Series, **changes: Any) -> list[Path]:
    return write_series(folder, IMAGES["t1n"], oblique(), replace(series, **changes))


def _row(cohort: Cohort, label: str) -> SeriesRow:
    return next(row for row in cohort.series if row.label == label)


def _kinds(cohort: Cohort) -> list[tuple[str, str]]:
    return [(finding.kind, finding.message) for finding in cohort.findings]


def test_a_study_is_a_case(study: Path) -> None:
    cohort = read_cohort(study)
    (case,) = cohort.cases
    assert (cohort.layout, cohort.modalities, cohort.findings) == ("dicom", ("t1n", "t1c", "t2w", "t2f"), ())
    np.testing.assert_array_equal(load_image(case).array, [IMAGES[name] for name in case.images])
    assert [row.label for row in cohort.series] == ["2", "3", "4", "5"]
    row = _row(cohort, "5")
    assert (row.taken_for, row.agent, row.plane, row.n_slices) == ("t1c", "yes", "axial", 5)
    assert row.spacing_mm == pytest.approx((0.9, 0.7, 3.0))


def test_an_archive_is_read_for_its_dicom_whatever_lies_beside(study: Path, tmp_path: Path) -> None:
    """A folder of pictures with masks, which would be a data set of its own; the archive is looked through once."""
    names = [f"export/{kind}/slice_{number}.png" for kind in ("images", "masks") for number in range(3)]
    archive = zipped(study, tmp_path / "study.zip")
    with zipfile.ZipFile(archive, "a") as file:
        for name in names:
            file.writestr(name, b"")
    cohort = read_cohort(archive)
    assert (cohort.layout, cohort.modalities) == ("dicom", read_cohort(study).modalities)


def test_a_folder_a_zip_a_directory_and_a_file_give_the_same(study: Path, tmp_path: Path) -> None:
    whole = read_cohort(study)
    packed = read_cohort(zipped(study, tmp_path / "study.zip"))
    listed = read_cohort(dicomdir(study))
    assert packed.series == whole.series == listed.series
    assert packed.cases[0].id == whole.cases[0].id
    np.testing.assert_array_equal(load_image(packed.cases[0]).array, load_image(whole.cases[0]).array)
    (file,) = write_series(tmp_path / "enhanced", IMAGES["t2f"], oblique(), replace(BY_MODALITY["t2f"], enhanced=True))
    assert set(read_cohort(file).cases[0].images) == {"t2f"}


def test_a_directory_that_leads_out_of_its_folder_is_not_followed(study: Path) -> None:
    _write(study.parent, replace(T1N, number=9))
    cohort = read_cohort(dicomdir(study, "../IM0009_0001", "/etc/passwd", "GONE"))
    assert [row.label for row in cohort.series] == ["2", "3", "4", "5"]
    assert _kinds(cohort) == [
        ("unreadable-file", "of the files that the DICOMDIR names 1 would lie outside its folder, and were not opened"),
        ("missing-file", "of the files that the DICOMDIR names 2 cannot be found"),
    ]


def test_a_directory_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="the DICOMDIR names no file that is there"):
        read_cohort(dicomdir(tmp_path, "GONE"))


def test_an_archive_that_leads_out_or_unpacks_to_too_much(study: Path, tmp_path: Path) -> None:
    archive = zipped(study, tmp_path / "study.zip")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as file:
        for name in ("../outside", "/etc/outside", "a\\..\\..\\outside"):
            file.writestr(name, b"x")
        with file.open("bomb", "w", force_zip64=True) as bomb:
            for _ in range(65):
                bomb.write(bytes(1 << 24))
    cohort = read_cohort(archive)
    assert set(cohort.cases[0].images) == set(IMAGES)
    assert [message for _, message in _kinds(cohort)] == [
        "3 files of the archive are left out, the first of them file 23: its name leads out of the archive",
        f"file 26 of the archive is left out: it would unpack to {65 << 24:,} bytes",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"study", "study.zip"}


@pytest.mark.parametrize(
    ("content", "words"), [(b"PK", "an archive is not read as it is"), (None, "where it holds DICOM")]
)
def test_archives_of_something_else(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "scans.zip"
    if content is None:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a.nii", b"x" * 400)
    else:
        path.write_bytes(content)
    with pytest.raises(LayoutError, match=words):
        read_cohort(path)


def test_two_studies_of_a_patient_are_two_cases(tmp_path: Path) -> None:
    for study in ("1", "2"):
        write_study(tmp_path / study, IMAGES, oblique(), study=study)
    cohort = read_cohort(tmp_path)
    assert len(cohort.cases) == 2
    assert len(cohort.patients) == 1
    kept = read_cohort(tmp_path, options=KEEPING)
    assert [case.id for case in kept.cases] == [f"{PATIENT}_20240131_1", f"{PATIENT}_20240131_2"]
    assert kept.patients == (PATIENT,)
    assert kept.series[0].words == "t1_mprage_sag"


def test_the_better_of_two_series_is_taken_and_the_user_may_say_another(study: Path) -> None:
    """Thin slices before thick ones, acquired before derived ones."""
    write_series(study, IMAGES["t1c"][:, :, ::2], oblique((0.9, 0.7, 6.0)), replace(T1C, number=11))
    _write(study, T1C, number=12, tags={**T1C.tags, "ImageType": ["DERIVED", "SECONDARY", "MPR"]})
    cohort = read_cohort(study)
    assert [(row.label, row.is_used) for row in cohort.series if row.taken_for == "t1c"] == [
        ("5", True),
        ("11", False),
        ("12", False),
    ]
    named = read_cohort(study, options=ReadOptions(series={"t1c": "12", "pd": "11"}))
    row = _row(named, "12")
    assert (row.is_used, row.confidence, row.why) == (True, 1.0, "named by the user")
    assert named.modalities == ("t1n", "t1c", "t2w", "t2f", "pd")


@pytest.mark.parametrize("label", ["99", "7"])
def test_a_series_that_cannot_be_used_cannot_be_named(label: str, study: Path) -> None:
    _write(study, T2W, number=7, left_out=(2,))
    with pytest.raises(OptionError, match="names no series that can be used") as error:
        read_cohort(study, options=ReadOptions(series={"t1c": label}))
    assert "5 (t1 mprage km)" in str(error.value)


def test_t1_beside_one_with_an_agent_is_before_it(study: Path) -> None:
    row = _row(read_cohort(study), "2")
    assert (row.taken_for, row.agent, row.confidence) == ("t1n", "no", 0.7)
    assert "as there is in another's" in row.why


def test_t1_series_that_nothing_tells_apart_are_said(tmp_path: Path) -> None:
    for number in (2, 8):
        _write(tmp_path, T1N, number=number)
    cohort = read_cohort(tmp_path)
    assert set(cohort.cases[0].images) == {"t1n"}
    assert ("unclear-series", "nothing tells which of the T1 series 2, 8 is after contrast; say it with `--modality t1c=SERIES`") in _kinds(cohort)  # fmt: skip  # noqa: E501


def _damage(paths: list[Path], how: str) -> None:
    content = paths[1].read_bytes()
    if how == "cut":
        paths[1].write_bytes(content[:-30])
    elif how == "header":
        paths[1].write_bytes(content[:500])
    elif how == "late in the header":
        paths[0].write_bytes(paths[0].read_bytes()[: content.index(b"\x20\x00\x0e\x00UI") + 80])
    elif how == "empty":
        paths[1].write_bytes(b"")
    else:
        paths[1].write_bytes(content[:132] + bytes(range(256)) * 8)


@pytest.mark.parametrize("how", ["cut", "header", "late in the header", "empty", "rubbish"])
def test_a_damaged_file_costs_its_series_alone(how: str, study: Path) -> None:
    paths = sorted(study.glob("IM0003*"))
    _damage(paths, how)
    cohort = read_cohort(study)
    assert set(cohort.cases[0].images) == {"t1n", "t1c", "t2f"}
    assert "unusable-series" in [kind for kind, _ in _kinds(cohort)]
    assert not any(paths[1].name in message for _, message in _kinds(cohort))
    assert _row(cohort, "3").taken_for is None


OTHERS: Mapping[str, tuple[str, str]] = {
    "SEG": ("SEG", "a segmentation, not a scan"),
    "CT": ("CT", "CT, not MR"),
    "report": ("SR", "SR, not MR"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_else_lies_in_a_study_is_named_and_left_aside(name: str, study: Path) -> None:
    modality, why = OTHERS[name]
    _write(study, T2W, number=20, tags={"Modality": modality})
    cohort = read_cohort(study)
    row = _row(cohort, "20")
    assert (row.taken_for, row.why, row.is_used) == (None, why, False)
    assert cohort.findings == ()


def test_nothing_to_be_used_is_said_with_every_series(tmp_path: Path) -> None:
    _write(tmp_path, T2W, tags={"Modality": "SEG"})
    _write(tmp_path, T1N, number=6, left_out=(1,))
    with pytest.raises(LayoutError, match="no series of these DICOM files can be used") as error:
        read_cohort(tmp_path)
    assert "series 3 (no description): a segmentation, not a scan" in str(error.value)
    assert "series 6 (t1 mprage): 1 of its slices is missing" in str(error.value)
    assert "Export the scans again" in str(error.value)
    assert tmp_path.name not in str(error.value)


def test_series_of_which_none_is_taken_for_anything_are_to_be_named(tmp_path: Path) -> None:
    _write(tmp_path, Series(3, "localizer"))
    with pytest.raises(LayoutError, match="Say what a series shows") as error:
        read_cohort(tmp_path)
    assert "--modality t1c=SERIES" in error.value.text


def test_a_modality_that_is_not_there_is_asked_for_by_series(study: Path) -> None:
    for path in study.glob("IM0003*"):
        path.unlink()
    (case,) = read_cohort(study).cases
    with pytest.raises(GeometryError) as error:
        shown_modalities(tuple(IMAGES), tuple(case.images), "zero", case=case)
    assert error.value.text.startswith(f"case {case.id} lacks t2w; found t1n, t1c, t2f")
    assert "name it by its number: `--modality t2w=SERIES`" in error.value.text


def test_private_tags_and_odd_values_do_no_harm(study: Path) -> None:
    for path in study.glob("IM*"):
        data = pydicom.dcmread(path)
        block = data.private_block(0x0029, "PLANTED", create=True)
        block.add_new(0x10, "OB", b"\x00" * 5000)
        data.add_new("EchoNumbers", "OB", b"\xff\xfe")
        data.add_new("ContrastBolusStartTime", "OB", b"\xff\xfe")
        data.save_as(path)
    assert set(read_cohort(study).cases[0].images) == set(IMAGES)


def test_without_the_libraries_the_command_is_said(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(OptionError, match=r"pip install 'glioseg\[dicom\]'"):
        read_cohort(study)


def test_pictures_beside_a_study_are_no_other_data_set(study: Path) -> None:
    from tests.fakes.pictures import grey, save

    for number in range(3):
        save(study / "export" / "axial" / f"{number}.png", grey(number))
        save(study / "export" / "coronal" / f"{number}.png", grey(number + 9))
    assert read_cohort(study).layout == "dicom"


def test_without_a_home_cases_are_called_otherwise_each_time(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glioseg.machine.salt.salt_file", lambda: Path("/dev/null/salt"))
    first, second = read_cohort(study), read_cohort(study)
    assert first.cases[0].id != second.cases[0].id
    assert "assumed-identity" in [kind for kind, _ in _kinds(first)]


def test_errors_while_voxels_are_read_name_the_series_alone(study: Path) -> None:
    case = read_cohort(study).cases[0]
    for path in study.glob("IM0003*"):
        path.unlink()
    with pytest.raises(GliosegError) as error:
        load_image(case)
    assert str(error.value).startswith(f"{case.id} series 3: there is no such file")


def test_names_for_channels_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, IMAGES["t2w"], oblique(), BY_MODALITY["t2w"])
    with pytest.raises(OptionError, match="told by their headers"):
        read_cohort(tmp_path, options=ReadOptions(modalities=("t1c",)))
