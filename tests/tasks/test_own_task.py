"""A third task, written outside of the package: ``examples/own_task.py``."""

from __future__ import annotations

import importlib.util
import json
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from glioseg.console import QUIET
from glioseg.errors import FileError, OptionError
from glioseg.evaluation.metric import RegionMetric
from glioseg.inference.bundle import load_bundle
from glioseg.runs.evaluate import evaluate
from glioseg.runs.report import write_report
from glioseg.runs.under import Under
from glioseg.tasks.choose import TASKS
from tests.cli.command import glioseg
from tests.runs.conftest import _one_thread

__all__ = ["_one_thread"]
_EXAMPLE = Path(__file__).parents[2] / "examples" / "own_task.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("own_task", _EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["own_task"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trained(example: ModuleType, phantom_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Its run on the phantom, and what the training gave."""
    run = tmp_path_factory.mktemp("volume") / "run"
    return run, example.main(phantom_data, run)


def test_it_trains_scores_and_reports(trained: tuple[Path, Any]) -> None:
    run, result = trained
    assert result.outcome.finished
    assert set(result.scores) == {"val", "test"}
    figures = json.loads((run / "evaluation-test.json").read_text(encoding="utf-8"))
    assert figures == result.scores["test"].figures.to_json()
    assert 0 < figures["mean_error_ml"] < 20
    rows = (run / "cases-test.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "case,patient,slice,reference_ml,prediction_ml"
    assert len(rows) == 1 + figures["n_slices"]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Learning rate" in page
    assert "Data and split" in page


def test_it_is_evaluated_again_with_its_task(trained: tuple[Path, Any], example: ModuleType, tmp_path: Path) -> None:
    run, result = trained
    again = evaluate(run, None, "test", tmp_path, task=example.VolumeTask())
    assert again.figures.to_json() == result.scores["test"].figures.to_json()
    assert write_report(run, reporter=QUIET, task=example.VolumeTask()) == run / "report.html"


def test_without_its_task_the_run_is_refused(trained: tuple[Path, Any]) -> None:
    run, _ = trained
    with pytest.raises(OptionError, match=r"this run was trained for the task volume.*found the task classify"):
        evaluate(run, None, "test", None)
    assert glioseg("evaluate", run).code == 2
    assert glioseg("report", run).code == 2


def test_it_makes_no_bundle_and_cannot_detect(trained: tuple[Path, Any], example: ModuleType) -> None:
    run, _ = trained
    with pytest.raises(FileError, match="neither a run with a bundle nor a bundle"):
        load_bundle(run)
    with pytest.raises(OptionError, match="the task volume does not segment"):
        evaluate(run, None, "test", None, detect=True, task=example.VolumeTask())
    metric = RegionMetric("mine", "Mine", "", of_masks=lambda pair: None)
    with pytest.raises(OptionError, match="the task volume takes no metrics beside its own; found mine"):
        evaluate(run, None, "test", None, metrics=[metric], task=example.VolumeTask())
    with pytest.raises(OptionError, match="the task volume does not say what each modality contributed"):
        Under(contributions=True).require(example.VolumeTask(), ["t1c", "t2f"])


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_sent_to_other_processes(name: Any) -> None:
    assert type(pickle.loads(pickle.dumps(TASKS[name]))) is type(TASKS[name])
