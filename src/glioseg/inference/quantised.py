"""A network's graph in 8-bit integers, by NNCF for OpenVINO: its weights, and what flows between its layers.

The range of what flows is measured on images that the network is to meet; what falls outside is cut off. So a graph
of 8 bits says something else than the network, and whoever takes one compares both where the answer is known.

Source: A. Kozlov et al., "Neural Network Compression Framework for fast model inference", 2020 (arXiv:2002.08679);
the mixed preset: weights symmetric about 0, what flows not.
"""

from __future__ import annotations

import io
import logging
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from torch import Tensor, nn

from glioseg.inference.tracing import Floats, require_libraries

_ROUNDS = 9


class Recording(nn.Module):
    """Keeps the images that a network would be shown, (1, C, *S) each, and computes nothing.

    Args:
        network: on whose device they are shown.
        n_logits: that it would give.
    """

    def __init__(self, network: nn.Module, n_logits: int) -> None:
        super().__init__()
        self.network = network
        self.images: list[Floats] = []
        self._n_logits = n_logits

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, *S) -> zeros (B, n_logits, *S)."""
        self.images += [np.ascontiguousarray(image.numpy())[None] for image in images]
        return images.new_zeros((len(images), self._n_logits, *images.shape[2:]))


def require_quantising() -> None:
    """Import what quantises.

    Raises:
        OptionError: one of the libraries is not installed.
    """
    os.environ.setdefault("NNCF_CI", "1")  # without it NNCF tells its makers of each use over the network
    require_libraries("onnx", "openvino", "nncf", purpose="writing OpenVINO files of 8 bits")


def quantised(graph: Any, images: Sequence[Floats]) -> Any:  # noqa: ANN401 - ``openvino.Model``, which has no types
    """An OpenVINO graph in 8 bits.

    Args:
        graph: of one input; it stays as it is.
        images: of what it will meet, (1, C, *S) each, of any size.
    """
    import nncf

    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(io.StringIO()):  # bars of progress
        return nncf.quantize(
            graph, nncf.Dataset(list(images)), preset=nncf.QuantizationPreset.MIXED, subset_size=len(images)
        )


def milliseconds(engines: Sequence[Callable[[Floats], Floats]], images: Floats) -> list[float]:
    """Processor milliseconds that each engine takes for an image, medians of rounds in which they take turns.

    Args:
        engines: each on one thread.
        images: (B, C, *S), as many as are shown at once.
    """
    times: list[list[float]] = [[] for _ in engines]
    for number in range(_ROUNDS + 1):
        for engine, of_engine in zip(engines, times, strict=True):
            started = time.process_time()
            engine(images)
            if number:  # the first round makes them ready
                of_engine.append((time.process_time() - started) / len(images) * 1000)
    return [statistics.median(of_engine) for of_engine in times]
