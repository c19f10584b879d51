"""A U-Net in boxes says what it says of whole images, and computes less."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from glioseg.networks.boxed import AT_ONCE, Boxed, empty_features, is_local, shown_box, spans_of
from glioseg.networks.build import build_model
from glioseg.networks.unet import UNet, UNetOptions

N_CHANNELS = 2


def _network(**options: object) -> UNet:
    """Of double precision, with statistics as a training leaves them: black does not stay black in it."""
    network = UNet(UNetOptions.model_validate({"width": 3, "depth": 4, **options}), N_CHANNELS, 2, seed=0).double()
    generator = torch.Generator().manual_seed(1)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = torch.randn(part.num_features, generator=generator).double()
            part.bias = nn.Parameter(torch.randn(part.num_features, generator=generator).double())
    return network.eval()


def _images(size: tuple[int, int], box: tuple[slice, slice], n: int = 1) -> Tensor:
    images = torch.zeros(n, N_CHANNELS, *size, dtype=torch.float64)
    shown = images[..., box[0], box[1]]
    shown += torch.randn(shown.shape, generator=torch.Generator().manual_seed(2)).double()
    return images


def _difference(network: UNet, images: Tensor) -> float:
    """The largest where something is shown, in units of the logits' own spread."""
    with torch.inference_mode():
        expected, found = network(images), Boxed(network)(images)
    assert found.shape == expected.shape
    is_shown = images.any(dim=1, keepdim=True)
    return float(((found - expected) * is_shown).abs().max() / expected.std())


@st.composite
def _boxes(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[slice, slice]]:
    size = draw(st.tuples(st.integers(1, 150), st.integers(1, 150)))
    spans = []
    for length in size:
        first = draw(st.integers(0, length - 1))
        spans.append(slice(first, draw(st.integers(first + 1, length))))
    return size, (spans[0], spans[1])


@pytest.fixture(scope="module")
def network() -> UNet:
    return _network()


@settings(max_examples=25, deadline=None)
@given(_boxes())
def test_logits_are_the_networks_wherever_the_box_lies(
    network: UNet, boxed: tuple[tuple[int, int], tuple[slice, slice]]
) -> None:
    assert _difference(network, _images(*boxed)) < 1e-9


@pytest.mark.parametrize(
    "options",
    [
        {"depth": 1},
        {"depth": 2, "residual": True},
        {"depth": 3, "upsampling": "transposed"},
        {"depth": 5},
        {"padding": "replicate"},
        {"dropout": 0.5, "deep_supervision": True},
    ],
    ids=str,
)
def test_of_every_kind_of_plain_u_net(options: dict[str, object]) -> None:
    assert _difference(_network(**options), _images((160, 130), (slice(37, 66), slice(51, 60)))) < 1e-9


def test_the_margin_is_needed(network: UNet) -> None:
    """What the test above sees: one voxel beyond what is shown, logits are others already."""
    images = _images((160, 160), (slice(70, 80), slice(70, 80)))
    with torch.inference_mode():
        difference = (network(images) - Boxed(network)(images)).abs().amax(dim=(0, 1))
    assert difference[70:80, 70:80].max() < 1e-9
    assert difference[60:90, 60:90].max() > 1e-3


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        # level 0: the two convolutions reach 98 to 132; two voxels more are wrong, so 96 to 134.
        # level 1: the expanding path asks for 97 to 133, that is cells 96 to 134, its convolutions for 92 to 138; two
        #          cells more are wrong, 88 to 142, and level 2 needs multiples of four: 88 to 144.
        # level 2: of 90 to 140 cells 88 to 140, convolutions 80 to 148, wrong ones 72 to 156, multiples of eight.
        ((100, 130), [(96, 134), (88, 144), (72, 160), (0, 240)]),
        # within 4 voxels of the border the box ends with the image, at each level
        ((3, 239), [(0, 240), (0, 240), (0, 240), (0, 240)]),
    ],
)
def test_boxes_along_an_axis(shown: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    assert spans_of(shown, 240, 3) == expected


def test_less_is_computed(network: UNet) -> None:
    sizes: list[tuple[int, ...]] = []
    hook = network.down[0].register_forward_hook(lambda module, given, result: sizes.append(tuple(result.shape)))
    images = _images((240, 240), (slice(100, 130), slice(3, 239)), n=AT_ONCE + 2)
    images[AT_ONCE:] = 0
    images[-1, 0, 7, 9] = 1.0  # alone in a second group: two voxels and two wrong ones on each side, from even to even
    with torch.inference_mode():
        Boxed(network)(images)
    hook.remove()
    by_size = {size[2:]: size[0] for size in sizes if size[0] > 1}
    assert by_size == {(134 - 96, 240): AT_ONCE, (12 - 2, 14 - 4): 2}


def test_nothing_shown_costs_nothing(network: UNet) -> None:
    images = torch.zeros(3, N_CHANNELS, 48, 40, dtype=torch.float64)
    assert shown_box(images) is None
    assert torch.equal(Boxed(network)(images), torch.zeros(3, 2, 48, 40, dtype=torch.float64))


def test_the_box_of_what_is_shown() -> None:
    images = torch.zeros(2, 3, 20, 30)
    images[0, 1, 4, 25], images[1, 2, 9, 7] = -1e-7, 2.0
    assert shown_box(images) == ((4, 10), (7, 26))
    images[1, 0, 0, 0] = torch.nan  # is shown, so that the network's answer to it is refused
    assert shown_box(images) == ((0, 10), (0, 26))


def test_what_an_empty_image_shows_the_levels(network: UNet) -> None:
    size, features = (352, 48), torch.zeros(1, N_CHANNELS, 352, 48, dtype=torch.float64)
    found = empty_features(network, size, 4)
    with torch.inference_mode():
        for level in range(4):
            features = network.pool(network.down[level](features))
            torch.testing.assert_close(found[level], features, rtol=0, atol=1e-9)


def test_many_sizes_are_not_all_kept(network: UNet) -> None:
    boxed, images = Boxed(network), torch.rand(1, N_CHANNELS, 96, 48, dtype=torch.float64)
    with torch.inference_mode():
        first = boxed(images)
        for rows in range(16, 96, 16):
            boxed(images[:, :, :rows])
            assert len(boxed._empty) <= 4
        assert torch.equal(boxed(images), first)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (UNetOptions(width=2, depth=2), True),
        (UNetOptions(width=2, depth=2, normalisation="instance"), False),
        (UNetOptions(width=2, depth=2, normalisation="group"), False),
        (UNetOptions(width=2, depth=2, attention=True), False),
        (UNetOptions(width=2, depth=2, dims=3), False),
    ],
    ids=str,
)
def test_which_networks_are_local(options: UNetOptions, expected: bool) -> None:
    assert is_local(build_model(options, N_CHANNELS, 2, seed=0)) is expected
    assert not is_local(nn.Conv2d(N_CHANNELS, 2, 3))
