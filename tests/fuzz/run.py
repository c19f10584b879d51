"""Read mutants of every format and count what becomes of them: ``python -m tests.fuzz.run --mutants 20000``.

Each worker is a process that reads one mutant after the other, as a command reads case after case. It must end none
with anything but a value or an error of glioseg's own, within twenty seconds and two gigabytes, and must not die.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, TextIO

from tests.fuzz.seeds import Seed, write_seeds

MOST_SECONDS = 20.0
MOST_MB = 2000.0
_ROOT = Path(__file__).parents[2]


@dataclass
class Tally:
    """What became of the mutants of a seed.

    Args:
        outcomes: how many were read, refused, or ended in a traceback, a hang or a crash.
        slowest_s: the longest that one took.
        peak_mb: the most memory that a process had while it read them.
        faults: (number of the mutant, what it did) of those that must not be.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    peak_mb: float = 0.0
    faults: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, answer: dict[str, Any]) -> None:
        """Count one mutant."""
        self.outcomes[answer["outcome"]] += 1
        self.slowest_s = max(self.slowest_s, answer["seconds"])
        self.peak_mb = max(self.peak_mb, answer["peak_mb"])
        if answer["outcome"] not in ("read", "refused"):
            self.faults.append((number, f"{answer['outcome']}: {answer['text']}"))


class _Worker:
    """A process that reads mutants, begun anew where one ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answered = False

    def ask(self, seed: Seed, number: int) -> dict[str, Any]:
        process = self._process or self._begin()
        asked = {"name": seed.name, "target": seed.target, "seed": str(seed.path), "number": number}
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        limit = MOST_SECONDS if self._answered else 60.0  # the first mutant waits for imports
        if not select.select([process.stdout], [], [], limit)[0]:
            return self._ended("hang", limit)
        line = process.stdout.readline()
        if not line:
            return self._ended(f"crash, code {process.wait()}", 0.0)
        self._answered = True
        return dict(json.loads(line))

    def end(self) -> None:
        if self._process is not None:
            with self._process as process:  # which closes its pipes
                process.kill()
            self._process = None

    def _begin(self) -> subprocess.Popen[str]:
        self._answered = False
        command = [sys.executable, "-m", "tests.fuzz.worker"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, cwd=_ROOT
        )
        return self._process

    def _ended(self, text: str, seconds: float) -> dict[str, Any]:
        self.end()
        return {"outcome": text.partition(",")[0], "text": text, "seconds": seconds, "peak_mb": 0.0}


Watch = Callable[[Seed, int, Mapping[str, Any]], None]
"""Told each mutant's seed, number and what became of it, by several threads."""


def fuzz(
    seeds: Sequence[Seed],
    n_mutants: int,
    *,
    seconds: float | None = None,
    first: int = 0,
    n_workers: int = 1,
    watch: Watch | None = None,
) -> dict[str, Tally]:
    """Read mutants of the seeds in turn, ``n_mutants`` in all or as many as there is time for."""
    ends = None if seconds is None else time.monotonic() + seconds

    def read(own: Sequence[Seed]) -> dict[str, Tally]:
        worker, tallies = _Worker(), {seed.name: Tally() for seed in own}
        try:
            for seed, number in _in_turn(own, first):
                if number - first >= -(-n_mutants // len(seeds)) or (ends is not None and time.monotonic() > ends):
                    break
                answer = worker.ask(seed, number)
                tallies[seed.name].add(number, answer)
                if watch is not None:
                    watch(seed, number, answer)
        finally:
            worker.end()
        return tallies

    with ThreadPoolExecutor(n_workers) as pool:
        parts = pool.map(read, [seeds[start::n_workers] for start in range(n_workers)])
        return {name: tally for part in parts for name, tally in part.items()}


def _in_turn(seeds: Sequence[Seed], first: int) -> Iterator[tuple[Seed, int]]:
    for number in count(first):
        yield from ((seed, number) for seed in seeds)


class Progress:
    """Says on stderr how far it is, every few seconds, and each fault as it is found.

    Args:
        n_mutants: in all.
        every_s: between two lines.
    """

    def __init__(self, n_mutants: int, every_s: float = 10.0, to: TextIO = sys.stderr) -> None:
        self._n_mutants, self._every_s, self._to = n_mutants, every_s, to
        self._tally, self._lock = Tally(), Lock()
        self._began = self._said = time.monotonic()

    def __call__(self, seed: Seed, number: int, answer: Mapping[str, Any]) -> None:
        with self._lock:
            n_faults = len(self._tally.faults)
            self._tally.add(number, dict(answer))
            now = time.monotonic()
            if len(self._tally.faults) > n_faults:
                print(f"{seed.name}, mutant {number}: {self._tally.faults[-1][1]}", file=self._to, flush=True)
            if now - self._said >= self._every_s:
                self._said = now
                counts = ", ".join(f"{n:,} {name}" for name, n in sorted(self._tally.outcomes.items()))
                done = f"{self._tally.outcomes.total():,} of {self._n_mutants:,}"
                words = f"{now - self._began:.0f} s: {done}; {counts}; peak {self._tally.peak_mb:.0f} MB"
                print(words, file=self._to, flush=True)


def as_table(tallies: dict[str, Tally]) -> str:
    """Markdown: a row for each seed, and one of all."""
    names = ("read", "refused", "traceback", "hang", "crash")
    rows = [
        "| seed | mutants | read | refused | tracebacks | hangs | crashes | slowest s | peak MB |",
        f"|---|{'---|' * 8}",
    ]
    total = Tally()
    for tally in tallies.values():
        total.outcomes += tally.outcomes
        total.slowest_s, total.peak_mb = max(total.slowest_s, tally.slowest_s), max(total.peak_mb, tally.peak_mb)
    for name, tally in (*sorted(tallies.items()), ("all", total)):
        counts = " | ".join(f"{tally.outcomes[each]:,}" for each in names)
        rows.append(f"| {name} | {tally.outcomes.total():,} | {counts} | {tally.slowest_s:.2f} | {tally.peak_mb:.0f} |")
    return "\n".join(rows)


def main() -> None:
    """Read as many mutants as asked for; exit with 1 where one did what it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=20_000, help="how many in all [20000]")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant of each seed [0]")
    parser.add_argument("--seconds", type=float, help="stop after that long")
    parser.add_argument("--workers", type=int, default=1, help="processes [1]")
    parser.add_argument("--only", help="seeds whose name holds this")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="glioseg-seeds-") as folder:
        seeds = [seed for seed in write_seeds(Path(folder)) if given.only is None or given.only in seed.name]
        began = time.monotonic()
        tallies = fuzz(
            seeds,
            given.mutants,
            seconds=given.seconds,
            first=given.first,
            n_workers=given.workers,
            watch=Progress(given.mutants),
        )
    print(as_table(tallies))
    print(f"\n{time.monotonic() - began:.0f} s")
    faults = [(name, *fault) for name, tally in tallies.items() for fault in tally.faults]
    for name, number, text in faults:
        print(f"\n--- {name}, mutant {number}: {text}")
    peak = max(tally.peak_mb for tally in tallies.values())
    sys.exit(1 if faults or peak > MOST_MB else 0)


if __name__ == "__main__":
    main()
