"""Other libraries say what the network says, and say so."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glioseg.cohorts.phantom import PhantomOptions, generate_patient
from glioseg.core import Image
from glioseg.errors import GliosegError, OptionError
from glioseg.inference import backends
from glioseg.inference.backends import BACKENDS, Compiled, computed_by, layout_of, on_backend, own_network
from glioseg.inference.bundle import Bundle, load_bundle
from glioseg.inference.shipped import SHIPPED
from glioseg.inference.slices import FLIPS
from glioseg.inference.tracing import ExportError, takes_any_size
from glioseg.inference.uncertainty import UncertaintyOptions, Viewed, views_of
from glioseg.networks.blocks import is_traced
from glioseg.tasks.segment.predictor import predictor_of

OTHERS = [name for name in BACKENDS if name != "torch"]


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load_bundle(Path("model:phantom"))


@pytest.fixture(scope="module")
def phantom() -> Image:
    return generate_patient(PhantomOptions(n_patients=1, spacing_mm=3.0), 0).image


def test_torch_leaves_a_bundle_as_it_is(shipped: Bundle) -> None:
    assert on_backend(shipped, "torch") is shipped
    assert own_network(shipped.model) is shipped.model
    assert (computed_by(shipped.model, bf16=True), computed_by(shipped.model, bf16=False)) == (
        "torch bf16",
        "torch fp32",
    )


@pytest.mark.parametrize("backend", OTHERS)
def test_the_mask_of_a_phantom_is_the_same_but_for_few_voxels(backend: str, shipped: Bundle, phantom: Image) -> None:
    exact = replace(predictor_of(shipped, "cpu"), bf16=False).predict(phantom)
    bundle = on_backend(shipped, backend, n_threads=1)
    found = predictor_of(bundle, "cpu").predict(phantom)
    assert own_network(bundle.model) is shipped.model
    different = int((found.label_map.array != exact.label_map.array).sum())
    n_drawn = int((exact.label_map.array > 0).sum())
    assert n_drawn > 500
    assert different <= (0 if backend == "onnx" else 0.01 * n_drawn)
    np.testing.assert_allclose(found.probabilities, exact.probabilities, atol=1e-3 if backend == "onnx" else 0.2)


@pytest.mark.parametrize("backend", OTHERS)
def test_any_batch_and_size_in_the_precision_that_is_said(backend: str, shipped: Bundle) -> None:
    model = on_backend(shipped, backend, n_threads=1).model
    assert computed_by(model, bf16=True) in (f"{backend} fp32", "openvino bf16")
    assert layout_of(model, 2) == torch.contiguous_format
    atol, rtol = (1e-3, 0.0) if computed_by(model, bf16=False).endswith("fp32") else (0.5, 0.2)
    first = None
    for shape in ((1, 12, 33, 40), (3, 12, 20, 17)):
        images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            logits, expected = model(images), shipped.model(images)
        np.testing.assert_allclose(logits, expected, atol=atol, rtol=rtol)
        if first is None:
            first = logits, logits.clone()
    assert first is not None
    assert torch.equal(*first)  # what is asked later is not written over what was said before


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_what_is_shown_is_computed_where_nothing_else_is_painted(backend: str, shipped: Bundle) -> None:
    """Logits of a small box in a black slice are the network's there; elsewhere only where that may be painted."""
    images = torch.zeros(2, 12, 96, 80)
    images[..., 40:60, 20:43] = torch.randn(2, 12, 20, 23, generator=torch.Generator().manual_seed(1))
    painting = shipped.info.model_copy(
        update={"predict": shipped.info.predict.model_copy(update={"black_is_background": False})}
    )
    with torch.inference_mode():
        expected = shipped.model(images)
        for info in (shipped.info, painting):
            bundle = on_backend(replace(shipped, info=info), backend, n_threads=1)
            model = predictor_of(bundle, "cpu").model
            assert own_network(model) is shipped.model
            logits = model(images)
            atol = 1e-3 if not computed_by(model, bf16=False).endswith("bf16") else 0.5
            np.testing.assert_allclose(logits[..., 40:60, 20:43], expected[..., 40:60, 20:43], atol=atol)
            if info is painting:
                np.testing.assert_allclose(logits, expected, atol=atol)
            else:
                assert not logits[..., :30, :].any()


