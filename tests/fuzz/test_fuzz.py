"""Mutants of every format are read or refused: no traceback, no hang, no crash, no gigabytes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.fuzz.run import MOST_MB, Progress, Tally, as_table, fuzz
from tests.fuzz.seeds import Seed, write_seeds
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import answer, bytes_of


def _require_sound(tallies: dict[str, Tally]) -> None:
    assert {name: tally.faults for name, tally in tallies.items() if tally.faults} == {}, as_table(tallies)
    assert max(tally.peak_mb for tally in tallies.values()) < MOST_MB


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    """Those that need no torch."""
    return write_seeds(tmp_path_factory.mktemp("seeds"), networks=False)


def test_a_mutant_of_every_file(seeds: list[Seed]) -> None:
    answers = {seed.name: answer(seed.name, seed.target, seed.path, 1) for seed in seeds}
    assert [(name, each["text"]) for name, each in answers.items() if each["outcome"] == "traceback"] == []
    assert {each["outcome"] for each in answers.values()} == {"read", "refused"}


def test_what_is_counted(seeds: list[Seed]) -> None:
    """The sound seeds are read, one and all; a mutant is the same twice, and another than its seed."""
    for seed in seeds:
        TARGETS[seed.target](seed.path)
        data = seed.path.read_bytes()
        assert bytes_of(seed.name, data, 3) == bytes_of(seed.name, data, 3)
        assert any(bytes_of(seed.name, data, number) != data for number in range(3))


def test_progress_is_told_as_it_goes() -> None:
    told = io.StringIO()
    progress = Progress(3, every_s=0.0, to=told)
    for number, outcome in enumerate(("read", "refused", "traceback")):
        answer = {"outcome": outcome, "text": "KeyError: x", "seconds": 0.1, "peak_mb": 100.0 + number}
        progress(Seed("a.nii", "scan", Path("a.nii")), number, answer)
    lines = told.getvalue().splitlines()
    assert lines[0].endswith("s: 1 of 3; 1 read; peak 100 MB")
    assert lines[2] == "a.nii, mutant 2: traceback: KeyError: x"
    assert lines[3].endswith("3 of 3; 1 read, 1 refused, 1 traceback; peak 102 MB")


@pytest.mark.slow  # as many as there is time for: python -m tests.fuzz.run --mutants 20000 does it by hand
def test_mutants_for_a_minute(tmp_path: Path) -> None:
    every = write_seeds(tmp_path)
    for seed in every:
        TARGETS[seed.target](seed.path)
    tallies = fuzz(every, 1_000_000, seconds=60)
    _require_sound(tallies)
    assert sum(tally.outcomes.total() for tally in tallies.values()) > 3 * len(every)
