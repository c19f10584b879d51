"""The peak of memory is that of the work at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from glioseg.train import memory

CPU = torch.device("cpu")


def test_a_peak_counts_what_was_needed_since_and_nothing_before() -> None:
    """96 MiB before, 32 MiB since: the peaks differ by 64 MiB and what the interpreter does meanwhile."""
    if not memory.reset_peak(CPU):
        pytest.skip("this system does not tell the peak of a process")
    np.ones(96 << 17)  # eight bytes each
    before = memory.peak_mb(CPU)
    assert memory.reset_peak(CPU)
    np.ones(32 << 17)
    since = memory.peak_mb(CPU)
    assert before is not None
    assert since is not None
    assert 40 < before - since < 90


def test_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CLEAR", Path("/nowhere/clear"))
    monkeypatch.setattr(memory, "_STATUS", Path("/nowhere/status"))
    assert not memory.reset_peak(CPU)
    assert memory.peak_mb(CPU) is None
