"""A network as an ONNX file that gives probabilities, checked by onnxruntime against the network itself.

PyTorch's exporter that traces is used, not the newer one on ``torch.export``: for these networks it gives files for any
size of image, needs no further library and a second in the place of a minute. What it cannot follow (control flow in
Python) would go unnoticed; so every file is run on images of other sizes than it was traced with before it is written.

Source: Open Neural Network Exchange, https://onnx.ai (operators of version 18).
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glioseg.errors import GliosegError, OptionError
from glioseg.io.files import replacing
from glioseg.networks.network import Network

OPSET = 18
TOLERANCE = 1e-3
"""The largest difference of a probability that is let pass."""

_INPUT, _RESULT = "images", "probabilities"
_AXES = ("depth", "height", "width")


class ExportError(GliosegError):
    """A network that cannot be written in another format, or would say something else there."""


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
    """

    path: Path
    n_bytes: int
    size: tuple[int, ...] | None
    difference: float
    checked: tuple[tuple[int, ...], ...]


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
    _require_libraries()
    module = ProbabilityNetwork(network, activation).eval()
    any_size = isinstance(network, Network) and network.traces_any_size
    if size is None and not any_size:
        raise OptionError(
            "this network takes images of one size only in ONNX",
            expected=f"a size: {dims} numbers, such as {'x'.join(['128'] * dims)}",
            remedy="Name it with `--size`",
        )
    checked = _shapes(network, n_channels, dims, size, any_size)
    data = _traced(module, checked[0], any_size)
    data = _described(data, metadata or {})
    difference = max(_difference(module, data, shape) for shape in checked)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"{_named(network)} cannot be exported: its ONNX file gives other probabilities than the network",
            found=f"a difference of {difference:.2g}",
            expected=f"at most {TOLERANCE:g}",
        )
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return ExportResult(path, len(data), None if any_size or size is None else tuple(size), difference, tuple(checked))


def _require_libraries() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise OptionError(
            f"writing ONNX files needs {error.name}, which is not installed",
            remedy="Install the extra deploy: pip install 'glioseg[deploy]'",
        ) from error


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


def _traced(module: ProbabilityNetwork, shape: tuple[int, ...], any_size: bool) -> bytes:
    names = _AXES[-(len(shape) - 2) :] if any_size else ()
    free = {0: "batch"} | dict(enumerate(names, start=2))
    buffer: Any = io.BytesIO()  # PyTorch takes a buffer as well as the path that its types ask for
    try:
        with warnings.catch_warnings(), _nothing_on_stdout():
            warnings.simplefilter("ignore")  # of what tracing might miss: the check afterwards is what counts
            torch.onnx.export(
                module,
                (images_of_noise(shape),),
                buffer,
                dynamo=False,
                opset_version=OPSET,
                do_constant_folding=False,  # onnxruntime folds by itself, and PyTorch's folds Swin's masks wrongly
                input_names=[_INPUT],
                output_names=[_RESULT],
                dynamic_axes={_INPUT: free, _RESULT: free},
            )
    except Exception as error:
        raise ExportError(f"{_named(module.network)} cannot be exported to ONNX", found=_first_line(error)) from error
    return bytes(buffer.getvalue())


@contextmanager
def _nothing_on_stdout() -> Iterator[None]:
    """Where an export fails, PyTorch prints the whole graph on the process's stdout, and no setting turns that off."""
    sys.stdout.flush()
    stdout = os.dup(1)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def _described(data: bytes, metadata: Mapping[str, str]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _difference(module: ProbabilityNetwork, data: bytes, shape: tuple[int, ...]) -> float:
    """The largest difference of a probability on random images."""
    import onnxruntime

    images = images_of_noise(shape)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors come as exceptions
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        (probabilities,) = session.run([_RESULT], {_INPUT: images.numpy()})
    except Exception as error:
        raise ExportError(
            f"{_named(module.network)} cannot be exported: onnxruntime does not run its file on images {shape}",
            found=_first_line(error),
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


def images_of_noise(shape: tuple[int, ...]) -> Tensor:
    """Random images (B, C, *S), the same for one shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _named(network: nn.Module) -> str:
    kind = getattr(getattr(network, "options", None), "kind", None)
    return f"the network {kind or type(network).__name__}"


def _first_line(error: BaseException) -> str:
    """What a library says, without the nodes of the graph that it lists."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].partition("  [Caused by")[0]
