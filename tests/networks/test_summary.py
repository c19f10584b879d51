from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from glioseg.errors import OptionError
from glioseg.networks.build import OPTIONS, build_model, kinds_of
from glioseg.networks.deeplab import DeepLabOptions
from glioseg.networks.network import Network, Stage
from glioseg.networks.summary import layer_words, n_parameters, network_name, option_facts, summarise_levels
from glioseg.networks.unet import UNetOptions
from glioseg.networks.unetplusplus import UNetPlusPlusOptions


def test_the_levels_of_a_small_network() -> None:
    model = build_model(UNetOptions(width=4, depth=2), 3, 2, seed=0)
    levels = summarise_levels(model, (16, 24))
    assert [(level.kind, level.channels, level.size, level.sources) for level in levels] == [
        ("input", 3, (16, 24), ()),
        ("down", 4, (16, 24), (0,)),
        ("down", 8, (8, 12), (1,)),
        ("down", 16, (4, 6), (2,)),
        ("up", 8, (8, 12), (3, 2)),
        ("up", 4, (16, 24), (4, 1)),
        ("head", 2, (16, 24), (5,)),
    ]
    assert levels[2].words == "max pooling, 2 × (conv 3×3, batch norm, ReLU)"


def test_gates_are_told_and_nothing_stays_behind() -> None:
    model = build_model(UNetOptions(width=4, depth=1, attention=True), 1, 1, seed=0)
    model.train()
    levels = summarise_levels(model, (8, 8))
    assert [level.attention for level in levels] == [level.kind == "up" for level in levels]
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


_SMALL: dict[str, dict[str, object]] = {
    "deeplabv3plus": {"width": 4, "pyramid_width": 8},
    "segresnet": {"width": 4},
    "swinunetr": {"feature_size": 12},
    "unet++": {"width": 4},
}


@pytest.mark.parametrize("kind", kinds_of("segment"))
def test_skips_join_grids_of_one_size_and_all_is_fed(kind: str) -> None:
    options = OPTIONS[kind].model_validate(_SMALL.get(kind, {"width": 4}))
    levels = summarise_levels(build_model(options, 3, 2, seed=0), (64, 64))  # type: ignore[arg-type]
    assert (levels[0].kind, levels[-1].kind) == ("input", "head")
    assert (levels[-1].channels, levels[-1].size) == (2, (64, 64))
    for place, level in enumerate(levels[1:], start=1):
        assert level.words
        assert level.sources
        assert max(level.sources) < place
        assert all(levels[skip].size == level.size for skip in level.sources[1:])
        assert bool(level.joined) == (len(level.sources) > 1)
    assert {source for level in levels for source in level.sources} == set(range(len(levels) - 1))


def test_the_blocks_of_unet_plus_plus_by_hand() -> None:
    """X(0,2) goes on from X(1,1) and is joined by X(0,1) and X(0,0), as in figure 1 of its paper."""
    levels = summarise_levels(build_model(UNetPlusPlusOptions(width=4), 3, 2, seed=0), (32, 32))
    # 1 X00, 2 X10, 3 X01, 4 X20, 5 X11, 6 X02
    assert levels[6].sources == (5, 3, 1)
    assert [level.column for level in levels[1:7]] == [0, 1, 2, 2, 3, 4]


class _Unspoken(Network):
    """A network that says nothing of itself: a step down and up again."""

    def __init__(self, stages: Callable[[_Unspoken], tuple[Stage, ...]] = lambda _: ()) -> None:
        super().__init__(2, 3, 2, 1)
        self.down = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.low = nn.Sequential(nn.MaxPool2d(2), *self._block(4, 8), *self._block(8, 8))
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.head = nn.Conv2d(4, 2, 1)
        self._stages = stages

    def _block(self, n_in: int, n_out: int) -> tuple[nn.Module, ...]:
        return (nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.Dropout(0.1), nn.ReLU())

    def padded_logits(self, images: Tensor) -> Tensor:
        features = self.up(self.low(self.down(images)))
        logits: Tensor = self.head(features)
        return logits

    def stages(self) -> tuple[Stage, ...]:
        return self._stages(self)


