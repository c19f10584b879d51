"""What computes a network: PyTorch, or its graph in onnxruntime or OpenVINO, which are quicker on processors.

A backend takes the place of the network inside a bundle: everything around it (preparation, windows, views, thresholds)
stays what it is. The logits are the network's but for rounding: fp32 in onnxruntime, bfloat16 in OpenVINO where the
processor multiplies it. What needs more than logits (gradients, draws of dropout) asks the network itself.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from glioseg.errors import OptionError
from glioseg.inference.activation import probabilities_of
from glioseg.inference.bundle import Bundle, BundleInfo
from glioseg.inference.openvino_core import in_openvino, openvino_core, quickest_precision
from glioseg.inference.tracing import (
    INPUT,
    Engine,
    ExportError,
    first_line,
    images_of_noise,
    in_onnxruntime,
    named,
    require_libraries,
    takes_any_size,
    traced,
    traced_size,
    traced_with,
)
from glioseg.machine.processors import processors
from glioseg.networks.boxed import Boxed, BoxedLevels, is_local, shown_box

Backend = Literal["torch", "onnx", "openvino"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

_LOGITS = "logits"
_TOLERANCE = 0.05
"""What probabilities may differ by on average on noise: bfloat16 stays far below, another computation does not."""


class Compiled(nn.Module):
    """A network whose logits another library computes.

    Args:
        network: itself, for whatever needs its layers.
        computes: gives its logits, those of ``Boxed`` where they are computed in boxes.
        backend: whose it is.
        precision: in which it computes.
        size: of the only images that ``computes`` takes; the network itself is asked about others, such as the samples
            of an uncertainty. None where it takes any.
    """

    def __init__(
        self,
        network: nn.Module,
        computes: Callable[[Tensor], Tensor],
        backend: Backend,
        precision: str,
        size: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.computes = computes
        self.backend = backend
        self.precision = precision
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, *S) -> logits, on the CPU."""
        is_taken = self.size is None or tuple(images.shape[2:]) == self.size
        return self.computes(images) if is_taken else self.network(images)


def own_network(model: nn.Module) -> nn.Module:
    """The network itself, with its layers, whoever computes its logits."""
    return model.network if isinstance(model, Compiled | Boxed) else model


def boxed_of(model: nn.Module) -> Boxed | None:
    """What computes a network in boxes, whoever computes it; None where it is computed whole."""
    computes = model.computes if isinstance(model, Compiled) else model
    return computes if isinstance(computes, Boxed) else None


def layout_of(model: nn.Module, dims: int) -> torch.memory_format:
    """The order in memory of images that a network takes without turning them first."""
    if isinstance(model, Compiled | Boxed):
        return torch.contiguous_format
    return torch.channels_last_3d if dims == 3 else torch.channels_last


def computed_by(model: nn.Module, *, bf16: bool) -> str:
    """Library and precision, such as ``openvino bf16``."""
    if isinstance(model, Compiled):
        return f"{model.backend} {model.precision}"
    return "torch bf16" if bf16 else "torch fp32"


def on_backend(bundle: Bundle, backend: str, device: str = "auto", *, n_threads: int | None = None) -> Bundle:
    """A bundle whose network is computed by another library, checked against the network itself.

    Args:
        bundle: as it was loaded.
        backend: one of ``BACKENDS``; ``torch`` leaves the bundle as it is.
        device: as the user names it; other backends than torch use the processor.
        n_threads: None for as many as there are processors free.

    Raises:
        OptionError: an unknown backend, one that is not installed, or another device than the processor.
        ExportError: the network has a part that the backend lacks, or says something else there.
    """
    if backend not in BACKENDS:
        raise OptionError("there is no such backend", found=backend, expected=f"one of {', '.join(BACKENDS)}")
    if backend == "torch":
        return bundle
    if device not in ("auto", "cpu"):
        raise OptionError(
            f"the backend {backend} computes on the processor",
            found=f"device {device}",
            remedy="Leave `--device` out, or `--backend`",
        )
    library = "onnxruntime" if backend == "onnx" else "openvino"
    require_libraries("onnx", library, purpose=f"the backend {backend}")
    network, shape = bundle.model.cpu().eval(), _traced_on(bundle)
    threads = min(torch.get_num_threads(), processors().threads) if n_threads is None else n_threads
    start = _onnxruntime if backend == "onnx" else _openvino
    boxed, any_size = in_boxes(bundle), takes_any_size(network)
    try:
        if boxed is None:
            data = traced(network, shape, any_size=any_size, result=_LOGITS)
            engine, precision = start(data, threads)
            computes = _on_tensors(engine)
        else:
            engine, precision = start(_traced_levels(boxed, shape), threads)
            computes = Boxed(boxed.network, _on_tensors(engine))
        size = None if any_size else shape[2:]
        compiled = Compiled(network, computes, "onnx" if backend == "onnx" else "openvino", precision, size).eval()
        _require_same(bundle.info, compiled, shape)
    except RuntimeError as error:
        raise ExportError(f"{named(network)} cannot be computed by {library}", found=first_line(error)) from error
    return replace(bundle, model=compiled)


