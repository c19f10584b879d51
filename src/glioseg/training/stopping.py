"""Ctrl-C and SIGTERM ask for a stop after the step at hand, so that a checkpoint can be written first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, MappingProxyType

EXIT_CODES: Mapping[str, int] = MappingProxyType({"Ctrl-C": 130, "SIGTERM": 143})
"""What a process that was stopped by each of them ends with: 128 and the signal's number, as a shell has it."""


class StopRequest:
    """Whether, and by what, a stop was asked for."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def __bool__(self) -> bool:
        return self.reason is not None


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """The first Ctrl-C or SIGTERM sets the request; a second one interrupts at once.

    Checkpoints are replaced in one piece, so that even the second leaves the last one whole. Outside the main thread
    signals cannot be caught; the request then stays unset.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if request and number == signal.SIGINT:
            raise KeyboardInterrupt
        if request:
            raise SystemExit(EXIT_CODES["SIGTERM"])
        request.reason = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