def test_a_network_without_stages_is_read_off_its_layers() -> None:
    levels = summarise_levels(_Unspoken(), (7, 8))  # padded to (8, 8) inside
    assert [(level.kind, level.channels, level.size, level.sources) for level in levels] == [
        ("input", 3, (7, 8), ()),
        ("down", 4, (8, 8), (0,)),
        ("down", 8, (4, 4), (1,)),
        ("head", 2, (8, 8), (2,)),
    ]
    assert [level.words for level in levels] == [
        "",
        "conv 3×3, batch norm, ReLU",
        "max pooling, 2 × (conv 3×3, batch norm, ReLU)",
        "transposed conv 2×2, conv 1×1",
    ]


def test_stages_without_words_are_read_off_their_modules() -> None:
    def stages(network: _Unspoken) -> tuple[Stage, ...]:
        path = ((network.down, "full size"), (network.low, ""))
        down = tuple(Stage("down", module, words, (place,)) for place, (module, words) in enumerate(path))
        return (*down, Stage("up", network.up, "", (2,)), Stage("head", network.head, "", (3,)))

    levels = summarise_levels(_Unspoken(stages), (8, 8))
    assert [level.words for level in levels[1:]] == [
        "full size",
        "max pooling, 2 × (conv 3×3, batch norm, ReLU)",
        "transposed conv 2×2",
        "conv 1×1",
    ]


def test_layers_in_words() -> None:
    strided = nn.Conv3d(1, 2, 3, stride=2)
    assert layer_words([strided, nn.LeakyReLU(), nn.Identity()]) == "conv 3×3×3, stride 2, leaky ReLU"
    assert layer_words([nn.ReLU(), nn.ReLU(), nn.ReLU()]) == "3 × ReLU"
    assert layer_words([nn.Flatten(), nn.Linear(4, 2)]) == "Flatten, dense"
    assert layer_words([]) == ""


def test_a_module_that_says_no_stages_is_told_by_its_grids() -> None:
    class Classifier(nn.Sequential):
        n_channels = 3

    layers = (nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.Flatten())
    levels = summarise_levels(Classifier(*layers, nn.Linear(128, 2)), (8, 8))
    assert [(level.kind, level.channels, level.size) for level in levels] == [
        ("input", 3, (8, 8)),
        ("down", 4, (8, 8)),
        ("down", 8, (4, 4)),
        ("head", 2, ()),
    ]


def test_names_and_facts_in_words() -> None:
    assert network_name(UNetOptions(attention=True)) == "Attention U-Net"
    assert network_name(UNetOptions(dims=3, residual=True)) == "3-D Residual U-Net"
    assert network_name(DeepLabOptions()) == "DeepLabV3+"
    facts = option_facts(DeepLabOptions(dropout=0.1, blocks=(1, 2, 3, 4)))
    assert facts["blocks"] == "1, 2, 3, 4"
    assert facts["dropout"] == "0.1"
    assert facts["output stride"] == "16"
    assert option_facts(UNetOptions())["attention"] == "no"


def test_only_what_is_trained_counts() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 5), nn.BatchNorm2d(3))
    assert n_parameters(model) == 2 * 3 * 25 + 3 + 3 + 3
    model[1].requires_grad_(requires_grad=False)
    assert n_parameters(model) == 2 * 3 * 25 + 3


def test_the_network_of_2015_has_31_million_weights() -> None:
    """Ronneberger's has 31,030,658 with biases and without normalisation; one channel in, two classes out."""
    options = UNetOptions(width=64, depth=4, upsampling="transposed")
    model = build_model(options, 1, 2, seed=0)
    assert abs(n_parameters(model) - 31_030_658) / 31_030_658 < 0.001


def test_a_module_that_does_not_say_its_channels_is_asked_for_them() -> None:
    model = nn.Sequential(nn.Conv2d(2, 1, 3))
    with pytest.raises(OptionError, match=r"found Sequential without n_channels\. Give n_channels"):
        summarise_levels(model, (8, 8))
    assert [level.channels for level in summarise_levels(model, (8, 8), n_channels=2)] == [2, 1]
