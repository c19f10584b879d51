"""What a network that segments looked at: attributions that can be worked out, and maps that depend on the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glioseg.core import Grid, Image, scheme_named
from glioseg.inference.contributions import changed
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.explained import (
    Explanation,
    Objective,
    _layer,
    attention_map,
    explain,
    fullest_window,
    integrated_gradients,
    region_grad_cam,
)
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

    def __init__(self, dims: int = 2, weights: tuple[float, float] = (6.0, -2.0)) -> None:
        super().__init__()
        self.layer = (nn.Conv2d if dims == 2 else nn.Conv3d)(2, 1, 1, bias=False)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor(weights).reshape(1, 2, *[1] * dims))

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


def _explained(values: Any, *predictors: Predictor) -> Explanation:
    image = Image(np.asarray(values, np.float32), ("t2f", "t1c"), GRID)
    ensemble = Ensemble(predictors)
    return explain(ensemble, [Shown.of(member.prepared(image)) for member in predictors], ensemble.predict(image)[0])


def _square() -> np.ndarray[Any, Any]:
    """1 in both channels on 4 × 6 pixels of the second slice."""
    values = np.zeros((2, *GRID.shape))
    values[:, 4:8, 3:9, 1] = 1
    return values


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


def _attention(model: nn.Module, images: Tensor, objective: Objective) -> Tensor:
    found = attention_map(model, images)
    assert found is not None
    return found


@pytest.mark.parametrize(("dims", "size"), [(2, (32, 32)), (3, (8, 8, 8))])
def test_maps_of_other_weights_are_others(dims: int, size: tuple[int, ...]) -> None:
    """The sanity check of saliency maps: a map that stays when the weights are drawn anew explains no network."""
    images = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 2, *size)).astype(np.float32))
    options = AttentionUNetOptions(width=4, depth=2, dims=dims)
    networks = [UNet(options, 2, 1, seed=seed).eval() for seed in (0, 1)]
    for function in (
        region_grad_cam,
        lambda *given: integrated_gradients(*given).sum(dim=1),
        _attention,
    ):
        first, again, other = (
            function(network, images, _mean).detach().numpy().ravel()
            for network in (networks[0], networks[0], networks[1])
        )
        assert first.size == np.prod(size)
        np.testing.assert_array_equal(first, again)
        if first.std() and other.std():
            assert abs(np.corrcoef(first, other)[0, 1]) < 0.9
        else:
            assert first.any() != other.any()


def test_the_mathematics_are_those_of_captum() -> None:
    """Captum's LayerGradCam (whose map is enlarged there by the caller) and IntegratedGradients, the same steps."""
    attr = pytest.importorskip("captum.attr")
    network = UNet(UNetOptions(width=4, depth=2), 2, 1, seed=5).eval()
    images = torch.from_numpy(np.random.default_rng(4).normal(size=(1, 2, 16, 16)).astype(np.float32))

    def answer(given: Tensor) -> Tensor:
        return _mean(network(given))

    theirs = attr.IntegratedGradients(answer).attribute(images, n_steps=16, method="riemann_middle")
    torch.testing.assert_close(integrated_gradients(network, images, _mean), theirs.float(), atol=1e-6, rtol=1e-4)
    layer = _layer(network, images)
    coarse = attr.LayerGradCam(answer, layer).attribute(images, relu_attributions=True)
    large = nn.functional.interpolate(coarse, size=images.shape[2:], mode="bilinear", align_corners=False)[0, 0]
    torch.testing.assert_close(region_grad_cam(network, images, _mean), large, atol=1e-6, rtol=1e-4)


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
    without the second it is 6: σ(6) = 0.998, and nothing goes. Ones in another order are the same ones.
    """
    found = _explained(_square(), _predictor(Weighs()))
    assert found.slices == {"WT": 1}
    effects = found.effects["WT"]
    assert effects["t2f"]["removed"].probability == pytest.approx(0.119 - 0.982, abs=1e-3)
    assert effects["t2f"]["removed"].volume == -1.0
    assert effects["t1c"]["removed"].probability == pytest.approx(0.998 - 0.982, abs=1e-3)
    assert effects["t1c"]["removed"].volume == 0.0
    for name in ("t2f", "t1c"):
        assert effects[name]["permuted"].probability == pytest.approx(0, abs=1e-6)
        assert effects[name]["permuted"].volume == 0.0


def test_what_is_permuted_says_nothing_of_places() -> None:
    """Half of the head has 2 and half −1: logit 12 and −6, so that half is drawn. In random order each drawn voxel
    keeps its 2 in half of the cases: the probability falls by about one half, and as many voxels are drawn elsewhere.
    """
    values = np.zeros((2, *GRID.shape))
    values[0] = -1
    values[0, :8] = 2
    effects = _explained(values, _predictor(Weighs())).effects["WT"]
    assert effects["t2f"]["permuted"].probability == pytest.approx(-0.5, abs=0.1)
    assert effects["t2f"]["permuted"].volume == 0.0
    assert effects["t2f"]["removed"].volume == -1.0


def test_what_is_permuted_keeps_histogram_and_outline() -> None:
    images = np.arange(24, dtype=np.float16).reshape(2, 2, 2, 3) % 7
    found = changed(images, 1, "permuted")
    np.testing.assert_array_equal(found[:, 0], images[:, 0])
    np.testing.assert_array_equal(np.sort(found[:, 1], axis=None), np.sort(images[:, 1], axis=None))
    np.testing.assert_array_equal(found[:, 1] == 0, images[:, 1] == 0)
    assert (found[:, 1] != images[:, 1]).any()
    assert not changed(images, 1, "removed")[:, 1].any()


@pytest.mark.parametrize("size", [(8, 16, 16), (8, 8, 8)])
def test_maps_lie_where_the_square_is(size: tuple[int, int, int]) -> None:
    """Of a network of slices and of one of volumes, whose window is larger than the volume, or smaller."""
    values = _square()
    values[:, 6, 5, 2] = 1
    inside = values[0] > 0
    for predictor in (_predictor(Weighs()), _predictor(Weighs(3), patches=PatchOptions(size=size))):
        found = _explained(values, predictor)
        assert found.slices == {"WT": 1}
        shown = inside if predictor.patches else inside & (np.arange(3) == 1)
        for maps in (found.grad_cam, found.gradients):
            assert maps["WT"].shape == GRID.shape
            assert (maps["WT"][shown] > 0.9).all()
            assert (maps["WT"][~shown] == 0).all()
        assert found.attention == {}


def test_the_window_holds_most_of_a_region() -> None:
    """Slices 0–3 of 9 with rows 2–3 hold 4 × 2 × 1 voxels, a second spot 1: of the windows of 4 × 4 × 3 around the
    first, those begin at slice 0, at rows 0 to 2 and at columns 3 to 5 (the spot lies in column 5), the middle ones are
    taken."""
    mask = np.zeros((9, 10, 11), np.bool_)
    mask[:4, 2:4, 5] = True
    mask[8, 9, 10] = True
    assert fullest_window(mask, (4, 4, 3)) == (slice(0, 4), slice(1, 5), slice(4, 7))
    assert fullest_window(mask, (16, 16, 16)) == (slice(0, 9), slice(0, 10), slice(0, 11))


def test_networks_are_averaged() -> None:
    """Logits 6 a − 2 b and 2 a − 1 b on a = b = 1: gradients, as shares of their most, are the same square in both.

    A third network on coronal slices explains row 5 alone, where it is 1 as well: a third of the most elsewhere is
    missing, which scales row 5 of slice 1 to 1 and the rest of slice 1 to two thirds.
    """
    axial = [_predictor(Weighs()), _predictor(Weighs(weights=(2.0, -1.0)))]
    coronal = _predictor(Weighs(), prepare=PrepareOptions(normalise="none", brain_only=False, plane="coronal"))
    values = _square()
    values[:, 4:8, 5, 0] = 1
    inside, row = values[0] > 0, np.zeros(GRID.shape, np.bool_)
    row[:, 5] = True
    slice_1 = np.arange(3) == 1
    two = _explained(values, *axial)
    np.testing.assert_allclose(two.gradients["WT"], inside & slice_1, atol=1e-5)
    three = _explained(values, *axial, coronal)
    np.testing.assert_allclose(three.gradients["WT"][inside & row & slice_1], 1, atol=1e-5)
    np.testing.assert_allclose(three.gradients["WT"][inside & ~row & slice_1], 2 / 3, atol=1e-5)
    np.testing.assert_allclose(three.gradients["WT"][inside & row & ~slice_1], 1 / 3, atol=1e-5)
    assert not three.gradients["WT"][~inside].any()


def test_a_modality_that_one_network_sees() -> None:
    """Probabilities σ(4) of a network of two modalities and σ(6) of one of T2-FLAIR alone: without T1c the first says
    σ(6), and their mean rises by half of that difference."""
    alone = _predictor(nn.Conv2d(1, 1, 1, bias=False), modalities=("t2f",))
    with torch.no_grad():
        next(alone.model.parameters()).fill_(6.0)
    effects = _explained(_square(), _predictor(Weighs()), alone).effects["WT"]
    assert effects["t1c"]["removed"].probability == pytest.approx((0.99753 - 0.98201) / 2, abs=1e-4)


def test_nothing_drawn_is_nothing_explained() -> None:
    found = _explained(np.zeros((2, *GRID.shape)) - 1e-3, _predictor(Weighs()))
    assert found.slices == {}
    assert found.effects == {}
