"""Trainings of other kinds than the tiny run: by slice, after a publication, in two processes."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from glioseg.core import LabelScheme
from glioseg.runs.run_folder import RunFolder
from glioseg.training.checkpoint import LATEST, load_checkpoint
from glioseg.training.log import read_log
from tests.cli.command import glioseg
from tests.runs.conftest import TinyRun
from tests.runs.toy import write_toy


@dataclass(frozen=True)
class Published:
    """A training by slice after a publication."""

    run: Path
    said: str


_PUBLISHED = """
[published]
source = "A, 2020"
split = "patient"
data = "BraTS 2021"
n_patients = 1251
grid = "working"
slices = "recipe"
[[published.figures]]
metric = "dice"
unit = "slice"
empty = "both_empty_1"
values = { WT = 0.9 }
"""


def test_labels_of_ones_own_are_written_into_the_run(tiny: TinyRun, tmp_path: Path) -> None:
    """What a labels.toml beside the data says is the run's, whatever becomes of the file."""
    data = tmp_path / "data"
    shutil.copytree(tiny.data, data)
    said = "[labels]\ndead = 1\nwet = 2\nbright = 3\n[regions]\nall = [1, 2, 3]\nbright = [3]\n"
    (data / "labels.toml").write_text(said, encoding="utf-8")
    changes = ["train.max_steps=1", "loss.kind=dice", "predict.tune=false", 'prepare.regions=["all","bright"]']
    settings = [part for change in changes for part in ("--set", change)]
    places = ["--data", data, "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--device", "cpu"]
    ran = glioseg("train", tiny.recipe_file, *places, "--quiet", *settings)
    assert ran.code == 0, ran.err
    (data / "labels.toml").unlink()
    scheme = RunFolder(tmp_path / "run").data.scheme
    assert isinstance(scheme, LabelScheme)
    assert dict(scheme.labels) == {"dead": 1, "wet": 2, "bright": 3}
    assert (scheme.default_regions, scheme.source) == (("all", "bright"), "labels.toml")


def test_older_names_of_modalities_train_the_same_weights(tiny: TinyRun, tmp_path: Path) -> None:
    states = []
    for number, names in enumerate(('["t2f", "t1c"]', '["flair", "T1Gd"]')):
        changes = [f"data.modalities={names}", "train.max_steps=1", "loss.kind=dice", "predict.tune=false"]
        settings = [part for change in changes for part in ("--set", change)]
        places = ["--data", tiny.data, "--out", tmp_path / str(number), "--cache", tiny.cache, "--device", "cpu"]
        ran = glioseg("train", tiny.recipe_file, *places, "--quiet", *settings)
        assert ran.code == 0, ran.err
        states.append(load_checkpoint(tmp_path / str(number) / LATEST)["model"])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.fixture(scope="module")
