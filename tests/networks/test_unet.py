from __future__ import annotations

import itertools

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from glioseg.errors import GeometryError, OptionError
from glioseg.networks.blocks import AttentionGate, DoubleConvolution, Padding, Upsampling2x, convolution
from glioseg.networks.network import crop_to, pad_to_multiple, padded_size
from glioseg.networks.unet import UNet, UNetOptions


def _images(*size: int, n_channels: int = 3) -> Tensor:
    return torch.randn(2, n_channels, *size, generator=torch.Generator().manual_seed(0))


def _n_weights(model: nn.Module) -> int:
    return sum(weights.numel() for weights in model.parameters())


def _plain_count(widths: tuple[int, ...], n_channels: int, n_regions: int, taps: int, corner: int) -> int:
    """Counted on paper: two convolutions without bias and two normalisations (scale, offset) per level and path."""

    def block(n_in: int, n_out: int) -> int:
        return taps * n_in * n_out + 2 * n_out + taps * n_out * n_out + 2 * n_out

    down = sum(block(n_in, n_out) for n_in, n_out in zip((n_channels, *widths), widths, strict=False))
    pairs = list(itertools.pairwise(widths))
    up = sum(corner * low * high + high + block(2 * high, high) for high, low in pairs)
    return down + up + widths[0] * n_regions + n_regions


def test_the_size_of_2015() -> None:
    # 64 … 1024 channels, four poolings, one channel, two logits: the paper's network has 31,030,658 weights; here batch
    # normalisation has two numbers in the place of each bias of the 18 convolutions, 2·1984 + 2·960 = 5,888 more
    options = UNetOptions(width=64, depth=4, upsampling="transposed")
    model = UNet(options, 1, 2, seed=0)
    assert model.widths == (64, 128, 256, 512, 1024)
    assert _n_weights(model) == 31_036_546 == _plain_count(model.widths, 1, 2, taps=9, corner=4)


@pytest.mark.parametrize(
    ("dims", "upsampling", "taps", "corner"),
    [(2, "transposed", 9, 4), (2, "bilinear", 9, 1), (3, "transposed", 27, 8), (3, "bilinear", 27, 1)],
)
def test_number_of_weights(dims: int, upsampling: str, taps: int, corner: int) -> None:
    options = UNetOptions.model_validate({"dims": dims, "width": 5, "depth": 3, "upsampling": upsampling})
    assert _n_weights(UNet(options, 4, 3, seed=0)) == _plain_count((5, 10, 20, 40), 4, 3, taps, corner)


def test_number_of_weights_that_options_add() -> None:
    # widths 4, 8, 16; every count on paper
    plain = _n_weights(UNet(UNetOptions(width=4, depth=2), 3, 2, seed=0))

    def added(**options: object) -> int:
        model = UNet(UNetOptions.model_validate({"width": 4, "depth": 2, **options}), 3, 2, seed=0)
        return _n_weights(model) - plain

    # gates: skip 8 under 16 -> 4 between, skip 4 under 8 -> 2 between; 2×2 kernels, gate and psi with bias
    assert added(attention=True) == (4 * 8 * 4 + 16 * 4 + 4 + 4 + 1) + (4 * 4 * 2 + 8 * 2 + 2 + 2 + 1)
    # shortcuts where the channels change: 3→4, 4→8, 8→16 down, 16→8 and 8→4 up, each with a normalisation
    assert added(residual=True) == (3 * 4 + 8) + (4 * 8 + 16) + (8 * 16 + 32) + (16 * 8 + 16) + (8 * 4 + 8)
    # one coarse head: 8 channels to 2 logits
    assert added(deep_supervision=True) == 8 * 2 + 2
    assert added(normalisation="instance") == added(normalisation="group") == added(dropout=0.5) == 0


def test_instance_normalisation_is_what_it_says() -> None:
    block = DoubleConvolution(2, 3, 6, normal="instance", padding="zero", residual=False)
    features = _images(5, 7, n_channels=6)
    torch.testing.assert_close(block.first_normal(features), nn.functional.instance_norm(features))


def test_group_normalisation_takes_up_to_eight_groups() -> None:
    for n_channels, n_groups in {16: 8, 12: 4, 6: 2, 5: 1}.items():
        block = DoubleConvolution(2, 3, n_channels, normal="group", padding="zero", residual=False)
        assert isinstance(block.first_normal, nn.GroupNorm)
        assert block.first_normal.num_groups == n_groups


def test_a_convolution_before_enlarging_equals_one_after() -> None:
    part = Upsampling2x(2, 6, 3, "bilinear")
    features = _images(5, 7, n_channels=6)
    after = part.convolution(nn.functional.interpolate(features, scale_factor=2, mode="bilinear"))
    torch.testing.assert_close(part(features), after)


def test_padding_decides_what_lies_beyond_the_border() -> None:
    ones = torch.ones(1, 1, 4, 4)
    corners: dict[Padding, float] = {"zero": 4.0, "replicate": 9.0}
    for padding, corner in corners.items():
        layer = convolution(2, 1, 1, padding=padding)
        nn.init.ones_(layer.weight)
        assert layer(ones)[0, 0, 0, 0].item() == corner
        assert layer(ones)[0, 0, 1, 1].item() == 9.0


