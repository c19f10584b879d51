"""Where pieces of work are done that know nothing of each other: runs, trials that are chosen at once, cases.

What a piece leaves on disk is the same wherever it was done, and the same whether it was done alone: so whoever spreads
pieces goes on from those records, and nothing else passes between workers.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from glioseg.console import Reporter
from glioseg.errors import FileError, GliosegError
from glioseg.training.stopping import EXIT_CODES

T = TypeVar("T")
R = TypeVar("R")
Make = Callable[[Reporter], Callable[[T], R]]
"""Called once in each worker, with what it says its messages to: gives what does a piece. It must survive pickling."""


@dataclass(frozen=True)
class Stopped:
    """A piece that was stopped from outside, and can be continued.

    Args:
        reason: ``Ctrl-C`` or ``SIGTERM``.
    """

    reason: str


@dataclass(frozen=True)
class Lost:
    """A piece that could not be done.

    Args:
        error: why.
    """

    error: GliosegError


class Where(Protocol):
    """A place in which pieces are done."""

    def session(self, reporter: Reporter) -> AbstractContextManager[None]:
        """Hold the place for several calls of ``spread``, each of which holds it for itself otherwise.

        Raises:
            OptionError: there is no such place, or it cannot do what is asked.
        """

    def spread(
        self, make: Make[T, R], pieces: Sequence[T], reporter: Reporter
    ) -> Iterator[tuple[int, R | Lost | Stopped]]:
        """Do all pieces; the number of each, from 0, and what became of it, as they end.

        A GliosegError of a piece is its end and does not cost the others; any other error ends the whole. A piece whose
        worker died is done again, and is lost when that happens several times. Whoever takes no more results stops the
        whole.

        Args:
            make: makes what does a piece.
            pieces: to be done.
            reporter: told what the workers say.
        """


@dataclass(frozen=True)
class Here:
    """This process, in which pieces are done one after the other. Ctrl-C passes where no piece catches it."""

    def session(self, reporter: Reporter) -> AbstractContextManager[None]:
        """Nothing has to be held."""
        return nullcontext()

    def spread(
        self, make: Make[T, R], pieces: Sequence[T], reporter: Reporter
    ) -> Iterator[tuple[int, R | Lost | Stopped]]:
        """See ``Where``; nothing is done before its result is asked for, nor after a piece that was stopped."""
        work = make(reporter)
        for number, piece in enumerate(pieces):
            try:
                end: R | Lost | Stopped = work(piece)
            except GliosegError as error:
                end = Lost(error)
            yield number, end
            if isinstance(end, Stopped):
                return


HERE = Here()


def ends(where: Where, make: Make[T, R], pieces: Sequence[T], reporter: Reporter) -> Iterator[tuple[int, R | Lost]]:
    """``where.spread`` for work that is nothing without all of its pieces.

    Raises:
        KeyboardInterrupt, SystemExit: it was stopped, once all that ended is told.
    """
    stopped = None
    for number, end in where.spread(make, pieces, reporter):
        if isinstance(end, Stopped):
            stopped = end.reason
        else:
            yield number, end
    if stopped is not None:
        raise KeyboardInterrupt if stopped == "Ctrl-C" else SystemExit(EXIT_CODES.get(stopped, 1))


def require_seen(path: Path) -> None:
    """Have a worker see what whoever spreads the work has written.

    Raises:
        FileError: there is no such file on this node.
    """
    if not path.exists():
        raise FileError(
            "a worker does not see this file",
            path=path,
            found=f"no such file on {socket.gethostname()}",
            remedy="Name a folder that all nodes share with `--out`, and scans and cache likewise",
        )
