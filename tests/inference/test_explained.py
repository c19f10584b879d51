"""What a network that segments looked at: attributions that can be worked out, and maps that depend on the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glioseg.core import Grid, Image, scheme_named
from glioseg.errors import OptionError
from glioseg.inference.explained import attention_map, explain, integrated_gradients, region_grad_cam
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Predictor
from glioseg.inference.uncertainty import Shown
from glioseg.networks.unet import AttentionUNetOptions, UNet, UNetOptions
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions
from glioseg.preparation.slices import SliceOptions

GRID = Grid((16, 12, 3), np.diag([-1.0, -1.0, 2.0, 1.0]))  # as the network sees it


class Weighs(nn.Module):
    """Logit: 3 times the first channel less the second, times 2; a convolution that can be written down."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 1, 1, bias=False)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([6.0, -2.0]).reshape(1, 2, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layer(images)
        return logits


def _predictor(model: nn.Module, **changes: Any) -> Predictor:
    fields: dict[str, Any] = {
        "model": model.eval(),
        "modalities": ("t2f", "t1c"),
        "regions": ("WT",),
        "scheme": scheme_named("brats2023"),
        "prepare": PrepareOptions(normalise="none", brain_only=False),
        "slices": SliceOptions(),
        "options": PredictOptions(),
    }
    return Predictor(**(fields | changes))


def _shown(predictor: Predictor, values: Any) -> Shown:
    return Shown.of(predictor.prepared(Image(np.asarray(values, np.float32), ("t2f", "t1c"), GRID)))


def _mean(logits: Tensor) -> Tensor:
    return logits[:, 0].flatten(1).mean(dim=1)


def test_gradients_of_a_linear_network_are_its_terms() -> None:
    """Of the mean of 6 a − 2 b over 4 pixels each pixel of the first channel adds 6 a / 4, of the second −2 b / 4."""
    images = torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8]).reshape(1, 2, 2, 2)
    found = integrated_gradients(Weighs(), images, _mean)
    expected = torch.cat([images[:, :1] * 1.5, images[:, 1:] * -0.5], dim=1)
    torch.testing.assert_close(found, expected)


def test_gradients_add_up_to_what_was_gained() -> None:
    """Completeness: their sum is the objective of the images less that of zeros, in a network with kinks too."""
    network = UNet(UNetOptions(width=4, depth=2), 2, 1, seed=3).eval()
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 2, 16, 16)).astype(np.float32))
    found = integrated_gradients(network, images, _mean, n_steps=200)
    with torch.no_grad():
        gained = _mean(network(images)) - _mean(network(torch.zeros_like(images)))
    assert float(found.sum()) == pytest.approx(float(gained), abs=0.02)


def test_maps_of_other_weights_are_others() -> None:
    """The sanity check of saliency maps: a map that stays when the weights are drawn anew explains no network."""
    images = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 2, 32, 32)).astype(np.float32))
    networks = [UNet(UNetOptions(width=4, depth=2), 2, 1, seed=seed).eval() for seed in (0, 1)]
    for function in (region_grad_cam, lambda *given: integrated_gradients(*given).sum(dim=1)):
        first, again, other = (
            function(network, images, _mean).detach().numpy().ravel()
            for network in (networks[0], networks[0], networks[1])
        )
        np.testing.assert_array_equal(first, again)
        if first.any() and other.any():
            assert abs(np.corrcoef(first, other)[0, 1]) < 0.9
        else:
            assert first.any() != other.any()


def test_looking_leaves_no_trace() -> None:
    network = UNet(UNetOptions(width=4, depth=2), 2, 1).eval()
    images = torch.ones(1, 2, 16, 16)
    before = network(images).detach()
    region_grad_cam(network, images, _mean)
    integrated_gradients(network, images, _mean)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())
    torch.testing.assert_close(network(images).detach(), before)


def test_gates_show_what_they_let_through() -> None:
    images = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 2, 16, 16)).astype(np.float32))
    gated = UNet(AttentionUNetOptions(width=4, depth=2), 2, 1).eval()
    found = attention_map(gated, images)
    assert found is not None
    assert found.shape == (16, 16)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert attention_map(UNet(UNetOptions(width=4, depth=2), 2, 1).eval(), images) is None


def test_what_a_modality_contributed() -> None:
    """A square of 1 in both channels: logit 6 − 2 = 4 inside, 0 outside, which is not above a threshold of one half.

    Without the first channel the logit is −2: the probability falls from σ(4) = 0.982 to σ(−2) = 0.119, all voxels go;
    without the second it is 6: σ(6) = 0.998, and nothing goes.
    """
    values = np.zeros((2, *GRID.shape))
    values[:, 4:8, 3:9, 1] = 1
    predictor = _predictor(Weighs())
    found = explain(predictor, _shown(predictor, values))
    assert found.slices == {"WT": 1}
    effects = found.effects["WT"]
    assert effects["t2f"].probability == pytest.approx(0.119 - 0.982, abs=1e-3)
    assert effects["t2f"].voxels == -1.0
    assert effects["t1c"].probability == pytest.approx(0.998 - 0.982, abs=1e-3)
    assert effects["t1c"].voxels == 0.0


def test_maps_lie_where_the_square_is() -> None:
    values = np.zeros((2, *GRID.shape))
    values[:, 4:8, 3:9, 1] = 1
    predictor = _predictor(Weighs())
    found = explain(predictor, _shown(predictor, values))
    for maps in (found.grad_cam, found.gradients):
        inside = values[0] > 0
        assert maps["WT"].shape == GRID.shape
        assert (maps["WT"][inside] > 0.9).all()
        assert (maps["WT"][~inside] == 0).all()
    assert found.attention == {}


def test_nothing_drawn_is_nothing_explained() -> None:
    predictor = _predictor(Weighs())
    found = explain(predictor, _shown(predictor, np.zeros((2, *GRID.shape)) - 1e-3))
    assert found.slices == {}
    assert found.effects == {}


def test_networks_of_volumes_are_refused() -> None:
    predictor = _predictor(Weighs(), patches=PatchOptions())
    with pytest.raises(OptionError, match="networks of slices"):
        explain(predictor, _shown(_predictor(Weighs()), np.ones((2, *GRID.shape))))
