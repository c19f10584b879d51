"""Two cases in flight: in order, no more than two in memory, and what was predicted is written whatever comes after."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from glioseg.runs.in_flight import in_flight


class _Desk:
    """Notes what happens, and how many cases are held at once."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.held: set[int] = set()
        self.most_held = 0
        self.threads: dict[str, set[int]] = {}
        self.lock = threading.Lock()

    def _note(self, what: str, case: int) -> None:
        with self.lock:
            self.events.append(f"{what} {case}")
            self.threads.setdefault(what, set()).add(threading.get_ident())

    def read(self, case: int) -> int:
        with self.lock:
            self.held.add(case)
            self.most_held = max(self.most_held, len(self.held))
        self._note("read", case)
        return 10 * case

    def predict(self, case: int, content: int) -> int:
        assert content == 10 * case
        time.sleep(0.002)
        self._note("predict", case)
        return content + 1

    def write(self, case: int, prediction: int) -> None:
        assert prediction == 10 * case + 1
        self._note("write", case)
        self.held.discard(case)

    def done(self, what: str) -> list[int]:
        return [int(event.split()[1]) for event in self.events if event.startswith(what)]


def _run(desk: _Desk, n: int, predict: Callable[[int, int], int] | None = None) -> None:
    in_flight(list(range(n)), desk.read, predict or desk.predict, desk.write)


def test_all_in_order_by_two_threads() -> None:
    desk = _Desk()
    _run(desk, 12)
    assert [desk.done(what) for what in ("read", "predict", "write")] == [list(range(12))] * 3
    assert desk.threads["predict"] == {threading.get_ident()}
    assert desk.threads["read"] == desk.threads["write"] != desk.threads["predict"]


def test_files_go_on_beside_the_networks() -> None:
    """The second case is read, and the first written, while a network looks at another."""
    desk = _Desk()
    read = {case: threading.Event() for case in range(4)}
    written = {case: threading.Event() for case in range(4)}

    def reading(case: int) -> int:
        read[case].set()
        return desk.read(case)

    def predicting(case: int, content: int) -> int:
        assert case == 3 or read[case + 1].wait(5), "the next is read meanwhile"
        assert case == 0 or written[case - 1].wait(5), "the one before is written meanwhile"
        return desk.predict(case, content)

    def writing(case: int, prediction: int) -> None:
        desk.write(case, prediction)
        written[case].set()

    in_flight(list(range(4)), reading, predicting, writing)
    assert desk.done("write") == [0, 1, 2, 3]


def test_no_more_in_memory_however_many_there_are() -> None:
    desk = _Desk()
    _run(desk, 40)
    assert desk.most_held == 2


@pytest.mark.parametrize("n", [0, 1])
def test_few(n: int) -> None:
    desk = _Desk()
    _run(desk, n)
    assert desk.done("write") == list(range(n))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
def test_what_was_predicted_is_written(kind: type[BaseException]) -> None:
    desk = _Desk()

    def stopped(case: int, content: int) -> int:
        if case == 2:
            raise kind
        return desk.predict(case, content)

    with pytest.raises(kind):
        _run(desk, 9, stopped)
    assert desk.done("write") == [0, 1]
    assert max(desk.done("read")) <= 3


def test_what_cannot_be_written_ends_it() -> None:
    desk = _Desk()

    def full(case: int, prediction: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        in_flight(list(range(9)), desk.read, desk.predict, full)
    assert len(desk.done("predict")) <= 3
