"""``glioseg split`` and ``glioseg cache`` on phantom files."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command import glioseg
from tests.cli.conftest import Cohorts

_HALVES = ("--set", "split.train=0.5", "--set", "split.val=0.5", "--set", "split.test=0", "--quiet")


def test_a_split_is_saved_and_printed(phantoms: Cohorts, tmp_path: Path) -> None:
    """Two patients, half and half: one each, whatever the seed."""
    ran = glioseg("split", phantoms("brats2023"), "--out", tmp_path / "split.json", "--json", *_HALVES)
    assert (ran.code, ran.err) == (0, "")
    printed = json.loads(ran.out)
    assert printed["unit"] == "patient"
    assert sorted(printed["train"] + printed["val"]) == ["BraTS-GLI-00001", "BraTS-GLI-00002"]
    assert (len(printed["train"]), len(printed["val"]), printed["test"]) == (1, 1, [])
    saved = json.loads((tmp_path / "split.json").read_text())
    assert {name: saved[name] for name in printed} == printed


def test_folds_in_the_form_of_nnunet(phantoms: Cohorts, tmp_path: Path) -> None:
    file = tmp_path / "splits_final.json"
    options = ("--nnunet", "--set", "split.n_folds=2", "--set", "split.train=0.8", "--set", "split.val=0.2")
    ran = glioseg("split", phantoms("nnunet"), "--out", file, *options, "--set", "split.test=0", "--quiet")
    assert (ran.code, ran.out) == (0, f"2 folds of 2 cases: {file}\n")
    folds = json.loads(file.read_text())
    assert len(folds) == 2
    assert folds[0]["train"] == folds[1]["val"]
    assert folds[0]["val"] == folds[1]["train"]
    assert len(folds[0]["train"]) == len(folds[0]["val"]) == 1
    again = glioseg("split", phantoms("nnunet"), "--out", file, *options, "--set", "split.test=0", "--quiet", "--json")
    assert again.json == {"folds": folds}


def test_nnunet_needs_folds(phantoms: Cohorts, tmp_path: Path) -> None:
    ran = glioseg("split", phantoms("nnunet"), "--out", tmp_path / "folds.json", "--nnunet")
    assert ran.code == 2
    assert "split.n_folds=5" in ran.err
    assert not (tmp_path / "folds.json").exists()


def test_more_parts_than_patients_is_said(phantoms: Cohorts, tmp_path: Path) -> None:
    ran = glioseg("split", phantoms("brats2023"), "--out", tmp_path / "split.json", "--quiet")
    assert ran.code == 1
    assert "fewer patients than parts" in ran.err


def test_prepare_says_what_it_made_and_makes_it_once(phantoms: Cohorts, tmp_path: Path) -> None:
    command = ("cache", phantoms("brats2023"), "--out", tmp_path, "--set", "prepare.size=16", "--quiet")
    ran = glioseg(*command)
    assert ran.code == 0
    assert ran.out.startswith("2 cases, modalities t1n, t1c, t2w, t2f, regions WT, TC, ET: ")
    folder = Path(ran.out.rpartition(": ")[2].strip())
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert glioseg(*command) == ran
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == made


def test_an_unknown_setting_names_the_nearest(phantoms: Cohorts, tmp_path: Path) -> None:
    ran = glioseg("cache", phantoms("brats2023"), "--out", tmp_path, "--set", "prepare.sise=16")
    assert ran.code == 2
    assert "did you mean prepare.size?" in ran.err
