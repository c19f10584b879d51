"""Work on many cases at once, in order and in constant memory."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import TypeVar

from glioseg.core import Cohort

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def n_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def n_workers_for(cohort: Cohort, n_workers: int | None) -> int:
    """``n_workers`` processes, or one per processor where the cohort is large enough to be worth their start.

    A process takes about a second to start, in which one reads 150 pictures or a volume.
    """
    if n_workers is not None:
        return max(1, n_workers)
    n_pictures = n_volumes = 0
    for case in cohort.cases:
        for paths, kind in {(source.paths, source.kind) for source in case.images.values()}:
            if kind in ("raster", "hdf5"):
                n_pictures += len(paths)
            else:
                n_volumes += 1
    return n_processors() if n_pictures > 600 or n_volumes > 8 else 1


def in_order(
    work: Callable[[_Item], _Result], items: Iterable[_Item], *, n_workers: int, ahead: int = 2
) -> Iterator[_Result]:
    """``map`` over processes: results in the order of the items, at most ``ahead`` per worker under way or waiting.

    Args:
        work: a function of a module, so that another process can import it.
        items: what it is called with; must survive pickling.
        n_workers: processes; 1 stays in this one. They are spawned, so that a script which asks for more needs the
            usual ``if __name__ == "__main__":``.
        ahead: items handed out per worker before the first result is taken.
    """
    if n_workers <= 1:
        yield from map(work, items)
        return
    rest = iter(items)
    waiting: deque[Future[_Result]] = deque()
    with ProcessPoolExecutor(n_workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            waiting.extend(pool.submit(work, item) for item in islice(rest, ahead * n_workers))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(rest, 1))
                yield result
        finally:
            # A caller who stops early does not wait for results that nobody will see.
            for future in waiting:
                future.cancel()
