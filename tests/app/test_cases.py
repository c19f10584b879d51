"""From files to a mask that is kept, as a program does it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shlex
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import glioseg
from glioseg.app.keep import _kept
from glioseg.app.places import CasePlaces
from glioseg.errors import OptionError
from glioseg.io.nifti import read_nifti
from tests.app.conftest import Served, nifti, scans_of
from tests.fakes.dicom import BIRTH, NAME, PATIENT, oblique, write_study

_VOXEL_ML = 0.216
"""Of the phantom patients: 6 mm in cube."""


@pytest.fixture(scope="module")
def done(served: Served, network: str, phantom_data: Path) -> dict[str, Any]:
    """A phantom patient, predicted with all that can be asked, and with its reference beside it."""
    upload = served.upload(scans_of(phantom_data, 0, with_mask=True)).json()
    assert upload["cases"][0]["proposed"] == network
    case = served.ended(served.queue(upload, network, uncertainty=True, explain=True))
    assert case["state"] == "done", case["error"]
    return case


def test_everything_lies_on_one_grid(served: Served, done: dict[str, Any], phantom_data: Path, tmp_path: Path) -> None:
    scan = next(path for name, path in scans_of(phantom_data, 0).items() if "t1c" in name)
    assert isinstance(scan, Path)
    array, grid = read_nifti(scan)
    assert [image["name"] for image in done["modalities"]] == ["t2f", "t1c", "t1n", "t2w"]
    shown, its_grid = served.volume(done["modalities"][1]["url"], tmp_path)
    assert its_grid == grid
    assert np.array_equal(shown, array)
    urls = [done["mask"]["url"], done["reference"]["url"], *(each["url"] for each in done["maps"])]
    for url in urls:
        volume, its_grid = served.volume(url, tmp_path)
        assert its_grid == grid, url
        assert volume.shape[:3] == array.shape
    assert {(each["kind"], each["region"], each["frame"]) for each in done["maps"]} == {
        (kind, region, frame)
        for kind in ("probability", "uncertainty", "explanation")
        for frame, region in enumerate(("WT", "ET"))
    }


def test_volumes_lesions_and_largest_sections_are_those_of_the_mask(
    served: Served, done: dict[str, Any], tmp_path: Path
) -> None:
    mask, grid = served.volume(done["mask"]["url"], tmp_path)
    inside = {region["name"]: np.isin(mask, region["labels"]) for region in done["regions"]}
    volumes = {name: region.sum() * _VOXEL_ML for name, region in inside.items()}
    assert {region["name"]: region["volume_ml"] for region in done["regions"]} == pytest.approx(volumes)
    assert done["volumes_ml"] == pytest.approx(volumes)
    for region in done["regions"]:
        low, high = region["interval_ml"]
        assert low <= region["volume_ml"] <= high
    for name, region in inside.items():
        lesions = [lesion for lesion in done["lesions"] if lesion["region"] == name]
        assert sum(lesion["volume_ml"] for lesion in lesions) == pytest.approx(volumes[name])
        assert all(region[tuple(lesion["centre_voxel"])] for lesion in lesions)
        for lesion in lesions:
            place = grid.affine @ [*lesion["centre_voxel"], 1]
            assert lesion["centre_mm"] == pytest.approx(place[:3], abs=0.01)
    if mask.any():
        by_axis = [int((mask > 0).sum(axis=rest).argmax()) for rest in ((1, 2), (0, 2), (0, 1))]
        assert done["largest"] == dict(zip(("sagittal", "coronal", "axial"), by_axis, strict=True))


def test_the_reference_beside_the_scans_is_scored(
    served: Served, done: dict[str, Any], phantom_data: Path, tmp_path: Path
) -> None:
    path = next(path for name, path in scans_of(phantom_data, 0, with_mask=True).items() if "seg" in name)
    assert isinstance(path, Path)
    expected, _ = read_nifti(path)
    mask, grid = served.volume(done["mask"]["url"], tmp_path)
    first, second = expected > 0, mask > 0
    overlap = 2 * (first & second).sum() / (first.sum() + second.sum())
    assert done["reference"]["scores"]["WT"]["dice"] == pytest.approx(overlap)
    sent = {"file": ("mask.nii.gz", nifti(mask, grid, tmp_path))}
    perfect = served.client.post(f"/api/cases/{done['id']}/reference", files=sent).json()
    assert {values["dice"] for values in perfect["scores"].values()} <= {1.0, None}
    codes = {1: 1, 2: 2, 3: 4}  # the same in the integers of BraTS 2021
    other = np.select([expected == ours for ours in codes], list(codes.values()), 0).astype(np.uint8)
    sent = {"file": ("mask.nii.gz", nifti(other, grid, tmp_path))}
    refused = served.client.post(f"/api/cases/{done['id']}/reference", files=sent)
    assert (refused.status_code, refused.json()["error"]["found"]) == (422, "4")
    again = served.client.post(f"/api/cases/{done['id']}/reference?scheme=brats2021", files=sent).json()
    assert again["scores"] == done["reference"]["scores"]


def test_a_drawn_mask_is_kept_beside_the_networks(served: Served, done: dict[str, Any], tmp_path: Path) -> None:
    own, grid = served.volume(done["mask"]["url"], tmp_path)
    drawn = np.zeros_like(own)
    drawn[3:5, 3:5, 3:5] = 3
    content, address = nifti(drawn, grid, tmp_path), f"/api/cases/{done['id']}"
    kept = served.client.put(f"{address}/mask?by=Ada&note=smaller", content=content).json()
    assert kept == {"n": 1, "volumes_ml": {"WT": 8 * _VOXEL_ML, "ET": 8 * _VOXEL_ML}}
    assert served.client.put(f"{address}/mask", content=gzip.decompress(content)).json()["n"] == 2
    after = served.case(done["id"])
    assert [(each["n"], each["by"], each["note"]) for each in after["corrections"]] == [
        (1, "Ada", "smaller"),
        (2, "", ""),
    ]
    assert np.array_equal(served.volume(after["corrections"][0]["url"], tmp_path)[0], drawn)
    assert np.array_equal(served.volume(after["mask"]["url"], tmp_path)[0], own)
    assert after["regions"] == done["regions"]
    assert (after["corrected"], after["volumes_ml"]) == (2, kept["volumes_ml"])
    assert after["reference"]["corrected"]["WT"]["dice"] < 0.5
    (listed,) = [case for case in served.client.get("/api/cases").json() if case["id"] == done["id"]]
    assert (listed["corrected"], listed["volumes_ml"]) == (2, kept["volumes_ml"])


def test_what_is_measured_of_a_correction_is_of_the_drawn_mask(
    served: Served, done: dict[str, Any], tmp_path: Path
) -> None:
    own, grid = served.volume(done["mask"]["url"], tmp_path)
    drawn = np.zeros_like(own)
    drawn[2:7, 3:6, 2:4] = 3  # 30 x 18 mm in two slices of 6 mm, which RANO measures from 12 mm on
    drawn[10, 10, 10] = 3
    address = f"/api/cases/{done['id']}"
    served.client.put(f"{address}/mask", content=nifti(drawn, grid, tmp_path))
    after = served.case(done["id"])
    last = after["corrections"][-1]
    assert [(each["region"], each["volume_ml"]) for each in last["lesions"]] == [
        (region, pytest.approx(n * _VOXEL_ML, abs=1e-4)) for region in ("WT", "ET") for n in (30, 1)
    ]
    assert [each["centre_voxel"] for each in last["lesions"]][1::2] == [[10, 10, 10]] * 2
    assert last["largest"] == {"sagittal": 2, "coronal": 3, "axial": 2}  # the first of equal ones
    (measured,) = last["diameters"]
    assert (measured["region"], measured["axial_slice"]) == ("ET", 3)
    diagonal = np.hypot(30, 18)
    assert measured["long_mm"] == pytest.approx(diagonal, abs=0.05)
    assert measured["short_mm"] == pytest.approx(18 * diagonal / 30, abs=0.05)  # across it, from side to side
    assert {name: after[name] for name in ("lesions", "largest", "diameters", "regions")} == {
        name: done[name] for name in ("lesions", "largest", "diameters", "regions")
    }
    rows = list(csv.DictReader(io.StringIO(served.client.get(f"{address}/export/csv").text)))
    assert {(row["low"], row["high"], row["confidence"]) for row in rows} == {("", "", "")}


def test_what_is_no_mask_of_the_case_is_refused(served: Served, done: dict[str, Any], tmp_path: Path) -> None:
    own, grid = served.volume(done["mask"]["url"], tmp_path)
    address, n_before = f"/api/cases/{done['id']}/mask", served.case(done["id"])["corrected"]
    moved = grid.cropped(((1, grid.shape[0] + 1), (0, grid.shape[1]), (0, grid.shape[2])))
    for content, what in (
        (b"no NIfTI", "what was sent is no sound NIfTI file"),
        (nifti(own, grid, tmp_path)[:200], "what was sent is no sound NIfTI file"),
        (nifti(own[:-1], grid.cropped(((0, own.shape[0] - 1), (0, own.shape[1]), (0, own.shape[2]))), tmp_path),
         "the mask does not lie on the grid of the scan"),
        (nifti(own, moved, tmp_path), "the mask does not lie on the grid of the scan"),
        (nifti(np.stack([own, own], axis=3), grid, tmp_path), "the mask does not lie on the grid of the scan"),
        (nifti(own + np.float32(0.5), grid, tmp_path), "the label map holds values that are not whole numbers"),
        (nifti(own + np.uint8(9), grid, tmp_path), None),
    ):  # fmt: skip
        answer = served.client.put(address, content=content)
        assert answer.status_code == 422, what
        assert what is None or answer.json()["error"]["what"] == what
        assert answer.json()["error"]["file"] is None
    assert served.case(done["id"])["corrected"] == n_before
    folder = served.service.places.case(done["id"]).folder
    assert not list(folder.rglob(".writing-*"))


def test_exports(served: Served, done: dict[str, Any], tmp_path: Path) -> None:
    address = f"/api/cases/{done['id']}/export"
    own, _ = served.volume(done["mask"]["url"], tmp_path)
    assert np.array_equal(served.volume(f"{address}/nifti?n=0", tmp_path)[0], own)
    surfaces = served.client.get(f"{address}/stl?n=0")
    with zipfile.ZipFile(io.BytesIO(surfaces.content)) as archive:
        assert sorted(archive.namelist()) == [f"{done['id']}_ET.stl", f"{done['id']}_WT.stl"]
    rows = list(csv.DictReader(io.StringIO(served.client.get(f"{address}/csv?n=0").text)))
    assert [row["region"] for row in rows] == ["WT", "ET"]
    assert {row["name"] for row in rows} == {done["name"]}
    assert [float(row["volume"]) for row in rows] == [region["volume_ml"] for region in done["regions"]]
    hidden = served.client.get(f"{address}/csv?n=0&deidentify=1")
    assert done["name"] not in hidden.text
    assert hidden.headers["content-disposition"] == f'attachment; filename="{done["id"]}-deidentified.csv"'
    assert served.client.get(f"{address}/pdf?n=0").content.startswith(b"%PDF")
    page = served.client.get(f"{address}/html?n=0").text
    assert done["name"] in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)  # all of it is in the one file
    hidden_page = served.client.get(f"{address}/html?n=0&deidentify=1").text
    assert done["name"] not in hidden_page
    assert done["id"] in hidden_page
    probabilities, _ = served.volume(f"{address}/probabilities", tmp_path)
    assert probabilities.shape == (*own.shape, 2)
    assert 0 <= probabilities.min() < probabilities.max() <= 1
    refused = served.client.get(f"{address}/seg")
    assert (refused.status_code, refused.json()["error"]["found"]) == (422, "nifti")
    assert served.client.get(f"{address}/docx").status_code == 404
    assert served.client.get(f"{address}/nifti?n=99").status_code == 404


def test_corrected_masks_become_a_cohort(
    served: Served, network: str, done: dict[str, Any], phantom_data: Path, tmp_path: Path
) -> None:
    other = served.ended(served.queue(served.upload(scans_of(phantom_data, 1)).json(), network))
    refused = served.client.post("/api/keep", json={"ids": [other["id"]]})
    assert (refused.status_code, refused.json()["error"]["what"]) == (
        422, f"nobody has drawn a mask of {other['name']}",
    )  # fmt: skip
    for number, case in enumerate((done, other)):
        drawn, grid = served.volume(case["mask"]["url"], tmp_path)
        drawn = np.zeros_like(drawn)
        drawn[2:6, 2:6, 2 : 4 + number] = 2
        content = nifti(drawn, grid, tmp_path)
        assert served.client.put(f"/api/cases/{case['id']}/mask?by=Ada", content=content).status_code == 200
    first = served.client.post("/api/keep", json={"ids": [done["id"]]}).json()
    both = served.client.post("/api/keep", json={"ids": [other["id"], done["id"]]}).json()
    assert (first["n"], both["n"], first["folder"]) == (1, 2, both["folder"])
    assert shlex.split(both["command"]) == ["glioseg", "train", "RECIPE", "--data", both["folder"], "--out", "RUN"]
    cohort = glioseg.read(both["folder"])
    assert {case.id for case in cohort.cases} == {done["id"], other["id"]}
    assert cohort.patients == tuple(sorted((done["patient"], other["patient"])))
    assert cohort.scheme is not None
    assert dict(cohort.scheme.labels) == {"NCR": 1, "ED": 2, "ET": 3}
    assert not [finding for finding in cohort.findings if finding.severity != "note"]
    table = cohort.inspect().table().set_index("case")
    assert table["tumour_ml"].to_dict() == pytest.approx({done["id"]: 32 * _VOXEL_ML, other["id"]: 48 * _VOXEL_ML})


def test_masks_of_networks_with_other_labels_are_never_collected_together(
    served: Served, done: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the first time either, when no folder says yet which labels it holds."""
    drawn, grid = served.volume(done["mask"]["url"], tmp_path)
    content = nifti(np.zeros_like(drawn), grid, tmp_path)
    assert served.client.put(f"/api/cases/{done['id']}/mask?by=Ada", content=content).status_code == 200
    record, places = served.service.done(done["id"])
    other = CasePlaces(tmp_path / "other")
    shutil.copytree(places.folder, other.folder)
    facts = json.loads(other.facts.read_text(encoding="utf-8"))
    facts["scheme"] = {"labels": {"tumour": 1}, "regions": {"tumour": ["tumour"]}}
    other.facts.write_text(json.dumps(facts), encoding="utf-8")
    both = {"mine": (record, places), "other": (replace(record, name="another"), other)}
    folder = tmp_path / "collected"
    with pytest.raises(OptionError, match="the labels of another are not those"):
        _kept(served.service, list(both.values()), folder)
    assert not folder.exists()


