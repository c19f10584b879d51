"""What is kept with a model: its card, the methods section, and the manifest by which its figures are verified."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import glioseg as face
from glioseg.core import Facts
from glioseg.evaluation import EvaluateOptions, aggregate
from glioseg.inference.bundle import read_info
from glioseg.inference.card import Card
from glioseg.io.files import write_json
from glioseg.runs import methods
from glioseg.runs.card import subgroups_of_part
from glioseg.runs.manifest import MANIFEST, _numbers
from glioseg.runs.model_card import card_markdown
from glioseg.training.options import TrainOptions
from tests.cli.command import Ran, glioseg
from tests.evaluation.drawing import counted
from tests.runs.conftest import TinyRun


def _verify(run: Path, tiny: TinyRun, *more: object) -> Ran:
    return glioseg("evaluate", "--verify", run / MANIFEST, "--cache", tiny.cache, "--device", "cpu", "--quiet", *more)


def test_the_card_is_made_from_the_run(tiny_run: TinyRun) -> None:
    info = read_info(tiny_run.run)
    assert info.card is not None
    assert [data.role for data in info.card.data] == ["training", "validation", "test"]
    split = json.loads((tiny_run.run / "split.json").read_text(encoding="utf-8"))
    assert [data.n_patients for data in info.card.data] == [len(split[name]) for name in ("train", "val", "test")]
    scans = json.dumps(json.loads((tiny_run.run / "scans.json").read_text(encoding="utf-8")), sort_keys=True)
    assert {data.digest for data in info.card.data} == {hashlib.sha256(scans.encode()).hexdigest()}
    test = {figure.of or figure.metric: figure for figure in info.card.figures if figure.part == "test"}
    scored = json.loads((tiny_run.run / "evaluation-test.json").read_text(encoding="utf-8"))
    if tiny_run.task == "segment":
        assert test["ET"].value == scored["regions"]["ET"]["dice"]["case_mean"]
    else:
        assert test["accuracy"].value == scored["metrics"]["accuracy"]["value"]
    text = (tiny_run.run / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlibrary_name: glioseg\n")
    assert info.model_id in text
    assert "For research use only" in text
    assert f"| {test['ET' if tiny_run.task == 'segment' else 'accuracy'].metric} " in text


def test_a_card_says_where_the_network_fails(tmp_path: Path) -> None:
    """Twelve patients, Dice 0.9 at site A and 0.5 and 0.7 in turn at site B (tests/evaluation/test_further.py): groups
    of six, and thirds by size of four, are few, and less than 0.125 between the sites would not be seen."""
    hits = [9] * 6 + [5, 7] * 3
    cases = [counted(f"p{n:02}", (hit, 10 - hit, 10 - hit, 980)) for n, hit in enumerate(hits)]
    facts: dict[str, Facts] = {f"p{n:02}": {"site": "A" if n < 6 else "B"} for n in range(12)}
    evaluation = aggregate(cases, EvaluateOptions(n_resamples=100), facts=facts)
    write_json(tmp_path / "evaluation-test.json", evaluation.to_json())
    groups = subgroups_of_part(tmp_path, "test")
    assert {(each.fact, each.group) for each in groups} == {
        ("site", "A"),
        ("site", "B"),
        *(("size of WT", f"{which} third") for which in ("smallest", "middle", "largest")),
    }
    info = read_info(Path("model:phantom"))
    text = card_markdown(info, Card(name="mine", about="Mine.", subgroups=groups))
    assert "| test | WT | site | B | 6 | 0.600 |" in text
    assert "| 0.125 |" in text
    assert "5 groups have fewer than 10 patients: a difference there may be chance" in text
    assert "Subgroups" not in card_markdown(info, Card(name="mine", about="Mine."))


def test_methods_say_what_was_done(tiny: TinyRun) -> None:
    text = (tiny.run / "methods.txt").read_text(encoding="utf-8")
    for said in (
        "5 cases of 5 patients",
        "3 for training, 1 for validation, 1 for test (seed 0",
        "resized to 32 × 32 pixels a slice, normalised to zero mean and unit variance over the case within the brain",
        "A network of the kind unet (width 4, depth 2) for slices with 2 neighbours each",
        "Loss: combined. Optimiser: adamw, learning rate 0.01, schedule constant, batches of 16, 2 epochs, seed 0.",
        "Augmentation: flip, rotation;",
        "chosen by dice on the validation part",
        "thresholds and smallest components were chosen on the validation part",
        "100 draws",
        "On the test part (1 case): dice WT",
        "- Ronneberger O",
        "- Loshchilov I",
    ):
        assert said in text, said
    page = (tiny.run / "report.html").read_text(encoding="utf-8")
    assert "A network of the kind unet (width 4, depth 2)" in page


@pytest.mark.parametrize(
    ("options", "n_epochs", "said"),
    [
        ({}, 50, "50 epochs"),
        ({"max_minutes": 20}, 50, "50 epochs"),
        ({"max_minutes": 20}, 12, "12 of 50 epochs (ended by a limit of 20 minutes)"),
        (
            {"max_steps": 1000, "early_stopping": 1},
            1,
            "1 of 50 epochs (ended by a limit of 1,000 steps or early stopping after 1 validation without improvement)",
        ),
        ({}, 12, "12 of 50 epochs"),
    ],
)
def test_methods_say_how_long_it_was_trained(options: dict[str, Any], n_epochs: int, said: str) -> None:
    assert methods._epochs(TrainOptions(epochs=50, **options), n_epochs) == said


def test_methods_of_a_classifier(tiny_classifier: TinyRun) -> None:
    text = (tiny_classifier.run / "methods.txt").read_text(encoding="utf-8")
    assert "Every picture was scored once" in text
    assert "Regions" not in text
    assert "On the test part" in text
    assert "balanced_accuracy" in text


def test_a_run_is_verified(tiny_run: TinyRun, tmp_path: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in tiny_run.run.iterdir()}
    ran = _verify(tiny_run.run, tiny_run, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["verified"]
    names = {check["name"]: check for check in ran.json["checks"]}
    assert set(names) == {
        *("data", "split", "recipe", "model", "weights", "glioseg", "code"),
        *("figures, test", "figures, val"),
    }
    assert all(check["agrees"] for check in names.values())
    assert {path.name: path.stat().st_mtime_ns for path in tiny_run.run.iterdir()} == before
    verified = face.verify(face.Run(tiny_run.run), cache=tiny_run.cache, device="cpu")
    assert verified.holds
    assert verified.text.endswith("Verified: the figures are those of the manifest")


def test_scans_may_lie_elsewhere(tiny: TinyRun, tmp_path: Path) -> None:
    run, data = shutil.copytree(tiny.run, tmp_path / "run"), shutil.copytree(tiny.data, tmp_path / tiny.data.name)
    facts = json.loads((run / "data.json").read_text(encoding="utf-8"))
    (run / "data.json").write_text(json.dumps({**facts, "path": str(tmp_path / "gone")}), encoding="utf-8")
    assert "there is no such file or folder" in _verify(run, tiny).err
    assert _verify(run, tiny, "--data", data).code == 0


def _figure(manifest: dict[str, Any]) -> None:
    manifest["figures"]["test"]["regions.WT.dice.case_mean"] += 1e-3


def _missing(manifest: dict[str, Any]) -> None:
    manifest["figures"]["test"]["regions.WT.rand"] = 0.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_figure, "figures, test  DIFFERS: found"),
        (_missing, "1 missing, such as regions.WT.rand"),
        (lambda manifest: manifest.update(split="0" * 64), "split          DIFFERS: found"),
        (lambda manifest: manifest.update(data="0" * 64), "data           DIFFERS: found"),
    ],
)
def test_what_differs_is_named(
    change: Callable[[dict[str, Any]], None], said: str, tiny: TinyRun, tmp_path: Path
) -> None:
    run = shutil.copytree(tiny.run, tmp_path / "run")
    manifest = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (run / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    ran = _verify(run, tiny)
    assert ran.code == 1
    assert said in ran.out
    assert ran.out.rstrip().endswith("Not verified")


def test_other_code_with_the_same_figures_is_told_and_no_fault(tiny: TinyRun, tmp_path: Path) -> None:
    run = shutil.copytree(tiny.run, tmp_path / "run")
    manifest = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
    (run / MANIFEST).write_text(json.dumps({**manifest, "glioseg": "0.0.9"}), encoding="utf-8")
    ran = _verify(run, tiny)
    assert ran.code == 0
    assert "expected 0.0.9" in ran.out


def test_figures_by_another_convention_are_verified_by_it(tiny: TinyRun, tmp_path: Path) -> None:
    run = shutil.copytree(tiny.run, tmp_path / "run")
    places = ["--cache", tiny.cache, "--device", "cpu", "--quiet"]
    assert glioseg("evaluate", run, "--part", "val", "--convention", "brats2023", *places).code == 0
    assert glioseg("report", run, *places).code == 0
    assert json.loads((run / MANIFEST).read_text(encoding="utf-8"))["conventions"]["val"]["convention"] == "brats2023"
    assert _verify(run, tiny).code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no manifest"),
        ("[]", "not a manifest"),
        ('{"format": "glioseg-manifest", "version": 2, "figures": {}}', "a manifest of another version"),
    ],
)
def test_what_is_no_manifest(text: str | None, said: str, tiny: TinyRun, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / MANIFEST).write_text(text, encoding="utf-8")
    ran = _verify(tmp_path, tiny)
    assert ran.code == 1
    assert said in ran.err


def test_nothing_stands_beside_it(tiny: TinyRun) -> None:
    assert "--verify scores what the manifest names" in _verify(tiny.run, tiny, "--part", "val").err
    assert "--verify scores what the manifest names" in _verify(tiny.run, tiny, "--layout", "brats").err
    assert "no network is named" in glioseg("evaluate", "--json").err


def test_numbers_have_places() -> None:
    block = {"protocol": {"seed": 1}, "n": 2, "regions": {"WT": {"dice": {"ci95": [0.1, None], "ok": True}}}}
    assert dict(_numbers(block)) == {"n": 2.0, "regions.WT.dice.ci95.0": 0.1}
