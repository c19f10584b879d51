"""What the control groups of Linux leave this process: the limits of containers, services and job queues.

Both versions of them are read, see cgroups(7). The limits of the groups above hold too; in a container these cannot be
seen, and its own group is the root of what is mounted there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_OWN, _ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60
"""Bytes; version 1 has a number of this kind where it has no limit."""
_CPU_1 = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
_MEMORY = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
_CACHE = ("inactive_file ", "total_inactive_file ")
"""Lines of ``memory.stat``, of either version: what the system would give back of the files that were read."""


def quota() -> float | None:
    """Processors' worth of time that may be used; None without a limit."""
    quotas = (_quota_of(folder) for folder in _groups("cpu"))
    return min((each for each in quotas if each is not None and each > 0), default=None)


def memory_left() -> int | None:
    """Bytes that can still be taken; None without a limit."""
    left = (_memory_left_in(folder) for folder in _groups("memory"))
    return min((max(each, 0) for each in left if each is not None), default=None)


def _groups(controller: str) -> Iterator[Path]:
    """The folders of the groups, of either version; some may not be there."""
    yield from (_ROOT, _ROOT / controller)
    try:
        lines = _OWN.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            root = _ROOT / controller if controllers else _ROOT
            group = root / place.lstrip("/")
            yield from (folder for folder in (group, *group.parents) if folder != root and folder.is_relative_to(root))


def _quota_of(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            limit, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            limit, period = ((folder / name).read_text(encoding="ascii") for name in _CPU_1)
        return int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such group, or "max"
        return None


def _memory_left_in(folder: Path) -> int | None:
    for names in _MEMORY:
        try:
            limit, used = (int((folder / name).read_text(encoding="ascii")) for name in names)
            stat = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            continue
        cached = max((int(line.split()[1]) for line in stat if line.startswith(_CACHE)), default=0)
        return None if limit >= _NO_LIMIT else limit - used + cached
    return None
