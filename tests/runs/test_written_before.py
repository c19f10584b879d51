"""Run folders and bundles of version 0.1.0, as they stood before tasks: they evaluate, predict and compare."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import glioseg
from tests.runs.conftest import TinyRun

_KEPT = Path(__file__).parent / "written_before"


@dataclass(frozen=True)
class OldRun:
    """A copy of a run as it was written, its data beside it."""

    task: str
    run: Path
    data: Path

    @property
    def figures(self) -> dict[str, Any]:
        """What was written of its test part."""
        value: dict[str, Any] = json.loads((_KEPT / self.task / "evaluation-test.json").read_text(encoding="utf-8"))
        return value


@pytest.fixture(params=["segment", "classify"])
def old(request: pytest.FixtureRequest, phantom_data: Path, class_pictures: Path, tmp_path: Path) -> OldRun:
    """Each task's."""
    task: str = request.param
    data = phantom_data if task == "segment" else class_pictures
    shutil.copytree(_KEPT / task, tmp_path / "run")
    described = json.loads((tmp_path / "run" / "data.json").read_text(encoding="utf-8"))
    (tmp_path / "run" / "data.json").write_text(json.dumps(described | {"path": str(data)}), encoding="utf-8")
    return OldRun(task, tmp_path / "run", data)


def _close(figures: Any, expected: Any, path: str = "") -> None:
    """Equal, numbers to what a network repeats on another processor; fields may have been added since."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            _close(figures[name], value, f"{path}.{name}")
    elif isinstance(expected, list):
        assert len(figures) == len(expected), path
        for place, value in enumerate(expected):
            _close(figures[place], value, f"{path}[{place}]")
    elif isinstance(expected, float):
        assert figures == pytest.approx(expected, abs=2e-3), path
    else:
        assert figures == expected, path


def test_it_evaluates_to_the_figures_that_were_written(
    old: OldRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bfloat16, as they were."""
    monkeypatch.setattr("glioseg.machine.device.cpu_is_faster_in_bf16", lambda: True)
    ran = glioseg("evaluate", old.run, "--out", tmp_path / "again", "--cache", tmp_path / "cache", "--json", "--quiet")
    assert ran.code == 0, ran.err
    _close(ran.json, old.figures)


def test_its_recipe_trains_and_what_had_no_effect_is_said(phantom_data: Path, tmp_path: Path) -> None:
    written = (_KEPT / "segment" / "recipe.toml").read_text(encoding="utf-8")
    (tmp_path / "old.toml").write_text(written.replace("focal_gamma = 2.0", "focal_gamma = 3.0"), encoding="utf-8")
    places = ["--data", phantom_data, "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--device", "cpu"]
    ran = glioseg("train", tmp_path / "old.toml", *places, "--no-evaluate", "--set", "train.max_steps=1")
    assert ran.code == 0, ran.err
    note = "Left out, for they had no effect (the recipe was written in format 1): loss.focal_gamma."
    assert note in ran.err
    assert note in (tmp_path / "run" / "recipe.toml").read_text(encoding="utf-8")


def test_its_bundle_predicts(old: OldRun, tmp_path: Path) -> None:
    case = next(path for path in sorted(old.data.iterdir()) if path.is_dir())
    ran = glioseg("predict", old.run / "bundle", case, "--out", tmp_path / "out", "--json", "--quiet")
    assert ran.code == 0, ran.err
    assert ran.json["cases"]
    assert ran.json["failed"] == {}


def test_it_compares_with_a_run_of_now(old: OldRun, tiny_runs: Callable[[Any], TinyRun]) -> None:
    ran = glioseg("compare", old.run, tiny_runs(old.task).run, "--part", "test", "--json")
    assert ran.code == 0, ran.err
    assert len(ran.json["runs"]) == 2
