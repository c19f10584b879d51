"""``glioseg study`` on toys: what is trained and not repeated, what its table says, and what becomes of failures."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import statistics
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from glioseg.runs import train as training
from glioseg.runs.progress_table import ProgressTable
from glioseg.studies import runs as studying
from glioseg.training.progress import TrainingPlace
from tests.cli.command import Ran, glioseg
from tests.runs.conftest import TinyRun, plain_reports
from tests.runs.toy import write_toy

_SHORT = ("train.epochs=1", "predict.tune=false", "model.depth=1", "slices.n_neighbours=0", "evaluate.n_resamples=50")
_FOLDS = """
about = "Losses on a toy"
recipe = "RECIPE"
set.split = { train = 0.8, val = 0.2, test = 0.0 }
folds = 2
parts = ["val"]
[[rows]]
name = "Dice"
set.loss.kind = "dice"
[[rows]]
name = "no network"
set.model.kind = "perceptron"
[[rows]]
name = "BCE + Dice"
set.loss.kind = "bce+dice"
[[rows]]
name = "explodes"
set.train = { lr = 1e38, optimiser = "sgd" }
[[rows]]
name = "from PET"
set.data.modalities = ["pet"]
"""


def _study(tiny: TinyRun, file: Path, out: Path, *arguments: object) -> Ran:
    places = ["--data", tiny.data, "--out", out, "--cache", tiny.cache, "--device", "cpu"]
    return glioseg("study", file, *places, *arguments)


def _written(tiny: TinyRun, folder: Path, text: str) -> Path:
    recipe = write_toy(folder / "toy.toml", *_SHORT)
    file = folder / "mine.toml"
    file.write_text(text.replace("RECIPE", str(recipe)), encoding="utf-8")
    return file


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _cases(path: Path, region: str) -> dict[str, float]:
    """Patient -> Dice, from the counts of a table of cases."""
    rows = csv.DictReader(StringIO(path.read_text(encoding="utf-8")))
    found = {}
    for row in rows:
        tp, fp, fn = (int(row[f"{region}.{name}"]) for name in ("tp", "fp", "fn"))
        if 2 * tp + fp + fn:
            found[row["patient"]] = 2 * tp / (2 * tp + fp + fn)
    return found


@pytest.fixture(scope="module", autouse=True)
def _plain_reports() -> Iterator[None]:
    with plain_reports():
        yield


@pytest.fixture(scope="module")
def file(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(tiny, tmp_path_factory.mktemp("study"), _FOLDS)


@pytest.fixture(scope="module")
def done(tiny: TinyRun, file: Path) -> tuple[Path, Ran]:
    """The study above: two rows that can be trained, in two folds."""
    out = file.parent / "out"
    return out, _study(tiny, file, out, "--json")


def _row(done: tuple[Path, Ran], name: str) -> Any:
    return next(row for row in done[1].json["rows"] if row["name"] == name)


# -- what is trained, and what the table says --------------------------------------------------------------------------


def test_every_row_and_fold_is_a_run(done: tuple[Path, Ran]) -> None:
    out, _ = done
    for row in ("dice", "bce-+-dice"):
        for fold in (0, 1):
            run = out / row / f"fold-{fold}-seed-0"
            assert {"recipe.toml", "split.json", "bundle", "cases-val.csv", "report.html"} <= {
                path.name for path in run.iterdir()
            }
            assert _json(run.with_name(f"{run.name}.json"))["state"] == "finished"
    assert {"study.toml", "study.json", "study.csv", "study.html", "figures"} < {path.name for path in out.iterdir()}


def test_failures_are_told_and_the_others_go_on(done: tuple[Path, Ran]) -> None:
    _, ran = done
    assert ran.code == 1
    assert "no network: cannot be trained: there is no network perceptron" in ran.err
    assert "perceptron" in _row(done, "no network")["error"]
    assert _row(done, "no network")["runs"] == []
    states = [(run["state"], run["error"]) for run in _row(done, "explodes")["runs"]]
    assert [state for state, _ in states] == ["failed", "failed"]
    assert all("the loss is not a number in epoch 1" in error and "\n" not in error for _, error in states)
    assert _row(done, "BCE + Dice")["n_finished"] == 2
    assert not ran.json["complete"]


def test_a_row_that_the_data_cannot_feed_is_listed_with_why(done: tuple[Path, Ran]) -> None:
    out, ran = done
    row = _row(done, "from PET")
    assert "the cohort has no modality pet; found" in row["skipped"]
    assert (row["error"], row["runs"]) == (None, [])
    assert "from PET: left out, the data cannot feed it" in ran.err
    assert not (out / "from-pet").exists()


def test_the_folds_are_those_of_train(done: tuple[Path, Ran], tiny: TinyRun, tmp_path: Path) -> None:
    """The same seed gives the same split, whoever asks; and each patient is in one validation part."""
    out, _ = done
    parts = [_json(out / "dice" / f"fold-{fold}-seed-0" / "split.json") for fold in (0, 1)]
    assert sorted(parts[0]["val"] + parts[1]["val"]) == [f"BraTS-GLI-{number:05d}" for number in range(1, 6)]
    assert parts == [_json(out / "bce-+-dice" / f"fold-{fold}-seed-0" / "split.json") for fold in (0, 1)]
    shares = ("split.train=0.8", "split.val=0.2", "split.test=0", "split.n_folds=2", "split.fold=1")
    settings = [part for change in shares for part in ("--set", change)]
    assert glioseg("split", tiny.data, "--out", tmp_path / "split.json", *settings, "--quiet").code == 0
    drawn = _json(tmp_path / "split.json")
    assert [drawn[name] for name in ("train", "val")] == [parts[1][name] for name in ("train", "val")]


@pytest.mark.parametrize("region", ["WT", "ET"])
def test_figures_are_pooled_over_folds(done: tuple[Path, Ran], region: str) -> None:
    """Five patients, each scored once, in one of the two folds."""
    out, _ = done
    by_row = {}
    for name, folder in (("Dice", "dice"), ("BCE + Dice", "bce-+-dice")):
        folds = [_cases(out / folder / f"fold-{fold}-seed-0" / "cases-val.csv", region) for fold in (0, 1)]
        values = by_row[name] = folds[0] | folds[1]
        figure = _row(done, name)["parts"]["val"][region]["dice"]
        assert figure["n_cases"] == figure["n_patients"] == len(values)
        assert figure["case_mean"] == pytest.approx(statistics.mean(values.values()))
        assert figure["case_median"] == pytest.approx(statistics.median(values.values()))
        low, high = figure["case_ci95"]
        assert low <= figure["case_mean"] <= high
    against = _row(done, "BCE + Dice")["parts"]["val"][region]["dice"]["against_first"]
    common = by_row["Dice"].keys() & by_row["BCE + Dice"].keys()
    apart = [by_row["BCE + Dice"][patient] - by_row["Dice"][patient] for patient in common]
    assert against["mean_difference"] == pytest.approx(statistics.mean(apart), abs=1e-9)
    assert against["p_holm"] == against["p"]  # one test alone
    assert _row(done, "Dice")["parts"]["val"][region]["dice"]["against_first"] is None


def test_time_memory_and_parameters(done: tuple[Path, Ran]) -> None:
    row = _row(done, "Dice")
    times = [run["training_s"] for run in row["runs"]]
    assert row["training_s"] == pytest.approx(sum(times) / 2)
    assert min(times) > 0
    assert row["n_parameters"] == _row(done, "BCE + Dice")["n_parameters"] > 100
    peaks = [run["peak_memory_mb"] for run in row["runs"]]
    assert row["peak_memory_mb"] == (None if peaks == [None, None] else max(peaks))


def test_the_same_table_as_json_csv_text_and_page(
    done: tuple[Path, Ran], tiny: TinyRun, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a second call trains nothing that has ended: only what failed is tried again."""
    out, ran = done
    tried: list[str] = []

    def fails(recipe: Any, data: object, where: Any, *more: object, is_locked: bool) -> None:
        tried.append(where.run.parent.name)
        raise MemoryError("no memory is left\nfor this")

    monkeypatch.setattr(studying, "train", fails)
    again = _study(tiny, file, out, "--quiet")
    assert again.code == 1
    assert tried == ["explodes", "explodes"]
    assert "failed: explodes: fold 0, seed 0: MemoryError: no memory is left for this" in again.out
    assert "Traceback" in (out / "explodes" / "fold-0-seed-0-error.txt").read_text(encoding="utf-8")
    assert _json(out / "study.json")["rows"][0] == ran.json["rows"][0]
    figure = _row(done, "Dice")["parts"]["val"]["WT"]["dice"]
    rows = list(csv.DictReader(StringIO((out / "study.csv").read_text(encoding="utf-8"))))
    wanted = [row for row in rows if (row["row"], row["part"], row["region"]) == ("Dice", "val", "WT")]
    assert [float(row["case_mean"]) for row in wanted] == [figure["case_mean"]]
    line = next(line for line in again.out.splitlines() if line.startswith("Dice "))
    assert line.split()[1] == f"{figure['case_mean']:.3f}"
    page = (out / "study.html").read_text(encoding="utf-8")
    assert f"{figure['case_mean']:.3f}" in page
    assert 'href="dice/fold-1-seed-0/report.html"' in page
    assert "no memory is left for this" in page


