"""Volumes: trained in patches, continued exactly, predicted in windows; planned; and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor

from glioseg.config import build_recipe, read_recipe, write_recipe
from glioseg.inference.bundle import load_bundle, save_bundle
from glioseg.training.log import read_log
from tests.cli.command import Ran, glioseg
from tests.fakes.pictures import write_classes, write_pairs
from tests.runs.toy import toy_recipe

_TOY_3D = {
    "name": "toy-3d",
    "data": {"modalities": ["t2f", "t1c"]},
    "split": {"train": 0.6, "val": 0.2, "test": 0.2},
    "prepare": {"crop_to_brain": True, "regions": ["WT", "ET"]},
    "patches": {"per_case": 2, "foreground": 0.5},
    "model": {"dims": 3, "width": 4, "depth": 2, "deep_supervision": True, "dropout": 0.1},
    "loss": {"kind": "bce+dice"},
    "augment": {
        "flip": {"probability": 0.5, "axes": ["width", "height", "depth"]},
        "rotation": {"probability": 0.5},
        "elastic": {"probability": 0.5},
        "gamma": {"probability": 0.5},
        "bias": {"probability": 0.5},
        "blur": {"probability": 0.5},
        "low_resolution": {"probability": 0.5},
        "noise": {"probability": 0.5},
        "missing": {"zero": 0.2, "flair": 0.2},
    },
    "train": {"epochs": 2, "batch_size": 2, "lr": 0.01, "ema": 0.9, "precision": "fp32"},
    "predict": {"batch_size": 2},
    "evaluate": {"n_resamples": 100},
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "toy-3d.toml"
    path.write_text(write_recipe(build_recipe(_TOY_3D)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def _train(recipe: Path, data: Path, out: Path, cache: Path, *more: str) -> Ran:
    settings = [part for change in more if "=" in change for part in ("--set", change)]
    flags = [word for word in more if "=" not in word]
    places = ["--data", data, "--out", out, "--cache", cache, "--device", "cpu", "--quiet"]
    return glioseg("train", recipe, *places, *settings, *flags)


@pytest.fixture(scope="module")
def run(
    recipe: Path, phantom_data: Path, cache: Path, _one_thread: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A whole training with evaluation and report."""
    out = tmp_path_factory.mktemp("run-3d") / "run"
    ran = _train(recipe, phantom_data, out, cache, "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json["test"]["regions"]) == {"WT", "ET"}
    return out


def _plain(value: Any) -> Any:
    """Without times and the size of a log that holds them; tensors as bytes."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if not str(key).endswith("_s") and key != "log_size"}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return (value.dtype, tuple(value.shape), value.numpy().tobytes()) if isinstance(value, Tensor) else value


def test_the_size_of_patches_is_decided_and_written_down(run: Path) -> None:
    """Everything fits: the patch is the median brain box, rounded up to multiples of 4 for two poolings."""
    patches = read_recipe(str(run / "recipe.toml")).patches
    assert patches is not None
    assert patches.size != "auto"
    assert all(n % 4 == 0 and 16 <= n <= 40 for n in patches.size)
    assert load_bundle(run).info.patches == patches
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "3-D U-Net" in page
    assert "3×3×3" in page
    rows = read_log(run / "log.jsonl")
    assert len(rows) == 2
    assert all(np.isfinite(row.train_loss) and np.isfinite(row.val_loss or np.nan) for row in rows)


def test_a_stopped_training_continues_exactly_whatever_memory_there_is_by_then(
    recipe: Path, phantom_data: Path, cache: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the first epoch and in the second; each has three steps of two patches."""
    broken = tmp_path / "run"
    for changes in (["train.max_steps=2"], ["train.max_steps=4"], []):
        ran = _train(recipe, phantom_data, broken, cache, *changes, "--no-evaluate")
        assert ran.code == 0, ran.err
        monkeypatch.setattr("glioseg.runs.plan.memory_at_hand", lambda device: 0.1)
    for name in ("latest_checkpoint.pth", "best_model.pth"):
        one, other = (_plain(torch.load(folder / name, weights_only=True)) for folder in (run, broken))
        assert one == other, name
    # begun anew, the memory counts
    ran = _train(recipe, phantom_data, broken, cache, "--restart")
    assert ran.code == 2
    assert "not enough memory for any patch; found 0.1 GB" in ran.err
    assert (broken / "latest_checkpoint.pth").exists()


def test_prediction_is_on_the_native_grid_and_the_same_as_evaluation(
    run: Path, phantom_data: Path, tmp_path: Path
) -> None:
    (patient,) = json.loads((run / "split.json").read_text(encoding="utf-8"))["test"]
    case = phantom_data / f"{patient}-000"
    ran = glioseg("predict", run, case, "--out", tmp_path / "out", "--quiet", "--device", "cpu", "--explain")
    assert ran.code == 0, ran.err
    explained = json.loads((tmp_path / "out" / f"{patient}-000.json").read_text(encoding="utf-8"))["explanation"]
    assert "in the window with most of it" in explained["of"]
    assert explained["figures"].keys() == explained["without"].keys() == explained["permuted"].keys() >= {"WT"}
    mask, reference = nib.load(tmp_path / "out" / f"{patient}-000.nii.gz"), nib.load(case / f"{patient}-000-seg.nii.gz")
    assert mask.shape == reference.shape
    np.testing.assert_allclose(mask.affine, reference.affine)
    inside, true = (np.asarray(one.dataobj) > 0 for one in (mask, reference))
    dice = 2 * (inside & true).sum() / (inside.sum() + true.sum())
    scored = json.loads((run / "evaluation-test.json").read_text(encoding="utf-8"))
    assert scored["regions"]["WT"]["dice"]["case_mean"] == pytest.approx(dice, abs=1e-12)


def test_views_of_three_axes_are_averaged(run: Path, phantom_data: Path, tmp_path: Path) -> None:
    """The volumes differ from those without views: a network that was trained so briefly is not symmetric."""
    bundle = load_bundle(run)
    described = bundle.info.model_dump(exclude={"model_id", "weights", "format"})
    described["predict"]["flips"] = "all"
    save_bundle(tmp_path / "bundle", described, bundle.model.state_dict())
    case = next(folder for folder in sorted(phantom_data.iterdir()) if folder.is_dir())
    found = []
    for folder in (run / "bundle", tmp_path / "bundle"):
        ran = glioseg("predict", folder, case, "--out", tmp_path / "out", "--quiet", "--device", "cpu", "--json")
        assert ran.code == 0, ran.err
        found.append(ran.json["cases"][0]["volumes"])
    assert found[0] != found[1]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("slices.n_neighbours=1", "slices.n_neighbours has no effect: a 3-D network is trained on patches"),
        ("train.tumour_share=0.5", "train.tumour_share has no effect: a 3-D network is trained on patches"),
        ("split.protocol=slice", "split.protocol = slice is for networks of slices"),
        ("loss.kind=combined", "loss.kind = combined has weight maps of slices; set loss.kind=bce+dice"),
        ("model.dims=2", "there are no patches; set patches=none"),
        ("patches.size=[4,64,64]", "a patch has at least 8 voxels along each axis"),
        ("patches.overlap=1", "patches.overlap: "),
    ],
)
def test_settings_that_have_no_meaning(
    recipe: Path, phantom_data: Path, cache: Path, tmp_path: Path, change: str, words: str
) -> None:
    ran = _train(recipe, phantom_data, tmp_path / "run", cache, change)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("plain_report")
