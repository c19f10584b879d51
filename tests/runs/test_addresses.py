"""A run, its data and its masks in a bucket, by the commands as they are: written there is what is written here."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest

import glioseg as api
from tests.cli.command import glioseg
from tests.io.remote.conftest import endpoint, mirror, s3
from tests.runs.conftest import TinyRun

__all__ = ["endpoint", "mirror", "s3"]


def _put(system: fsspec.AbstractFileSystem, folder: Path, at: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.name != ".lock":
            system.put_file(str(path), f"brains/{at}/{path.relative_to(folder).as_posix()}")


def test_scans_from_a_bucket_and_masks_into_it(tiny: TinyRun, s3: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    """The network too: the masks are those of a call without addresses."""
    case = sorted(path for path in tiny.data.iterdir() if path.is_dir())[0]
    _put(s3, case, f"scans/{case.name}")
    _put(s3, tiny.run / "bundle", "models/tiny")
    asked = ("--device", "cpu", "--quiet", "--write", "nifti")
    here = glioseg("predict", tiny.run / "bundle", case, "--out", tmp_path / "masks", *asked)
    there = glioseg("predict", "s3://brains/models/tiny", "s3://brains/scans", "--out", "s3://brains/masks", *asked)
    assert (here.code, there.code) == (0, 0), there.err
    s3.invalidate_cache()
    sent = {path.rsplit("/", 1)[-1]: s3.cat_file(path) for path in s3.find("brains/masks")}
    assert sent[f"{case.name}.nii.gz"] == (tmp_path / "masks" / f"{case.name}.nii.gz").read_bytes()
    assert {"summary.csv", "predictions.html", f"{case.name}.json"} <= set(sent)
    assert ".uploading.json" not in sent


def test_a_run_whose_scans_are_elsewhere(
    tiny: TinyRun, s3: fsspec.AbstractFileSystem, tmp_path: Path, mirror: Path
) -> None:
    """It is sent, remembers where its scans are, and is evaluated by its address alone."""
    _put(s3, tiny.data, "cohort")
    changes = {"train.epochs": 1, "evaluate.n_resamples": 50}
    places = {"device": "cpu", "cache": tmp_path / "cache", "evaluate": False}
    run = api.train(tiny.recipe, "s3://brains/cohort", "s3://brains/runs/one", changes=changes, **places)  # type: ignore[arg-type]
    assert run.path.is_relative_to(mirror)
    s3.invalidate_cache()
    names = {path.removeprefix("brains/runs/one/") for path in s3.find("brains/runs/one")}
    assert {"recipe.toml", "log.jsonl", "latest_checkpoint.pth", "bundle/model.safetensors"} <= names
    assert json.loads(s3.cat_file("brains/runs/one/data.json"))["path"] == "s3://brains/cohort"
    ran = glioseg(
        "evaluate", "s3://brains/runs/one", "--part", "val", "--cache", tmp_path / "cache", "--json", "--quiet"
    )
    assert (ran.code, ran.json["n_cases"]) == (0, 1), ran.err
    s3.invalidate_cache()
    assert s3.exists("brains/runs/one/evaluation-val.json")  # figures go into the run, wherever that is
    assert not s3.exists("brains/runs/one/.uploading.json")


def test_a_file_into_a_bucket(tiny: TinyRun, s3: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    """And what is written beside it; whatever else lies there is left alone."""
    s3.pipe_file("brains/models/other.onnx", b"another's")
    ran = glioseg("split", tiny.data, "--out", "s3://brains/models/split.json", "--quiet")
    assert ran.code == 0, ran.err
    s3.invalidate_cache()
    assert set(json.loads(s3.cat_file("brains/models/split.json"))) >= {"train", "val", "test"}
    assert s3.cat_file("brains/models/other.onnx") == b"another's"


def test_what_is_refused(tiny: TinyRun, s3: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    ran = glioseg("inspect", "s3://brains/nothing")
    assert (ran.code, "s3://brains/nothing: nothing is there" in ran.err) == (1, True)
    ran = glioseg("evaluate", tiny.run, "--out", "s3://brains/figures", "--on", "ray")
    assert (ran.code, "need files that all of them see; found --on with s3://brains/figures" in ran.err) == (2, True)
    ran = glioseg("study", "five-folds", "--data", tiny.data, "--out", "s3://brains/study", "--plan")
    assert (ran.code, "a folder that all of them see; found s3://brains/study" in ran.err) == (2, True)
    assert s3.find("brains/study") == []
    ran = glioseg("evaluate", tiny.run, "--out", "https://a.b/c")
    assert (ran.code, "an address of the web is for reading" in ran.err) == (2, True)


@pytest.mark.parametrize("address", ["az://brains/runs", "S3://brains/runs", "ftp://user:secret@host/runs"])
def test_an_address_that_nothing_opens_is_no_folder_here(
    address: str, tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for places in ((tiny.data, address), (address, tmp_path / "out")):
        ran = glioseg("predict", tiny.run, places[0], "--out", places[1], "--device", "cpu", "--quiet")
        assert (ran.code, "addresses of this kind are not opened; found" in ran.err) == (2, True), ran.err
        assert "secret" not in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["mirror.toml"]  # which is the test's own


@pytest.mark.parametrize("name", ["train", "evaluate", "study", "tune", "inspect", "export", "calibrate", "read"])
def test_functions_that_take_addresses_keep_their_names(name: str) -> None:
    function = getattr(api, name)
    assert function.__name__ == name
    assert function.__doc__
