"""The peak of memory is that of the work at hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from glioseg.machine import memory

CPU = torch.device("cpu")


_PEAKS = """
import numpy as np, torch
from glioseg.machine import memory
cpu = torch.device("cpu")
if not memory.reset_peak(cpu):
    raise SystemExit(3)
np.ones(96 << 17)  # eight bytes each
before = memory.peak_mb(cpu)
memory.reset_peak(cpu)
np.ones(32 << 17)
print(before - memory.peak_mb(cpu))
"""


def test_a_peak_counts_what_was_needed_since_and_nothing_before() -> None:
    """96 MiB before, 32 MiB since: the peaks differ by 64 MiB and what the interpreter does meanwhile."""
    ran = subprocess.run([sys.executable, "-c", _PEAKS], capture_output=True, text=True, check=False)
    if ran.returncode == 3:
        pytest.skip("this system does not tell the peak of a process")
    assert 40 < float(ran.stdout) < 90, ran.stderr


def test_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CLEAR", Path("/nowhere/clear"))
    monkeypatch.setattr(memory, "_STATUS", Path("/nowhere/status"))
    assert not memory.reset_peak(CPU)
    assert (memory.peak_of_process_mib() or 0) > 50  # getrusage: torch alone is more
    monkeypatch.setitem(sys.modules, "resource", None)
    assert memory.peak_mb(CPU) is None


_PEAK_OF_CHILD = "from glioseg.machine.memory import peak_of_process_mib; print(peak_of_process_mib())"
_PEAK_OF_CHILD_OF_LARGE = f"""
import numpy as np, subprocess, sys
large = np.ones(128 << 20)  # eight bytes each
print(subprocess.run([sys.executable, "-c", {_PEAK_OF_CHILD!r}], capture_output=True, text=True, check=True).stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process is not told the peak of its parent")
def test_a_small_process_of_a_large_one_has_a_peak_of_its_own() -> None:
    """The large one holds a gigabyte when it starts the small one."""
    peaks = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for code in (_PEAK_OF_CHILD, _PEAK_OF_CHILD_OF_LARGE)
    ]
    assert peaks[1] == pytest.approx(peaks[0], rel=0.3)
