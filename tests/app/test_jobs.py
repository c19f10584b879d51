"""The queue: cancelled, killed, closed and started again, a case is never half done and never stops the next."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from glioseg.app.jobs import Jobs
from glioseg.app.worklist import Correction, ListedCase, Worklist

_WORKER = """
import json, os, sys, time
for line in sys.stdin:
    job = json.loads(line)
    def say(**values): print(json.dumps({"case": job["case"], **values}), flush=True)
    say(step="read", share=0.5)
    if job["how"] == "hangs": time.sleep(600)
    if job["how"] == "dies": os._exit(9)
    if job["how"] == "fails": say(failed={"what": "cut off"})
    else: say(done={"volumes_ml": {"WT": os.getpid()}})
"""
"""Speaks as the process that predicts; the volume is its number."""


class _Queue:
    """Jobs of a worklist, with what was published."""

    def __init__(self, file: Path) -> None:
        self.worklist = Worklist(file)
        self.said: list[Mapping[str, Any]] = []
        self.jobs = Jobs(self.worklist, _job_of, self.said.append, (sys.executable, "-c", _WORKER))

    def add(self, case_id: str, how: str) -> None:
        self.worklist.add_case(case_id, case_id, "p", "m", {"how": how})
        self.jobs.wake()

    def state(self, case_id: str) -> str:
        record = self.worklist.case(case_id)
        assert record is not None
        return record.state

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.01)


def _job_of(record: ListedCase) -> Mapping[str, Any]:
    return {"case": record.id, "how": record.request["how"]}


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[_Queue]:
    made = _Queue(tmp_path / "worklist.sqlite")
    yield made
    made.jobs.close()


def _process_of(queue: _Queue, case_id: str) -> int:
    record = queue.worklist.case(case_id)
    assert record is not None
    assert record.summary is not None
    return int(record.summary["volumes_ml"]["WT"])


def test_one_after_the_other_in_one_process(queue: _Queue) -> None:
    for name in ("a", "b", "c"):
        queue.add(name, "fails" if name == "b" else "works")
    queue.jobs.start()
    queue.until(lambda: [queue.state(name) for name in "abc"] == ["done", "failed", "done"])
    assert _process_of(queue, "a") == _process_of(queue, "c")
    failed = queue.worklist.case("b")
    assert failed is not None
    assert failed.error == {"what": "cut off"}
    told = [(each["case"], each["state"], each["step"]) for each in queue.said]
    assert told[:3] == [("a", "running", ""), ("a", "running", "read"), ("a", "done", "")]
    assert queue.worklist.again("b")
    queue.jobs.wake()
    queue.until(lambda: queue.state("b") == "failed")
    assert not queue.worklist.again("a")  # which is done


def test_cancelled_at_once_while_it_runs_and_while_it_waits(queue: _Queue) -> None:
    for name in ("a", "b", "c"):
        queue.add(name, "hangs" if name == "a" else "works")
    queue.jobs.start()
    queue.until(lambda: any(each["step"] == "read" for each in queue.said))
    assert queue.jobs.cancel("b")
    begun = time.monotonic()
    assert queue.jobs.cancel("a")
    assert time.monotonic() - begun < 10  # of the 600 that it would have slept
    queue.until(lambda: queue.state("c") == "done")
    assert [queue.state(name) for name in "ab"] == ["cancelled", "cancelled"]
    assert not queue.jobs.cancel("a")


def test_a_process_that_dies_costs_its_case_alone(queue: _Queue) -> None:
    for name in ("a", "b", "c"):
        queue.add(name, "dies" if name == "b" else "works")
    queue.jobs.start()
    queue.until(lambda: [queue.state(name) for name in "abc"] == ["done", "failed", "done"])
    died = queue.worklist.case("b")
    assert died is not None
    assert died.error is not None
    assert died.error["what"] == "the process that predicts ended in the middle of this case"
    assert died.error["found"] == "exit code 9"
    assert _process_of(queue, "a") != _process_of(queue, "c")


def test_a_process_that_is_killed_while_nothing_runs_is_started_again(queue: _Queue) -> None:
    queue.add("a", "works")
    queue.jobs.start()
    queue.until(lambda: queue.state("a") == "done")
    os.kill(_process_of(queue, "a"), signal.SIGKILL)
    queue.until(lambda: not queue.jobs.is_warm)
    queue.add("b", "works")
    queue.until(lambda: queue.state("b") == "done")


def test_what_ran_when_the_program_ended_is_first_when_it_starts_again(queue: _Queue, tmp_path: Path) -> None:
    for name in ("a", "b"):
        queue.add(name, "hangs")
    queue.jobs.start()
    queue.until(lambda: any(each["step"] == "read" for each in queue.said))
    queue.jobs.close()
    assert [queue.state(name) for name in "ab"] == ["queued", "queued"]

    killed = queue.worklist.take_next()  # as a program leaves it that is killed: nothing tells the worklist
    assert killed is not None
    assert (killed.id, queue.state("a")) == ("a", "running")
    again = _Queue(tmp_path / "worklist.sqlite")
    again.jobs.start()
    again.until(lambda: any(each["step"] == "read" for each in again.said))
    assert again.said[0]["case"] == "a"
    again.jobs.close()


def test_a_worklist_that_cannot_be_written_costs_the_case_alone(queue: _Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    own, failing = Worklist.finish, ["a"]

    def full(worklist: Worklist, case_id: str, summary: Mapping[str, Any]) -> None:
        if case_id in failing:
            raise sqlite3.OperationalError("database or disk is full")
        own(worklist, case_id, summary)

    monkeypatch.setattr(Worklist, "finish", full)
    monkeypatch.setattr("glioseg.app.jobs._PAUSE_S", 0.01)
    queue.add("a", "works")
    queue.add("b", "works")
    queue.jobs.start()
    queue.until(lambda: [queue.state(name) for name in "ab"] == ["failed", "done"])


def test_a_case_is_not_told_what_another_came_to_that_was_given_up(
    queue: _Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Worklist.step

    def full(worklist: Worklist, case_id: str, step: str, share: float) -> None:
        if case_id == "a":  # its "done" is still to come, and is read while b waits for its own
            raise sqlite3.OperationalError("database or disk is full")
        own(worklist, case_id, step, share)

    monkeypatch.setattr(Worklist, "step", full)
    monkeypatch.setattr("glioseg.app.jobs._PAUSE_S", 0.01)
    queue.add("a", "works")
    queue.add("b", "fails")
    queue.jobs.start()
    queue.until(lambda: queue.state("b") == "failed")
    assert queue.state("a") == "failed"


def test_a_process_ended_between_two_cases_leaves_nothing_open(queue: _Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[subprocess.Popen[str]] = []
    own = Jobs._alive

    def seen(jobs: Jobs) -> subprocess.Popen[str]:
        processes.append(own(jobs))
        return processes[-1]

    def ended(jobs: Jobs, record: ListedCase, state: str, *step: object, **share: object) -> None:
        if state == "done":  # before the thread has noted that nothing runs
            with jobs._changed:
                jobs._end_process()

    monkeypatch.setattr(Jobs, "_alive", seen)
    monkeypatch.setattr(Jobs, "_tell", ended)
    queue.add("a", "works")
    queue.jobs.start()
    queue.until(lambda: queue.state("a") == "done")
    queue.jobs.close()
    (process,) = processes
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdin.closed
    assert process.stdout.closed


def test_corrections_are_numbered_whoever_comes_first(queue: _Queue) -> None:
    queue.worklist.add_case("a", "a", "p", "m", {})
    put: list[int] = []

    def draw() -> None:
        queue.worklist.add_correction("a", Correction(0, "Ada", "now", "", {"volumes_ml": {"WT": 1.0}}), put.append)

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(put) == [each.n for each in queue.worklist.corrections("a")] == list(range(1, 9))

    def fails(n: int) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        queue.worklist.add_correction("a", Correction(0, "Ada", "now", "", {"volumes_ml": {}}), fails)
    assert len(queue.worklist.corrections("a")) == 8


@pytest.mark.parametrize(
    ("columns", "told", "lesions"),
    [
        ("volumes TEXT NOT NULL", ['{"WT": 2.5}'], []),
        (
            "volumes TEXT NOT NULL, measured TEXT NOT NULL",
            ['{"WT": 2.5}', '{"volumes_ml": {"WT": 2.5}, "lesions": [1]}'],
            [1],
        ),
    ],
    ids=["volumes alone", "volumes twice"],
)
def test_a_worklist_of_before_keeps_its_corrections(
    tmp_path: Path, columns: str, told: list[str], lesions: list[int]
) -> None:
    """Made by hand as it was, once with nothing but volumes of a mask that was drawn."""
    file = tmp_path / "worklist.sqlite"
    Worklist(file).add_case("a", "a", "p", "m", {})
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript(
            "DROP TABLE corrections;"
            "CREATE TABLE corrections (case_id TEXT NOT NULL, n INTEGER NOT NULL, made_by TEXT NOT NULL,"
            f" at TEXT NOT NULL, note TEXT NOT NULL, {columns}, PRIMARY KEY (case_id, n));"
        )
        marks = ", ".join("?" * len(told))
        database.execute(f"INSERT INTO corrections VALUES ('a', 1, 'Ada', 'then', '', {marks})", told)
    for _ in range(2):  # and opening it again changes nothing more
        (drawn,) = Worklist(file).corrections("a")
        assert (drawn.by, drawn.volumes_ml, drawn.measured["lesions"]) == ("Ada", {"WT": 2.5}, lesions)
