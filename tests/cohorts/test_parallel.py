"""Work in several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from glioseg.cohorts.parallel import WorkerError, in_order


def _squared(number: int) -> int:
    return number * number


def _ends(number: int) -> int:
    os._exit(number)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_results_come_in_the_order_of_the_items(n_workers: int) -> None:
    assert list(in_order(_squared, range(7), n_workers=n_workers)) == [0, 1, 4, 9, 16, 25, 36]


def test_a_process_that_dies_is_told_in_words() -> None:
    with pytest.raises(WorkerError, match=r"a worker process was ended from outside.*memory"):
        list(in_order(_ends, [3], n_workers=2))


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    """Spawned processes import the script that started them, unless they do not see it."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            from pathlib import Path
            from math import factorial
            from glioseg.cohorts.parallel import in_order

            print("begun")
            print(list(in_order(factorial, [3, 4], n_workers=2)))
            print(Path(__file__).name, __spec__)
            """
        ),
        encoding="utf-8",
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["begun", "[6, 24]", "script.py None"]
    assert ran.stderr == ""


def _ends_at_three(number: int) -> int:
    if number == 3:
        os._exit(1)
    return number * number


def _minus(number: int) -> int:
    return -number


def test_a_process_that_dies_costs_its_own_item_alone() -> None:
    """Those that were under way when it died are done again."""
    assert list(in_order(_ends_at_three, range(7), n_workers=2, lost=_minus)) == [0, 1, 4, -3, 16, 25, 36]


def test_who_works_for_a_process_that_is_killed_ends_too() -> None:
    """What it says on stdout comes to an end when the last process that holds it is gone."""
    script = """
from time import sleep
from glioseg.cohorts.parallel import in_order

results = in_order(abs, [-1, -2, -3], n_workers=2)
print(next(results), flush=True)
sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        process.kill()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail("a worker waits on")
