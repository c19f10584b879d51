"""Libraries, loaded without looking for garbage among what they make."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Meanwhile nobody looks for garbage, and what is loaded first is left out of every later look.

    Libraries make half a million objects while they are imported, all of which stay; going through them again and again
    takes a fifth of the time until a network is ready. For the start of a program, not for what others import.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # once: garbage of work in between would be kept too
            gc.freeze()
        if was_enabled:
            gc.enable()
