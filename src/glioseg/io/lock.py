"""One process at a time in a folder: a lock that the system takes back when its process is gone, however it went.

The lock is the system's own on an open file (``flock``; on Windows a locked byte), not the presence of a file: what a
killed process leaves behind locks nothing. The file says who holds it, for whoever is refused.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from glioseg.errors import FileError
from glioseg.io.files import LOCK, cannot_write

_LOG = logging.getLogger("glioseg")
_RETRY_S = 0.2
_NO_LOCKS_HERE = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


class HeldError(FileError):
    """Another process is at work in a folder."""


@contextmanager
def locked(folder: Path, *, waiting: Callable[[str], None] | None = None, mode: int = 0o777) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is absent, and goes again if nothing is written.

    Args:
        folder: to work in.
        waiting: called once with who holds the lock, which is then waited for; None refuses.
        mode: the permissions of a folder that is made, but for those that the process never gives (its umask).

    Raises:
        HeldError: another process holds it.
        FileError: the folder cannot be written to.
    """
    path, has_told, is_new = folder / LOCK, False, not folder.exists()
    while (descriptor := _taken(path, mode)) is None:
        if waiting is None:
            raise HeldError(
                "another process is at work in this folder",
                path=folder,
                found=_holder(path),
                remedy="Wait until it has ended, or name another folder",
            )
        if not has_told:
            waiting(_holder(path))
            has_told = True
        time.sleep(_RETRY_S)
    try:
        yield
    finally:
        with suppress(OSError):  # while it is held; Windows lets nobody delete an open file
            path.unlink()
            if is_new:
                folder.rmdir()  # unless something was written into it
        os.close(descriptor)


def _taken(path: Path, mode: int) -> int | None:
    """The descriptor of the lock's file, locked; None where another process holds it."""
    while True:
        try:
            path.parent.mkdir(mode, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # its last holder has taken the empty folder away in between
            continue
        except OSError as error:
            raise cannot_write(path.parent, error) from error
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno not in _NO_LOCKS_HERE:
                os.close(descriptor)
                return None
            logging.getLogger("glioseg").warning(
                "%s is on a file system without locks: use it from one process at a time", path.parent
            )
        if _is_at(descriptor, path):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, _me().encode())
            return descriptor
        os.close(descriptor)  # its last holder has deleted it in between


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _me() -> str:
    since = datetime.now().astimezone().isoformat(timespec="minutes")
    return json.dumps({"process": os.getpid(), "machine": socket.gethostname(), "since": since})


def _holder(path: Path) -> str:
    """Who holds a lock, as its file says."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return f"process {facts['process']} on {facts['machine']}, since {facts['since'].replace('T', ' ')}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "a process that does not say its name"


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # beyond what is written, which others may read
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
