"""What a training leaves in its folder."""

from __future__ import annotations

import csv
import json
import re
import shutil
import statistics
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch

from glioseg.config import read_recipe
from glioseg.evaluation import OVERLAP_METRICS
from glioseg.inference.bundle import load_bundle
from glioseg.runs.options import RunOptions
from glioseg.training.log import read_log
from tests.runs.conftest import TinyRun

FILES = {
    "recipe.toml",
    "environment.json",
    "data.json",
    "scans.json",
    "split.json",
    "log.jsonl",
    "latest_checkpoint.pth",
    "best_model.pth",
    "bundle",
    "evaluation-val.json",
    "evaluation-test.json",
    "cases-val.csv",
    "cases-test.csv",
    "froc-val.csv",
    "froc-test.csv",
    "report.html",
    "timing.json",
    "manifest.json",
    "methods.txt",
    "figures",
}


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_files_of_a_run(tiny: TinyRun) -> None:
    assert {path.name for path in tiny.run.iterdir()} == FILES
    assert {path.name for path in (tiny.run / "bundle").iterdir()} == {
        "MODEL_CARD.md",
        "bundle.json",
        "model.safetensors",
    }
    assert not list(tiny.run.rglob(".writing-*"))


def test_stdout_is_the_evaluations_alone(tiny_run: TinyRun) -> None:
    assert tiny_run.ran.json == {part: _json(tiny_run.run / f"evaluation-{part}.json") for part in ("val", "test")}


def test_progress_and_the_table_of_epochs_go_to_stderr(tiny: TinyRun) -> None:
    rows = [line.split() for line in tiny.ran.err.splitlines() if re.match(r" *\d+/2 ", line)]
    assert [row[0] for row in rows] == ["1/2", "2/2"]
    assert rows[0][4:8:2] == ["WT", "ET"]


def test_the_recipe_is_kept_as_it_was_resolved(tiny_run: TinyRun) -> None:
    assert read_recipe(str(tiny_run.run / "recipe.toml")) == tiny_run.recipe


def test_the_split_is_of_all_patients(tiny: TinyRun) -> None:
    split = _json(tiny.run / "split.json")
    parts = [split[name] for name in ("train", "val", "test")]
    assert [len(part) for part in parts] == [3, 1, 1]
    assert sorted(name for part in parts for name in part) == [f"BraTS-GLI-{number:05d}" for number in range(1, 6)]
    assert len(split["sha256"]) == 64


def test_the_log_has_a_row_for_each_epoch(tiny: TinyRun) -> None:
    rows = read_log(tiny.run / "log.jsonl")
    assert [row.epoch for row in rows] == [0, 1]
    for row in rows:
        assert {
            "train_loss",
            "val_loss",
            "val_score",
            "val_dice",
            "learning_rate",
            "images_per_s",
            "elapsed_s",
        } < row.to_json().keys()
        assert set(row.names("regions", "WT")) == {"dice", "precision", "recall"}


@pytest.mark.parametrize("name", ["latest_checkpoint.pth", "best_model.pth"])
def test_checkpoints_hold_no_pickled_objects(tiny: TinyRun, name: str) -> None:
    state = torch.load(tiny.run / name, weights_only=True)
    assert state["identity"]["recipe"]["model"]["width"] == 4
    assert all(value.isfinite().all() for value in state["model"].values() if value.is_floating_point())


def test_the_environment_says_what_it_ran_on(tiny: TinyRun) -> None:
    facts = _json(tiny.run / "environment.json")
    assert facts["device"] == "cpu"
    assert facts["precision"] == "fp32"
    assert facts["torch"] == torch.__version__


def test_time_and_memory_are_measured_and_reported(tiny: TinyRun) -> None:
    timing = _json(tiny.run / "timing.json")
    assert timing["evaluation_s"] > 0
    assert timing["peak_memory_mib"] > 50  # torch alone is more
    page = (tiny.run / "report.html").read_text(encoding="utf-8")
    pace = statistics.median(row.images_per_s or 0.0 for row in read_log(tiny.run / "log.jsonl"))
    assert f"{pace:,.1f} images/s" in page
    assert f"{timing['peak_memory_mib'] / 1024:,.2f} GiB, evaluation included" in page


@pytest.mark.parametrize("part", ["val", "test"])
def test_the_shape_of_an_evaluation(tiny: TinyRun, part: str) -> None:
    found = _json(tiny.run / f"evaluation-{part}.json")
    assert found["n_cases"] == found["n_patients"] == 1
    assert found["protocol"]["grid"] == "native"
    assert {"unit", "empty", "interval"} < found["protocol"].keys()
    assert "as_published" not in found
    assert list(found["regions"]) == ["WT", "ET"]
    for metrics in found["regions"].values():
        assert {*OVERLAP_METRICS, "f1", "roc_auc", "average_precision"} <= metrics.keys()
        assert {"case_mean", "case_median", "case_ci95", "pooled", "slice_mean"} <= metrics["dice"].keys()
        assert metrics["dice"]["case_ci95"] is None  # one patient has no interval
        assert 0 < metrics["dice"]["case_mean"] < 1


def test_the_table_of_cases_says_what_the_evaluation_says(tiny: TinyRun) -> None:
    (row,) = csv.DictReader(StringIO((tiny.run / "cases-test.csv").read_text(encoding="utf-8")))
    found = _json(tiny.run / "evaluation-test.json")
    assert [row["patient"]] == _json(tiny.run / "split.json")["test"]
    for region in ("WT", "ET"):
        tp, fp, fn = (int(row[f"{region}.{name}"]) for name in ("tp", "fp", "fn"))
        assert float(row[f"{region}.dice"]) == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert found["regions"][region]["dice"]["case_mean"] == pytest.approx(float(row[f"{region}.dice"]))
    assert int(row["n_slices"]) == 26
    assert int(row["n_voxels"]) == 26 * 40 * 40


def test_the_report_needs_no_other_file(tiny: TinyRun) -> None:
    page = (tiny.run / "report.html").read_text(encoding="utf-8")
    targets = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
    assert targets
    assert [target[:60] for target in targets if not target.startswith("data:")] == []
    assert "research use only" in page
    assert "leak" not in page
    dice = _json(tiny.run / "evaluation-test.json")["regions"]["WT"]["dice"]["case_mean"]
    assert f"{dice:.3f}" in page


def test_the_bundle_loads_where_nothing_else_is(tiny: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny.run / "bundle", tmp_path / "elsewhere")
    bundle = load_bundle(tmp_path / "elsewhere")
    assert bundle.info.modalities == ("t2f", "t1c")
    assert bundle.info.regions == ("WT", "ET")
    assert bundle.scheme.labels["ET"] == 3
    assert set(bundle.info.predict.thresholds) == {"WT", "ET"}  # tuned on validation
    assert not bundle.model.training
    best = torch.load(tiny.run / "best_model.pth", weights_only=True)["model"]
    assert all(torch.equal(value, best[name]) for name, value in bundle.model.state_dict().items())
    assert str(tiny.data) not in (tiny.run / "bundle" / "bundle.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("here", "named"), [("runs/lgg", "."), ("runs/lgg/bundle", ".."), (".", "runs/lgg"), ("runs", "lgg")]
)
def test_the_cache_lies_beside_the_run_from_wherever_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, named: str
) -> None:
    (tmp_path / "runs" / "lgg" / "bundle").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / here)
    assert RunOptions(Path(named)).cache_folder.absolute() == tmp_path / "runs" / "cache"
