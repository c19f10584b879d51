"""``glioseg tune`` on toys: a search that is seeded, pruned, resumable, and blind to the test part."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import optuna
import pytest

from glioseg.config import build_recipe, changes_to_shipped, read_recipe, shipped_recipes, write_recipe
from glioseg.errors import OptionError
from glioseg.inference.scoring import score_prepared
from glioseg.runs import run_folder
from glioseg.runs.progress_table import ProgressTable
from glioseg.studies import trials as searching
from glioseg.studies import tune as tuning
from glioseg.studies.trials import PRUNED, TIME_IS_UP, TrialRecord, TrialWatcher
from glioseg.studies.tune import best_recipe
from glioseg.training.log import LogRow, read_log
from glioseg.training.progress import TrainingPlace
from glioseg.training.ranges import Range
from tests.cli.command import Ran, glioseg
from tests.fakes.ray import FakeRay, ray_is
from tests.runs.conftest import TinyRun
from tests.runs.toy import toy_recipe, write_toy

_RANGES = """
[tune]
"train.lr" = { low = 1e-3, high = 1e-1, log = true }
"model.width" = { choices = [2, 4] }
"""
_SHORT = ("train.epochs=2", "model.depth=1", "slices.n_neighbours=0", "loss.kind=dice")


def _file(folder: Path, *changes: str, ranges: str = _RANGES) -> Path:
    path = write_toy(folder / "toy.toml", *_SHORT, *changes)
    path.write_text(path.read_text(encoding="utf-8") + ranges, encoding="utf-8")
    return path


def _tune(tiny: TinyRun, file: Path, out: Path, *arguments: object) -> Ran:
    places = ["--data", tiny.data, "--out", out, "--cache", tiny.cache, "--device", "cpu", "--quiet"]
    return glioseg("tune", file, *places, *arguments)


def _records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / "trials").glob("trial-*.json"))]


def _without_times(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if not name.endswith("_s")} for record in records]


@pytest.fixture(scope="module")
def seen(tiny: TinyRun) -> set[str]:
    """The patients that a validation has looked at, filled by ``search``."""
    return set()


@pytest.fixture(scope="module")
def search(tiny: TinyRun, seen: set[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """Two trials, without interruption."""
    folder = tmp_path_factory.mktemp("tune")

    def watched(predictor: Any, prepared: Any, *more: Any, **others: Any) -> Any:
        seen.add(prepared.patient)
        return score_prepared(predictor, prepared, *more, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glioseg.tasks.segment.validation.score_prepared", watched)
        return folder / "out", _tune(tiny, _file(folder), folder / "out", "--trials", 2, "--json")


# -- a search ----------------------------------------------------------------------------------------------------------


def test_trials_are_judged_by_their_best_validation(search: tuple[Path, Ran]) -> None:
    out, ran = search
    assert ran.code == 0, ran.err
    assert [trial["state"] for trial in ran.json["trials"]] == ["complete", "complete"]
    for number, trial in enumerate(ran.json["trials"]):
        scores = [row.val_score or 0.0 for row in read_log(out / "trials" / f"trial-{number:03d}" / "log.jsonl")]
        assert trial["score"] == max(scores)
        assert list(trial["scores"].values()) == scores
        assert 1e-3 <= trial["settings"]["train.lr"] <= 1e-1
        assert trial["settings"]["model.width"] in (2, 4)
        kept = read_recipe(str(out / "trials" / f"trial-{number:03d}" / "recipe.toml"))
        assert (kept.train.lr, getattr(kept.model, "width", None)) == (
            trial["settings"]["train.lr"],
            trial["settings"]["model.width"],
        )
    rows = list(csv.DictReader(StringIO((out / "trials.csv").read_text(encoding="utf-8"))))
    assert [float(row["score"]) for row in rows] == [trial["score"] for trial in ran.json["trials"]]
    page = (out / "tune.html").read_text(encoding="utf-8")
    assert all(f'id="figure-{name}"' in page for name in ("by-trial", "by-epoch", "by-setting"))


def test_the_test_part_is_never_looked_at(search: tuple[Path, Ran], seen: set[str]) -> None:
    out, _ = search
    split = json.loads((out / "trials" / "trial-000" / "split.json").read_text(encoding="utf-8"))
    assert seen == set(split["val"])
    assert not [*out.rglob("evaluation-*"), *out.rglob("cases-*")]


def test_the_best_settings_are_a_recipe(search: tuple[Path, Ran]) -> None:
    out, ran = search
    best = max(ran.json["trials"], key=lambda trial: trial["score"])
    assert ran.json["best"] == best["trial"]
    recipe = read_recipe(str(out / "best.toml"))
    assert (recipe.name, recipe.published) == ("toy-tuned", None)
    assert recipe.train.lr == best["settings"]["train.lr"]
    assert recipe.predict.tune  # thresholds are tuned for it, not for trials
    assert f"{best['score']:.4f}" in recipe.notes[-1]


def test_a_second_call_trains_no_more(search: tuple[Path, Ran], tiny: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    out, ran = search
    monkeypatch.setattr(searching, "train", None)
    again = _tune(tiny, out.parent / "toy.toml", out, "--trials", 2)
    assert again.code == 0, again.err
    assert f"best: trial {ran.json['best'] + 1}" in again.out
    assert f"{out / 'best.toml'}" in again.out


def test_a_search_that_was_interrupted_ends_as_one_that_was_not(
    search: tuple[Path, Ran], tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = search
    real = ProgressTable.on_step
    n_steps = [0]

    def on_step(table: ProgressTable, place: TrainingPlace) -> str | None:
        n_steps[0] += 1
        if n_steps[0] == 7:  # in the second epoch of the first trial: 78 slices are 5 steps
            os.kill(os.getpid(), signal.SIGTERM)
        return real(table, place)

    with monkeypatch.context() as patch:
        patch.setattr(ProgressTable, "on_step", on_step)
        ran = _tune(tiny, whole.parent / "toy.toml", tmp_path / "out", "--trials", 2)
    assert ran.code == 143
    assert [record["state"] for record in _records(tmp_path / "out")] == ["running"]
    assert not (tmp_path / "out" / "best.toml").exists()
    ran = _tune(tiny, whole.parent / "toy.toml", tmp_path / "out", "--trials", 2)
    assert ran.code == 0, ran.err
    assert _without_times(_records(tmp_path / "out")) == _without_times(_records(whole))


def test_a_trial_that_falls_behind_is_pruned(search: tuple[Path, Ran], tiny: TinyRun, tmp_path: Path) -> None:
    """After three trials at 0.99, in every epoch, a new one stops after its first validation; its run could go on."""
    whole, _ = search
    (tmp_path / "trials").mkdir()
    for number in range(3):
        settings: dict[str, Any] = {"train.lr": 0.01, "model.width": 2}
        scores = {0: 0.99, 1: 0.99}
        record = TrialRecord(number=number, state="complete", settings=settings, scores=scores, value=0.99)
        (tmp_path / "trials" / f"trial-{number:03d}.json").write_text(record.model_dump_json(), encoding="utf-8")
    for name in ("tuning.toml", "data.json"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    ran = _tune(tiny, whole.parent / "toy.toml", tmp_path, "--trials", 4, "--json")
    assert ran.code == 0, ran.err
    trial = ran.json["trials"][3]
    assert (trial["state"], trial["ended"], list(trial["scores"])) == ("pruned", "pruned", ["0"])
    assert len(read_log(tmp_path / "trials" / "trial-003" / "log.jsonl")) == 1
    assert (tmp_path / "trials" / "trial-003" / "latest_checkpoint.pth").exists()
    assert ran.json["best"] == 0


def test_a_trial_that_fails_is_told_and_the_others_go_on(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(recipe: object, *more: object, **others: object) -> None:
        raise OptionError("no such thing", remedy="Try\nanother")

    monkeypatch.setattr(searching, "train", fails)
    ran = _tune(tiny, _file(tmp_path), tmp_path / "out", "--trials", 2)
    assert ran.code == 1
    assert "failed: trial 1: no such thing. Try another" in ran.out
    assert "failed: trial 2: no such thing" in ran.out
    assert not (tmp_path / "out" / "best.toml").exists()


# -- its parts ---------------------------------------------------------------------------------------------------------


def _optuna_trial(*others: float) -> Any:
    """A trial beside ended ones, whose scores are the same in epochs 0 and 1; three of them can prune it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(3, 0))
    for score in others:
        study.add_trial(optuna.trial.create_trial(value=score, intermediate_values={0: score, 1: score}))
    return study.ask()


