"""What a worker of a cluster does with a piece: within its bounds, by the same version, keeping what is said."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from glioseg import __version__
from glioseg.console import Reporter
from glioseg.errors import GliosegError, OptionError, name_some
from glioseg.workers.where import Lost, Stopped, require_seen


class OtherVersionError(OptionError):
    """A worker has another glioseg than whoever spreads the work."""


class KeptLines(Reporter):
    """Keeps what is said to it; shows nothing."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self._lines: list[str] = []

    def say(self, message: str) -> None:
        """Keep a message."""
        self._lines.append(message)

    def taken(self) -> list[str]:
        """What was said since the last time."""
        lines, self._lines = self._lines, []
        return lines


def do_piece(
    version: str,
    folder: Path,
    making: list[Any],
    piece: Any,  # noqa: ANN401 - what the work takes
    cpus: int,
    memory: float | None,
) -> tuple[Any, list[str]]:
    """Do a piece in this worker: its end, and what was said.

    Args:
        version: of glioseg, where the piece comes from,
        folder: and in which paths that are relative begin.
        making: a reference of Ray's to what makes the work, in a list so that Ray does not fetch it for each piece.
        piece: to be done.
        cpus: threads,
        memory: and 10^9 bytes that it may take; None for no bound.
    """
    import torch

    if version != __version__:
        return Lost(other_version([f"{socket.gethostname()} with {__version__}"], version)), []
    torch.set_num_threads(cpus)
    try:
        require_seen(folder)
        os.chdir(folder)
        with bounded_memory(memory):
            work, lines = _made(making[0])
            try:
                return work(piece), lines.taken()
            except GliosegError as error:
                return Lost(error), lines.taken()
    except GliosegError as error:  # of what makes the work: the next piece tries again
        return Lost(error), []
    except KeyboardInterrupt:
        return Stopped("Ctrl-C"), []


@lru_cache(maxsize=1)
def _made(making: Any) -> tuple[Callable[[Any], Any], KeptLines]:  # noqa: ANN401 - a reference of Ray's
    """What does pieces; made once in each worker, since it may hold networks."""
    import ray

    lines = KeptLines()
    return ray.get(making)(lines), lines


def other_version(others: Sequence[str], asked: str) -> OtherVersionError:
    """What is wrong where machines (``HOST with VERSION``) have another glioseg than the work asks for."""
    return OtherVersionError(
        "machines of the cluster have another glioseg",
        found=name_some(others),
        expected=f"{asked}, as where the work comes from",
        remedy="Install the same version on all of them: figures must not depend on where they were computed",
    )


@contextmanager
def bounded_memory(gigabytes: float | None) -> Iterator[None]:
    """Let this process take no more than that beside what it has (Linux): more is refused to it as if there were none.

    Address space that is shared, such as mapped scans and prepared data, does not count.
    """
    held = None if gigabytes is None else _held_bytes()
    if gigabytes is None or held is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    asked = held + int(gigabytes * 1e9)
    hard = before[1]
    resource.setrlimit(resource.RLIMIT_DATA, (asked if hard == resource.RLIM_INFINITY else min(asked, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _held_bytes() -> int | None:
    """What counts for the bound by now; None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
    except (OSError, StopIteration, ValueError):
        return None
