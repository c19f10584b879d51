"""Studies whose runs are commands of their own, as a queue starts them: the files are those of a study run alone."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import glioseg as api
from glioseg.io.lock import locked
from glioseg.runs.progress_table import ProgressTable
from tests.cli.command import Ran, glioseg
from tests.fakes.ray import FakeRay, ray_is
from tests.runs.conftest import TinyRun, plain_reports
from tests.studies.test_study import _interrupting, _written

_ARRAY = Path(__file__).parents[2] / "docs" / "examples" / "study-array.sh"
_TWO = 'recipe = "RECIPE"\nparts = ["test"]\n[[axes]]\nset.loss.kind = ["dice", "bce"]\n'


def _arguments(tiny: TinyRun, folder: Path, out: Path) -> list[str]:
    file = _written(tiny, folder, _TWO)
    places = ["--data", tiny.data, "--out", out, "--cache", tiny.cache, "--device", "cpu", "--quiet"]
    return ["study", *map(str, (file, *places))]


@pytest.fixture(scope="module")
def alone(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """The study as one process trains it, and the rows of its table."""
    folder = tmp_path_factory.mktemp("alone")
    with plain_reports():
        return folder / "out", glioseg(*_arguments(tiny, folder, folder / "out"), "--json").json["rows"]


def _require_same(out: Path, rows: list[Any], alone: tuple[Path, list[Any]]) -> None:
    """Figures and weights, bit by bit."""
    assert [row["parts"] for row in rows] == [row["parts"] for row in alone[1]]
    for row in ("dice", "bce"):
        weights = [folder / row / "seed-0/bundle/model.safetensors" for folder in (out, alone[0])]
        assert weights[0].read_bytes() == weights[1].read_bytes()


def _called(command: str) -> Ran:
    program, *arguments = shlex.split(command)
    assert program == "glioseg"
    return glioseg(*arguments)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_queue_trains_run_by_run_what_one_process_trains(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: tuple[Path, list[Any]]
) -> None:
    """One of them is killed in between, and submitted again; the table then needs no training."""
    out = tmp_path / "a folder" / "out"
    arguments = _arguments(tiny, tmp_path, out)
    planned = glioseg(*arguments, "--plan")
    commands = planned.out.splitlines()
    assert (planned.code, len(commands)) == (0, 2)
    assert [shlex.split(command)[-2:] for command in commands] == [["--run", "dice/seed-0"], ["--run", "bce/seed-0"]]
    assert not out.exists()  # a plan writes nothing
    with plain_reports():
        with monkeypatch.context() as patch:
            patch.setattr(ProgressTable, "on_step", _interrupting(lambda: os.kill(os.getpid(), signal.SIGTERM)))
            stopped = _called(commands[0])
        assert (stopped.code, stopped.out) == (143, "dice/seed-0: stopped (SIGTERM); the same command continues it\n")
        assert len(glioseg(*arguments, "--plan", "--json").json["runs"]) == 2
        for command in reversed(commands):  # in whatever order
            ran = _called(command)
            assert (ran.code, ran.out.rstrip()) == (0, f"{command.split()[-1]}: finished"), ran.err
        assert glioseg(*arguments, "--plan").out == ""
        assert not (out / "study.json").exists()  # the table is one process's work
        monkeypatch.setattr("glioseg.studies.runs.train", None)  # nothing is left to be trained
        table = glioseg(*arguments, "--json")
        assert (table.code, table.json["complete"]) == (0, True)
    _require_same(out, table.json["rows"], alone)


def test_workers_train_what_one_process_trains(tiny: TinyRun, tmp_path: Path, alone: tuple[Path, list[Any]]) -> None:
    """One of them dies, and its run is trained by another."""
    with ray_is(FakeRay(deaths=1)) as fake, plain_reports():
        ran = glioseg(*_arguments(tiny, tmp_path, tmp_path / "out"), "--json", "--on", "ray")
    assert (ran.code, fake.n_done) == (0, 3), ran.err
    _require_same(tmp_path / "out", ran.json["rows"], alone)


def test_runs_whose_workers_die_each_time_have_failed(tiny: TinyRun, tmp_path: Path) -> None:
    with ray_is(FakeRay(deaths=9)):
        ran = glioseg(*_arguments(tiny, tmp_path, tmp_path / "out"), "--on", "ray")
    assert ran.code == 1
    assert "failed: dice: seed 0: the worker has died; found the worker died of SIGKILL." in ran.out
    assert _json(tmp_path / "out" / "dice" / "seed-0.json")["state"] == "failed"
    assert len(glioseg(*_arguments(tiny, tmp_path, tmp_path / "out"), "--plan").out.splitlines()) == 2


def test_the_same_from_python_and_what_is_refused(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = _arguments(tiny, tmp_path, tmp_path / "out")
    plan = api.plan_study(arguments[1], tiny.data, tmp_path / "out", cache=tiny.cache, device="cpu")
    assert plan.runs == plan.missing == ("dice/seed-0", "bce/seed-0")
    with pytest.raises(api.GliosegError, match="Did you mean dice/seed-0"):
        plan.train("dice/seed-1")
    with locked(tmp_path / "out" / "dice" / "seed-0"), pytest.raises(api.GliosegError, match="another process"):
        plan.train("dice/seed-0")
    assert not (tmp_path / "out" / "dice" / "seed-0.json").exists()  # what another trains is not called a failure

    def fails(*anything: object, **more: object) -> None:
        raise MemoryError("no memory is left")

    monkeypatch.setattr("glioseg.studies.runs.train", fails)
    record = plan.train("dice/seed-0")
    assert (record.state, record.error) == ("failed", "MemoryError: no memory is left")
    ran = glioseg(*arguments, "--run", "dice/seed-0", "--json")
    assert (ran.code, ran.json["name"], ran.json["state"]) == (1, "dice/seed-0", "failed")
    ran = glioseg(*arguments, "--run", "nothing")
    assert ran.code == 2
    assert "the study has no run of that name; found nothing; expected dice/seed-0, bce/seed-0." in ran.err
    ran = glioseg(*arguments, "--plan", "--on", "ray")
    assert (ran.code, "--plan, --run and --on" in ran.err) == (2, True)


def test_a_run_that_another_process_trains_is_left_to_it(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table says of it that it is not trained yet, and not that it has failed."""
    arguments = _arguments(tiny, tmp_path, tmp_path / "out")
    tried: list[str] = []

    def fails(recipe: Any, data: object, where: Any, *more: object, is_locked: bool) -> None:
        tried.append(where.run.parent.name)
        raise MemoryError("no memory is left")

    monkeypatch.setattr("glioseg.studies.runs.train", fails)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.toml").touch()  # as the other process has left it
    with locked(tmp_path / "out" / "dice" / "seed-0"):
        ran = glioseg(*[each for each in arguments if each != "--quiet"])
    assert tried == ["bce"]
    assert "dice/seed-0: " in ran.err
    assert "another process is at work in this folder" in ran.err
    assert "not trained yet: 1 run" in ran.out
    assert not (tmp_path / "out" / "dice" / "seed-0.json").exists()


@pytest.mark.slow
def test_the_example_of_a_job_array(tiny: TinyRun, tmp_path: Path) -> None:
    """The script as SLURM starts it, task after task."""
    arguments = _arguments(tiny, tmp_path, tmp_path / "out")
    planned = glioseg(*arguments, "--plan")
    (tmp_path / "runs.txt").write_text(planned.out, encoding="utf-8")
    program = tmp_path / "bin" / "glioseg"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m glioseg "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    for task in ("1", "2"):
        command = ["bash", str(_ARRAY), "runs.txt"]
        subprocess.run(command, cwd=tmp_path, env=environment | {"SLURM_ARRAY_TASK_ID": task}, check=True)
    states = {row: _json(tmp_path / "out" / row / "seed-0.json")["state"] for row in ("dice", "bce")}
    assert states == {"dice": "finished", "bce": "finished"}