def _log_row(val_score: float | None) -> LogRow:
    return LogRow(epoch=0, train_loss=0.5, learning_rate=0.1, elapsed_s=1.0, val_score=val_score)


def test_a_watcher_compares_with_the_median_of_the_others() -> None:
    """Their median is 0.5: 0.4 falls behind, 0.6 does not; epochs without validation are not judged."""
    worse, better = (TrialWatcher(_optuna_trial(0.3, 0.5, 0.9), None, {}) for _ in range(2))
    assert worse.on_epoch(_log_row(None)) is None
    assert worse.on_epoch(_log_row(0.4)) == PRUNED
    assert worse.on_step(1, 2) == PRUNED
    assert better.on_epoch(_log_row(0.6)) is None
    assert better.on_step(1, 2) is None


def test_a_watcher_remembers_what_came_before() -> None:
    behind = TrialWatcher(_optuna_trial(0.3, 0.5, 0.9), None, {0: 0.4})
    assert behind.on_step(1, 2) == PRUNED
    ahead = TrialWatcher(_optuna_trial(0.3, 0.5, 0.9), None, {0: 0.6})
    assert ahead.on_epoch(_log_row(0.6)) is None  # trained again after a crash: the same score
    assert ahead.scores == {0: 0.6}


def test_a_watcher_stops_when_the_time_is_up() -> None:
    assert TrialWatcher(_optuna_trial(), 0.0, {}).on_step(1, 2) == TIME_IS_UP  # the clock has long passed 0


