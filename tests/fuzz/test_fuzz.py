"""Mutants of every format are read or refused: no traceback, no hang, no crash, no gigabytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.run import MOST_MB, Tally, as_table, fuzz
from tests.fuzz.seeds import write_seeds
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import answer, bytes_of


def _require_sound(tallies: dict[str, Tally]) -> None:
    assert {name: tally.faults for name, tally in tallies.items() if tally.faults} == {}, as_table(tallies)
    assert max(tally.peak_mb for tally in tallies.values()) < MOST_MB


def test_a_few_mutants_of_every_file(tmp_path: Path) -> None:
    seeds = write_seeds(tmp_path, networks=False)
    answers = {
        (seed.name, number): answer(seed.name, seed.target, seed.path, number) for seed in seeds for number in range(4)
    }
    assert [(at, each["text"]) for at, each in answers.items() if each["outcome"] == "traceback"] == []
    assert {each["outcome"] for each in answers.values()} == {"read", "refused"}


@pytest.mark.slow  # as many as there is time for: python -m tests.fuzz.run --mutants 20000 does it by hand
def test_mutants_for_a_minute(tmp_path: Path) -> None:
    tallies = fuzz(write_seeds(tmp_path), 1_000_000, seconds=60)
    _require_sound(tallies)
    assert sum(tally.outcomes.total() for tally in tallies.values()) > 500


def test_what_is_counted(tmp_path: Path) -> None:
    """The sound seeds are read, one and all; a mutant is the same twice, and another than its seed."""
    for seed in write_seeds(tmp_path):
        TARGETS[seed.target](seed.path)
        data = seed.path.read_bytes()
        assert bytes_of(seed.name, data, 3) == bytes_of(seed.name, data, 3)
        assert any(bytes_of(seed.name, data, number) != data for number in range(3))