# -- interruption ------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(tiny: TinyRun, tmp_path: Path) -> tuple[Path, Path]:
    """A study of two short runs, and its folder."""
    text = 'recipe = "RECIPE"\nparts = ["train", "test"]\n[[axes]]\nset.loss.kind = ["dice", "bce"]\n'
    return _written(tiny, tmp_path, text), tmp_path / "out"


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the runs that are trained or gone on with from now on."""
    trained: list[str] = []
    real = training.train

    def train(recipe: Any, data: Any, where: Any, *more: Any, **others: Any) -> Any:
        trained.append(where.run.parent.name)
        return real(recipe, data, where, *more, **others)

    monkeypatch.setattr(studying, "train", train)
    return trained


def _interrupting(kill: Callable[[], None]) -> Callable[..., str | None]:
    """A watcher that interrupts a run after its first step."""
    real = ProgressTable.on_step

    def on_step(table: ProgressTable, place: TrainingPlace) -> str | None:
        if place.n_updates == 1:
            kill()
        return real(table, place)

    return on_step


def test_a_study_that_was_interrupted_goes_on_and_ends_as_one_that_was_not(
    tiny: TinyRun, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, out = two
    with monkeypatch.context() as patch:
        patch.setattr(ProgressTable, "on_step", _interrupting(lambda: os.kill(os.getpid(), signal.SIGINT)))
        ran = _study(tiny, file, out)
    assert ran.code == 130
    assert "Stopped (Ctrl-C); the same command continues the study" in ran.err
    assert "not trained yet: 2 runs" in ran.out
    assert _json(out / "dice" / "seed-0.json")["state"] == "running"
    assert (out / "dice" / "seed-0" / "latest_checkpoint.pth").exists()
    assert not (out / "bce").exists()
    trained = _counted(monkeypatch)
    continued = _study(tiny, file, out, "--quiet", "--json")
    assert continued.code == 0, continued.err
    assert trained == ["dice", "bce"]
    assert continued.json["complete"]
    whole = _study(tiny, file, tmp_path / "whole", "--quiet", "--json")
    for row in ("dice", "bce"):
        weights = [
            (folder / row / "seed-0/bundle/model.safetensors").read_bytes() for folder in (out, tmp_path / "whole")
        ]
        assert weights[0] == weights[1]
    for one, other in zip(continued.json["rows"], whole.json["rows"], strict=True):
        assert one["parts"] == other["parts"]
        assert set(one["parts"]) == {"train", "test"}


def test_a_second_ctrl_c_leaves_what_has_ended(
    tiny: TinyRun, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = two
    real = training.train

    def train(recipe: Any, data: Any, where: Any, *more: Any, **others: Any) -> Any:
        if where.run.parent.name == "bce":
            raise KeyboardInterrupt
        return real(recipe, data, where, *more, **others)

    with monkeypatch.context() as patch:
        patch.setattr(studying, "train", train)
        assert _study(tiny, file, out, "--quiet").code == 130
    assert [_json(out / row / "seed-0.json")["state"] for row in ("dice", "bce")] == ["finished", "running"]
    trained = _counted(monkeypatch)
    assert _study(tiny, file, out, "--quiet").code == 0
    assert trained == ["bce"]
    _changed_settings(tiny, file, out, trained)


def _changed_settings(tiny: TinyRun, file: Path, out: Path, trained: list[str]) -> None:
    """A finished study whose row has changed: refused; with --restart that row alone is trained anew."""
    file.write_text(file.read_text(encoding="utf-8").replace('"bce"', '"bce+dice"'), encoding="utf-8")
    moved = out / "bce+dice"
    shutil.move(out / "bce", moved)  # the row of another loss finds a run of bce in its folder
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    trained.clear()
    ran = _study(tiny, file, out, "--quiet")
    assert ran.code == 2
    assert "trained with other settings or data" in ran.err
    assert f"{moved / 'seed-0'}" in ran.err
    assert "--restart" in ran.err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert _study(tiny, file, out, "--quiet", "--restart").code == 0
    assert trained == ["bce+dice"]
    trained.clear()
    assert _study(tiny, file, out, "--quiet", "--restart").code == 0  # nothing is another's any more
    assert trained == []
    file.write_text(file.read_text(encoding="utf-8").replace('["train", "test"]', '["val"]'), encoding="utf-8")
    assert _study(tiny, file, out, "--quiet").code == 0  # other scoring only: the weights stay
    assert trained == ["dice", "bce+dice"]


def test_runs_with_other_settings_are_not_mixed_in(
    tiny: TinyRun, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained anew and interrupted in the first run: the second, which is of the old settings, is not trained yet."""
    file, out = two
    assert _study(tiny, file, out, "--quiet").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(ProgressTable, "on_step", _interrupting(lambda: os.kill(os.getpid(), signal.SIGINT)))
        ran = _study(tiny, file, out, "--set", "train.lr=0.5", "--restart")
    assert ran.code == 130
    assert "not trained yet: 2 runs" in ran.out
    rows = _json(out / "study.json")["rows"]
    assert [(row["n_finished"], row["parts"]) for row in rows] == [(0, {}), (0, {})]