def test_the_best_is_a_trial_that_was_trained_to_its_end() -> None:
    recipe = toy_recipe()
    pruned = TrialRecord(number=0, state="pruned", settings={"train.lr": 0.5}, value=0.9)
    ended = TrialRecord(number=1, state="complete", settings={"train.lr": 0.25}, value=0.8)
    assert best_recipe(recipe, [pruned]) is None
    best = best_recipe(recipe, [pruned, ended])
    assert best is not None
    assert best.train.lr == 0.25


@pytest.mark.parametrize("name", ["lgg", "brats-2d"])
def test_ours_declare_ranges_that_change_nothing_else(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.tune is not None
    assert {"train.lr", "model.width", "loss.kind"} < set(recipe.tune)
    without = recipe.model_copy(update={"tune": None})
    assert run_folder.deciding_settings(recipe) == run_folder.deciding_settings(without)
    assert changes_to_shipped(without) == ()
    tuning._require_ranges(recipe)
    assert "[tune]" not in write_recipe(without)


def test_other_shipped_recipes_declare_none() -> None:
    assert {name for name in shipped_recipes() if read_recipe(name).tune} == {"lgg", "brats-2d"}


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "needs low and high, or choices"),
        ({"low": 1, "choices": [1]}, "not both"),
        ({"low": 2, "high": 1}, "low 2 is not below high 1"),
        ({"low": 0, "high": 1, "log": True}, "above 0"),
        ({"low": 1, "high": 2, "log": True, "step": 1}, "no step"),
        ({"choices": []}, "at least 1"),
        ({"low": 1, "hihg": 2}, "hihg"),
    ],
)
def test_a_range_without_meaning(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Range(**values)


def test_whole_numbers_make_a_whole_range() -> None:
    assert Range(low=1, high=4).is_whole
    assert not Range(low=1, high=4.5).is_whole
    assert not Range(low=1, high=4, step=0.5).is_whole


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train.learning_rate", "there is no setting train.learning_rate"),
        ("train.lrr", "did you mean train.lr?"),
        ("split.seed", "tune.split.seed: only settings of prepare, slices, patches, model"),
    ],
)
def test_ranges_of_other_things(name: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        build_recipe({"tune": {name: {"low": 0.1, "high": 0.2}}})
    assert message in str(caught.value)


def test_refusals(tiny: TinyRun, search: tuple[Path, Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = search
    file = out.parent / "toy.toml"
    ran = _tune(tiny, _file(tmp_path, ranges=""), tmp_path / "out")
    assert (ran.code, "declares no ranges to search over" in ran.err) == (2, True)
    wrong = '[tune]\n"train.lr" = { low = -1.0, high = 1.0 }\n'
    ran = _tune(tiny, _file(tmp_path, ranges=wrong), tmp_path / "out")
    assert (ran.code, "tune.train.lr: -1.0 does not fit the recipe" in ran.err) == (2, True)
    ran = _tune(tiny, _file(tmp_path, 'data.modalities=["pet"]'), tmp_path / "out")
    assert (ran.code, "this data cannot feed the recipe toy" in ran.err) == (2, True)
    ran = _tune(tiny, _file(tmp_path), tmp_path)
    assert (ran.code, "files that are not a search's" in ran.err) == (1, True)
    ran = _tune(tiny, _file(tmp_path), tmp_path / "out", "--device", "cuda:77")
    assert (ran.code, "this machine has no device cuda:77" in ran.err) == (2, True)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    ran = _tune(tiny, file, out, "--set", "train.batch_size=8", "--set", "split.seed=4")
    assert (ran.code, "a difference in train.batch_size, split" in ran.err) == (2, True)
    monkeypatch.setitem(sys.modules, "optuna", None)
    ran = _tune(tiny, file, out)
    assert (ran.code, "needs Optuna" in ran.err, "glioseg[tune]" in ran.err) == (2, True, True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "out").exists()


def test_trials_chosen_at_once_are_the_same_wherever_they_are_trained(tiny: TinyRun, tmp_path: Path) -> None:
    """And a search does not go on with another number of them."""
    file, asked = _file(tmp_path, "train.epochs=1"), ("--trials", 2, "--at-once", 2)
    here = _tune(tiny, file, tmp_path / "here", *asked)
    with ray_is(FakeRay(deaths=1)) as fake:
        there = _tune(tiny, file, tmp_path / "there", *asked, "--on", "ray")
    assert (here.code, there.code, fake.n_done, len(fake.started)) == (0, 0, 3, 1), there.err
    assert _without_times(_records(tmp_path / "there")) == _without_times(_records(tmp_path / "here"))
    refused = _tune(tiny, file, tmp_path / "here", "--trials", 3)
    assert (refused.code, "a difference in --at-once" in refused.err) == (2, True)
    assert _tune(tiny, file, tmp_path / "here", "--at-once", 0).code == 2
