"""What every classifier has to do: the same that every network has, with classes in the place of regions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from glioseg.errors import GeometryError, OptionError
from glioseg.networks.build import ModelOptions, build_model, settings_for, task_of
from glioseg.networks.classifier import (
    ClassifierOptions,
    PathClassifier,
    SharmaCNNOptions,
)
from glioseg.networks.summary import n_parameters, summarise_levels
from glioseg.networks.unet import UNetOptions

_SIZE = 16
_ANY_SIZE = [
    pytest.param(ClassifierOptions(width=8, depth=2, normalisation="group"), id="group"),
    pytest.param(ClassifierOptions(width=8, depth=3, normalisation="batch", dropout=0.0), id="batch"),
    pytest.param(ClassifierOptions(width=4, depth=1, normalisation="group"), id="shallow"),
    pytest.param(ClassifierOptions(width=8, depth=2, pooling=("mean",)), id="mean alone"),
]
_MODELS = [*_ANY_SIZE, pytest.param(SharmaCNNOptions(filters=8), id="sharma")]


def _build(options: ModelOptions, n_channels: int = 3, n_classes: int = 2, seed: int = 0) -> nn.Module:
    return build_model(options, n_channels, n_classes, seed=seed, size=_SIZE)


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("options", _ANY_SIZE)
@pytest.mark.parametrize("size", [(16, 16), (15, 13), (2, 1), (1, 17), (5, 31)], ids=str)
def test_any_size_and_a_batch_of_one(options: ModelOptions, size: tuple[int, int]) -> None:
    logits = _build(options).eval()(_images(1, 3, *size))
    assert logits.shape == (1, 2)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("options", _MODELS)
def test_one_channel_and_four_classes(options: ModelOptions) -> None:
    assert _build(options, 1, 4)(_images(2, 1, _SIZE, _SIZE)).shape == (2, 4)


@pytest.mark.parametrize("options", _MODELS)
def test_a_step_under_bfloat16_in_channels_last_agrees_with_float32(options: ModelOptions) -> None:
    model = _build(options).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = _images(4, 3, _SIZE, _SIZE).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(images)
    logits.float().square().mean().backward()
    assert all(w.grad is not None and torch.isfinite(w.grad).all() and w.grad.any() for w in model.parameters())
    model.eval()
    with torch.no_grad():
        exact = model(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = model(images)
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize("options", _MODELS)
def test_state_survives_safetensors(options: ModelOptions, tmp_path: Path) -> None:
    model, images = _build(options), _images(2, 3, _SIZE, _SIZE)
    model(images)  # moves the running statistics
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    again = _build(options, seed=1)
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        assert torch.equal(again.eval()(images), model.eval()(images))


@pytest.mark.parametrize("options", _MODELS)
def test_the_seed_alone_decides_the_weights(options: ModelOptions) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = _build(options, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    same, other = (_build(options, seed=seed).state_dict() for seed in (5, 6))
    kernels = [name for name, weights in first.items() if weights.dim() > 1]
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert kernels
    assert not any(torch.equal(first[name], other[name]) for name in kernels)


@pytest.mark.parametrize("options", _MODELS)
def test_learns_six_pictures_by_heart(options: ModelOptions) -> None:
    images, classes = _images(6, 3, _SIZE, _SIZE), torch.tensor([0, 1, 2, 0, 1, 2])
    torch.manual_seed(0)  # dropout
    model = _build(options, 3, 3)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(images), classes)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        assert (model.eval()(images).argmax(dim=1) == classes).all()


def test_the_published_network_layer_by_layer() -> None:
    """3→80: 80·(27 + 1); 80→80: 80·(720 + 1); dense at 128: 80·32·32 features to 2 classes, with 2 biases."""
    model = build_model(SharmaCNNOptions(), 3, 2, seed=0, size=128)
    assert n_parameters(model) == 80 * 28 + 80 * 721 + 80 * 32 * 32 * 2 + 2
    kinds = [type(part).__name__ for part in model.features]  # type: ignore[union-attr]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d"] * 2


def test_a_hidden_dense_layer_stands_before_the_output() -> None:
    """8 features of 4 x 4 pixels to 5 units, 5 to 2 classes, each with its biases."""
    model = build_model(SharmaCNNOptions(filters=8, hidden=5), 1, 2, seed=0, size=16)
    assert n_parameters(model) == 8 * (9 + 1) + 8 * (72 + 1) + (8 * 16 + 1) * 5 + (5 + 1) * 2
    assert summarise_levels(model, (16, 16))[-1].words == "flatten, dense, ReLU, dense"


def test_odd_sizes_of_a_dense_layer_are_halved_downwards() -> None:
    """13 → 6 → 3: 8 · 9 features."""
    model = build_model(SharmaCNNOptions(filters=8), 1, 2, seed=0, size=13)
    assert model(_images(1, 1, 13, 13)).shape == (1, 2)


def test_levels_follow_the_grid() -> None:
    model = _build(ClassifierOptions(width=8, depth=2))
    block = "2 × (conv 3×3, norm, ReLU)"
    assert [(level.kind, level.channels, level.size, level.words) for level in summarise_levels(model, (16, 16))] == [
        ("input", 3, (16, 16), ""),
        ("down", 8, (16, 16), f"{block}, max pooling 2×2"),
        ("down", 16, (8, 8), f"{block}, max pooling 2×2"),
        ("down", 32, (4, 4), block),
        ("head", 2, (1, 1), "mean, max, asymmetry over all pixels, dropout, dense"),
    ]
    assert model.training


def test_levels_of_the_published_network() -> None:
    levels = summarise_levels(build_model(SharmaCNNOptions(filters=8), 3, 2, seed=0, size=16), (16, 16))
    assert [(level.kind, level.channels, level.size, level.words) for level in levels] == [
        ("input", 3, (16, 16), ""),
        ("down", 8, (16, 16), "conv 3×3, ReLU, max pooling 2×2"),
        ("down", 8, (8, 8), "conv 3×3, ReLU, max pooling 2×2"),
        ("down", 8, (4, 4), "pooled"),
        ("head", 2, (1, 1), "flatten, dense"),
    ]


def test_what_cannot_be_built_or_shown_is_refused() -> None:
    with pytest.raises(OptionError, match="at least one channel and one logit"):
        _build(ClassifierOptions(), 3, 0)
    with pytest.raises(OptionError, match=r"dense layer.*Set prepare\.size"):
        build_model(SharmaCNNOptions(), 3, 2, seed=0)
    with pytest.raises(GeometryError, match="found 16 x 15; expected 16 x 16"):
        _build(SharmaCNNOptions(filters=2))(_images(1, 3, 16, 15))


def test_classifiers_are_told_from_networks_that_segment() -> None:
    assert task_of(SharmaCNNOptions()) == "classify"
    assert task_of(ClassifierOptions()) == "classify"
    assert task_of(UNetOptions()) == "segment"
    assert settings_for("classifier", {"width": 8, "attention": True}) == {"width": 8, "kind": "classifier"}


def test_each_pooling_says_what_it_is_named_for() -> None:
    features = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 0.0, 4.0]]]])
    kinds = ("mean", "max", "asymmetry")
    model = _build(ClassifierOptions(width=8, depth=2, pooling=kinds))
    assert isinstance(model, PathClassifier)
    # |1-3|, 0, |3-1|, |4-4|, 0, |4-4|: 4 over 6 pixels
    assert model.head[0](features).tolist() == [pytest.approx([14 / 6, 4.0, 4 / 6])]
    assert model.head[2].in_features == 3 * 32
    mirrored = model.head[0](features.flip(3))
    torch.testing.assert_close(mirrored, model.head[0](features))


@pytest.mark.parametrize("pooling", [(), ("mean", "mean"), ("median",)])
def test_a_pooling_that_is_not_one_is_refused(pooling: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        ClassifierOptions.model_validate({"pooling": pooling})
