"""A training that is stopped, gone on with, and asked for again once it has ended."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from glioseg.runs.progress_table import ProgressTable
from glioseg.training.progress import TrainingPlace
from tests.cli.command import Ran, glioseg
from tests.runs.conftest import TinyRun


def _train(tiny: TinyRun, run: Path, *arguments: str | Path) -> Ran:
    places = ["--data", tiny.data, "--out", run, "--cache", tiny.cache, "--device", "cpu"]
    return glioseg("train", tiny.recipe_file, *places, *arguments)


@pytest.mark.parametrize(("number", "word", "code"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)])
def test_a_signal_is_the_exit_code_and_the_next_call_says_where_it_goes_on(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, word: str, code: int
) -> None:
    real = ProgressTable.on_step

    def on_step(table: ProgressTable, place: TrainingPlace) -> str | None:
        if place.n_updates == 7:  # epochs have five steps
            os.kill(os.getpid(), number)
        return real(table, place)

    with monkeypatch.context() as patch:
        patch.setattr(ProgressTable, "on_step", on_step)
        ran = _train(tiny, tmp_path / "run", "--no-evaluate")
    assert ran.code == code, ran.err
    assert f"Stopped ({word}); the same command continues. Checkpoint:" in ran.err
    assert "Next" not in ran.out
    again = _train(tiny, tmp_path / "run", "--no-evaluate")
    assert again.code == 0, again.err
    assert "Continuing at epoch 2, step 3" in again.err.splitlines()


@pytest.fixture
def ended(tiny: TinyRun, tmp_path: Path) -> Path:
    """A run that has ended, evaluated and with its report."""
    return Path(shutil.copytree(tiny.run, tmp_path / "run"))


def _times(run: Path) -> dict[str, int]:
    names = ("bundle/bundle.json", "evaluation-test.json", "report.html", "log.jsonl", "latest_checkpoint.pth")
    return {name: (run / name).stat().st_mtime_ns for name in names}


def test_a_run_that_has_ended_says_so_and_does_nothing_again(tiny: TinyRun, ended: Path) -> None:
    before = _times(ended)
    ran = _train(tiny, ended, "--json")
    assert ran.code == 0, ran.err
    assert "This training has ended (2 epochs), and all that follows is there" in ran.err
    assert _times(ended) == before
    assert ran.json == tiny.ran.json


@pytest.mark.usefixtures("plain_report")
@pytest.mark.parametrize("lost", ["bundle/bundle.json", "evaluation-test.json", "cases-val.csv", "report.html"])
def test_what_a_run_that_has_ended_lacks_is_made(tiny: TinyRun, ended: Path, lost: str) -> None:
    (ended / lost).unlink()
    ran = _train(tiny, ended, "--quiet")
    assert ran.code == 0, ran.err
    assert (ended / lost).exists()


@pytest.mark.usefixtures("plain_report")
def test_a_run_that_has_ended_is_scored_again_where_the_scoring_has_changed(tiny: TinyRun, ended: Path) -> None:
    before = _times(ended)
    assert _train(tiny, ended, "--quiet", "--set", "evaluate.n_resamples=50").code == 0
    after = _times(ended)
    assert after["evaluation-test.json"] != before["evaluation-test.json"]
    assert after["latest_checkpoint.pth"] == before["latest_checkpoint.pth"]


def test_the_end_of_a_training_says_what_to_do_next(tiny: TinyRun, ended: Path) -> None:
    ran = _train(tiny, ended, "--quiet")
    *_, title, predict, evaluate, compare = ran.out.splitlines()
    assert title == "Next"
    assert predict.split("  ")[1] == f"glioseg predict {ended} SCANS --out masks"
    assert evaluate.split("  ")[1] == f"glioseg evaluate {ended} --data OTHER"
    assert compare.split("  ")[1] == f"glioseg compare {ended} RUN --out comparison"
