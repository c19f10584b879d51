"""What glioseg asks of Ray, in this process: pieces are done when they are waited for, the last first, and can die.

Whatever crosses between processes is pickled, as Ray does it.
"""

from __future__ import annotations

import itertools
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest


class RayError(Exception):
    """Ray's own."""


class RayTaskError(RayError):
    """What a task raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause

    def as_instanceof_cause(self) -> Exception:
        return self.cause


class TaskCancelledError(RayError):
    """A task that was cancelled before it began."""


class WorkerCrashedError(RayError):
    """A worker that is no more."""


_NUMBERS = itertools.count()
"""Of references: no two are the same, even of two clusters, since workers keep what they made for one."""


class Ref:
    """A reference; equal to its copies in other processes."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other.number == self.number


class FakeRay:
    """A cluster of machines that have one name, as containers do.

    Args:
        deaths: how many of the first pieces that are done die with their workers.
        versions: of glioseg on each machine, as its workers say it; None for this one.
        on_wait: called before each piece is done.
        gpus: of the machine.
    """

    def __init__(
        self,
        deaths: int = 0,
        versions: Sequence[str | None] = (None,),
        on_wait: Callable[[], None] = lambda: None,
        gpus: float = 0,
    ) -> None:
        self.exceptions = SimpleNamespace(
            RayError=RayError, RayTaskError=RayTaskError, TaskCancelledError=TaskCancelledError
        )
        self.util = SimpleNamespace(
            scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
        )
        self.started: list[tuple[object, ...]] = []
        self.asked: list[dict[str, Any]] = []
        self.n_done = 0
        self.is_open = False
        self._deaths = deaths
        self._versions = versions
        self._on_wait = on_wait
        self._gpus = gpus
        self._kept: dict[Ref, bytes] = {}
        self._waiting: dict[Ref, Callable[[], Any]] = {}
        self._ended: dict[Ref, Any] = {}

    def init(self, address: str, **more: Any) -> None:
        self.started.append((address, more.get("num_cpus")))
        self.is_open = True

    def is_initialized(self) -> bool:
        return self.is_open

    def shutdown(self) -> None:
        self.is_open = False

    def nodes(self) -> list[dict[str, Any]]:
        has = {"CPU": 2.0, "memory": 8e9} | ({"GPU": self._gpus} if self._gpus else {})
        machine = {"Alive": True, "NodeManagerHostname": "node-1", "Resources": has}
        return [machine | {"NodeID": number} for number in range(len(self._versions))]

    def put(self, value: object) -> Ref:
        ref = Ref(next(_NUMBERS))
        self._kept[ref] = pickle.dumps(value)
        return ref

    def remote(self, function: Callable[..., Any]) -> Any:
        def options(**asked: Any) -> Any:
            self.asked.append(asked)

            def hand_out(*arguments: Any) -> Ref:
                ref, sent = Ref(next(_NUMBERS)), pickle.dumps(arguments)
                self._waiting[ref] = lambda: function(*pickle.loads(sent))
                if not arguments:  # the question for the version, which is waited for by get alone
                    self._ended[ref] = self._versions[asked["scheduling_strategy"]] or self._waiting.pop(ref)()
                return ref

            return SimpleNamespace(remote=hand_out)

        return SimpleNamespace(options=options)

    def wait(self, refs: Sequence[Ref], num_returns: int, timeout: float) -> tuple[list[Ref], list[Ref]]:
        """Does as many of the last as are asked for."""
        done = list(refs)[::-1][:num_returns]
        for ref in done:
            if ref in self._waiting:
                self._on_wait()
                self._do(ref)
        return done, [ref for ref in refs if ref not in done]

    def _do(self, ref: Ref) -> None:
        work = self._waiting.pop(ref)
        self.n_done += 1
        if self.n_done <= self._deaths:
            self._ended[ref] = WorkerCrashedError("the worker died of SIGKILL")
            return
        try:
            self._ended[ref] = pickle.loads(pickle.dumps(work()))
        except Exception as error:  # noqa: BLE001 - whatever a task raises
            self._ended[ref] = RayTaskError(error)

    def cancel(self, ref: Ref, *, force: bool) -> None:
        if self._waiting.pop(ref, None) is not None:
            self._ended[ref] = TaskCancelledError("cancelled")

    def get(self, ref: Any) -> Any:
        if isinstance(ref, list):
            return [self.get(each) for each in ref]
        if ref in self._kept:
            return pickle.loads(self._kept[ref])
        end = self._ended[ref]
        if isinstance(end, RayError):
            raise end
        return end


@contextmanager
def ray_is(fake: FakeRay) -> Iterator[FakeRay]:
    """Have ``import ray`` give that one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ray", fake)
        yield fake
