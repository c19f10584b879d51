"""The queue: one case after the other in the process that predicts, which is started again where it ended."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from glioseg.app.answers import error_answer
from glioseg.app.worklist import ListedCase, Worklist
from glioseg.errors import FileError

_LOG = logging.getLogger("glioseg.app")
_PATIENCE_S = 10.0
_PAUSE_S = 1.0
_COMMAND = (sys.executable, "-m", "glioseg.app.worker")
Publish = Callable[[Mapping[str, Any]], None]
JobOf = Callable[[ListedCase], Mapping[str, Any]]


class Jobs:
    """Takes cases from the worklist, in a thread of its own.

    Args:
        worklist: where they wait.
        job_of: what the process is told of a case.
        publish: told of every change.
        command: starts the process, which speaks as ``worker`` does.
    """

    def __init__(self, worklist: Worklist, job_of: JobOf, publish: Publish, command: Sequence[str] = _COMMAND) -> None:
        self._worklist = worklist
        self._job_of = job_of
        self._publish = publish
        self._command = command
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._running: str | None = None
        self._cancelled: set[str] = set()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin with what waits; what was running when the program last ended waits again."""
        n_again = self._worklist.requeue_running()
        if n_again:
            _LOG.info("%d unfinished case(s) queued again", n_again)
        self._thread.start()

    def wake(self) -> None:
        """Something was queued."""
        with self._changed:
            self._changed.notify_all()

    @property
    def is_warm(self) -> bool:
        """Whether the process is there."""
        with self._changed:
            return self._process is not None and self._process.poll() is None

    def warm(self) -> None:
        """Scans are there: the process may as well start, which takes seconds."""
        with self._changed:
            if not self._is_closed:
                self._alive()

    def cancel(self, case_id: str) -> bool:
        """Stop a case that waits or runs, and wait until it has; whether it did either."""
        if self._worklist.move(case_id, "cancelled", given=("queued",)):
            self._tell(case_id, "cancelled")
            return True
        with self._changed:
            if self._running != case_id:
                return False
            self._cancelled.add(case_id)
            self._end_process()
            return self._changed.wait_for(lambda: self._running != case_id, _PATIENCE_S)

    def close(self) -> None:
        """End the process; what was running is queued again."""
        with self._changed:
            self._is_closed = True
            self._end_process()
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE_S)

    # -- in the thread -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._is_closed:
                    return
                record = self._worklist.take_next()
                if record is None:
                    self._changed.wait()
                    continue
                self._running = record.id
                process = self._alive()
            try:
                self._tell(record.id, "running")
                self._run(process, record)
            except sqlite3.Error as error:  # a full disk, say: the case fails, if that can be written, not the queue
                _LOG.error("the worklist cannot be written: %s", error)
                time.sleep(_PAUSE_S)
                with suppress(sqlite3.Error):
                    self._worklist.fail(record.id, error_answer(_unwritable(error)))
            with self._changed:
                self._running = None
                self._cancelled.discard(record.id)
                if self._process is not process:  # ended while its case ran, or just after it
                    _close(process)
                self._changed.notify_all()

    def _alive(self) -> subprocess.Popen[str]:
        """The process, started where there is none; with the lock held."""
        if self._process is not None and self.is_warm:
            return self._process
        if self._process is not None:
            _close(self._process)
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        return self._process

    def _run(self, process: subprocess.Popen[str], record: ListedCase) -> None:
        """One case, until the process has said what became of it or has ended."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{json.dumps(self._job_of(record))}\n")
            process.stdin.flush()
            for line in process.stdout:
                said = json.loads(line)
                if said["case"] != record.id:  # of a case that was given up while it ran
                    continue
                if "step" in said:
                    self._worklist.step(record.id, said["step"], said["share"])
                    self._tell(record.id, "running", said["step"], said["share"])
                else:
                    self._end(record.id, said)
                    return
        except OSError:
            pass  # it has ended
        self._ended_early(process, record)

    def _end(self, case_id: str, said: Mapping[str, Any]) -> None:
        if "done" in said:
            self._worklist.finish(case_id, said["done"])
            self._tell(case_id, "done", share=1.0)
        else:
            self._worklist.fail(case_id, said["failed"])
            self._tell(case_id, "failed")

    def _ended_early(self, process: subprocess.Popen[str], record: ListedCase) -> None:
        """The process is gone: somebody wanted it so, or it died of the case."""
        with self._changed:
            was_cancelled, is_closed = record.id in self._cancelled, self._is_closed
            self._end_process()
        process.wait()
        if is_closed and not was_cancelled:
            self._worklist.move(record.id, "queued", given=("running",))
        elif was_cancelled:
            self._worklist.move(record.id, "cancelled", given=("running",))
            self._tell(record.id, "cancelled")
        else:
            died = FileError(
                "the process that predicts ended in the middle of this case",
                found=f"exit code {process.returncode}",
                remedy="Most often memory ran out: close other programs and try it again",
            )
            self._worklist.fail(record.id, error_answer(died))
            self._tell(record.id, "failed")

    def _end_process(self) -> None:
        """End it now, whatever it does; with the lock held. Who reads from it closes its streams."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if self._running is None:
                _close(process)

    def _tell(self, case_id: str, state: str, step: str = "", share: float = 0.0) -> None:
        self._publish({"case": case_id, "state": state, "step": step, "share": share})


def _unwritable(error: sqlite3.Error) -> FileError:
    return FileError(
        "the worklist cannot be written to",
        found=str(error),
        remedy="Check the free space of the disk, and try it again",
    )


def _close(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was written to a process that has ended
                stream.close()
