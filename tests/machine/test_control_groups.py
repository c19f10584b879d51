"""The limits of control groups, of both versions, in a container and outside of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from glioseg.machine import control_groups
from glioseg.machine.control_groups import memory_left, quota

_GB = 10**9


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system without any limit, in which files can be put."""
    monkeypatch.setattr(control_groups, "_OWN", tmp_path / "own")
    monkeypatch.setattr(control_groups, "_ROOT", tmp_path / "cgroup")
    return tmp_path


def _put(system: Path, own: str, files: Mapping[str, str]) -> None:
    (system / "own").write_text(own, encoding="utf-8")
    for name, text in files.items():
        path = system / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")


def test_a_system_without_them(system: Path) -> None:
    assert (quota(), memory_left()) == (None, None)


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("0::/jobs/one\n", {"jobs/one/cpu.max": "max 100000", "jobs/cpu.max": "200000 100000"}, 2.0),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("4:cpu:/seen/from/outside\n", {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
    ],
)
def test_processors(system: Path, own: str, files: Mapping[str, str], expected: float | None) -> None:
    _put(system, own, files)
    assert quota() == expected


def _of_2(limit: str, used: int, cached: int) -> dict[str, str]:
    stat = f"anon 1\ninactive_file {cached}\n"
    return {"memory.max": limit, "memory.current": str(used), "memory.stat": stat}


def _of_1(limit: int, used: int, cached: int) -> dict[str, str]:
    """The first line is of the group without those below it."""
    stat = f"inactive_file 5\ntotal_inactive_file {cached}\n"
    return {"memory.limit_in_bytes": str(limit), "memory.usage_in_bytes": str(used), "memory.stat": stat}


def _in(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}": text for name, text in files.items()}


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", _of_2("max", 5 * _GB, 0), None),
        ("0::/\n", _of_2(str(8 * _GB), 5 * _GB, 2 * _GB), 5 * _GB),  # files that were read give way
        ("0::/\n", _of_2(str(8 * _GB), 9 * _GB, 0), 0),
        (
            "0::/jobs/one\n",
            _in("jobs/one", _of_2(str(8 * _GB), _GB, 0)) | _in("jobs", _of_2(str(9 * _GB), 6 * _GB, 0)),
            3 * _GB,
        ),
        ("4:memory:/\n", _in("memory", _of_1(9223372036854771712, _GB, 0)), None),
        ("4:memory:/one\n", _in("memory/one", _of_1(8 * _GB, 5 * _GB, _GB)), 4 * _GB),
        ("4:memory:/seen/from/outside\n", _in("memory", _of_1(8 * _GB, 5 * _GB, _GB)), 4 * _GB),
    ],
)
def test_memory(system: Path, own: str, files: Mapping[str, str], expected: int | None) -> None:
    _put(system, own, files)
    assert memory_left() == expected
