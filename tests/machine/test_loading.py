"""Nobody looks for garbage while a program loads, and everybody does again afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from glioseg.machine.loading import loading


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(enabled: bool) -> None:
    was = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ValueError, match="amiss"):
            _fail_while_loading()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was else gc.disable)()


def _fail_while_loading() -> None:
    with loading():
        assert not gc.isenabled()
        raise ValueError("amiss")


def test_what_was_loaded_is_not_looked_through_again() -> None:
    with loading():
        kept: list[object] = [[number] for number in range(5000)]
    frozen = gc.get_freeze_count()
    assert frozen > len(kept)
    with loading():
        kept.extend([number] for number in range(5000))
    assert gc.get_freeze_count() <= frozen, "once in a process; what is let go in between is counted no more"
    kept.append(kept)  # a circle of what comes later is found as ever
    del kept
    later: list[object] = []
    later.append(later)
    del later
    assert gc.collect() >= 1