@pytest.mark.parametrize(
    ("flips", "activation"), [*((flips, "sigmoid") for flips in FLIPS), ("lr", "softmax")], ids=lambda value: value
)
@pytest.mark.parametrize("shape", [(96, 96), (90, 90)], ids=["in boxes", "padded to the network's step"])
def test_probabilities_of_a_case_are_those_of_whole_slices(
    flips: str, activation: str, shape: tuple[int, int], shipped: Bundle, phantom: Image
) -> None:
    """Where something is shown to a rounding, in every view; slices of other sizes go through the boxes one by one."""
    boxed = replace(predictor_of(shipped, "cpu"), bf16=False, shape=None)
    boxed = replace(
        boxed,
        options=boxed.options.model_copy(update={"flips": flips, "activation": activation}),
        prepare=boxed.prepare.model_copy(update={"size": shape[0]}),
    )
    arrays = boxed.prepared(phantom)
    assert arrays.images.shape[2:] == shape
    some = slice(0, 60, 4)
    images, non_black = arrays.images[some].copy(), arrays.non_black[some]
    images[:, :, :40] = images[:, :, :, 75:] = 0  # boxes that lie askew
    told: list[tuple[int, int]] = []
    boxed = replace(boxed, told=lambda done, of: told.append((done, of)))
    found = boxed.probabilities(images, non_black)
    expected = replace(boxed, model=shipped.model).probabilities(images, non_black)
    assert len(expected) == (3 if activation == "sigmoid" else 2)
    assert expected.max() > 0.5
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert told[-1][0] == told[-1][1] > 0


@pytest.mark.skipif(not SHIPPED["tumour-or-none"].is_installed, reason="weights-research is not installed")
@pytest.mark.parametrize("backend", OTHERS)
def test_images_of_another_size_than_the_graph_s_are_asked_of_the_network(backend: str) -> None:
    """A classifier's graph takes one size; samples of an uncertainty show it at others too."""
    bundle = load_bundle(Path("model:tumour-or-none"))
    assert not takes_any_size(bundle.model)
    model, size = on_backend(bundle, backend, n_threads=1).model, bundle.info.prepare.size
    assert size is not None
    for n in (size, size - 32):
        images = torch.randn((2, 1, n, n), generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            np.testing.assert_allclose(model(images), bundle.model(images), atol=0.5 if n == size else 0)
    views = views_of(model, 2, UncertaintyOptions())
    with torch.inference_mode():
        assert all(Viewed(model, view)(images).shape == (2, 2) for view in views)


class _Undecided(nn.Module):
    """What it does depends on the batch, in a way that tracing does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        turn = 1.0 if is_traced() else -1.0
        return 5 * turn * self.scale * images[:, :3]


@pytest.mark.parametrize("backend", OTHERS)
def test_a_network_that_would_say_something_else_is_refused(backend: str, shipped: Bundle) -> None:
    with pytest.raises(ExportError, match=rf"network _Undecided says something else in {backend}; .*differ by 0\.\d"):
        on_backend(replace(shipped, model=_Undecided()), backend)


@pytest.mark.parametrize(
    ("backend", "device", "message"),
    [
        ("tensorrt", "auto", "no such backend; found tensorrt; expected one of torch, onnx, openvino"),
        ("onnx", "cuda:0", "backend onnx computes on the processor; found device cuda:0"),
    ],
)
def test_what_is_not_there_is_refused(backend: str, device: str, message: str, shipped: Bundle) -> None:
    with pytest.raises(OptionError, match=message):
        on_backend(shipped, backend, device)


@pytest.mark.parametrize(
    ("backend", "library"), [("onnx", "onnxruntime"), ("openvino", "openvino"), ("openvino", "onnx")]
)
def test_the_extra_is_named(backend: str, library: str, shipped: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(OptionError, match=rf"needs {library}, which is not installed.*glioseg\[deploy\]"):
        on_backend(shipped, backend)


def test_a_library_that_cannot_is_named(shipped: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(data: bytes, n_threads: int) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(backends, "_openvino", fails)
    with pytest.raises(GliosegError, match="network unet cannot be computed by openvino; found no such operator"):
        on_backend(shipped, "openvino")
    assert not any(part.training for part in shipped.model.modules())  # the exporter changes modes, and back


def test_layers_are_asked_of_the_network_itself(shipped: Bundle) -> None:
    """Dropout draws and gradients need layers, which the other library hides."""
    compiled = on_backend(shipped, "onnx", n_threads=1).model
    assert isinstance(compiled, Compiled)
    assert {id(part) for part in shipped.model.modules()} < {id(part) for part in compiled.modules()}


_CTRL_C = """
import gc, os, signal, threading
from pathlib import Path
from glioseg.inference.backends import on_backend
from glioseg.inference.bundle import load_bundle
got = []
signal.signal(signal.SIGINT, lambda *told: got.append(told))
kept = [on_backend(load_bundle(Path("model:phantom")), "openvino", n_threads=1)]
let_go = threading.Thread(target=lambda: (kept.clear(), gc.collect()))
let_go.start()
let_go.join()
os.kill(os.getpid(), signal.SIGINT)
print(len(got))
"""


def test_ctrl_c_is_heard_once_a_network_on_openvino_is_gone() -> None:
    """A core that is freed by another thread than made it takes the stack for signals along."""
    ran = subprocess.run([sys.executable, "-c", _CTRL_C], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, "1"), ran.stderr
