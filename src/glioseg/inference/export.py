"""A network as an ONNX file that gives probabilities, checked by onnxruntime against the network itself.

What tracing cannot follow (control flow in Python) would go unnoticed; so every file is run on images of other sizes
than it was traced with before it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glioseg.errors import OptionError
from glioseg.inference.tracing import (
    INPUT,
    ExportError,
    first_line,
    images_of_noise,
    named,
    require_libraries,
    takes_any_size,
    traced,
)
from glioseg.io.files import write_bytes
from glioseg.networks.network import Network

TOLERANCE = 1e-3
"""The largest difference of a probability that is let pass."""

RESULT = "probabilities"


class ProbabilityNetwork(nn.Module):
    """A network and what turns its logits into probabilities, as one module.

    Args:
        network: gives logits; must be in evaluation mode.
        activation: logits -> probabilities.
    """

    def __init__(self, network: nn.Module, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network
        self.activation = activation

    def forward(self, images: Tensor) -> Tensor:
        """Images -> probabilities, of the shape of the logits."""
        return self.activation(self.network(images))


@dataclass(frozen=True)
class ExportResult:
    """A file that was written.

    Args:
        path: the file.
        n_bytes: its size.
        size: the only size of image that it takes, without batch and channels; None for any.
        difference: the largest that a probability differs by from the network's own.
        checked: the shapes (B, C, *S) of the images that it was checked on.
        checker: what ran it.
        step: images of any size that is a multiple of it, along each axis.
        notes: what else was written, or was not and why.
    """

    path: Path
    n_bytes: int
    size: tuple[int, ...] | None
    difference: float
    checked: tuple[tuple[int, ...], ...]
    checker: str = "onnxruntime"
    step: int = 1
    notes: tuple[str, ...] = ()


def export_onnx(
    network: nn.Module,
    path: Path,
    *,
    n_channels: int,
    size: Sequence[int] | None = None,
    dims: int = 2,
    activation: Callable[[Tensor], Tensor] = torch.sigmoid,
    metadata: Mapping[str, str] | None = None,
) -> ExportResult:
    """Write an ONNX file: ``images`` (B, n_channels, *S) float32 -> ``probabilities`` (B, R, *S) float32.

    B is free, S too where the network's operations allow it (``Network.traces_any_size``).

    Args:
        network: in evaluation mode, on the CPU, in float32.
        path: the file.
        n_channels: of the images.
        size: of the images, for a network that takes one size only; it is among those checked for the others.
        dims: spatial axes.
        activation: logits -> probabilities.
        metadata: name -> text, written into the file.

    Raises:
        OptionError: onnx or onnxruntime is not installed, or the network takes one size only and none is given.
        ExportError: the network has a part that ONNX lacks, or the file's probabilities differ; nothing is written.
        FileError: the file cannot be written.
    """
    require_libraries("onnx", "onnxruntime", purpose="writing ONNX files")
    module, any_size, checked = prepared(network, n_channels, size, dims, activation)
    data = _described(traced(module, checked[0], any_size=any_size, result=RESULT), metadata or {})
    difference = checked_difference(module, _onnxruntime(data), checked, "ONNX file")
    write_bytes(path, data)
    return ExportResult(path, len(data), None if any_size or size is None else tuple(size), difference, tuple(checked))


Run = Callable[[np.ndarray[Any, np.dtype[np.float32]]], np.ndarray[Any, np.dtype[np.float32]]]
"""Images (B, C, *S) -> probabilities, by whatever reads the file."""


def prepared(
    network: nn.Module,
    n_channels: int,
    size: Sequence[int] | None,
    dims: int,
    activation: Callable[[Tensor], Tensor],
) -> tuple[ProbabilityNetwork, bool, list[tuple[int, ...]]]:
    """What is exported, whether it takes any size, and the shapes that it is made with (the first) and checked on.

    Raises:
        OptionError: the network takes one size only and none is given.
    """
    any_size = takes_any_size(network)
    if size is None and not any_size:
        raise OptionError(
            "this network takes images of one size only in other formats",
            expected=f"a size: {dims} numbers, such as {'x'.join(['128'] * dims)}",
            remedy="Name it with `--size`",
        )
    shapes = _shapes(network, n_channels, dims, size, any_size)
    return ProbabilityNetwork(network, activation).eval(), any_size, shapes


def checked_difference(module: ProbabilityNetwork, run: Run, shapes: Sequence[tuple[int, ...]], what: str) -> float:
    """The largest difference of a probability on random images.

    Raises:
        ExportError: it is too large, or the file does not run.
    """
    difference = max(_difference(module, run, shape, what) for shape in shapes)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"{named(module)} cannot be exported: its {what} gives other probabilities than the network",
            found=f"a difference of {difference:.2g}",
            expected=f"at most {TOLERANCE:g}",
        )
    return difference


def _shapes(
    network: nn.Module, n_channels: int, dims: int, size: Sequence[int] | None, any_size: bool
) -> list[tuple[int, ...]]:
    """What is traced, first, and the others to check on: another batch and, where sizes are free, two other sizes.

    One of these is no multiple of anything and makes the network pad inside.
    """
    step = 2**network.n_halvings if isinstance(network, Network) else 1
    traced = tuple(size) if size is not None else (2 * step,) * (dims - 1) + (3 * step,)
    sizes = [traced, traced]
    if any_size:
        sizes += [(step + 1,) * (dims - 1) + (2 * step + 3,), (2 * step,) * dims]
    return [(batch, n_channels, *spatial) for batch, spatial in zip((2, 1, 3, 1), sizes, strict=False)]


def _described(data: bytes, metadata: Mapping[str, str]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _onnxruntime(data: bytes) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors come as exceptions

    def run(images: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return np.asarray(session.run([RESULT], {INPUT: images})[0])

    return run


def _difference(module: ProbabilityNetwork, run: Run, shape: tuple[int, ...], what: str) -> float:
    try:
        probabilities = run(images_of_noise(shape).numpy())
    except Exception as error:
        raise ExportError(
            f"{named(module)} cannot be exported: its {what} does not run on images {shape}",
            found=first_line(error),
        ) from error
    expected = probabilities_on_noise(module.network, module.activation, shape)
    if probabilities.shape != expected.shape:
        return float("inf")
    return float(np.abs(probabilities - expected).max())


def probabilities_on_noise(
    network: nn.Module, activation: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What a network says of random images (B, C, *S), always the same ones: (B, R, *S)."""
    with torch.inference_mode():
        probabilities: np.ndarray[Any, np.dtype[np.float32]] = activation(network(images_of_noise(shape))).numpy()
    return probabilities
