"""Work on many cases at once, in order and in constant memory."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess, parent_process
from typing import Any, TypeVar

from glioseg.core import Cohort
from glioseg.errors import GliosegError


class WorkerError(GliosegError):
    """A process that worked on cases died."""


@contextmanager
def _without_main() -> Iterator[None]:
    """The script that runs has no file, as far as a process that is started now can see.

    A spawned process imports the main module first. A script without ``if __name__ == "__main__":`` would then run a
    second time in there, and fail; what we send to workers is of our own modules and needs none of it.
    """
    main = sys.modules["__main__"]
    hidden: dict[str, Any] = {
        name: main.__dict__.pop(name) for name in ("__file__", "__spec__") if name in main.__dict__
    }
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(hidden)


class _SpawnProcess(SpawnProcess):
    """A spawned process that does not import the script."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:  # noqa: ANN401, N802 - multiprocessing's own name, and its own type
        with _without_main():
            return SpawnProcess._Popen(process_obj)


class _SpawnContext(SpawnContext):
    Process = _SpawnProcess


def _pool(n_workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(n_workers, mp_context=_SpawnContext(), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Have this process end when the one that started it is gone.

    Where that is killed, its workers are told nothing: they hold both ends of the queue on which they wait for work,
    and would wait for ever.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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
            if kind in ("raster", "hdf5", "dicom"):
                n_pictures += len(paths)
            else:
                n_volumes += 1
    return n_processors() if n_pictures > 600 or n_volumes > 8 else 1


def in_order(
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    *,
    n_workers: int,
    ahead: int = 2,
    lost: Callable[[_Item], _Result] | None = None,
) -> Iterator[_Result]:
    """``map`` over processes: results in the order of the items, at most ``ahead`` per worker under way or waiting.

    Args:
        work: a function of a module, so that another process can import it.
        items: what it is called with; must survive pickling.
        n_workers: processes; 1 stays in this one. They are spawned, and know nothing of the script that asked for
            them, so that it needs no ``if __name__ == "__main__":``.
        ahead: items handed out per worker before the first result is taken.
        lost: the result of an item whose process dies each time it is worked on (for lack of memory, or by a fault of a
            library); None raises.

    Raises:
        WorkerError: a process died on an item, and ``lost`` is None.
    """
    if n_workers <= 1:
        yield from map(work, items)
        return
    rest = iter(items)
    waiting: deque[_Item] = deque()
    while True:
        yield from _until_death(work, waiting, rest, n_workers, ahead)
        if not waiting:
            return
        yield _alone(work, waiting.popleft(), lost)


def _until_death(
    work: Callable[[_Item], _Result], waiting: deque[_Item], rest: Iterator[_Item], n_workers: int, ahead: int
) -> Iterator[_Result]:
    """Results in order, until none is left or a process dies: then ``waiting`` holds the items without a result."""
    handed_out: deque[Future[_Result]] = deque()
    with _pool(n_workers) as pool:
        try:
            handed_out.extend(pool.submit(work, item) for item in waiting)
            while True:
                for item in islice(rest, max(0, ahead * n_workers - len(waiting))):
                    waiting.append(item)
                    handed_out.append(pool.submit(work, item))
                if not handed_out:
                    return
                result = handed_out.popleft().result()
                waiting.popleft()
                yield result
        except BrokenProcessPool:
            return
        finally:
            # A caller who stops early does not wait for results that nobody will see.
            for future in handed_out:
                future.cancel()


def _alone(work: Callable[[_Item], _Result], item: _Item, lost: Callable[[_Item], _Result] | None) -> _Result:
    """The result of an item in a process of its own: whoever else was at work when one died is not to blame."""
    with _pool(1) as pool:
        try:
            return pool.submit(work, item).result()
        except BrokenProcessPool as error:
            if lost is not None:
                return lost(item)
            raise WorkerError(
                "a worker process was ended from outside",
                found=error,
                remedy="Most often memory ran out: close other programs, or ask for fewer workers",
            ) from error