def by_slice(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("slices")
    changes = ["split.protocol=slice", "train.epochs=1", "slices.dark_below=0.1", "slices.n_neighbours=0"]
    recipe = write_toy(folder / "toy.toml", *changes, "predict.tune=false", "loss.kind=dice", "data.max_patients=3")
    recipe.write_text(recipe.read_text(encoding="utf-8") + _PUBLISHED, encoding="utf-8")
    places = ["--data", tiny.data, "--out", folder / "run", "--cache", folder / "cache"]
    ran = glioseg("train", recipe, *places, "--device", "cpu", "--quiet")
    assert ran.code == 0, ran.err
    return Published(folder / "run", ran.out)


def test_a_split_by_slice_tears_patients_apart(by_slice: Published) -> None:
    split = json.loads((by_slice.run / "split.json").read_text(encoding="utf-8"))
    train, test = ({name.partition("_slice_")[0] for name in split[part]} for part in ("train", "test"))
    assert split["unit"] == "slice"
    assert train & test
    assert sum(len(split[part]) for part in ("train", "val", "test")) < 3 * 26  # dark slices left before the split


def test_a_report_on_slices_says_that_they_leak(by_slice: Published) -> None:
    page = (by_slice.run / "report.html").read_text(encoding="utf-8")
    assert "leak" in page


def test_published_figures_stand_beside_those_obtained_and_why_they_differ(by_slice: Published) -> None:
    found = json.loads((by_slice.run / "evaluation-test.json").read_text(encoding="utf-8"))["as_published"]
    assert not found["comparable"]
    (figure,) = found["figures"]
    assert figure["regions"]["WT"]["published"] == 0.9
    assert 0 <= figure["regions"]["WT"]["obtained"] <= 1
    reasons = "\n".join(found["not_comparable"])
    assert "split by slice, the publication split by patient" in reasons
    assert "with 3 patients, published on BraTS 2021 with 1251" in reasons
    assert "data.max_patients" in reasons
    assert "not comparable: split by slice" in by_slice.said


@pytest.mark.usefixtures("plain_report")
def test_a_shipped_recipe_that_was_changed_says_so(tiny: TinyRun, tmp_path: Path) -> None:
    changes = ["model.width=4", "model.depth=2", "prepare.size=32", "train.epochs=1", "train.precision=fp32"]
    given = [
        part
        for change in (*changes, "split.train=0.6", "split.val=0.2", "split.test=0.2")
        for part in ("--set", change)
    ]
    places = ["--data", tiny.data, "--out", tmp_path / "run", "--cache", tmp_path / "cache"]
    ran = glioseg("train", "egwaoje-brats-flair", *places, *given, "--device", "cpu", "--quiet", "--json")
    assert ran.code == 0, ran.err
    block = ran.json["test"]["as_published"]
    assert (
        "other settings than the recipe's: prepare.size, model.width, model.depth, train.epochs"
        in block["not_comparable"]
    )
    assert block["n_slices"] < 26  # those with tumour
    assert "regions" in ran.json["test"]


def test_border_terms_are_made_once(tiny: TinyRun) -> None:
    """The tiny run's loss is ``combined``; its border terms lie in the cache, for slices with two components only."""
    (folder,) = tiny.cache.rglob("borders-*")
    trained = json.loads((tiny.run / "split.json").read_text(encoding="utf-8"))["train"]
    paths = sorted(path for path in folder.glob("*.npy") if path.name.startswith(tuple(trained)))
    assert len(paths) == 3  # the training part
    for path in paths:
        slices = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["record"]["slices"]
        terms = np.load(path)
        assert terms.shape == (len(slices), 2, 32, 32)
        assert all(term.any() for term in terms)


def test_modalities_that_the_network_does_not_see_decide_nothing(tiny: TinyRun, tmp_path: Path) -> None:
    """T1 shows far more than the others: what is brain, and what is cropped, is for the network's own to say."""
    shutil.copytree(tiny.data, tmp_path / "data")
    for number, path in enumerate(sorted((tmp_path / "data").glob("*/*t1n*"))):
        scan = nib.load(path)
        array = np.asarray(scan.dataobj).copy()
        box = array[2:-2, 2:-2, 1:-1]
        box[box == 0] = np.random.default_rng(number).integers(1, 900, box.shape)[box == 0]
        nib.save(nib.Nifti1Image(array, scan.affine), path)
    changes = ["prepare.crop_to_brain=true", "train.epochs=1", "loss.kind=dice", "predict.tune=false"]
    recipe = write_toy(tmp_path / "toy.toml", *changes)
    ran = glioseg("train", recipe, "--data", tmp_path / "data", "--out", tmp_path / "run", "--no-evaluate", "--quiet")
    assert ran.code == 0, ran.err
    evaluated = glioseg("evaluate", tmp_path / "run", "--json", "--quiet")
    assert evaluated.code == 0, evaluated.err
    (patient,) = json.loads((tmp_path / "run" / "split.json").read_text(encoding="utf-8"))["test"]
    case = tmp_path / "data" / f"{patient}-000"
    assert glioseg("predict", tmp_path / "run", case, "--out", tmp_path / "out", "--quiet").code == 0
    mask = np.asarray(nib.load(tmp_path / "out" / f"{patient}-000.nii.gz").dataobj) > 0
    reference = np.asarray(nib.load(case / f"{patient}-000-seg.nii.gz").dataobj) > 0
    dice = 2 * (mask & reference).sum() / (mask.sum() + reference.sum())
    assert evaluated.json["regions"]["WT"]["dice"]["case_mean"] == pytest.approx(dice, abs=1e-12)


@pytest.mark.slow
def test_two_processes_train_together(tiny: TinyRun, tmp_path: Path) -> None:
    places = ["--data", str(tiny.data), "--out", str(tmp_path / "run"), "--cache", str(tiny.cache), "--device", "cpu"]
    command = [sys.executable, "-m", "glioseg", "train", str(tiny.recipe_file), *places, "--devices", "2", "--quiet"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    rows = read_log(tmp_path / "run" / "log.jsonl")
    assert [row.epoch for row in rows] == [0, 1]
    for row in rows:
        assert all(math.isfinite(row.to_json()[name]) for name in ("train_loss", "val_loss", "val_score"))
    one = read_log(tiny.run / "log.jsonl")
    assert rows[0].train_loss == pytest.approx(one[0].train_loss, rel=0.3)  # the same batches, halved
    assert (tmp_path / "run" / "report.html").exists()
    assert ran.stderr == ""  # nor do libraries say anything in the processes that were spawned
    shutil.rmtree(tmp_path / "run")
