"""Pieces done by the workers of a Ray cluster [1], which is joined where it runs, or started on this machine.

A piece is a task of Ray's, interrupted by what it takes for Ctrl-C: so a training writes its checkpoint first. Ray is
asked for processors, memory and GPUs of each worker, and the worker keeps to them: threads are as many as processors,
and memory beyond its bound is refused to it by the system, which costs that piece alone.

References:
    [1] Moritz P et al. Ray: a distributed framework for emerging AI applications. OSDI 2018.
"""

from __future__ import annotations

import logging
import math
import socket
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from glioseg import __version__
from glioseg.console import Reporter
from glioseg.errors import GliosegError, OptionError, name_some, plural
from glioseg.machine.processors import processors
from glioseg.training.stopping import StopRequest, stop_on_signals
from glioseg.workers.piece import OtherVersionError, do_piece, other_version
from glioseg.workers.where import Lost, Make, Stopped

T = TypeVar("T")
R = TypeVar("R")

_TRIES = 3
_IN_FLIGHT = 500
"""Pieces that are handed to Ray at a time: more than any cluster has workers for, and a bound for its queue."""
_STORE_BYTES = 256 << 20
"""What is shared between workers on one machine: what makes the work, never scans or prepared data, which are files."""
_ANSWER_S = 10.0
_GRACE_S = 300.0
"""How long interrupted pieces may take to write what they go on from: a checkpoint takes seconds, a step a minute."""
_EXTRA = "Install the extra: pip install 'glioseg[scale]'"


class ClusterError(GliosegError):
    """A cluster that cannot be joined, or is lost."""


