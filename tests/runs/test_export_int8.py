"""``export --format openvino-int8`` writes 8 bits only where they cost no accuracy and save time."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import glioseg as api
from glioseg.errors import OptionError
from glioseg.inference.openvino_core import openvino_core
from glioseg.inference.quantised import milliseconds
from glioseg.inference.tracing import ExportError
from glioseg.runs import export_int8
from tests.cli.command import glioseg
from tests.runs.conftest import TinyRun

_IN_PLACE = "glioseg.runs.export_int8.{}"


@pytest.fixture(scope="module")
def run(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny run, with its cache where a run looks for it."""
    folder = tmp_path_factory.mktemp("int8")
    shutil.copytree(tiny.run, folder / "run")
    (folder / "cache").symlink_to(tiny.cache)
    return folder / "run"


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy network is too small for 8 bits to pay."""
    monkeypatch.setattr(_IN_PLACE.format("milliseconds"), lambda engines, images: [1.0, 2.0])


@pytest.mark.usefixtures("faster")
def test_a_file_in_8_bits_says_what_they_cost(run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # what the toy network loses is another matter: a Dice of 0.005 is a handful of its voxels
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_IN_PLACE.format("MOST_LOST"), 1.0)
        done = api.export(run, tmp_path / "small.xml", form="openvino-int8")
    whole = api.export(run, tmp_path / "whole.xml", form="openvino")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.bin", "small.xml", "whole.bin", "whole.xml"]
    assert done.n_bytes == sum((tmp_path / f"small.{ending}").stat().st_size for ending in ("bin", "xml"))
    # a byte for four, but for what is not weights
    assert (tmp_path / "small.bin").stat().st_size < 0.5 * (tmp_path / "whole.bin").stat().st_size
    assert "validation case" in done.notes[0]
    graph = openvino_core().read_model(tmp_path / "small.xml")
    told = json.loads(graph.get_rt_info(["glioseg", "int8"]).astype(str))
    evaluated = json.loads((run / "evaluation-val.json").read_text(encoding="utf-8"))
    assert told["dice_before"] == {
        region: pytest.approx(figures["dice"]["case_mean"], abs=1e-3)
        for region, figures in evaluated["regions"].items()
    }
    assert told["dice_after"].keys() == told["dice_before"].keys()
    assert told["validation_cases"] == evaluated["n_cases"]
    assert 0 < told["calibration_images"] <= 300
    assert graph.get_rt_info(["glioseg", "regions"]).astype(str) == json.dumps([*told["dice_before"]])
    assert 0 < done.difference < 0.5
    assert whole.difference < 1e-3
    assert capfd.readouterr().out == ""  # stdout is the caller's


@pytest.mark.usefixtures("faster")
def test_8_bits_that_cost_accuracy_are_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_IN_PLACE.format("quantised"), lambda graph, images: graph)
    monkeypatch.setattr(_IN_PLACE.format("logits_of"), lambda probabilities, activation: probabilities * 0 - 9)
    with pytest.raises(ExportError, match=r"cost too much accuracy: the Dice of \w+ falls.*form=.openvino"):
        api.export(run, tmp_path / "small.xml", form="openvino-int8")
    assert not [*tmp_path.iterdir()]


def test_8_bits_that_save_no_time_are_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_IN_PLACE.format("quantised"), lambda graph, images: graph)
    monkeypatch.setattr(_IN_PLACE.format("milliseconds"), lambda engines, images: [2.0, 2.0])
    monkeypatch.delattr(_IN_PLACE.format("_dice"))  # that it would cost is known without scoring anything
    with pytest.raises(ExportError, match=r"no faster on this machine.*2\.0 ms an image.*form=.openvino"):
        api.export(run, tmp_path / "small.xml", form="openvino-int8")
    assert not [*tmp_path.iterdir()]


def test_what_has_no_validation_dice_is_refused(run: Path, tiny_classifier: TinyRun, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"a bundle knows none.*a run folder"):
        api.export("model:phantom", tmp_path / "small.xml", form="openvino-int8")
    with pytest.raises(OptionError, match="only networks that segment have"):
        api.export(tiny_classifier.run, tmp_path / "small.xml", form="openvino-int8")
    with pytest.raises(OptionError, match=r"not of openvino-int8; found small\.onnx"):
        api.export(run, tmp_path / "small.onnx", form="openvino-int8")


def test_without_the_library(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    ran = glioseg("export", run, "--format", "openvino-int8", "--out", tmp_path / "small.xml")
    assert ran.code == 2
    assert "needs nncf, which is not installed" in ran.err
    assert "pip install 'glioseg[deploy]'" in ran.err


def test_times_are_those_of_an_image() -> None:
    seen: list[str] = []

    def slow(images: np.ndarray) -> np.ndarray:
        seen.append("slow")
        return np.sort(np.random.default_rng(0).random(400_000))

    def quick(images: np.ndarray) -> np.ndarray:
        seen.append("quick")
        return images

    times = milliseconds((slow, quick), np.zeros((4, 1, 2, 2), dtype=np.float32))
    assert times[0] > times[1]
    assert times[0] < 1000  # milliseconds an image, not seconds a batch
    assert seen[:4] == ["slow", "quick"] * 2  # in turns


def test_what_regions_without_a_dice_lose() -> None:
    times = export_int8.Times(3.0, 4.0, "bf16")
    measured = export_int8.Measured({"WT": 0.9, "ET": None}, {"WT": 0.897, "ET": 0.5}, 3, 10, times)
    assert measured.lost("WT") == pytest.approx(0.003)
    assert measured.lost("ET") == 0
    assert (
        measured.text() == "Dice of 3 validation cases: WT 0.900 → 0.897; 3.0 ms an image on one processor, 4.0 in bf16"
    )
