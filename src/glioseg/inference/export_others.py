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
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glioseg.inference.export import RESULT, ExportRequest, ExportResult, checked_difference
from glioseg.inference.openvino_core import in_openvino, openvino_core
from glioseg.inference.tracing import (
    Engine,
    ExportError,
    Floats,
    first_line,
    images_of_noise,
    named,
    require_libraries,
    step_of,
    traced,
)
from glioseg.io.files import write_bytes

_MOST_STEPS = 4096


def export_openvino(request: ExportRequest, path: Path) -> ExportResult:
    """Write ``path`` (.xml) and the weights beside it (.bin); errors as ``export_onnx``."""
    require_libraries("onnx", "openvino", purpose="writing OpenVINO files")
    import openvino

    module, checked, graph = request.module, request.shapes(), openvino_graph(request)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        openvino.save_model(graph, made, compress_to_fp16=False)

        def read_back() -> Engine:
            return in_openvino(openvino_core().read_model(made), "f32")

        difference = checked_difference(module, read_back, checked, "OpenVINO file")
        n_bytes = move_graph(made, path)
    return ExportResult(path, n_bytes, request.only_size, difference, tuple(checked), "OpenVINO")


def openvino_graph(request: ExportRequest) -> Any:  # noqa: ANN401 - ``openvino.Model``, which has no types
    """The graph of images -> probabilities with all that the file says of itself; errors as ``traced``."""
    data = traced(request.module, request.shapes()[0], any_size=request.any_size, result=RESULT)
    graph = openvino_core().read_model(io.BytesIO(data))
    for name, text in request.metadata.items():
        graph.set_rt_info(text, ["glioseg", name])
    return graph


def move_graph(made: Path, path: Path) -> int:
    """Both files of a graph to where they shall lie, the weights first; their bytes."""
    return sum(_moved(made.with_suffix(ending), path.with_suffix(ending)) for ending in (".bin", ".xml"))


def _moved(made: Path, path: Path) -> int:
    write_bytes(path, made.read_bytes())
    return path.stat().st_size


def export_torch(request: ExportRequest, path: Path) -> ExportResult:
    """Write a program of PyTorch's; errors as ``export_onnx``. The metadata is in its ``extra/glioseg.json``."""
    module, step = request.module, step_of(request.network) if request.any_size else 1
    checked = _multiples(request, step)
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own workings
            program = torch.export.export(
                module,
                (images_of_noise(checked[0]),),
                dynamic_shapes=(_free_axes(request.dims, step if request.any_size else None),),
                strict=False,
            )
            torch.export.save(program, buffer, extra_files={"glioseg.json": json.dumps(dict(request.metadata))})
            loaded = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    except Exception as error:
        raise ExportError(f"{named(module)} cannot be exported by torch.export", found=first_line(error)) from error

    def run(images: Floats) -> Floats:
        with torch.inference_mode():
            return np.asarray(loaded(torch.from_numpy(images)).numpy())

    difference = checked_difference(module, lambda: run, checked, "PyTorch program")
    data = buffer.getvalue()
    write_bytes(path, data)
    return ExportResult(path, len(data), request.only_size, difference, tuple(checked), "PyTorch", step)


def _multiples(request: ExportRequest, step: int) -> list[tuple[int, ...]]:
    """The shapes that a program is made with, first, and checked on: it takes multiples of the network's step alone."""
    first = request.shapes()[0][2:]
    spatial = tuple(max(2, -(-n // step)) * step for n in first) if request.any_size else first
    shapes = [(batch, request.n_channels, *spatial) for batch in (2, 1)]
    return [*shapes, (3, request.n_channels, *(n + step for n in spatial))] if request.any_size else shapes


def _free_axes(dims: int, step: int | None) -> dict[int, Any]:
    axes: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=_MOST_STEPS)}
    if step is not None:
        for axis, name in enumerate(("depth", "height", "width")[3 - dims :], start=2):
            axes[axis] = step * torch.export.Dim(name, min=2, max=_MOST_STEPS)
    return axes
