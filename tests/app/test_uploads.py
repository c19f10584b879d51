"""What is dropped: recognised, corrected by hand, refused in a sentence, and never more than is accepted."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.app.options import Limits
from glioseg.app.uploads import place_of
from glioseg.core import Grid
from glioseg.errors import OptionError
from glioseg.io.nifti import read_nifti, write_nifti
from tests.app.conftest import Files, Served, nifti, scans_of, served_in
from tests.fakes.dicom import BIRTH, BY_MODALITY, NAME, PATIENT, oblique, write_series

_PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.nii"\r\n\r\n'
"""The head of a file in an upload."""


@pytest.fixture
def patient(phantom_data: Path) -> Files:
    return scans_of(phantom_data, 0)


def zipped(files: Files) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, given in files.items():
            archive.writestr(name, given if isinstance(given, bytes) else given.read_bytes())
    return stream.getvalue()


def test_a_folder_is_recognised(idle: Served, patient: Files) -> None:
    answer = idle.upload(patient).json()
    (case,) = answer["cases"]
    assert set(case["modalities"]) == {"t1n", "t1c", "t2w", "t2f"}
    scan = case["modalities"]["t1c"]
    assert scan["series"].endswith("-t1c.nii.gz")
    assert (scan["plane"], scan["spacing_mm"], scan["confidence"]) == ("axial", [6.0, 6.0, 6.0], 1.0)
    assert case["proposed"] == "model:brats"
    assert case["missing"]["model:lgg"] == ["pre", "post"]
    assert case["patient"].startswith("patient-")
    assert answer["findings"] == []
    assert case["on_one_grid"]
    assert case["has_mm"]


def test_a_picture_has_no_millimetres_to_prepare_it_by(idle: Served) -> None:
    stream = io.BytesIO()
    Pillow.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(stream, "PNG")
    (case,) = idle.upload({"picture.png": stream.getvalue()}).json()["cases"]
    assert (case["on_one_grid"], case["has_mm"]) == (True, False)


def test_scans_on_several_grids_are_told_before_anything_runs(idle: Served, patient: Files, tmp_path: Path) -> None:
    name = next(name for name in patient if "t1n" in name)
    path = patient[name]
    assert isinstance(path, Path)
    array, grid = read_nifti(path)
    cropped = grid.cropped(((1, grid.shape[0]), (0, grid.shape[1]), (0, grid.shape[2])))
    write_nifti(tmp_path / "cropped.nii.gz", array[1:], cropped)
    (case,) = idle.upload({**patient, name: tmp_path / "cropped.nii.gz"}).json()["cases"]
    assert not case["on_one_grid"]


def test_three_unrelated_patients_in_one_archive_are_three_cases(idle: Served, phantom_data: Path) -> None:
    files = scans_of(phantom_data, 0) | scans_of(phantom_data, 1) | scans_of(phantom_data, 2)
    cases = idle.upload({"all.zip": zipped(files)}).json()["cases"]
    assert len(cases) == 3
    assert len({case["patient"] for case in cases}) == 3
    assert all(case["proposed"] == "model:brats" for case in cases)


def test_a_dicom_study_beside_files_of_another_patient(idle: Served, phantom_data: Path, tmp_path: Path) -> None:
    volume = np.arange(12 * 10 * 8, dtype=np.int16).reshape(12, 10, 8)
    for series in BY_MODALITY.values():
        write_series(tmp_path / "study", volume, oblique(), series)
    files: Files = {f"one/{path.name}": path for path in sorted((tmp_path / "study").rglob("*")) if path.is_file()}
    answer = idle.upload(files | {f"two/{name}": path for name, path in scans_of(phantom_data, 0).items()}).json()
    by_name = {case["name"]: case for case in answer["cases"]}
    assert len(by_name) == 2
    study = next(case for name, case in by_name.items() if name.startswith("case-"))
    assert {name: scan["series"] for name, scan in study["modalities"].items()} == {
        "t1n": "2", "t1c": "5", "t2w": "3", "t2f": "4",
    }  # fmt: skip
    assert all(scan["why"] for scan in study["modalities"].values())
    told = idle.client.get("/api/cases").text + str(answer)
    assert not [planted for planted in (NAME, PATIENT, BIRTH) if planted in told]


def _cut(path: Path) -> bytes:
    return path.read_bytes()[:-2000]


def _refused(idle: Served, files: Files) -> dict[str, str]:
    before = set((idle.service.places.state / "uploads").glob("*"))
    answer = idle.upload(files)
    assert answer.status_code == 422, answer.text
    assert set((idle.service.places.state / "uploads").glob("*")) == before  # nothing is left of it
    error: dict[str, str] = answer.json()["error"]
    return error


def test_a_text_file_is_no_scan(idle: Served) -> None:
    error = _refused(idle, {"notes.txt": b"seen on Monday"})
    assert error["what"] == "none of these files is a scan"
    assert error["found"] == "notes.txt"
    assert error["expected"] == "DICOM files of an MR study, NIfTI files (.nii.gz) or pictures (.png, .jpg, .tif)"
    assert error["remedy"] == "Drop the folder of the study, or a zip of it"


def test_an_archive_that_was_cut_off_is_said_to_be_one(idle: Served, patient: Files) -> None:
    error = _refused(idle, {"study.zip": zipped(patient)[:-500]})
    assert error["found"] == (
        "study.zip; study.zip is no archive, or was cut off. Make it again, or drop the files themselves"
    )


def test_what_no_name_tells_is_looked_at_before_anybody_chooses_it(
    idle: Served, patient: Files, phantom_data: Path
) -> None:
    scan = next(path for name, path in patient.items() if "t1c" in name)
    assert isinstance(scan, Path)
    mask = next((phantom_data / next(iter(patient)).partition("/")[0]).glob("*seg*"))
    answer = idle.upload({"first.nii.gz": _cut(scan), "second.nii.gz": mask, "third.nii.gz": scan}).json()
    why = {row["file"]: row["why"] for case in answer["cases"] for row in case["others"]}
    assert why["first.nii.gz"].startswith("it cannot be read: the file is damaged")
    assert why["second.nii.gz"] == "it looks like a mask and not like a scan: it holds the values 0, 1, 2, 3 alone"
    assert why["third.nii.gz"] == "its name does not say what it shows"
    (finding,) = answer["findings"]
    assert finding["message"].startswith("first.nii.gz: the file is damaged")


def test_a_case_is_never_called_after_the_number_of_its_upload(idle: Served, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grid, patients = Grid((8, 8, 8), np.eye(4)), set()
    for name in ("bold", "bold"):
        write_nifti(tmp_path / f"{name}.nii.gz", rng.random((8, 8, 8, 3), dtype=np.float32), grid)
        (case,) = idle.upload({f"{name}.nii.gz": tmp_path / f"{name}.nii.gz"}).json()["cases"]
        assert case["name"] == name
        patients.add(case["patient"])
    assert len(patients) == 2  # nobody knows whether they are of one person


def test_a_cut_file_costs_itself_alone_and_is_told_before_anything_runs(idle: Served, patient: Files) -> None:
    name = next(name for name in patient if "t2w" in name)
    path = patient[name]
    assert isinstance(path, Path)
    answer = idle.upload({**patient, name: _cut(path)}).json()
    (case,) = answer["cases"]
    assert set(case["modalities"]) == {"t1n", "t1c", "t2f"}
    assert case["proposed"] == "model:brats"  # which does with less
    assert case["missing"]["model:phantom"] == ["t2w"] or "model:phantom" in case["fits"]
    (finding,) = answer["findings"]
    assert finding["severity"] == "error"
    assert finding["message"].startswith(f"t2w cannot be used, {name}: the file is damaged")
    assert finding["message"].endswith("Download or copy it again.")


def test_a_mask_in_the_place_of_a_scan_is_told(idle: Served, patient: Files, phantom_data: Path) -> None:
    name = next(name for name in patient if "t2f" in name)
    folder = phantom_data / name.partition("/")[0]
    mask = next(folder.glob("*seg*"))
    (finding,) = idle.upload({**patient, name: mask}).json()["findings"]
    assert finding["severity"] == "warning"
    assert finding["message"] == (
        f"{name}, taken for t2f, looks like a mask and not like a scan: it holds the values 0, 1, 2, 3 alone. "
        "Choose another file for t2f"
    )


def test_what_nobody_recognises_is_said_by_hand(idle: Served, patient: Files) -> None:
    scans = list(patient.values())
    answer = idle.upload({"study/a_17.nii.gz": scans[0], "study/b_17.nii.gz": scans[1]}).json()
    case = answer["cases"][0]
    assert case["modalities"] == {}
    assert [scan["series"] for scan in case["others"]] == ["study/a_17.nii.gz", "study/b_17.nii.gz"]
    assert case["fits"] == []
    asked = {"upload": answer["upload"], "key": case["key"], "model": "model:brats"}
    chosen = {"t2f": "study/a_17.nii.gz", "t1c": "study/b_17.nii.gz"}
    queued = idle.client.post("/api/cases", json={**asked, "modalities": chosen})
    assert queued.status_code == 200, queued.text
    idle.client.post(f"/api/cases/{queued.json()['id']}/cancel")
    for wrong, what in (
        ({}, "model:brats needs other scans than were chosen"),
        ({"t1n": "study/a_17.nii.gz"}, "model:brats needs other scans than were chosen"),
        ({"t2f": "c.nii.gz"}, "there is no such scan in the case"),
        ({"t2f": "study/a_17.nii.gz", "t1c": "study/a_17.nii.gz"}, "a scan was chosen for two modalities"),
    ):
        refused = idle.client.post("/api/cases", json={**asked, "modalities": wrong})
        assert (refused.status_code, refused.json()["error"]["what"]) == (422, what)


@pytest.mark.parametrize("name", ["../../out.nii.gz", "/tmp/out.nii.gz", "a/../../out.nii.gz", "a\x07b.nii"])
def test_names_that_lead_elsewhere_are_refused(idle: Served, name: str) -> None:
    before = _everything(idle.service.options.folder.parent)
    boundary = "b0undary"
    head = f'Content-Disposition: form-data; name="files"; filename="{name}"'
    body = f"--{boundary}\r\n{head}\r\n\r\nx\r\n--{boundary}--\r\n"
    answer = idle.client.post(
        "/api/uploads",
        content=body.encode(),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["what"] == "a file has a name that is not accepted"
    assert _everything(idle.service.options.folder.parent) == before


@pytest.mark.parametrize(
    "name", ["", ".", "..", "..\\a", "C:\\a.nii", "c:a.nii", "\\\\host\\a.nii", "a" * 513, "a\u202eb.nii"]
)
def test_no_name_leads_out_of_an_upload(name: str) -> None:
    with pytest.raises(OptionError, match="a name that is not accepted"):
        place_of(name)


def _everything(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "sqlite" not in path.name and path.name != "uploads"}


def test_names_are_text(idle: Served, patient: Files) -> None:
    name = "<img src=x onerror=alert(1)>_t1c.nii.gz"
    answer = idle.upload({name: next(iter(patient.values()))})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["cases"][0]["modalities"]["t1c"]["file"] == name


def test_more_than_is_accepted_is_refused(tmp_path: Path, patient: Files) -> None:
    limits = Limits(bytes=300_000, files=3, unpacked_bytes=500_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glioseg.app.jobs.Jobs.warm", lambda jobs: None)
        for served in served_in(tmp_path / "worklist", limits=limits):
            many = served.upload({f"{n}.txt": b"x" for n in range(4)})
            assert (many.status_code, many.json()["error"]["expected"]) == (413, "at most 3")
            large = served.upload({"large.nii.gz": bytes(300_001)})
            assert (large.status_code, large.json()["error"]["what"]) == (413, "this is more than is accepted at once")
            bomb = served.upload({"bomb.zip": _deflated(bytes(600_000))})
            assert bomb.json()["error"]["what"] == "the archive would unpack to more than is accepted"
            assert bomb.json()["error"]["file"] == "bomb.zip"  # and not where the server has put it


@pytest.mark.parametrize(
    ("path", "kind", "start", "limits"),
    [
        ("/api/uploads", "multipart/form-data; boundary=b", _PART, Limits(bytes=100_000)),
        ("/api/cases", "application/json", b"{", Limits(json_bytes=100_000)),
        ("/api/cases/case-1/mask", "application/octet-stream", b"", Limits(bytes=100_000)),
    ],
)
def test_more_than_is_accepted_is_refused_where_no_length_is_declared(
    tmp_path: Path, path: str, kind: str, start: bytes, limits: Limits
) -> None:
    def chunks() -> Iterator[bytes]:
        yield start
        for _ in range(40):
            yield b" " * 10_000

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glioseg.app.jobs.Jobs.warm", lambda jobs: None)
        for served in served_in(tmp_path / "worklist", limits=limits):
            served.service.worklist.add_case("case-1", "n", "p", "model:brats", {"upload": "u"})
            method = "PUT" if path.endswith("/mask") else "POST"
            answer = served.client.request(method, path, content=chunks(), headers={"Content-Type": kind})
            what = answer.json()["error"]["what"]
            assert (answer.status_code, what) == (413, "this is more than is accepted at once")


def _deflated(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.nii", content)
    return stream.getvalue()


def test_two_gigabytes_are_refused_by_what_is_declared(idle: Served, patient: Files) -> None:
    answer = idle.client.post(
        "/api/uploads",
        content=b"",
        headers={"Content-Length": "2000000000", "Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 413
    assert answer.json()["error"] == {
        "what": "this is more than is accepted at once",
        "file": None,
        "found": "2,000 MB",
        "expected": "at most 1,074 MB",
        "remedy": "Send one study after the other, or copy it into the folder of the application and open it there",
    }


def test_a_header_that_declares_gigabytes_costs_itself_alone(idle: Served, patient: Files, tmp_path: Path) -> None:
    name = next(name for name in patient if "t2w" in name)
    path = patient[name]
    assert isinstance(path, Path)
    array, grid = read_nifti(path)
    write_nifti(tmp_path / "a.nii", array, grid)
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[40:48] = np.array([3, 2000, 2000, 500], "<i2").tobytes()  # dim: 2e9 voxels
    answer = idle.upload({**patient, name.removesuffix(".gz"): bytes(content), name: b"not gzip"}).json()
    assert set(answer["cases"][0]["modalities"]) == {"t1n", "t1c", "t2f"}
    assert any("t2w cannot be used" in finding["message"] for finding in answer["findings"])


@pytest.mark.parametrize("names", [["a.nii.gz"], ["a.nii.gz", "p1-t1c.nii.gz"]])
@pytest.mark.parametrize(("voxels", "is_read"), [(63, False), (64, True)])
def test_files_with_more_voxels_than_are_read_say_the_option(
    names: list[str], voxels: int, is_read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a reader or nobody knows what they show."""
    monkeypatch.setattr("glioseg.app.jobs.Jobs.warm", lambda jobs: None)
    content = nifti(np.arange(64, dtype=np.int16).reshape(4, 4, 4), Grid((4, 4, 4), np.eye(4)), tmp_path)
    (answer,) = (
        served.upload({f"p1/{name}": content for name in names}).json()
        for served in served_in(tmp_path / "worklist", limits=Limits(voxels=voxels))
    )
    rows = [row for case in answer["cases"] for row in (*case["modalities"].values(), *case["others"])]
    assert sorted({row["file"].rpartition("/")[2] for row in rows}) == names
    assert {"it cannot be read" in row["why"] for row in rows} == {not is_read}
    said = [finding["message"] for finding in answer["findings"] if "--max-voxels" in finding["message"]]
    assert [name for name in names if any(name in message for message in said)] == ([] if is_read else names)


def test_a_folder_below_that_of_the_application_is_opened_where_it_lies(
    idle: Served, patient: Files, tmp_path: Path
) -> None:
    folder = idle.service.options.folder
    for name, path in patient.items():
        assert isinstance(path, Path)
        (folder / "studies" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "studies" / name).write_bytes(path.read_bytes())
    answer = idle.client.post("/api/uploads/path", json={"path": "studies"})
    assert answer.json()["cases"][0]["proposed"] == "model:brats"
    (folder / "away").symlink_to(tmp_path)
    for asked, status in (("../", 404), ("/etc", 404), ("away", 404), ("nowhere", 404), ("a\x00b", 404)):
        assert idle.client.post("/api/uploads/path", json={"path": asked}).status_code == status, asked
