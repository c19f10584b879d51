"""One process at a time in a folder, whatever became of the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from glioseg.errors import FileError
from glioseg.io.files import LOCK, own_entries
from glioseg.io.lock import locked

_HOLDS = """
import signal, sys, time
from pathlib import Path
from glioseg.io.lock import locked
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def _holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", _HOLDS, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_lock_is_refused_with_its_holder_and_is_free_once_that_is_gone(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = _holder(tmp_path)
    with process:
        with (
            pytest.raises(FileError, match=f"at work in this folder; found process {process.pid} on "),
            locked(tmp_path),
        ):
            pytest.fail("locked twice")
        process.send_signal(number)
        process.wait()
    with locked(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK).read_text(encoding="utf-8")
    assert not list(tmp_path.iterdir())


def test_it_can_be_waited_for(tmp_path: Path) -> None:
    told: list[str] = []
    process = _holder(tmp_path)

    def kill_when_told(holder: str) -> None:
        told.append(holder)
        process.kill()

    with process, locked(tmp_path, waiting=kill_when_told):
        assert [holder.split(" on ")[0] for holder in told] == [f"process {process.pid}"]


def test_many_that_come_and_go_never_meet(tmp_path: Path) -> None:
    """Threads, for which the system's lock holds too; each release deletes the file that the next may have opened."""
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(50):
            with locked(tmp_path, waiting=lambda holder: None):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glioseg.io.lock._RETRY_S", 0.0001)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == [1]


def test_a_folder_is_made_and_what_a_killed_process_left_counts_for_nothing(tmp_path: Path) -> None:
    with locked(tmp_path / "new" / "run"):
        assert (tmp_path / "new" / "run" / LOCK).exists()
    assert not (tmp_path / "new" / "run").exists()  # nothing was written into it
    (tmp_path / "new" / "run").mkdir()
    for name in (LOCK, ".writing-0123.toml"):
        (tmp_path / "new" / "run" / name).write_text("{", encoding="utf-8")
    assert own_entries(tmp_path / "new" / "run") == []
    with locked(tmp_path / "new" / "run"):
        pass


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(FileError, match="cannot be written"), locked(tmp_path / "file" / "run"):
        pytest.fail("locked nothing")
