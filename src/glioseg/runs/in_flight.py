"""Two cases in flight: while the networks look at one, the one before is written and the next is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
P = TypeVar("P")


def in_flight(
    cases: Sequence[T], read: Callable[[T], R], predict: Callable[[T, R], P], write: Callable[[T, P], None]
) -> None:
    """Read, predict and write every case, in order.

    ``predict`` runs in the caller's thread, ``write`` and ``read`` one after the other in a second one, so that two
    cases are in memory however many there are. What one of them raises ends the whole: whoever expects faults returns
    them. A case whose prediction has ended is written all the same.
    """
    writing: Future[None] | None = None
    with ThreadPoolExecutor(1, "glioseg-files") as files:
        reading = [files.submit(read, case) for case in cases[:1]]
        try:
            for number, case in enumerate(cases):
                content = reading.pop().result()
                reading = [files.submit(read, later) for later in cases[number + 1 : number + 2]]
                prediction = predict(case, content)
                del content
                if writing is not None:
                    writing.result()
                writing = files.submit(write, case, prediction)
                del prediction
            if writing is not None:
                writing.result()
        finally:
            for future in reading:
                future.cancel()