def test_the_course_of_a_patient(served: Served, done: dict[str, Any]) -> None:
    (point,) = served.client.get(f"/api/timeline/{done['patient']}").json()
    case = served.case(done["id"])
    assert (point["id"], point["volumes_ml"], point["date"]) == (done["id"], case["volumes_ml"], done["created"])
    assert (point["study_day"], case["study_day"]) == (None, None)  # NIfTI files say no date
    assert served.client.get("/api/timeline/patient-nobody").json() == []


def test_a_dicom_study_becomes_a_segmentation_that_names_nobody(served: Served, network: str, tmp_path: Path) -> None:
    shape = (24, 24, 12)
    rng = np.random.default_rng(0)
    images = {name: rng.integers(50, 400, shape).astype(np.int16) for name in ("t1c", "t2f")}
    write_study(tmp_path / "study", images, oblique())
    files = {path.name: path for path in sorted((tmp_path / "study").rglob("*")) if path.is_file()}
    upload = served.upload({f"{number}/{name}": path for number, (name, path) in enumerate(files.items())}).json()
    case = served.ended(served.queue(upload, network))
    assert case["state"] == "done", case["error"]
    assert case["study_day"] == 0
    mask, grid = served.volume(case["mask"]["url"], tmp_path)
    drawn = np.zeros_like(mask)
    drawn[4:8, 4:8, 3:6] = 3
    served.client.put(f"/api/cases/{case['id']}/mask", content=nifti(drawn, grid, tmp_path))
    address = f"/api/cases/{case['id']}/export/seg"
    named, hidden = served.client.get(address), served.client.get(f"{address}?deidentify=1")
    assert NAME in str(pydicom.dcmread(io.BytesIO(named.content)).PatientName)
    assert hidden.headers["content-disposition"] == (
        f'attachment; filename="{case["id"]}-corrected-1-deidentified.seg.dcm"'
    )
    assert not [planted for planted in (NAME, PATIENT, BIRTH) if planted.encode() in hidden.content]
    told = f"{case}{served.client.get('/api/cases').text}"
    assert not [planted for planted in (NAME, PATIENT, BIRTH) if planted in told]


def test_a_case_is_deleted_with_all_that_was_made_of_it(served: Served, network: str, phantom_data: Path) -> None:
    case = served.ended(served.queue(served.upload(scans_of(phantom_data, 2)).json(), network))
    folder = served.service.places.case(case["id"]).folder
    assert folder.exists()
    assert served.client.delete(f"/api/cases/{case['id']}").json() == {}
    assert not folder.exists()
    assert served.client.get(f"/api/cases/{case['id']}").status_code == 404
