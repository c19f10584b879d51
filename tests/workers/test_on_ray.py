"""Pieces on a cluster: what becomes of those whose workers die, are stopped, or cannot do them."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from glioseg.console import QUIET, Reporter
from glioseg.errors import FileError, GliosegError, OptionError
from glioseg.workers.choose import where_of
from glioseg.workers.on_ray import ClusterError, OnRay
from glioseg.workers.piece import KeptLines, bounded_memory
from glioseg.workers.where import HERE, Lost, Stopped, Where, ends, require_seen
from tests.fakes.ray import FakeRay, ray_is


def _squares(bad: int | None, reporter: Reporter) -> Callable[[int], int]:
    """What squares numbers, but for one."""
    reporter.say("made")

    def square(number: int) -> int:
        if number == bad:
            raise FileError("too large", path="numbers")
        reporter.say(f"{number} is done")
        return number**2

    return square


def _lost(end: object) -> str:
    assert isinstance(end, Lost)
    return end.error.text


@pytest.fixture
def ray() -> Iterator[FakeRay]:
    with ray_is(FakeRay()) as fake:
        yield fake


@pytest.mark.parametrize("where", [HERE, OnRay()])
def test_every_piece_has_its_end_wherever_it_is_done(where: Where, ray: FakeRay) -> None:
    """And an error of one is its end, and costs no other."""
    said = KeptLines()
    found = dict(where.spread(partial(_squares, 3), [2, 3, 4], said))
    assert {number: end for number, end in found.items() if number != 1} == {0: 4, 2: 16}
    assert _lost(found[1]) == "numbers: too large."
    lines = [line for line in said.taken() if not line.startswith("Starting Ray")]
    assert sorted(lines) == ["2 is done", "4 is done", "made"]  # made once, for all pieces of a worker


def test_ray_is_started_for_the_work_and_let_go(ray: FakeRay) -> None:
    said = KeptLines()
    with OnRay(cpus=2).session(said):
        assert list(OnRay(cpus=2).spread(partial(_squares, None), [5], QUIET)) == [(0, 25)]
        was_open = ray.is_open
    assert (was_open, ray.is_open) == (True, False)
    assert len(ray.started) == 1  # a session is one start, however often work is spread in it
    assert said.taken() == ["Starting Ray on this machine, which takes some 16 s …"]
    assert ray.asked[-1] == {"num_cpus": 2, "num_gpus": 0, "memory": None, "max_retries": 0}


def test_ray_that_gave_up_is_started_once_more(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does after 30 s on a machine that does other things too."""
    real, calls = ray.init, list[str]()

    def give_up_first(address: str, **more: object) -> None:
        calls.append(address)
        if len(calls) == 1:
            raise Exception("The current node timed out during startup")
        real(address, **more)

    monkeypatch.setattr(ray, "init", give_up_first)
    said = KeptLines()
    assert dict(OnRay().spread(partial(_squares, None), [3], said)) == {0: 9}
    assert calls == ["local", "local"]
    assert "Ray gave up (The current node timed out during startup); starting it once more …" in said.taken()


@pytest.mark.parametrize(("asked", "is_said"), [(0, True), (0.5, False)])
def test_gpus_that_nobody_asked_for_are_said(asked: float, is_said: bool) -> None:
    said = KeptLines()
    with ray_is(FakeRay(gpus=4)) as fake:
        list(OnRay(gpus=asked).spread(partial(_squares, None), [1], said))
    assert any("No worker sees the 4 GPUs" in line for line in said.taken()) == is_said
    assert fake.asked[-1]["num_gpus"] == asked


def test_a_piece_whose_worker_died_is_done_again() -> None:
    said = KeptLines()
    with ray_is(FakeRay(deaths=2)) as fake:
        assert dict(OnRay().spread(partial(_squares, None), [1, 2, 3], said)) == {0: 1, 1: 4, 2: 9}
    assert fake.n_done == 5
    assert said.taken().count("A worker has died; what it was at is done again") == 2


def test_a_piece_whose_workers_die_each_time_is_lost_with_a_sentence() -> None:
    with ray_is(FakeRay(deaths=3)):
        ((number, end),) = OnRay().spread(partial(_squares, None), [1], QUIET)
    assert number == 0
    assert "the worker has died; found the worker died of SIGKILL" in _lost(end)


def _stop_itself(reporter: Reporter) -> Callable[[int], Any]:
    return lambda number: Stopped("SIGTERM")


def test_a_worker_that_was_told_to_end_is_replaced(ray: FakeRay) -> None:
    """As where a machine is taken away: its pieces go on elsewhere, three times at most."""
    assert list(OnRay().spread(_stop_itself, [1], QUIET)) == [(0, Stopped("SIGTERM"))]
    assert ray.n_done == 3
    assert list(HERE.spread(_stop_itself, [1, 2], QUIET)) == [(0, Stopped("SIGTERM"))]  # and here all of it ends


def test_ctrl_c_stops_what_has_not_ended_and_each_piece_says_so() -> None:
    calls: list[int] = []

    def interrupt() -> None:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    said = KeptLines()
    with ray_is(FakeRay(on_wait=interrupt)) as fake:
        found = dict(OnRay().spread(partial(_squares, None), [1, 2, 3, 4], said))
    assert found == {3: 16, 2: 9, 1: Stopped("Ctrl-C"), 0: Stopped("Ctrl-C")}
    assert fake.n_done == 2
    assert not fake.is_open
    assert "Stopping (Ctrl-C): waiting for 2 workers" in said.taken()