def test_a_3d_network_without_patches(phantom_data: Path, cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "toy.toml"
    path.write_text(write_recipe(toy_recipe("loss.kind=dice", "slices.n_neighbours=0")), encoding="utf-8")
    ran = _train(path, phantom_data, tmp_path / "run", cache, "model.dims=3")
    assert ran.code == 2
    assert "it is trained on patches; set patches.size=auto" in ran.err
    ran = _train(path, phantom_data, tmp_path / "run", cache, "model.dims=3", "patches.size=auto", "train.max_steps=1")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("size", ["auto", "[16,16,16]"])
def test_a_3d_recipe_on_single_slices(recipe: Path, cache: Path, tmp_path: Path, size: str) -> None:
    write_pairs(tmp_path / "data", [f"p{number}" for number in range(5)])
    changes = ["data.modalities=none", "prepare.regions=none", f"patches.size={size}", "augment.missing.flair=0"]
    ran = _train(recipe, tmp_path / "data", tmp_path / "run", cache, *changes, "augment.missing.zero=0")
    assert ran.code == 1, ran.err
    assert "too thin for a 3-D network; found" in ran.err
    assert "single slice" in ran.err
    assert "model.dims = 2, without [patches]" in ran.err
    assert not (tmp_path / "run" / "recipe.toml").exists()


@pytest.mark.usefixtures("plain_report")
def test_a_patch_larger_than_the_volume_is_padded(
    recipe: Path, phantom_data: Path, cache: Path, tmp_path: Path
) -> None:
    """The brain boxes of these phantoms are some 25 voxels long."""
    ran = _train(recipe, phantom_data, tmp_path / "run", cache, "patches.size=[40,40,40]", "train.epochs=1", "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) == {"val", "test"}


# -- planning ----------------------------------------------------------------------------------------------------------


def test_a_planned_recipe_is_readable_and_trains(phantom_data: Path, cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "planned.toml"
    ran = glioseg("plan", phantom_data, "--out", path, "--memory", "4", "--device", "cpu", "--json", "--quiet")
    assert ran.code == 0, ran.err
    text = path.read_text(encoding="utf-8")
    values = tomllib.loads(text)
    assert values["model"]["dims"] == 3
    assert ran.json["machine"]["memory_gb"] == 4
    assert ran.json["fingerprint"]["spacings_mm"][0] == [6, 6, 6]
    assert ran.json["step_gb"] <= 0.8 * 4
    chosen = {choice["setting"]: choice["value"] for choice in ran.json["choices"]}
    assert chosen["patches.size"] == values["patches"]["size"]
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if " = " in line and number > 3 and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), line  # each setting below its reason
    trained = _train(path, phantom_data, tmp_path / "run", cache, "model.width=4", "train.epochs=1", "--no-evaluate")
    assert trained.code == 0, trained.err
    again = glioseg("plan", phantom_data, "--out", path, "--quiet")
    assert again.code == 1
    assert "there is a file already" in again.err
    assert path.read_text(encoding="utf-8") == text


def test_pictures_are_planned_in_slices(tmp_path: Path) -> None:
    write_pairs(tmp_path / "data", [f"p{number}" for number in range(5)])
    path = tmp_path / "planned.toml"
    ran = glioseg("plan", tmp_path / "data", "--out", path, "--memory", "4", "--device", "cpu", "--quiet")
    assert ran.code == 0, ran.err
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    assert values["model"]["dims"] == 2
    assert values["slices"]["n_neighbours"] == 0
    assert "patches" not in values


def test_without_references_there_is_nothing_to_plan(tmp_path: Path) -> None:
    write_classes(tmp_path / "data", {"yes": 2, "no": 2})
    ran = glioseg("plan", tmp_path / "data", "--out", tmp_path / "a.toml", "--quiet")
    assert ran.code == 1
    assert "no case has a reference" in ran.err
    assert not (tmp_path / "a.toml").exists()


def test_too_little_memory_to_plan_for(phantom_data: Path, tmp_path: Path) -> None:
    ran = glioseg("plan", phantom_data, "--out", tmp_path / "a.toml", "--memory", "0.5", "--quiet")
    assert ran.code == 2
    assert "not enough memory for any patch; found 0.5 GB" in ran.err
    assert not (tmp_path / "a.toml").exists()


@pytest.mark.slow
def test_two_processes_train_on_the_same_patches(
    recipe: Path, phantom_data: Path, cache: Path, run: Path, tmp_path: Path
) -> None:
    places = ["--data", phantom_data, "--out", tmp_path / "run", "--cache", cache, "--device", "cpu", "--devices", "2"]
    command = [sys.executable, "-m", "glioseg", "train", recipe, *places, "--quiet", "--no-evaluate"]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    one, two = read_log(run / "log.jsonl"), read_log(tmp_path / "run" / "log.jsonl")
    assert [row.epoch for row in two] == [0, 1]
    assert two[0].train_loss == pytest.approx(one[0].train_loss, rel=0.3)  # the same patches, halved
