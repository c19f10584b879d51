"""How many processors are free, from files that the system would write."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from glioseg.machine import processors as module
from glioseg.machine.processors import Processors, processors


@pytest.mark.parametrize(
    ("found", "threads"),
    [
        (Processors(8, 8, None, 8.0), 8),
        (Processors(8, 2, None, 2.0), 2),  # by affinity
        (Processors(8, 8, 3.0, 8.0), 3),  # by the container
        (Processors(8, 8, None, 4.6), 5),  # by what others use
        (Processors(2, 2, None, 0.1), 1),
        (Processors(2, 2, 0.5, None), 1),
        (Processors(4, 4, None, None), 4),  # where the system says nothing
    ],
)
def test_each_thread_has_a_processor(found: Processors, threads: int) -> None:
    assert found.threads == threads


def _stat(ticks: dict[int, tuple[int, int]]) -> str:
    """Processor -> ticks at work and idle, as /proc/stat has them: user, nice, system, idle, iowait, irq, softirq, …"""
    rows = [f"cpu{n} {work - 3} 1 1 {idle - 2} 2 1 0 0 7 7" for n, (work, idle) in ticks.items()]
    return "\n".join(["cpu  1 2 3 4 5 6 7 8 9 9", *rows, "ctxt 12"])


def test_idle_is_counted_on_the_processors_that_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of processors 0 and 2, in 100 ticks each, one was half idle and one all of the time; 1, all busy, is not ours."""
    before = {0: (1000, 500), 1: (1000, 500), 2: (1000, 500)}
    after = {0: (1050, 550), 1: (1100, 500), 2: (1000, 600)}
    file = tmp_path / "stat"
    file.write_text(_stat(before))
    monkeypatch.setattr(module, "_STAT", file)
    monkeypatch.setattr(time, "sleep", lambda _: file.write_text(_stat(after)))
    monkeypatch.setattr(time, "process_time", lambda: 0.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2}, raising=False)
    found = processors()
    assert (found.allowed, found.idle) == (2, 1.5)


def test_a_quota_is_taken_into_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "quota", lambda: 1.4)
    found = processors(0.0)
    assert (found.quota, found.threads, module.allowed_processors()) == (1.4, 1, 1)


def test_where_the_system_says_nothing_all_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STAT", tmp_path / "none")
    assert processors().idle is None
    assert processors().threads >= 1
