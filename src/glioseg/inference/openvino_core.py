"""The one core of OpenVINO in a process.

A core gives the thread that makes it a stack for signals, and unmaps that stack when it is freed, by whichever thread.
The next signal, such as that of Ctrl-C, then finds no stack, which ends the process (seen with OpenVINO 2026.4). So the
core stays as long as the process.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def openvino_core() -> Any:  # noqa: ANN401 - an ``openvino.Core``, of a library that has no types
    """The core; made at the first call."""
    import openvino

    return openvino.Core()
