"""ONNX files say what the network says, and say what they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from glioseg.errors import OptionError
from glioseg.inference.export import ExportRequest, export_onnx
from glioseg.inference.tracing import ExportError
from glioseg.networks.build import OPTIONS, build_model, kinds_of
from glioseg.networks.unet import UNetOptions

_SMALL: dict[str, dict[str, object]] = {
    "deeplabv3plus": {"width": 4, "pyramid_width": 8, "blocks": (1, 1, 1, 1)},
    "segresnet": {"width": 4, "blocks_down": (1, 1, 1), "blocks_up": (1, 1)},
    "unet++": {"width": 2},
    "mednext": {"width": 4, "blocks": (1, 1)},
}
_FREE = sorted(set(kinds_of("segment")) - {"swinunetr"})


def _network(kind: str, dims: int, n_regions: int = 2) -> nn.Module:
    options = OPTIONS[kind].model_validate({"dims": dims, **_SMALL.get(kind, {"width": 4, "depth": 2})})
    return build_model(options, 3, n_regions, seed=0).eval()  # type: ignore[arg-type]


def _run(path: Path, images: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(None, {"images": images.numpy()})
    return np.asarray(probabilities)


@pytest.mark.parametrize(
    ("kind", "dims"),
    [
        *((kind, 2) for kind in _FREE if kind != "unet++"),
        ("unet", 3),
        pytest.param("unet++", 2, marks=pytest.mark.slow),
        *(pytest.param(kind, 3, marks=pytest.mark.slow) for kind in _FREE if kind not in ("unet", "deeplabv3plus")),
    ],
)
def test_any_batch_and_any_size(kind: str, dims: int, tmp_path: Path) -> None:
    network = _network(kind, dims)
    done = export_onnx(ExportRequest(network, n_channels=3, dims=dims), tmp_path / "model.onnx")
    assert done.difference < 1e-4
    assert done.size is None
    assert done.n_bytes == (tmp_path / "model.onnx").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]  # the weights are inside
    for shape in ((1, 3, 5, 7), (3, 3, 21, 18), (2, 3, 1, 1)):  # none of them was checked on
        images = torch.randn(*shape[:2], *((6,) if dims == 3 else ()), *shape[2:])
        with torch.inference_mode():
            expected = torch.sigmoid(network(images))
        np.testing.assert_allclose(_run(done.path, images), expected, atol=5e-4)  # 1e-4 by rounding, over one pixel


@pytest.mark.slow
def test_swin_takes_one_size_and_any_batch(tmp_path: Path) -> None:
    network = build_model(OPTIONS["swinunetr"].model_validate({"feature_size": 12}), 3, 2, seed=0).eval()  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="one size only"):
        export_onnx(ExportRequest(network, n_channels=3), tmp_path / "model.onnx")
    done = export_onnx(ExportRequest(network, n_channels=3, size=(32, 40)), tmp_path / "model.onnx")
    assert done.size == (32, 40)
    assert done.difference < 1e-4
    images = torch.randn(4, 3, 32, 40)
    with torch.inference_mode():
        np.testing.assert_allclose(_run(done.path, images), torch.sigmoid(network(images)), atol=1e-4)


def test_what_the_file_says_of_itself(tmp_path: Path) -> None:
    said = {"regions": json.dumps(["WT"]), "use": "For research use only"}
    export_onnx(ExportRequest(_network("unet", 2), n_channels=3, metadata=said), tmp_path / "a" / "model.onnx")
    model = onnx.load(tmp_path / "a" / "model.onnx")
    assert {entry.key: entry.value for entry in model.metadata_props} == said
    (images,), (probabilities,) = model.graph.input, model.graph.output
    assert (images.name, probabilities.name) == ("images", "probabilities")
    assert [axis.dim_param or axis.dim_value for axis in images.type.tensor_type.shape.dim] == [
        *("batch", 3, "height", "width")
    ]


def test_another_activation(tmp_path: Path) -> None:
    """Exclusive regions: the probabilities of a voxel sum to one."""

    def softmax(logits: Tensor) -> Tensor:
        return torch.softmax(logits, dim=1)

    network = _network("unet", 2, n_regions=3)
    done = export_onnx(ExportRequest(network, n_channels=3, activation=softmax), tmp_path / "model.onnx")
    np.testing.assert_allclose(_run(done.path, torch.randn(1, 3, 8, 8)).sum(axis=1), 1.0, atol=1e-5)


class _Strange(nn.Module):
    """Something that ONNX has no operator for."""

    def forward(self, images: Tensor) -> Tensor:
        values: Tensor = torch.linalg.svdvals(images)
        return values


class _Undecided(nn.Module):
    """What it does depends on the batch, in a way that tracing does not see."""

    def forward(self, images: Tensor) -> Tensor:
        return images if len(images) == 2 else -images


def test_a_network_that_cannot_is_named_with_the_reason(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExportError, match=r"network _Strange cannot be exported to ONNX; found .*linalg_svdvals"):
        export_onnx(ExportRequest(_Strange(), n_channels=1, size=(4, 4)), tmp_path / "model.onnx")
    assert capfd.readouterr().out == ""  # stdout belongs to results
    assert not list(tmp_path.iterdir())


def test_a_file_that_says_something_else_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"network _Undecided .* other probabilities .* at most 0.001"):
        export_onnx(ExportRequest(_Undecided(), n_channels=1, size=(4, 4)), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_the_extra_is_named_where_a_library_is_missing(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    network = build_model(UNetOptions(width=2, depth=1), 1, 1, seed=0)
    with pytest.raises(OptionError, match=rf"needs {library}, which is not installed.*glioseg\[deploy\]"):
        export_onnx(ExportRequest(network, n_channels=1), tmp_path / "model.onnx")
