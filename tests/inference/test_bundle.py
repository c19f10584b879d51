"""Bundles as files; damaged ones are tested through the command in ``tests/workflows``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from glioseg.core import scheme_named
from glioseg.errors import FileError
from glioseg.inference.bundle import load_bundle, save_bundle
from glioseg.inference.options import PredictOptions
from glioseg.networks.build import build_model
from glioseg.networks.unet import UNetOptions
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.records import SchemeRecord
from glioseg.preparation.slices import SliceOptions

MODEL = UNetOptions(width=2, depth=1)


def _fields(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": "toy",
        "modalities": ("t2f", "t1c"),
        "regions": ("WT", "TC", "ET"),
        "scheme": SchemeRecord.of(scheme_named("brats2021")),
        "model": MODEL,
        "prepare": PrepareOptions(size=32, clip_percentiles=(1.0, 99.0)),
        "slices": SliceOptions(n_neighbours=1, dark_below=0.1),
        "predict": PredictOptions(thresholds={"ET": 0.4}, min_voxels={"ET": 7}, flips="lr"),
        "provenance": {"best_epoch": 3},
    }
    return fields | changes


def test_all_that_a_prediction_needs_comes_back(tmp_path: Path) -> None:
    model = build_model(MODEL, 6, 3, seed=5).eval()
    info = save_bundle(tmp_path, _fields(), model.state_dict())
    found = load_bundle(tmp_path)
    assert found.info == info
    assert info.slices.n_channels(len(info.modalities)) == 6  # two modalities on three slices
    assert found.info.predict.threshold_of("ET") == 0.4
    assert found.info.predict.threshold_of("WT") == 0.5
    assert found.scheme == scheme_named("brats2021")
    images = torch.rand(1, 6, 8, 8)
    with torch.inference_mode():
        assert torch.equal(found.model(images), model(images))


def test_the_model_id_follows_the_weights(tmp_path: Path) -> None:
    weights = [build_model(MODEL, 6, 3, seed=seed).state_dict() for seed in (1, 1, 2)]
    ids = [save_bundle(tmp_path / str(number), _fields(), each).model_id for number, each in enumerate(weights)]
    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) == 12


def test_nothing_in_it_is_pickled(tmp_path: Path) -> None:
    save_bundle(tmp_path, _fields(), build_model(MODEL, 6, 3, seed=1).state_dict())
    data = (tmp_path / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert all(set(each) == {"dtype", "shape", "data_offsets"} for each in header.values())
    assert json.loads((tmp_path / "bundle.json").read_text(encoding="utf-8"))["format"] == 1


def test_a_bundle_is_found_in_its_run(tmp_path: Path) -> None:
    save_bundle(tmp_path / "run" / "bundle", _fields(), build_model(MODEL, 6, 3, seed=1).state_dict())
    assert load_bundle(tmp_path / "run").info.name == "toy"
    with pytest.raises(FileError, match="neither a run with a bundle nor a bundle"):
        load_bundle(tmp_path)