def test_work_that_needs_all_of_its_pieces_ends_as_the_signal_ends_a_process() -> None:
    with ray_is(FakeRay(on_wait=lambda: os.kill(os.getpid(), signal.SIGTERM))):
        told = ends(OnRay(), partial(_squares, None), [1, 2], QUIET)
        assert next(told) == (1, 4)
        with pytest.raises(SystemExit) as ended:
            next(told)
    assert ended.value.code == 143


def _fails(reporter: Reporter) -> Callable[[int], int]:
    return lambda number: 1 // 0


def test_a_fault_of_ours_is_not_taken_for_a_worker_s(ray: FakeRay) -> None:
    with pytest.raises(ZeroDivisionError):
        list(OnRay().spread(_fails, [1], QUIET))
    assert not ray.is_open


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_another_version_in_the_cluster_is_refused() -> None:
    with (
        ray_is(FakeRay(versions=["0.0.9", None])) as fake,
        pytest.raises(OptionError, match=r"found node-1 with 0\.0\.9; expected"),
    ):
        list(OnRay().spread(partial(_squares, None), [1], QUIET))
    assert (fake.n_done, fake.is_open) == (0, False)


def test_a_machine_that_comes_later_with_another_version_ends_the_work_and_costs_none_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would be handed one piece after the other, since it does none; all of them can be gone on with."""
    calls: list[int] = []

    def come() -> None:
        calls.append(1)
        if len(calls) == 2:
            monkeypatch.setattr("glioseg.workers.piece.__version__", "0.0.9")

    told: dict[int, object] = {}

    def gather() -> None:
        for number, end in OnRay().spread(partial(_squares, None), [1, 2, 3], QUIET):
            told[number] = end

    with (
        ray_is(FakeRay(on_wait=come)) as fake,
        pytest.raises(OptionError, match=rf"{socket.gethostname()} with 0\.0\.9; expected"),
    ):
        gather()
    assert (fake.n_done, fake.is_open) == (2, False)
    assert told == {2: 9, 0: Stopped("Ctrl-C"), 1: Stopped("another glioseg")}


def test_what_no_machine_has_is_refused(ray: FakeRay) -> None:
    for asked in (OnRay(cpus=3), OnRay(memory=9), OnRay(gpus=1)):
        with pytest.raises(OptionError, match=r"node-1 with 2 processors, 8\.0 GB, 0 GPUs"):
            list(asked.spread(partial(_squares, None), [1], QUIET))
        assert not ray.is_open


def test_an_address_at_which_nobody_listens(ray: FakeRay) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ClusterError, match="no Ray cluster answers there; found Connection refused"):
        list(where_of(f"ray://{address}").spread(partial(_squares, None), [1], QUIET))
    with pytest.raises(OptionError, match="not the address of a Ray cluster; found head; expected HOST:PORT"):
        list(where_of("ray://head").spread(partial(_squares, None), [1], QUIET))
    assert ray.started == []


def test_a_cluster_that_lets_nobody_in_says_what_a_client_needs(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str, **more: object) -> None:
        raise ConnectionError("ray client connection timeout")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(
        ClusterError, match=r"cannot be joined; found ray client connection timeout\. .*RAY_AUTH_MODE=token"
    ):
        list(where_of("ray://auto").spread(partial(_squares, None), [1], QUIET))
    with pytest.raises(ClusterError, match=r"could not be started on this machine; found ray client .* Try again"):
        list(where_of("ray").spread(partial(_squares, None), [1], QUIET))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (None, HERE),
        ("ray", OnRay()),
        ("ray://head:10001,cpus=4,memory=7.5,gpus=0.5", OnRay("head:10001", 4, 7.5, 0.5)),
        ("ray://auto", OnRay("auto")),
    ],
)
def test_places_by_name(text: str | None, where: Where) -> None:
    assert where_of(text) == where


@pytest.mark.parametrize(
    "text",
    ["slurm", "", "ray://", "ray,cpus", "ray,cpus=0", "ray,cpus=1.5", "ray,ram=3", "ray,memory=nan", "ray,gpus=1.5"],
)
def test_places_that_there_are_not(text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(f'on="{text}"') if text else "no such place"):
        where_of(text)


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(OptionError, match=r"Ray is not installed.*glioseg\[scale\]"):
        list(OnRay().spread(partial(_squares, None), [1], QUIET))


def test_a_worker_that_does_not_see_the_folder(tmp_path: Path) -> None:
    with pytest.raises(GliosegError, match=r"a worker does not see this file.*all nodes share"):
        require_seen(tmp_path / "study.toml")


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_memory_beyond_the_bound_is_refused_to_the_piece_alone() -> None:
    """0.1 GB are allowed, 0.5 are asked for, and afterwards there is no bound any more."""
    with bounded_memory(0.1), pytest.raises(MemoryError):
        bytearray(500_000_000)
    assert len(bytearray(500_000_000)) == 500_000_000
