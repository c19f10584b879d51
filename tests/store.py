"""What many tests need is made once in a test run, by whichever process of pytest-xdist needs it first."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

_POLL_S = 0.05


@dataclass(frozen=True)
class Store:
    """A folder that all processes of a test run share; what lies in it is read by many and changed by nobody.

    Args:
        folder: where the entries lie.
        patience_s: after so long a wait for another process, the entry is made here.
    """

    folder: Path
    patience_s: float = 180

    def get(self, name: str, make: Callable[[Path], object]) -> Path:
        """The folder ``name``, filled by ``make(folder)`` if nobody has done so yet.

        One process makes an entry while the others wait. The lock only saves work: an entry gets its name by a rename,
        once it is complete, so that a process that dies on the way leaves the others late, never with half an entry.
        ``make`` works in a folder of another name, and must write no path of it into its files.
        """
        entry, lock = self.folder / name, self.folder / f"{name}.lock"
        limit = time.monotonic() + self.patience_s
        while not entry.exists():
            if _locked(lock) or time.monotonic() > limit:
                try:
                    _make(entry, make)
                finally:
                    lock.unlink(missing_ok=True)
            else:
                time.sleep(_POLL_S)
        return entry


def _locked(lock: Path) -> bool:
    """Whether the lock was free, and is ours now."""
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def _make(entry: Path, make: Callable[[Path], object]) -> None:
    if entry.exists():  # made between our look and our lock
        return
    making = entry.with_name(f"{entry.name}.{os.getpid()}")
    making.mkdir()
    try:
        make(making)
        making.rename(entry)
    except OSError:
        if not entry.exists():  # else another process, which was thought dead, has been quicker
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)


def store_of(config: pytest.Config, factory: pytest.TempPathFactory) -> Store:
    """The store of this test run: beside the workers' own temporary folders, or in that of the only process."""
    base = factory.getbasetemp()
    folder = (base.parent if hasattr(config, "workerinput") else base) / "store"
    folder.mkdir(exist_ok=True)
    return Store(folder)
