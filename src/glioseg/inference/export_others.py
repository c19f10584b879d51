"""A network in OpenVINO's format or as a program of PyTorch's, checked as ONNX files are.

``openvino``: the graph of ``export_onnx`` as OpenVINO keeps it, ``model.xml`` beside ``model.bin``, weights in fp32.
``torch``: what ``torch.export`` makes, a ``.pt2`` file that ``torch.export.load(…).module()`` runs without glioseg and
that AOTInductor compiles. Its sizes are multiples of what the network halves its grids to, from two of them on.
"""

from __future__ import annotations

import io
import json
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glioseg.errors import OptionError
from glioseg.inference.export import RESULT, ExportResult, checked_difference, prepared
from glioseg.inference.tracing import ExportError, first_line, images_of_noise, named, require_libraries, traced
from glioseg.io.files import write_bytes
from glioseg.networks.network import Network

Floats = np.ndarray[Any, np.dtype[np.float32]]
_MOST_STEPS = 4096


def export_openvino(
    network: nn.Module,
    path: Path,
    *,
    n_channels: int,
    size: Sequence[int] | None = None,
    dims: int = 2,
    activation: Callable[[Tensor], Tensor] = torch.sigmoid,
    metadata: Mapping[str, str] | None = None,
) -> ExportResult:
    """Write ``path`` (.xml) and the weights beside it (.bin); arguments, result and errors as ``export_onnx``."""
    if path.suffix != ".xml":
        raise OptionError("OpenVINO's files end in .xml", found=path.name, remedy="Name such a file with `--out`")
    require_libraries("onnx", "openvino", purpose="writing OpenVINO files")
    import openvino

    module, any_size, checked = prepared(network, n_channels, size, dims, activation)
    core = openvino.Core()
    graph = core.read_model(io.BytesIO(traced(module, checked[0], any_size=any_size, result=RESULT)))
    for name, text in (metadata or {}).items():
        graph.set_rt_info(text, ["glioseg", name])
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        openvino.save_model(graph, made, compress_to_fp16=False)
        compiled = core.compile_model(core.read_model(made), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        difference = checked_difference(module, lambda images: np.array(compiled(images)[0]), checked, "OpenVINO file")
        n_bytes = sum(_moved(made.with_suffix(ending), path.with_suffix(ending)) for ending in (".bin", ".xml"))
    only = None if any_size or size is None else tuple(size)
    return ExportResult(path, n_bytes, only, difference, tuple(checked), "OpenVINO")


def _moved(made: Path, path: Path) -> int:
    write_bytes(path, made.read_bytes())
    return path.stat().st_size


def export_torch(
    network: nn.Module,
    path: Path,
    *,
    n_channels: int,
    size: Sequence[int] | None = None,
    dims: int = 2,
    activation: Callable[[Tensor], Tensor] = torch.sigmoid,
    metadata: Mapping[str, str] | None = None,
) -> ExportResult:
    """Write a program of PyTorch's; arguments, result and errors as ``export_onnx``.

    ``metadata`` is in the file's ``extra/glioseg.json``.
    """
    if path.suffix != ".pt2":
        raise OptionError("PyTorch's programs end in .pt2", found=path.name, remedy="Name such a file with `--out`")
    module, any_size, (first, *_) = prepared(network, n_channels, size, dims, activation)
    step = 2**network.n_halvings if any_size and isinstance(network, Network) else 1
    spatial = tuple(max(2, -(-n // step)) * step for n in first[2:]) if any_size else first[2:]
    checked = [(2, n_channels, *spatial), (1, n_channels, *spatial)]
    if any_size:
        checked.append((3, n_channels, *(n + step for n in spatial)))
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own workings
            program = torch.export.export(
                module,
                (images_of_noise(checked[0]),),
                dynamic_shapes=(_free_axes(dims, step if any_size else None),),
                strict=False,
            )
            torch.export.save(program, buffer, extra_files={"glioseg.json": json.dumps(dict(metadata or {}))})
            loaded = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    except Exception as error:
        raise ExportError(f"{named(module)} cannot be exported by torch.export", found=first_line(error)) from error

    def run(images: Floats) -> Floats:
        with torch.inference_mode():
            return np.asarray(loaded(torch.from_numpy(images)).numpy())

    difference = checked_difference(module, run, checked, "PyTorch program")
    write_bytes(path, buffer.getvalue())
    n_bytes, only = len(buffer.getvalue()), None if any_size or size is None else tuple(size)
    return ExportResult(path, n_bytes, only, difference, tuple(checked), "PyTorch", step)


def _free_axes(dims: int, step: int | None) -> dict[int, Any]:
    axes: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=_MOST_STEPS)}
    if step is not None:
        for axis, name in enumerate(("depth", "height", "width")[3 - dims :], start=2):
            axes[axis] = step * torch.export.Dim(name, min=2, max=_MOST_STEPS)
    return axes
