"""A network as an ONNX file that gives probabilities, checked by onnxruntime against the network itself.

What tracing cannot follow (control flow in Python) would go unnoticed; so every file is run on images of other sizes
than it was traced with before it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from glioseg.errors import OptionError
from glioseg.inference.tracing import (
    Engine,
    ExportError,
    Floats,
    first_line,
    images_of_noise,
    in_onnxruntime,
    named,
    require_libraries,
    step_of,
    takes_any_size,
    traced,
    traced_size,
)
from glioseg.io.files import write_bytes

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
        checked: the shapes (B, C, *S) of the random images that it was checked on; none where it was on scans, of which
            ``notes`` tell.
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


@dataclass(frozen=True, eq=False)
class ExportRequest:
    """A network to be written in another format.

    Args:
        network: in evaluation mode, on the CPU, in float32.
        n_channels: of its images.
        size: of the images, for a network that takes one size only; it is among those checked for the others.
        dims: spatial axes.
        activation: logits -> probabilities.
        metadata: name -> text, written into the file.
    """

    network: nn.Module
    n_channels: int
    size: Sequence[int] | None = None
    dims: int = 2
    activation: Callable[[Tensor], Tensor] = torch.sigmoid
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def any_size(self) -> bool:
        """Whether one file serves for every size of image."""
        return takes_any_size(self.network)

    @property
    def only_size(self) -> tuple[int, ...] | None:
        """The only size that the file takes; None for any."""
        return None if self.any_size or self.size is None else tuple(self.size)

    @property
    def module(self) -> ProbabilityNetwork:
        """What is exported."""
        return ProbabilityNetwork(self.network, self.activation).eval()

    def shapes(self) -> list[tuple[int, ...]]:
        """(B, C, *S) of what is traced, first, and of the others to check on: another batch and, where sizes are free,
        two other sizes. One of these is no multiple of anything and makes the network pad inside.

        Raises:
            OptionError: the network takes one size only and none is given.
        """
        if self.size is None and not self.any_size:
            raise OptionError(
                "this network takes images of one size only in other formats",
                expected=f"a size: {self.dims} numbers, such as {'x'.join(['128'] * self.dims)}",
                remedy="Name it with `--size`",
            )
        first = traced_size(self.network, self.dims) if self.size is None else tuple(self.size)
        sizes = [first, first]
        if self.any_size:
            step = step_of(self.network)
            sizes += [(step + 1,) * (self.dims - 1) + (2 * step + 3,), (2 * step,) * self.dims]
        return [(batch, self.n_channels, *spatial) for batch, spatial in zip((2, 1, 3, 1), sizes, strict=False)]


def export_onnx(request: ExportRequest, path: Path) -> ExportResult:
    """Write an ONNX file: ``images`` (B, n_channels, *S) float32 -> ``probabilities`` (B, R, *S) float32.

    B is free, S too where the network's operations allow it (``Network.traces_any_size``).

    Raises:
        OptionError: onnx or onnxruntime is not installed, or the network takes one size only and none is given.
        ExportError: the network has a part that ONNX lacks, or the file's probabilities differ; nothing is written.
        FileError: the file cannot be written.
    """
    require_libraries("onnx", "onnxruntime", purpose="writing ONNX files")
    module, checked = request.module, request.shapes()
    data = _described(traced(module, checked[0], any_size=request.any_size, result=RESULT), request.metadata)
    difference = checked_difference(module, partial(in_onnxruntime, data, RESULT), checked, "ONNX file")
    write_bytes(path, data)
    return ExportResult(path, len(data), request.only_size, difference, tuple(checked))


def checked_difference(
    module: ProbabilityNetwork, read_back: Callable[[], Engine], shapes: Sequence[tuple[int, ...]], what: str
) -> float:
    """The largest difference of a probability on random images.

    Args:
        module: what was exported.
        read_back: gives what computes it from the file.
        shapes: of the images.
        what: the file is, in words.

    Raises:
        ExportError: it is too large, or the file does not run.
    """
    engine: Engine | None = None
    differences = []
    for shape in shapes:
        try:
            engine = engine or read_back()
            probabilities = engine(images_of_noise(shape).numpy())
        except Exception as error:
            raise ExportError(
                f"{named(module)} cannot be exported: its {what} does not run on images {shape}",
                found=first_line(error),
            ) from error
        expected = probabilities_on_noise(module.network, module.activation, shape)
        is_alike = probabilities.shape == expected.shape
        differences.append(float(np.abs(probabilities - expected).max()) if is_alike else np.inf)
    difference = float(np.max(differences))  # not a number, where one of them is
    if not difference <= TOLERANCE:
        raise ExportError(
            f"{named(module)} cannot be exported: its {what} gives other probabilities than the network",
            found=f"a difference of {difference:.2g}",
            expected=f"at most {TOLERANCE:g}",
        )
    return difference


def _described(data: bytes, metadata: Mapping[str, str]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def probabilities_on_noise(
    network: nn.Module, activation: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> Floats:
    """What a network says of random images (B, C, *S), always the same ones: (B, R, *S)."""
    with torch.inference_mode():
        probabilities: Floats = activation(network(images_of_noise(shape))).numpy()
    return probabilities
