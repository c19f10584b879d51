"""A folder of cases predicted with two in flight, and one after the other: time and memory.

python benchmarks/in_flight.py [--cases 4] [--rounds 3] [--spacing 2.0]

Phantom patients, four modalities as NIfTI, the network that comes with glioseg; mask, report and table are written, as
by default. The two ways take turns within each round; figures are medians over the rounds, ratios are what to read.
Memory is the peak of a process that predicts two of the cases beside one that predicts all: it must not grow with their
number.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from glioseg.cohorts.phantom import PhantomOptions
from glioseg.cohorts.write import write_phantom
from glioseg.machine.memory import peak_of_process_mib
from glioseg.runs import predict as predicting
from glioseg.runs.read import Data


def one_after_the_other(
    cases: Sequence[Any],
    read: Callable[[Any], Any],
    predict: Callable[[Any, Any], Any],
    write: Callable[[Any, Any], None],
) -> None:
    """The same work by one thread."""
    for case in cases:
        write(case, predict(case, read(case)))


def predicted(folders: Sequence[Path], out: Path) -> tuple[float, float]:
    """Seconds and processor seconds of predicting cases into a folder."""
    members = predicting.members_of([Path("model:phantom")], "cpu")
    wall, busy = time.perf_counter(), time.process_time()
    predicting.predict_with(members, [Data(folder) for folder in folders], out)
    return time.perf_counter() - wall, time.process_time() - busy


def peak_mb(folders: Sequence[Path], out: Path) -> float:
    """The most memory of a process that predicts these, in MB (Linux)."""
    words = [sys.executable, __file__, "--peak", str(out), *map(str, folders)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Print time and memory of both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spacing", type=float, default=2.0)
    parser.add_argument("--peak", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        predicted([Path(folder) for folder in options.peak[1:]], Path(options.peak[0]))
        print(peak_of_process_mib())
        return
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        phantom = PhantomOptions(n_patients=options.cases, spacing_mm=options.spacing, seed=1)
        write_phantom(phantom, place / "data", "brats2023", n_workers=1)
        folders = sorted(path for path in (place / "data").iterdir() if path.is_dir())
        found: dict[str, list[tuple[float, float]]] = {"two in flight": [], "one after the other": []}
        for number in range(options.rounds):
            for way, taken in found.items():
                out = place / f"{way}-{number}".replace(" ", "-")
                if way == "two in flight":
                    taken.append(predicted(folders, out))
                else:
                    with patch.object(predicting, "in_flight", one_after_the_other):
                        taken.append(predicted(folders, out))
                print(f"round {number + 1}, {way}: {taken[-1][0]:.1f} s, {taken[-1][1]:.1f} of processors", flush=True)
        for way, taken in found.items():
            wall, busy = (statistics.median(column) / options.cases for column in zip(*taken, strict=True))
            print(f"{way:20} {wall:6.2f} s a case, {busy:6.2f} processor seconds")
        ratios = [one[0] / two[0] for one, two in zip(*reversed(found.values()), strict=True)]
        print(f"one after the other takes {statistics.median(ratios):.2f} times as long")
        few, all_of_them = peak_mb(folders[:2], place / "few"), peak_mb(folders, place / "all")
        print(f"most memory: {few:.0f} MB for 2 cases, {all_of_them:.0f} MB for {options.cases}")


if __name__ == "__main__":
    main()