@dataclass(frozen=True)
class OnRay:
    """The workers of a Ray cluster; see ``Where`` for its methods.

    Args:
        address: ``HOST:PORT`` of the port for clients of a cluster that runs (10001, unless it was started with
            another), ``auto`` on one of its machines; None starts Ray on this machine.
        cpus: processors of each worker, and its threads.
        memory: what a piece may take beside what an idle worker has, in 10^9 bytes; None for no bound.
        gpus: of each worker; none are seen by it where 0.
    """

    address: str | None = None
    cpus: int = 1
    memory: float | None = None
    gpus: float = 0

    @contextmanager
    def session(self, reporter: Reporter) -> Iterator[None]:
        """Start Ray, or join a cluster, unless whoever calls has done so; and let go of it at the end."""
        ray = _ray()
        if ray.is_initialized():
            yield
            return
        self._join(ray, reporter)
        try:
            nodes = [node for node in ray.nodes() if node["Alive"]]
            self._require_room(nodes)
            _require_version(ray, nodes)
            n_gpus = sum(node["Resources"].get("GPU", 0) for node in nodes)
            if n_gpus and not self.gpus:
                reporter.say(f"No worker sees the {n_gpus:.0f} GPUs there: `--on ray,gpus=1` gives each of them one")
            yield
        finally:
            ray.shutdown()

    def spread(
        self, make: Make[T, R], pieces: Sequence[T], reporter: Reporter
    ) -> Iterator[tuple[int, R | Lost | Stopped]]:
        """See ``Where``. The first Ctrl-C or SIGTERM interrupts all pieces and waits for them, a second does not."""
        if not pieces:
            return
        with self.session(reporter), stop_on_signals() as stop:
            yield from _Spreading(_ray(), self, make, pieces, reporter, stop).ends()

    def _join(self, ray: ModuleType, reporter: Reporter) -> None:
        logging.getLogger("ray").setLevel(logging.ERROR)  # its advice about tokens is for whoever keeps a cluster
        try:
            if self.address is None:
                reporter.say("Starting Ray on this machine, which takes some 16 s …")
                _start(ray, reporter)
            else:
                _require_answer(self.address)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # which says in other words what is raised
                    ray.init(self.address if self.address == "auto" else f"ray://{self.address}", **_SILENT)
        except ImportError as error:
            raise OptionError("Ray's client is not installed", found=error, remedy=_EXTRA) from error
        except Exception as error:  # Ray raises whatever it meets, Exception itself among it
            if isinstance(error, GliosegError):
                raise
            raise self._not_joined(error) from error

    def _not_joined(self, error: Exception) -> ClusterError:
        said = _short(error)
        if self.address is None:
            remedy = "Try again: on a very busy machine Ray gives up soon. Without `--on` the work is done here"
            return ClusterError("Ray could not be started on this machine", found=said, remedy=remedy)
        remedy = (
            "See that this is its port for clients: 10001, unless `ray start` was told another. Have the same versions "
            "of Python and Ray on all its machines and on this one; where it asks for a token, as Ray does by default, "
            "have that in ~/.ray/auth_token and set RAY_AUTH_MODE=token"
        )
        return ClusterError("the Ray cluster cannot be joined", path=self.address, found=said, remedy=remedy)

    def _require_room(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        """Refuse what no machine of the cluster has, for which Ray would wait for ever."""
        if any(
            all(node["Resources"].get(name, 0) >= least for name, least in self.resources.items()) for node in nodes
        ):
            return
        machines = (
            f"{node['NodeManagerHostname']} with {node['Resources'].get('CPU', 0):.0f} processors, "
            f"{node['Resources'].get('memory', 0) / 1e9:.1f} GB, {node['Resources'].get('GPU', 0):.0f} GPUs"
            for node in nodes
        )
        raise OptionError(
            "no machine of the cluster has what a worker needs",
            found=name_some(machines, 3),
            expected=f"{plural(self.cpus, 'processor')}, {self.memory or 0:g} GB, {self.gpus:g} GPUs",
            remedy="Ask for less: `--on ray,cpus=1`",
        )

    @property
    def resources(self) -> dict[str, float]:
        """What Ray reserves for each worker, by Ray's names."""
        return {"CPU": self.cpus, "GPU": self.gpus, "memory": math.ceil((self.memory or 0) * 1e9)}


_SILENT: Mapping[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}


def _ray() -> ModuleType:
    try:
        import ray  # an extra, which takes seconds to be imported
    except ImportError as error:
        raise OptionError("Ray is not installed", remedy=_EXTRA) from error
    module: ModuleType = ray
    return module


def _start(ray: ModuleType, reporter: Reporter) -> None:
    """Start Ray on this machine. It gives its own processes 30 s to come, which on a busy machine is enough for them
    the second time, when all that they read is in memory.
    """
    bounds = {"num_cpus": processors(0).allowed, "object_store_memory": _STORE_BYTES}
    try:
        ray.init("local", include_dashboard=False, **bounds, **_SILENT)
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001 - Exception itself
        reporter.say(f"Ray gave up ({_short(error)}); starting it once more …")
        ray.shutdown()
        ray.init("local", include_dashboard=False, **bounds, **_SILENT)


def _require_answer(address: str) -> None:
    """Refuse an address at which nobody listens, for which Ray would wait for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), _ANSWER_S):
            return
    except ValueError as error:
        raise OptionError("not the address of a Ray cluster", found=address, expected="HOST:PORT, or auto") from error
    except OSError as error:
        remedy = "Check the address: it is the port for clients, 10001 unless `ray start` was told another"
        found = error.strerror or str(error)
        raise ClusterError("no Ray cluster answers there", path=address, found=found, remedy=remedy) from error


def _require_version(ray: ModuleType, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a cluster of which a machine has no glioseg, or another one.

    Raises:
        OtherVersionError: it has.
    """

    def version() -> str:  # sent as it is written here, since what is asked is whether there is a glioseg at all
        try:
            import glioseg

            return str(glioseg.__version__)
        except ImportError:
            return "none"

    at = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    asked = [
        ray.remote(version).options(num_cpus=0, scheduling_strategy=at(node["NodeID"], soft=False)).remote()
        for node in nodes
    ]
    hosts = [node["NodeManagerHostname"] for node in nodes]  # several may have one name, as containers do
    others = [f"{host} with {name}" for host, name in zip(hosts, ray.get(asked), strict=True) if name != __version__]
    if others:
        raise other_version(others, __version__)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


class _Spreading:
    """Pieces on their way through a cluster."""

    def __init__(
        self,
        ray: ModuleType,
        where: OnRay,
        make: Callable[[Reporter], Callable[[Any], Any]],
        pieces: Sequence[Any],
        reporter: Reporter,
        stop: StopRequest,
    ) -> None:
        self._ray = ray
        self._pieces = pieces
        self._reporter = reporter
        self._stop = stop
        self._make = ray.put(make)
        self._where = where
        asked = where.resources
        self._task = ray.remote(do_piece).options(
            num_cpus=asked["CPU"],
            num_gpus=asked["GPU"],
            memory=asked["memory"] or None,
            max_retries=0,  # what has to be done again is decided here
        )
        self._waiting = deque((number, 1) for number in range(len(pieces)))
        self._running: dict[Any, tuple[int, int]] = {}
        self._foreign: OtherVersionError | None = None

    def ends(self) -> Iterator[tuple[int, Any]]:
        """The number of each piece and its end, as they come.

        Raises:
            OtherVersionError: a machine that came later has another glioseg. It does nothing with what it is given, and
                would be given all that waits.
        """
        try:
            while self._waiting or self._running:
                if self._foreign is not None:
                    yield from self._stopped("another glioseg")
                    raise self._foreign
                if self._stop:
                    yield from self._stopped(self._stop.reason or "")
                    return
                self._hand_out()
                yield from self._ended(self._ray.wait(list(self._running), num_returns=1, timeout=0.5)[0])
        finally:  # whoever takes no more results, or meets an error, wants the others no more
            for task in self._running:
                self._ray.cancel(task, force=False)

    def _hand_out(self) -> None:
        while self._waiting and len(self._running) < _IN_FLIGHT:
            number, n_tries = self._waiting.popleft()
            bounds = (self._where.cpus, self._where.memory)
            task = self._task.remote(__version__, Path.cwd(), [self._make], self._pieces[number], *bounds)
            self._running[task] = (number, n_tries)

    def _stopped(self, reason: str) -> Iterator[tuple[int, Any]]:
        """Interrupt what runs, and wait until it has written what it goes on from."""
        self._reporter.say(f"Stopping ({reason}): waiting for {plural(len(self._running), 'worker')}")
        for task in self._running:
            self._ray.cancel(task, force=False)
        ready, late = self._ray.wait(list(self._running), num_returns=max(len(self._running), 1), timeout=_GRACE_S)
        yield from self._ended(ready)
        for number, _ in (*self._waiting, *(self._running[task] for task in late)):
            yield number, Stopped(reason)

    def _ended(self, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for task in tasks:
            number, n_tries = self._running.pop(task)
            end = self._end_of(task)
            error = end.error if isinstance(end, Lost) else None
            if isinstance(error, OtherVersionError):
                self._foreign = error
                self._waiting.append((number, n_tries))
                continue
            is_ending = self._stop or self._foreign is not None
            is_cut_off = isinstance(error, ClusterError) or isinstance(end, Stopped)
            if is_cut_off and not is_ending and n_tries < _TRIES:
                why = "A worker was told to stop" if error is None else "A worker has died"
                self._reporter.say(f"{why}; what it was at is done again")
                self._waiting.append((number, n_tries + 1))
                continue
            yield number, end

    def _end_of(self, task: Any) -> Any:  # noqa: ANN401 - what the work gives
        errors = self._ray.exceptions
        try:
            end, lines = self._ray.get(task)
        except errors.TaskCancelledError:
            return Stopped(self._stop.reason or "Ctrl-C")
        except errors.RayTaskError as error:
            if isinstance(error.cause, errors.RayError):
                remedy = "Have the same glioseg, and the same extras of it, on all machines of the cluster"
                return Lost(
                    OptionError("a worker does not understand the work", found=_short(error.cause), remedy=remedy)
                )
            raise error.as_instanceof_cause() from None  # of our own: whoever does pieces answers for their faults
        except errors.RayError as error:
            remedy = "If memory is the limit, ask for fewer workers on a machine: `--on ray,memory=8`"
            return Lost(ClusterError("the worker has died", found=_short(error), remedy=remedy))
        for line in lines:
            self._reporter.say(line)
        return end