@pytest.mark.parametrize("n_slices", [1, 2, 3])
@pytest.mark.parametrize("padding", ["zero", "replicate"])
def test_weight_gradients_of_thin_volumes_under_bfloat16(n_slices: int, padding: Padding) -> None:
    """oneDNN leaves those of two slices unwritten: they came out as whatever the memory held, often NaN."""
    layer = convolution(3, 8, 16, padding=padding)
    volumes = _images(n_slices, 4, 4, n_channels=8)
    layer(volumes).square().sum().backward()
    assert layer.weight.grad is not None
    exact = layer.weight.grad.clone()
    for _ in range(5):
        spoilt = [torch.full((n,), float("nan"), dtype=torch.bfloat16) for n in (64, 3456, 4096, 65536) * 3]
        del spoilt  # what is allocated next holds NaN until it is written
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = layer(volumes)
        assert features.dtype == torch.bfloat16
        layer.zero_grad()
        features.float().square().sum().backward()
        assert (layer.weight.grad - exact).abs().max() < 0.05 * exact.abs().max()


def test_dropout_works_on_the_two_lowest_levels_and_in_training_only() -> None:
    options = UNetOptions(width=4, depth=3, dropout=0.5)
    model = UNet(options, 3, 1, seed=0)
    dropping = [level for level, block in enumerate(model.down) if isinstance(block.dropout, nn.Dropout)]
    assert dropping == [2, 3]
    assert not any(isinstance(part, nn.Dropout) for part in model.up.modules())
    images = _images(16, 16)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_attention_weighs_each_voxel_of_the_skip_between_0_and_1() -> None:
    model = UNet(UNetOptions(width=4, depth=1, attention=True), 3, 1, seed=0)
    gate = model.gates[0]
    assert isinstance(gate, AttentionGate)
    skip, below = _images(6, 6, n_channels=4), _images(3, 3, n_channels=8)
    weights = gate.coefficients(skip, below)
    assert weights.shape == (2, 1, 6, 6)
    assert weights.min() > 0
    assert weights.max() < 1
    assert torch.equal(gate(skip, below), skip * weights)


def test_deep_supervision_gives_all_levels_in_training_and_one_in_prediction() -> None:
    options = UNetOptions(width=4, depth=3, deep_supervision=True)
    model = UNet(options, 3, 2, seed=0)
    images = _images(13, 20)
    logits = model(images)
    assert [tuple(level.shape) for level in logits] == [(2, 2, 13, 20)] * 3
    steps = [(level[..., 1:] - level[..., :-1]).abs().mean().item() for level in logits]
    assert steps == sorted(steps, reverse=True)  # the coarser the level, the smoother its logits
    assert isinstance(model.eval()(images), Tensor)


def test_residual_blocks_start_from_their_input() -> None:
    block = DoubleConvolution(2, 6, 6, normal="batch", padding="zero", residual=True)
    nn.init.zeros_(block.second_normal.weight)  # type: ignore[arg-type]
    features = _images(5, 7, n_channels=6)
    assert torch.equal(block(features), features.relu())


def test_padding_to_a_multiple_by_hand() -> None:
    assert padded_size((155,), 4) == (160,)
    assert padded_size((240, 240, 155), 4) == (240, 240, 160)
    assert padded_size((1, 16), 2) == (4, 16)
    assert padded_size((4, 3), 2) == (4, 8)  # one voxel at the coarsest level would have no variance
    padded = pad_to_multiple(torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]), 1)
    assert padded[0, 0].tolist() == [[1, 2, 3, 3], [4, 5, 6, 6]]
    assert crop_to(padded, (2, 3)).tolist() == [[[[1, 2, 3], [4, 5, 6]]]]


def test_padding_inside_leaves_the_prediction_where_it_was() -> None:
    """A picture of 13×15 and the same picture, its border repeated by hand to 16×16, have the same logits."""
    options = UNetOptions(width=4, depth=2)
    model = UNet(options, 3, 1, seed=0).eval()
    images = _images(13, 15)
    padded = nn.functional.pad(images, (0, 1, 0, 3), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(model(images), model(padded)[..., :13, :15])


def test_he_initialisation() -> None:
    # the deviation is √(2 / fan-in): 9 · 64 inputs of the second convolution, 128 of the transposed one
    model = UNet(UNetOptions(width=64, depth=1, upsampling="transposed"), 3, 1, seed=0)
    weights = model.state_dict()
    assert weights["down.0.second.weight"].std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
    assert weights["enlarge.0.convolution.weight"].std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.02)
    assert not weights["head.bias"].any()


def test_refuses_what_it_was_not_built_for() -> None:
    model = UNet(UNetOptions(width=4, depth=1), 3, 1)
    for shape in ((1, 4, 8, 8), (1, 3, 8), (1, 3, 8, 8, 8), (1, 3, 0, 8)):
        with pytest.raises(GeometryError, match="another shape"):
            model(torch.zeros(shape))
    for n_channels, n_regions in ((0, 1), (1, 0)):
        with pytest.raises(OptionError, match="at least one channel and one region"):
            UNet(UNetOptions(), n_channels, n_regions, seed=0)


@pytest.mark.parametrize(
    "wrong", [{"dims": 4}, {"width": 0}, {"depth": 0}, {"dropout": 1.0}, {"normalisation": "layer"}, {"wdth": 8}]
)
def test_options_refuse(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        UNetOptions.model_validate(wrong)
