"""Every network is trained, resumed, used, reported and exported by the same commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from glioseg.inference.bundle import load_bundle
from glioseg.networks.build import kinds_of
from glioseg.networks.summary import network_name
from glioseg.training.checkpoint import load_checkpoint
from glioseg.training.log import read_log
from tests.cli.command import glioseg
from tests.runs.conftest import TinyRun
from tests.runs.toy import write_toy

_SMALL: dict[str, dict[str, object]] = {
    "attention-unet": {"dropout": 0.2},
    "resunet": {"dropout": 0.2},
    "unet++": {"dropout": 0.2, "deep_supervision": "true"},
    "deeplabv3plus": {"pyramid_width": 8, "blocks": [1, 1, 1, 1], "dropout": 0.2},
    "segresnet": {"blocks_down": [1, 1, 1], "blocks_up": [1, 1], "dropout": 0.2},
    "dynunet": {"deep_supervision": "true"},
    "mednext": {"blocks": [1, 1], "bottleneck": 1},
    "swinunetr": {"feature_size": 12, "drop_path": 0.2, "dropout": 0.2},
}
_FAST = "segresnet"  # MONAI's, so that its import is met too; the U-Net is that of the tiny run
_KINDS = [
    pytest.param(kind, marks=[pytest.mark.slow] * (kind != _FAST)) for kind in kinds_of("segment") if kind != "unet"
]


def _recipe(kind: str, path: Path) -> Path:
    settings = [f"model.{name}={value}" for name, value in _SMALL[kind].items()]
    return write_toy(path, f"model.kind={kind}", *settings, "train.epochs=2", "predict.tune=false")


def _same(one: Path, other: Path) -> None:
    states = [load_checkpoint(run / "latest_checkpoint.pth") for run in (one, other)]
    assert states[0]["model"].keys() == states[1]["model"].keys()
    for part in ("model", "mean"):
        first, second = (state[part] if part == "model" else state[part]["weights"] for state in states)
        assert all(np.array_equal(first[name].numpy(), second[name].numpy()) for name in first), part
    assert (one / "bundle" / "model.safetensors").read_bytes() == (other / "bundle" / "model.safetensors").read_bytes()
    rows = [[row.train_loss for row in read_log(run / "log.jsonl")] for run in (one, other)]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 2


@pytest.mark.parametrize("kind", _KINDS)
def test_a_network_is_trained_resumed_used_reported_and_exported(kind: str, tiny: TinyRun, tmp_path: Path) -> None:
    recipe = _recipe(kind, tmp_path / "toy.toml")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    common = ["--data", tiny.data, "--cache", tiny.cache, "--device", "cpu", "--quiet"]
    ran = glioseg("train", recipe, "--out", whole, *common)
    assert ran.code == 0, ran.err
    for stop in ("train.max_steps=2", "train.max_steps=4", "train.max_steps=none"):
        ran = glioseg("train", recipe, "--out", broken, *common, "--no-evaluate", "--set", stop)
        assert ran.code == 0, ran.err
    _same(whole, broken)

    options = load_bundle(whole).info.model
    assert options.kind == kind
    page = (whole / "report.html").read_text(encoding="utf-8")
    assert network_name(options) in page
    assert "conv 3×3" in page

    case = next(path for path in sorted(tiny.data.iterdir()) if path.is_dir())
    ran = glioseg("predict", broken, case, "--out", tmp_path / "masks", "--device", "cpu", "--quiet")
    assert ran.code == 0, ran.err
    assert (tmp_path / "masks" / f"{case.name}.nii.gz").exists()

    ran = glioseg("export", whole, "--json", "--quiet")
    assert ran.code == 0, ran.err
    assert ran.json["difference"] < 1e-3
    assert ran.json["size"] == ([32, 32] if kind == "swinunetr" else None)
    said = {entry.key: entry.value for entry in onnx.load(whole / "model.onnx").metadata_props}
    assert json.loads(said["modalities"]) == ["t2f", "t1c"]
    assert json.loads(said["regions"]) == ["WT", "ET"]
    assert said["slices_shown"] == "3"
    assert said["network"] == kind
    assert said["model_id"] == load_bundle(whole).info.model_id
    assert said["use"].startswith("For research use only")


def test_an_export_says_how_it_was_checked(tiny: TinyRun, tmp_path: Path) -> None:
    ran = glioseg("export", tiny.run, "--out", tmp_path / "net.onnx", "--quiet")
    assert ran.code == 0, ran.err
    assert str(tmp_path / "net.onnx") in ran.out
    assert "images of any size" in ran.out
    assert "probabilities differ by at most" in ran.out
    assert not (tiny.run / "model.onnx").exists()


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (
            ["--format", "tensorrt"],
            2,
            "no export to tensorrt; expected one of onnx, openvino, torch, openvino-int8, monai, bundle",
        ),
        (["--format", "torch", "--out", "FILE.pt"], 2, "files of torch end in .pt2; found FILE.pt"),
        (["--format", "openvino", "--out", "FILE.XML"], 2, "files of openvino end in .xml; found FILE.XML"),
        (["--format", "openvino-int8", "--out", "FILE"], 2, "files of openvino-int8 end in .xml; found FILE"),
        (
            ["--format", "openvino", "--out", "FILE.onnx"],
            2,
            "the name ends as files of onnx do, not of openvino; found FILE.onnx",
        ),
        (["--size", "32xa"], 2, "--size needs whole numbers with x between them; found 32xa"),
        (["--size", "32x32x32"], 2, "the size does not fit the network; found 32x32x32; expected 2 numbers"),
        (["--size", "0x32"], 2, "the size does not fit the network"),
        (["--out", "FILE/model.onnx"], 1, "FILE"),
    ],
)
def test_refusals_of_an_export(given: list[str], code: int, said: str, tiny: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "FILE").write_text("mine")
    ran = glioseg("export", tiny.run, *(each.replace("FILE", str(tmp_path / "FILE")) for each in given), "--quiet")
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert not (tiny.run / "model.onnx").exists()


def test_a_run_without_a_bundle_is_not_exported(tmp_path: Path) -> None:
    ran = glioseg("export", tmp_path, "--quiet")
    assert (ran.code, ran.out) == (1, "")
    assert "neither a run with a bundle nor a bundle" in ran.err
