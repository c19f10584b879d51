"""What ``export`` writes for deployers says what ``predict`` says, without glioseg."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

import glioseg as api
from glioseg.cohorts.phantom import PhantomOptions, generate_patient
from glioseg.core import Image
from glioseg.inference.bundle import BundleInfo, load_bundle
from glioseg.inference.example import TOLERANCE, beyond_the_example
from glioseg.inference.openvino_core import openvino_core
from glioseg.io.nifti import write_nifti
from glioseg.runs.export import metadata_of
from glioseg.tasks.segment.predictor import predictor_of
from tests.cli.command import glioseg

_PHANTOM = "model:phantom"


@pytest.fixture(scope="module")
def image() -> Image:
    return generate_patient(PhantomOptions(n_patients=1, spacing_mm=3.0), 0).image


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "model.onnx"
    result = api.export(_PHANTOM, file)
    assert "predict_model.py draws masks" in result.notes[0]
    return file


def _turned(image: Image, codes: str) -> Image:
    grid = image.grid.with_orientation(codes)
    ornt = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(image.grid.affine), nib.orientations.axcodes2ornt(codes)
    )
    arrays = [nib.orientations.apply_orientation(array, ornt) for array in image.array]
    return Image(np.stack(arrays), image.modalities, grid)


@pytest.mark.parametrize(
    "codes", [pytest.param("RAS", marks=pytest.mark.slow), pytest.param("LPS", marks=pytest.mark.slow), "SPL"]
)
def test_the_program_draws_the_mask_of_predict(codes: str, exported: Path, image: Image, tmp_path: Path) -> None:
    """As a process of its own that never sees glioseg: voxel for voxel, but for what rounding moves."""
    scan = _turned(image, codes)
    files = []
    for name, array in zip(scan.modalities, scan.array, strict=True):
        write_nifti(tmp_path / f"{name}.nii.gz", array, scan.grid)
        files.append(f"{name}={tmp_path / name}.nii.gz")
    program = exported.with_name("predict_model.py")
    assert len(program.read_text(encoding="utf-8").splitlines()) < 80
    assert all(
        "glioseg" not in file.read_text(encoding="utf-8") for file in (program, program.with_name("components.py"))
    )
    ran = subprocess.run(
        [sys.executable, "-Es", program, exported, tmp_path / "mask.nii.gz", *files], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    found = nib.load(tmp_path / "mask.nii.gz")
    exact = replace(predictor_of(load_bundle(Path(_PHANTOM)), "cpu"), bf16=False).predict(scan)
    np.testing.assert_allclose(found.affine, scan.grid.affine, atol=1e-4)
    mask, expected = np.asarray(found.dataobj), exact.label_map.array
    assert (expected > 0).sum() > 500
    assert (mask != expected).sum() <= TOLERANCE * (expected > 0).sum()


def test_the_program_names_what_is_lacking(exported: Path, tmp_path: Path) -> None:
    program = exported.with_name("predict_model.py")
    ran = subprocess.run(
        [sys.executable, "-Es", program, exported, tmp_path / "mask.nii.gz", "t1n=a.nii"],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert "give a file for each of ['t1n', 't1c', 't2w', 't2f']" in ran.stderr


def _changed(info: BundleInfo, **fields: object) -> BundleInfo:
    described = info.model_dump(mode="json")
    for name, change in fields.items():
        described[name] = described[name] | change if isinstance(change, dict) else change
    return BundleInfo.model_validate(described)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ""),
        ({"prepare": {"size": None, "crop_to_brain": False}}, ""),
        ({"prepare": {"size": None, "spacing_mm": [1.0, 1.0]}}, "prepare.spacing_mm"),
        ({"prepare": {"normalise_over": "slice"}}, "prepare.normalise_over"),
        ({"slices": {"dark_below": 0.02}}, "slices.dark_below"),
        ({"predict": {"kinds": ["NCR"], "thresholds": {}}, "regions": ["TC", "NCR"]}, "kinds"),
        ({"regions": ["NCR", "ED", "ET"], "predict": {"activation": "softmax"}}, "softmax, regions that exclude each"),
    ],
)
def test_what_the_program_cannot_do_is_said(fields: dict[str, object], words: str) -> None:
    info = _changed(load_bundle(Path(_PHANTOM)).info, **fields)
    said = beyond_the_example(info)
    assert said.startswith(words)
    assert bool(said) == bool(words)
    painting = json.loads(metadata_of(info)["painting"])
    expected = [[2, 0, 0.5, [0]], [1, 1, 0.5, [0, 2]], [3, 2, 0.5, [0, 2, 1]]]
    assert [each[:4] for each in painting] == ([] if words else expected)


def test_the_program_is_told_which_components_stay() -> None:
    chosen = {"min_voxels": {"ET": 9}, "min_ml": {"TC": 0.1}, "largest_component": ["WT"]}
    info = _changed(load_bundle(Path(_PHANTOM)).info, predict=chosen)
    painting = json.loads(metadata_of(info)["painting"])
    assert [each[4:] for each in painting] == [[0, 0.0, True], [0, 0.1, False], [9, 0.0, False]]


def test_no_program_is_left_that_would_draw_other_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "predict_model.py"
    program.write_text("an older one", encoding="utf-8")
    monkeypatch.setattr("glioseg.runs.export.beyond_the_example", lambda info: "kinds")
    result = api.export(_PHANTOM, tmp_path / "model.onnx")
    assert result.notes == ("no program beside it: it does not do kinds",)
    assert not program.exists()


@pytest.mark.parametrize(
    ("form", "name", "belongs_to"),
    [("onnx", "net.xml", "openvino"), ("torch", "net.onnx", "onnx"), ("bundle", "net.PT2", "torch")],
)
def test_a_name_that_ends_as_files_of_another_format(form: str, name: str, belongs_to: str, tmp_path: Path) -> None:
    ran = glioseg("export", _PHANTOM, "--format", form, "--out", tmp_path / name)
    assert ran.code == 2
    assert f"the name ends as files of {belongs_to}" in ran.err
    assert f"--format {belongs_to}" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_an_openvino_file(tmp_path: Path) -> None:
    ran = glioseg("export", _PHANTOM, "--format", "openvino", "--out", tmp_path / "net.xml", "--json", "--quiet")
    assert ran.code == 0, ran.err
    assert {path.name for path in tmp_path.iterdir()} == {"net.xml", "net.bin"}
    assert ran.json["bytes"] == sum(path.stat().st_size for path in tmp_path.iterdir())
    graph = openvino_core().read_model(tmp_path / "net.xml")
    assert json.loads(graph.get_rt_info(["glioseg", "regions"]).astype(str)) == ["WT", "TC", "ET"]
    run = openvino_core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    images = np.random.default_rng(0).normal(size=(1, 12, 37, 50)).astype(np.float32)
    with torch.inference_mode():
        expected = torch.sigmoid(load_bundle(Path(_PHANTOM)).model(torch.from_numpy(images)))
    np.testing.assert_allclose(run(images)[0], expected, atol=1e-4)


def test_a_program_of_pytorch(tmp_path: Path) -> None:
    result = api.export(_PHANTOM, tmp_path / "net.pt2", form="torch")
    assert (result.size, result.step, result.checker) == (None, 16, "PyTorch")
    said = {"glioseg.json": ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=said).module()
    assert json.loads(json.loads(said["glioseg.json"])["modalities"]) == ["t1n", "t1c", "t2w", "t2f"]
    network = load_bundle(Path(_PHANTOM)).model
    for shape in ((1, 12, 48, 64), (5, 12, 32, 32)):
        images = torch.randn(shape)
        with torch.inference_mode():
            np.testing.assert_allclose(program(images), torch.sigmoid(network(images)), atol=1e-4)
