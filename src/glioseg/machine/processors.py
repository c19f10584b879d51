"""How many processors are really free: what the system allows, less what others are using now.

Two threads that share a processor with another program wait for each other at the end of every operation: a network on
a busy machine then costs several times the processor time of a single thread, and takes longer too.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from glioseg.machine.control_groups import quota

_SAMPLE_S = 0.1
_STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Processors:
    """What this process may use.

    Args:
        present: processors of the machine.
        allowed: those that this process may run on (affinity, as ``taskset`` and job queues set it).
        quota: how many of them a container may keep busy (cgroup); None without a limit.
        idle: how many of those allowed nobody was using while it was measured; None where the system does not say.
    """

    present: int
    allowed: int
    quota: float | None
    idle: float | None

    @property
    def threads(self) -> int:
        """Threads that have a processor each: at least one."""
        limits = [self.allowed, *(round(limit) for limit in (self.quota, self.idle) if limit is not None)]
        return max(1, min(limits))


def processors(sample_s: float = _SAMPLE_S) -> Processors:
    """Look for ``sample_s`` seconds at how busy the processors are; this process's own use counts as free."""
    allowed = _allowed()
    return Processors(os.cpu_count() or 1, len(allowed), quota(), _idle(allowed, sample_s))


def allowed_processors() -> int:
    """How many processors this process may keep busy, whatever others do with them now."""
    limit = quota()
    return len(_allowed()) if limit is None else max(1, min(len(_allowed()), round(limit)))


def _allowed() -> frozenset[int] | set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else frozenset(range(os.cpu_count() or 1))


def _idle(allowed: frozenset[int] | set[int], sample_s: float) -> float | None:
    """Processors' worth of time among ``allowed`` that others leave."""
    before, own_before = _ticks(allowed), time.process_time()
    if before is None:
        return None
    time.sleep(sample_s)
    after, own_s = _ticks(allowed), time.process_time() - own_before
    if after is None or (total := after[0] - before[0]) <= 0:
        return None
    share = (after[1] - before[1]) / total
    return min(float(len(allowed)), share * len(allowed) + own_s / max(sample_s, _SAMPLE_S))


def _ticks(allowed: frozenset[int] | set[int]) -> tuple[int, int] | None:
    """Ticks that have passed on the processors, and those of them in which they were idle."""
    try:
        lines = _STAT.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    total = idle = 0
    for line in lines:
        name, *values = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in allowed:
            ticks = [int(value) for value in values[:8]]  # guests' time is in that of users already
            total += sum(ticks)
            idle += sum(ticks[3:5])  # idle, and waiting for a disk
    return total, idle