def in_boxes(bundle: Bundle) -> Boxed | None:
    """The bundle's network, computed by PyTorch where images show something; None where its logits are asked elsewhere.

    They are where black voxels may be painted, and where what a network says of one place depends on all others.
    """
    network = bundle.model
    if bundle.info.predict.black_is_background and bundle.info.patches is None and is_local(network):
        return Boxed(network)
    return None


def _on_tensors(engine: Engine) -> Callable[..., Tensor]:
    def computes(*tensors: Tensor) -> Tensor:
        return torch.from_numpy(engine(*(np.ascontiguousarray(tensor.numpy()) for tensor in tensors)))

    return computes


def _traced_levels(boxed: Boxed, shape: Sequence[int]) -> bytes:
    images = _with_border(images_of_noise(tuple(shape)))
    (shown, size) = shown_box(images), tuple(images.shape[2:])
    assert shown is not None
    frame = boxed.frame(size, images.device, shown)
    inputs = {INPUT: images[frame.box], "places": frame.places}
    for number, tensor in enumerate(frame.around):
        inputs[f"{('inside', 'outside')[number % 2]}_{number // 2 + 1}"] = tensor
    free = {name: {2: f"{name}_rows", 3: f"{name}_columns"} for name in (*inputs, _LOGITS) if name != "places"}
    free[INPUT][0] = free[_LOGITS][0] = "batch"
    return traced_with(BoxedLevels(boxed.network), inputs, free, result=_LOGITS)


def _with_border(images: Tensor) -> Tensor:
    """Twice as many rows and columns, black around the images."""
    rows, columns = images.shape[2:]
    left, top = columns // 2, rows // 2
    return F.pad(images, (left, columns - left, top, rows - top))


def _traced_on(bundle: Bundle) -> tuple[int, ...]:
    """(B, C, *S) of the images that a graph is made with; of a network of one size, that size."""
    info, network = bundle.info, bundle.model
    n_channels = info.slices.n_channels(len(info.modalities))
    if takes_any_size(network):
        return (2, n_channels, *traced_size(network, info.dims))
    size = info.recipe_size or info.shape
    if size is None:
        raise OptionError(
            "no size of image is known for this network, and other backends need one",
            found=named(network),
            remedy="Leave `--backend` out",
        )
    return (2, n_channels, *size)


def _require_same(info: BundleInfo, compiled: Compiled, shape: Sequence[int]) -> None:
    images = images_of_noise(tuple(shape))
    in_part = boxed_of(compiled) is not None
    if in_part:
        images = _with_border(images)
    shown = images.any(dim=1, keepdim=True).numpy() if in_part else np.True_
    with torch.inference_mode():
        expected, actual = (
            probabilities_of(model(images), info.activation).numpy() for model in (compiled.network, compiled)
        )
    difference = float(np.abs(expected - actual).mean(where=shown))
    if not difference <= _TOLERANCE:
        raise ExportError(
            f"{named(compiled.network)} says something else in {compiled.backend}",
            found=f"probabilities that differ by {difference:.2g} on average",
            expected=f"at most {_TOLERANCE:g}",
            remedy="Leave `--backend` out",
        )


def _onnxruntime(data: bytes, n_threads: int) -> tuple[Engine, str]:
    return in_onnxruntime(data, _LOGITS, n_threads=n_threads), "fp32"


def _openvino(data: bytes, n_threads: int) -> tuple[Engine, str]:
    precision = quickest_precision()
    engine = in_openvino(openvino_core().read_model(io.BytesIO(data)), precision, n_threads=n_threads)
    return engine, "bf16" if precision == "bf16" else "fp32"
