"""The secret of a machine: made once, the same for all, and whole."""

from __future__ import annotations

import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from glioseg.machine.salt import local_salt


@pytest.fixture
def salt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is kept, in a home of its own."""
    place = tmp_path / ".config" / "glioseg" / "salt"
    monkeypatch.setattr("glioseg.machine.salt.salt_file", lambda: place)
    return place


def test_it_is_made_once_for_its_user_alone(salt: Path) -> None:
    first = local_salt()
    assert first is not None
    assert len(first) == 16
    assert local_salt() == first
    if sys.platform != "win32":
        assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    assert [path.name for path in salt.parent.iterdir()] == ["salt"]


def test_a_process_that_was_killed_before_it_wrote_costs_nothing(salt: Path) -> None:
    salt.parent.mkdir(parents=True)
    salt.touch()
    made = local_salt()
    assert made is not None
    assert len(made) == 16
    assert local_salt() == made


def test_those_that_come_at_once_have_the_same(salt: Path) -> None:
    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(lambda _: local_salt(), range(8)))) == 1
        salt.unlink()


def test_a_file_system_without_links(salt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    made = local_salt()
    assert made is not None
    assert local_salt() == made == salt.read_bytes()


def test_a_home_that_cannot_be_written_to(salt: Path, tmp_path: Path) -> None:
    (tmp_path / ".config").write_text("a file", encoding="utf-8")
    assert local_salt() is None
    assert not salt.exists()
