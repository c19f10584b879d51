"""A network as a graph of ONNX operators in memory: what files for other programs and other backends are made of.

PyTorch's exporter that traces is used, not the newer one on ``torch.export``: for these networks it gives graphs for
any size of image, needs no further library and a second in the place of a minute. What it cannot follow (control flow
in Python) goes unnoticed: whoever takes the graph compares it with the network.

Source: Open Neural Network Exchange, https://onnx.ai (operators of version 18).
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glioseg.errors import GliosegError, OptionError
from glioseg.networks.network import Network

OPSET = 18
INPUT = "images"
_AXES = ("depth", "height", "width")

Floats = npt.NDArray[np.float32]
AnyArray = npt.NDArray[Any]
Engine = Callable[..., Floats]
"""Images (B, C, *S), and whatever else a graph asks for -> what another library computes of them."""


class ExportError(GliosegError):
    """A network that cannot be written in another format, or would say something else there."""


def require_libraries(*names: str, purpose: str) -> None:
    """Import what the extra ``deploy`` brings.

    Raises:
        OptionError: one of them is not installed.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise OptionError(
                f"{purpose} needs {error.name or name}, which is not installed",
                remedy="Install the extra deploy: pip install 'glioseg[deploy]'",
            ) from error


def takes_any_size(network: nn.Module) -> bool:
    """Whether one graph of a network serves for every size of image."""
    return isinstance(network, Network) and network.traces_any_size


def step_of(network: nn.Module) -> int:
    """What a network halves its grids to: images of a multiple of it need no margins."""
    return 2**network.n_halvings if isinstance(network, Network) else 1


def traced_size(network: nn.Module, dims: int) -> tuple[int, ...]:
    """The size of the images that a graph for any size is made with: small, and not the same along all axes."""
    step = step_of(network)
    return (2 * step,) * (dims - 1) + (3 * step,)


def in_onnxruntime(data: bytes, result: str, *, n_threads: int | None = None) -> Engine:
    """What onnxruntime computes of an ONNX graph on the processor.

    Args:
        data: the graph.
        result: the name of what comes out.
        n_threads: None for as many as onnxruntime takes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors come as exceptions
    if n_threads is not None:
        options.intra_op_num_threads = n_threads
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]

    def engine(*arrays: AnyArray) -> Floats:
        return np.asarray(session.run([result], dict(zip(names, arrays, strict=True)))[0])

    return engine


def traced(module: nn.Module, shape: tuple[int, ...], *, any_size: bool, result: str) -> bytes:
    """An ONNX graph of a module: ``images`` (B, C, *S) float32 -> ``result``.

    Args:
        module: in evaluation mode, on the CPU, in float32.
        shape: (B, C, *S) of the images that it is traced with; B is free afterwards,
        any_size: and so is S.
        result: name of what comes out.

    Raises:
        ExportError: the network has a part that ONNX lacks.
    """
    names = _AXES[-(len(shape) - 2) :] if any_size else ()
    free = {0: "batch"} | dict(enumerate(names, start=2))
    return traced_with(module, {INPUT: images_of_noise(shape)}, {INPUT: free, result: free}, result=result)


def traced_with(
    module: nn.Module, inputs: Mapping[str, Tensor], free: Mapping[str, Mapping[int, str]], *, result: str
) -> bytes:
    """An ONNX graph of a module of several inputs.

    Args:
        module: as of ``traced``, as are ``result`` and what is raised.
        inputs: what it is traced with, by name, in the order of its arguments.
        free: by the name of an input or of the result, the axes that may have any length, and what they are called.
        result: name of what comes out.
    """
    buffer: Any = io.BytesIO()  # PyTorch takes a buffer as well as the path that its types ask for
    try:
        with warnings.catch_warnings(), _nothing_on_stdout():
            warnings.simplefilter("ignore")  # of what tracing might miss: the check afterwards is what counts
            torch.onnx.export(
                module,
                tuple(inputs.values()),
                buffer,
                dynamo=False,
                opset_version=OPSET,
                do_constant_folding=False,  # onnxruntime folds by itself, and PyTorch's folds Swin's masks wrongly
                input_names=list(inputs),
                output_names=[result],
                dynamic_axes=free,
            )
    except Exception as error:
        raise ExportError(f"{named(module)} cannot be exported to ONNX", found=first_line(error)) from error
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


def images_of_noise(shape: tuple[int, ...]) -> Tensor:
    """Random images (B, C, *S), the same for one shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def named(module: nn.Module) -> str:
    """A network in words: its kind, or its class; of a module around a network the network's."""
    network = getattr(module, "network", module)
    kind = getattr(getattr(network, "options", None), "kind", None)
    return f"the network {kind or type(network).__name__}"


def first_line(error: BaseException) -> str:
    """What a library says, without the nodes of the graph that it lists."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].partition("  [Caused by")[0]
