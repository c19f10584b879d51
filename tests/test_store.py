"""What the processes of a test run share is made once, complete or not at all, and nobody waits for the dead."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.store import Store


def _write(folder: Path) -> None:
    (folder / "file").write_text("made", encoding="utf-8")


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    """Five ask at the same time; one makes it, slowly, and the others wait until it is complete."""
    makers: list[Path] = []
    texts: list[str] = []

    def make(folder: Path) -> None:
        makers.append(folder)
        time.sleep(0.2)
        _write(folder)

    def ask() -> None:
        texts.append((Store(tmp_path).get("entry", make) / "file").read_text(encoding="utf-8"))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(makers), texts) == (1, ["made"] * 5)
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_who_fails_leaves_nothing_and_the_next_tries_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        _write(folder)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Store(tmp_path).get("entry", fail)
    assert list(tmp_path.iterdir()) == []
    assert (Store(tmp_path).get("entry", _write) / "file").exists()


def test_a_process_that_died_is_not_waited_for_without_end(tmp_path: Path) -> None:
    (tmp_path / "entry.lock").touch()
    (tmp_path / "entry.1").mkdir()  # what it had begun
    assert (Store(tmp_path, patience_s=0.1).get("entry", _write) / "file").exists()
    assert not (tmp_path / "entry.lock").exists()


def test_who_was_thought_dead_and_is_late_changes_nothing(tmp_path: Path) -> None:
    def late(folder: Path) -> None:
        (tmp_path / "entry").mkdir()
        _write(tmp_path / "entry")
        (folder / "file").write_text("late", encoding="utf-8")

    entry = Store(tmp_path).get("entry", late)
    assert (entry / "file").read_text(encoding="utf-8") == "made"
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]
