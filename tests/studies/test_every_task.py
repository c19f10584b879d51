"""A study whose recipe is of any task: trained, pooled, tabled and paged; and one that mixes tasks."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Ran, glioseg
from tests.fakes.pictures import write_pairs
from tests.runs.conftest import TinyRun, plain_reports

_STUDY = """
about = "Two widths"
recipe = "{recipe}"
seeds = [0]
parts = ["test"]
[[rows]]
name = "narrow"
set.model.width = 2
[[rows]]
name = "wide"
"""
_USUAL = {"segment": {"dice"}, "classify": {"accuracy", "log_loss"}}
_GROUP = {"segment": "WT", "classify": "all classes"}


@pytest.fixture(scope="module")
def studied(
    tiny_runs: Callable[[Any], TinyRun], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[TinyRun], tuple[Path, Ran]]:
    """Task -> its study, run once for this module."""
    results: dict[str, tuple[Path, Ran]] = {}

    def study_of(tiny_run: TinyRun) -> tuple[Path, Ran]:
        if tiny_run.task not in results:
            folder = tmp_path_factory.mktemp("study")
            file = folder / "widths.toml"
            file.write_text(_STUDY.format(recipe=tiny_run.recipe_file), encoding="utf-8")
            places = ["--data", tiny_run.data, "--out", folder / "out", "--cache", tiny_run.cache]
            with plain_reports():
                ran = glioseg("study", file, *places, "--set", "train.epochs=1", "--device", "cpu", "--quiet", "--json")
            results[tiny_run.task] = folder / "out", ran
        return results[tiny_run.task]

    return study_of


def test_every_row_has_the_usual_figures_of_its_task(
    tiny_run: TinyRun, studied: Callable[[TinyRun], tuple[Path, Ran]]
) -> None:
    out, ran = studied(tiny_run)
    assert ran.code == 0, ran.err
    for row in ran.json["rows"]:
        figures = row["parts"]["test"][_GROUP[tiny_run.task]]
        assert set(figures) == _USUAL[tiny_run.task]
    wide = ran.json["rows"][1]
    assert next(iter(wide["parts"]["test"].values()))[min(_USUAL[tiny_run.task])]["against_first"] is not None
    run = out / "wide" / "seed-0"
    own = json.loads((run / "evaluation-test.json").read_text(encoding="utf-8"))
    expected = {
        "segment": lambda: own["regions"]["WT"]["dice"]["case_mean"],
        "classify": lambda: own["metrics"]["accuracy"]["value"],
    }[tiny_run.task]()
    metric = "dice" if tiny_run.task == "segment" else "accuracy"
    assert wide["parts"]["test"][_GROUP[tiny_run.task]][metric]["case_mean"] == pytest.approx(expected)


def test_its_table_and_page_are_written(tiny_run: TinyRun, studied: Callable[[TinyRun], tuple[Path, Ran]]) -> None:
    out, _ = studied(tiny_run)
    rows = list(csv.DictReader((out / "study.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["row"] for row in rows} == {"narrow", "wide"}
    page = (out / "study.html").read_text(encoding="utf-8")
    assert "Two widths" in page
    assert (out / "figures" / "intervals.png").exists()


def test_the_published_systems_on_class_folders(class_pictures: Path, tmp_path: Path) -> None:
    """Only the classifier can be fed; its published figure stands beside the obtained one, and the others say why."""
    changes = ["train.epochs=1", "prepare.size=16", "evaluate.n_resamples=20"]
    settings = [part for change in changes for part in ("--set", change)]
    with plain_reports():
        ran = glioseg(
            "study", "published", "--data", class_pictures, "--out", tmp_path / "out", *settings, "--quiet", "--json"
        )
    assert ran.code == 0, ran.err
    rows = {row["name"]: row for row in ran.json["rows"]}
    assert [name for name, row in rows.items() if row["skipped"] is None] == ["Sharma et al."]
    published = rows["Sharma et al."]["published"]
    assert published
    assert {figure["metric"] for figure in published} == {"accuracy", "confidence"}
    beside = {figure["metric"]: figure["obtained"] is not None for figure in published}
    assert beside == {"accuracy": True, "confidence": False}  # the confidences are of single pictures
    text = glioseg("study", "published", "--data", class_pictures, "--out", tmp_path / "out", *settings, "--quiet").out
    assert "all classes" in text
    assert "as published" in text


def test_the_published_systems_on_several_sets(class_pictures: Path, tmp_path: Path) -> None:
    """Each takes the set that it asks for, or the first that feeds it; all stand on one page."""
    outlined = write_pairs(tmp_path / "outlined", map(str, range(12)))
    changes = ["train.epochs=1", "prepare.size=16", "model.width=2", "evaluate.n_resamples=20"]
    settings = [part for change in changes for part in ("--set", change)]
    data = ["--data", f"lgg={outlined}", "--data", f"pictures={class_pictures}"]
    with plain_reports():
        ran = glioseg("study", "published", *data, "--out", tmp_path / "out", *settings, "--quiet", "--json")
    assert ran.code == 0, ran.err
    rows = {row["name"]: row for row in ran.json["rows"]}
    fed = {name: row["data"] for name, row in rows.items() if row["data"] is not None}
    of_outlines = ("Nazir 2025", "TU Munich 2023", "TU Munich 2023, by patient")
    assert fed == dict.fromkeys(of_outlines, "outlined") | {"Sharma et al.": class_pictures.name}
    assert "lgg: " in rows["Egwaoje"]["skipped"]
    assert "pictures: " in rows["Egwaoje"]["skipped"]
    page = (tmp_path / "out" / "study.html").read_text(encoding="utf-8")
    assert "Native grid, per case" in page
    assert f"outlined, {class_pictures.name}" in page


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--data", "a={0}", "--data", "a={0}"], "two data sets have one name; found a"),
        (["--data", "lgg="], "--data needs a folder; found lgg=; expected FOLDER, or NAME=FOLDER"),
        (
            ["--data", "a={0}", "--data", "b={0}", "--layout", "classes"],
            "are said of one data set; found 2 of them, a, b",
        ),
    ],
)
def test_sets_are_named(more: list[str], said: str, class_pictures: Path, tmp_path: Path) -> None:
    ran = glioseg("study", "published", *(part.format(class_pictures) for part in more), "--out", tmp_path / "out")
    assert ran.code == 2
    assert said in " ".join(ran.err.split())
