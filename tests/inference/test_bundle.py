"""Bundles as files; through the command they are tested in ``tests/runs/test_refusals.py``."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save

from glioseg.core import scheme_named
from glioseg.errors import FileError, NetworkError
from glioseg.inference.bundle import annotate_bundle, bundle_of, load_bundle, save_bundle
from glioseg.inference.card import Card, DataFacts, Figure
from glioseg.inference.options import PredictOptions
from glioseg.networks.build import build_model
from glioseg.networks.unet import UNetOptions
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.records import SchemeRecord
from glioseg.preparation.slices import SliceOptions

MODEL = UNetOptions(width=2, depth=1)
CARD = Card(
    name="toy",
    about="Outlines phantoms.",
    data=(DataFacts(name="phantom", role="training", licence="MIT", n_patients=9),),
    figures=(Figure(data="phantom", of="WT", metric="dice", value=0.8, ci95=(0.7, 0.9), n_cases=4),),
    limits=("Never shown a patient.",),
)


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


def _weights(seed: int = 1) -> dict[str, torch.Tensor]:
    return build_model(MODEL, 6, 3, seed=seed).state_dict()


def test_the_model_id_follows_the_weights(tmp_path: Path) -> None:
    ids = [save_bundle(tmp_path / str(n), _fields(), _weights(seed)).model_id for n, seed in enumerate((1, 1, 2))]
    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) == 12


@pytest.mark.parametrize(
    ("changes", "is_another"),
    [
        ({"modalities": ("t1c", "t2f")}, True),
        ({"regions": ("TC", "WT", "ET")}, True),
        ({"predict": PredictOptions(thresholds={"ET": 0.41}, min_voxels={"ET": 7}, flips="lr")}, True),
        ({"prepare": PrepareOptions(size=32, clip_percentiles=(1.0, 98.0))}, True),
        ({"scheme": SchemeRecord.of(scheme_named("brats2023"))}, True),
        ({"modality_sets": (("t2f",),)}, True),
        ({"name": "other", "provenance": {"best_epoch": 4}, "card": CARD, "confidence": {"rule": "mean"}}, False),
    ],
)
def test_the_model_id_follows_all_that_decides_the_mask(changes: dict[str, Any], is_another: bool) -> None:
    first, second = (bundle_of(fields, _weights()).info for fields in (_fields(), _fields(**changes)))
    assert (first.model_id != second.model_id) == is_another


@pytest.mark.parametrize(
    ("found", "changed"),
    [
        ('"ET": 0.4', '"ET": 0.9'),
        ('"t2f",\n    "t1c"', '"t1c",\n    "t2f"'),
        ('"WT",\n    "TC"', '"TC",\n    "WT"'),
        ('"flips": "lr"', '"flips": "all"'),
        ('"n_neighbours": 1', '"n_neighbours": 2'),
        ('"dims": 2', '"dims": 3'),
        ('"ED": 2', '"ED": 3'),
    ],
)
def test_a_description_that_was_changed_is_refused(tmp_path: Path, found: str, changed: str) -> None:
    info = save_bundle(tmp_path, _fields(), _weights())
    path = tmp_path / "bundle.json"
    text = path.read_text(encoding="utf-8")
    assert found in text
    path.write_text(text.replace(found, changed, 1), encoding="utf-8")
    with pytest.raises(FileError, match=r"changed after it was written.*" + info.model_id) as caught:
        load_bundle(tmp_path)
    assert str(path) in str(caught.value)
    assert "Copy model.safetensors and bundle.json again" in str(caught.value)


def test_weights_that_were_changed_are_refused(tmp_path: Path) -> None:
    save_bundle(tmp_path, _fields(), _weights())
    path = tmp_path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileError, match="the weights do not belong to this bundle"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_neither_written_nor_read(tmp_path: Path, value: float) -> None:
    weights = _weights()
    name = next(iter(weights))
    weights[name].view(-1)[0] = value
    with pytest.raises(NetworkError, match="not finite") as caught:
        save_bundle(tmp_path, _fields(), weights)
    assert name in str(caught.value)
    assert not list(tmp_path.iterdir())
    data = save(weights)  # as a program that checks nothing writes them
    digest = hashlib.sha256(data).hexdigest()
    described = bundle_of(_fields(), _weights()).info.model_dump(mode="json")
    described |= {"format": 1, "weights": None, "model_id": digest[:12]}
    (tmp_path / "model.safetensors").write_bytes(data)
    (tmp_path / "bundle.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(NetworkError, match=r"model\.safetensors: the network has weights that are not finite"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modalities": ("t2f", "t2f")}, "modalities are named twice"),
        ({"regions": ("WT", "TC", "WT")}, "regions are named twice"),
        ({"regions": ("WT", "TC", "csf")}, "no region csf"),
        ({"modality_sets": (("t2w",),)}, "not a set of some of the modalities: t2w"),
        ({"modality_sets": ((),)}, "not a set of some of the modalities: none"),
        ({"predict": {"thresholds": {"ET": 5.0}}}, "at least 0 and below 1"),
    ],
)
def test_a_description_without_a_meaning_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        bundle_of(_fields(**changes), _weights())


def test_a_card_is_added_and_the_model_stays(tmp_path: Path) -> None:
    before = save_bundle(tmp_path, _fields(), _weights())
    after = annotate_bundle(tmp_path, card=CARD, confidence={"features": ["mean probability"], "bias": 0.5})
    assert after.model_id == before.model_id
    found = load_bundle(tmp_path).info
    assert found == after
    assert found.card == CARD
    assert found.confidence == {"features": ["mean probability"], "bias": 0.5}
    assert annotate_bundle(tmp_path, card=CARD.model_copy(update={"about": "new"})).confidence == found.confidence


def test_a_card_is_added_to_a_bundle_of_format_1(tmp_path: Path) -> None:
    old = Path(__file__).parents[1] / "runs" / "written_before" / "segment" / "bundle"
    shutil.copytree(old, tmp_path / "bundle")
    before = load_bundle(tmp_path)
    assert before.info.format == 1
    after = annotate_bundle(tmp_path, card=CARD)
    found = load_bundle(tmp_path)
    assert (found.info.format, found.info.card, found.info.model_id) == (2, CARD, after.model_id)
    assert found.info.predict == before.info.predict
    pairs = zip(found.model.state_dict().values(), before.model.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_an_interval_has_an_order() -> None:
    with pytest.raises(ValidationError, match="begins above its end"):
        Figure(data="phantom", metric="dice", value=0.8, ci95=(0.9, 0.7))


def test_nothing_in_it_is_pickled(tmp_path: Path) -> None:
    save_bundle(tmp_path, _fields(), _weights())
    data = (tmp_path / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert all(set(each) == {"dtype", "shape", "data_offsets"} for each in header.values())
    assert json.loads((tmp_path / "bundle.json").read_text(encoding="utf-8"))["format"] == 2


def test_a_bundle_is_found_in_its_run(tmp_path: Path) -> None:
    save_bundle(tmp_path / "run" / "bundle", _fields(), build_model(MODEL, 6, 3, seed=1).state_dict())
    assert load_bundle(tmp_path / "run").info.name == "toy"
    with pytest.raises(FileError, match="neither a run with a bundle nor a bundle"):
        load_bundle(tmp_path)


def test_weights_of_gigabytes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    save_bundle(tmp_path, _fields(), _weights())
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.truncate(5_000_000_000)  # a hole, which takes no room on the disk
    with pytest.raises(FileError, match=r"weights are larger than a bundle's; found 5\.0 GB; expected at most 4\.3 GB"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("width", [65, 10**6])
def test_a_network_that_its_weights_cannot_fill_is_refused_before_it_is_made(width: int, tmp_path: Path) -> None:
    """With digests that are right, as whoever means harm writes them."""
    described = _fields()
    described["model"] = described["model"].model_copy(update={"width": width})
    save_bundle(tmp_path, described, _weights())
    with pytest.raises(
        FileError, match=rf"do not fit the network .*; found model\.width = {width}; expected at most \d+"
    ):
        load_bundle(tmp_path)