@pytest.mark.slow
def test_a_run_that_a_limit_ends_counts(tiny: TinyRun, two: tuple[Path, Path]) -> None:
    file, out = two
    ran = _study(tiny, file, out, "--quiet", "--json", "--set", "train.max_steps=1")
    assert ran.code == 0, ran.err
    assert {run["ended"] for row in ran.json["rows"] for run in row["runs"]} == {"train.max_steps = 1"}
    more = ["--set", "train.epochs=9", "--set", "train.max_steps=6"]  # five steps an epoch, for three patients
    raised = _study(tiny, file, out, "--quiet", "--json", *more)
    assert raised.code == 0, raised.err
    assert {run["ended"] for row in raised.json["rows"] for run in row["runs"]} == {"train.max_steps = 6"}
    assert raised.json["changes"] == ["train.epochs=9", "train.max_steps=6"]


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_refusals(tiny: TinyRun, file: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    ran = _study(tiny, file, tmp_path)
    assert (ran.code, "files that are not a study's" in ran.err) == (1, True)
    ran = _study(tiny, file, tmp_path / "thesis.tex")
    assert (ran.code, "a folder is needed" in ran.err) == (1, True)
    ran = _study(tiny, file, tmp_path / "new", "--seeds", "0,x")
    assert (ran.code, "--seeds needs whole numbers; found 0,x" in ran.err) == (2, True)
    ran = _study(tiny, file, tmp_path / "new", "--set", 'data.modalities=["pet"]')
    assert (ran.code, "cannot feed any row of the study" in ran.err) == (2, True)
    ran = _study(tiny, file, tmp_path / "new", "--set", "train.epoch=1")
    assert (ran.code, "did you mean train.epochs?" in ran.err) == (2, True)
    assert not (tmp_path / "new").exists()


def test_studies_are_listed_and_shown() -> None:
    ran = glioseg("study")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.out.splitlines()][:2] == ["architectures", "five-folds"]
    shown = glioseg("study", "tum-losses", "--show")
    assert re.search(r'^recipe = "tum-lgg"$', shown.out, re.MULTILINE)
    assert glioseg("study", "tum-loses", "--show").code == 2
    refused = glioseg("study", "tum-losses")
    assert (refused.code, "glioseg study tum-losses --data DATA --out FOLDER" in refused.err) == (2, True)
