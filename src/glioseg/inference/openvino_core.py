"""The one core of OpenVINO in a process, and what computes with it.

A core gives the thread that makes it a stack for signals, and unmaps that stack when it is freed, by whichever thread.
The next signal, such as that of Ctrl-C, then finds no stack, which ends the process (seen with OpenVINO 2026.4). So the
core stays as long as the process.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from glioseg.inference.tracing import AnyArray, Engine, Floats
from glioseg.machine.device import cpu_is_faster_in_bf16


@cache
def openvino_core() -> Any:  # noqa: ANN401 - an ``openvino.Core``, of a library that has no types
    """The core; made at the first call."""
    import openvino

    return openvino.Core()


def in_openvino(graph: Any, precision: str, *, n_threads: int | None = None) -> Engine:  # noqa: ANN401 - see above
    """What OpenVINO computes of a graph on the processor.

    Args:
        graph: an ``openvino.Model``.
        precision: ``bf16`` or ``f32``, of what is not in 8 bits.
        n_threads: None for as many as OpenVINO takes.
    """
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision}
    if n_threads is not None:
        settings |= {"INFERENCE_NUM_THREADS": n_threads, "NUM_STREAMS": 1}
    compiled = openvino_core().compile_model(graph, "CPU", settings)

    def engine(*arrays: AnyArray) -> Floats:
        # the array is the library's own, which writes the next result over it
        return np.array(compiled(list(arrays))[0])

    return engine


def quickest_precision() -> str:
    """``bf16`` where the processor is faster in it, else ``f32``."""
    return "bf16" if cpu_is_faster_in_bf16() else "f32"
