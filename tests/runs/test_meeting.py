"""Processes that meet in a store where an earlier start has left its words."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from torch._C._distributed_c10d import HashStore, Store

from glioseg.runs import meeting


def _met(store: Store, size: int) -> set[str]:
    limit = time.monotonic() + 30
    with ThreadPoolExecutor(size) as pool:
        others = [pool.submit(meeting._be_welcomed, store, rank, limit) for rank in range(1, size)]
        first = pool.submit(meeting._welcome, store, size, limit)
        return {first.result(), *(other.result() for other in others)}


def test_each_start_meets_under_a_name_of_its_own() -> None:
    store = HashStore()
    names = [_met(store, 3) for _ in range(3)]
    assert all(len(each) == 1 for each in names)
    assert len(set.union(*names)) == 3


def test_a_word_of_the_dead_is_no_answer() -> None:
    """A process of an earlier start has said its word, and been answered; the one that has its place now waits on."""
    store = HashStore()
    _met(store, 2)
    with pytest.raises(RuntimeError, match="not all processes have come"):
        meeting._be_welcomed(store, 1, time.monotonic() + 0.2)
    with pytest.raises(RuntimeError, match="not all processes have come"):
        meeting._welcome(store, 2, time.monotonic() + 0.2)


def test_nobody_is_waited_for_where_there_is_one() -> None:
    assert meeting._welcome(HashStore(), 1, time.monotonic())
