"""What every network has to do; a new network adds its options to the list and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from glioseg.errors import OptionError
from glioseg.networks.build import OPTIONS, ModelOptions, build_model, kinds_of
from glioseg.networks.deeplab import DeepLabOptions
from glioseg.networks.small_images import widen_small_images
from glioseg.networks.swinunetr import SwinUNETROptions
from glioseg.networks.unet import UNetOptions

_VARIANTS: dict[str, dict[str, object]] = {
    "plain": {},
    "transposed": {"upsampling": "transposed"},
    "instance": {"normalisation": "instance"},
    "group": {"normalisation": "group"},
    "replicate": {"padding": "replicate"},
    "dropout": {"dropout": 0.3},
    "attention": {"attention": True},
    "residual": {"residual": True},
    "deep": {"deep_supervision": True},
    "all": {
        "attention": True,
        "residual": True,
        "deep_supervision": True,
        "dropout": 0.1,
        "normalisation": "group",
        "upsampling": "transposed",
        "padding": "replicate",
    },
}
_OTHERS: dict[str, dict[str, object]] = {
    "attention-unet": {"width": 4, "depth": 2},
    "resunet": {"width": 4, "depth": 2},
    "unet++": {"width": 4},
    "unet++ deep": {"width": 4, "deep_supervision": True, "dropout": 0.1, "upsampling": "transposed"},
    "deeplabv3plus": {"width": 4, "pyramid_width": 8, "blocks": (1, 1, 1, 1)},
    "deeplabv3plus fine": {
        **{"width": 4, "pyramid_width": 8, "blocks": (2, 1, 1, 1), "output_stride": 8, "normalisation": "group"},
        **{"padding": "replicate", "dropout": 0.1},
    },
    "segresnet": {"width": 4, "blocks_down": (1, 1, 1), "blocks_up": (1, 1)},
    "segresnet batch": {
        **{"width": 3, "blocks_down": (2, 1), "blocks_up": (2,), "normalisation": "batch"},
        **{"upsampling": "transposed", "dropout": 0.1},
    },
    "dynunet": {"width": 4, "depth": 2},
    "dynunet deep": {"width": 4, "depth": 3, "deep_supervision": True, "residual": True, "normalisation": "group"},
    "mednext": {"width": 4, "blocks": (1, 1), "bottleneck": 1},
    "mednext wide": {"width": 2, "blocks": (2, 1), "bottleneck": 2, "expansion": 3, "kernel": 5},
    "swinunetr": {"feature_size": 12},
    "swinunetr batch": {"feature_size": 12, "window": 4, "normalisation": "batch", "dropout": 0.1, "drop_path": 0.1},
}
"""Name, of which the first word is the kind -> settings."""
_SLOW = {("unet++", 3), ("unet++ deep", 3), ("swinunetr", 3), ("swinunetr batch", 3), ("swinunetr batch", 2)}


def _unets() -> Iterator[object]:
    for dims, (name, variant) in itertools.product((2, 3), _VARIANTS.items()):
        settings = {"dims": dims, "width": 4, "depth": 2, **variant}
        yield pytest.param(UNetOptions.model_validate(settings), id=f"{name}-{dims}d")


def _others() -> Iterator[object]:
    for dims, (name, settings) in itertools.product((2, 3), _OTHERS.items()):
        kind = name.split()[0]
        if kind == "deeplabv3plus" and dims == 3:
            continue
        options = OPTIONS[kind].model_validate({"dims": dims, **settings})
        marks = [pytest.mark.slow] if (name, dims) in _SLOW else []
        yield pytest.param(options, id=f"{name}-{dims}d", marks=marks)


_MODELS = [*_unets(), *_others()]


def test_no_kind_is_left_out() -> None:
    assert {"unet", *(name.split()[0] for name in _OTHERS)} == set(kinds_of("segment"))


def _images(options: ModelOptions, *size: int, batch: int = 2, channels: int = 3, seed: int = 0) -> Tensor:
    """Random images; a 3-D network gets the 2-D size with 5 slices before it."""
    shape = (batch, channels, *((5,) if options.dims == 3 else ()), *size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    """The logits of the full grid, whatever the network gives beside them."""
    logits = model(images)
    full: Tensor = logits[0] if isinstance(logits, tuple) else logits
    return full


def _squares(logits: Tensor | tuple[Tensor, ...]) -> Tensor:
    """A loss in which all logits have a part, those of deep supervision too."""
    levels = logits if isinstance(logits, tuple) else (logits,)
    return torch.stack([level.float().square().mean() for level in levels]).sum()


@pytest.mark.parametrize("options", _MODELS)
@pytest.mark.parametrize("size", [(16, 16), (15, 13), (1, 1), (1, 17), (5, 31)], ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["training", "prediction"])
def test_any_size(options: ModelOptions, size: tuple[int, int], training: bool) -> None:
    images = _images(options, *size, batch=1)
    logits = _logits(build_model(options, 3, 2, seed=0).train(training), images)
    assert logits.shape == (1, 2, *images.shape[2:])
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("options", _MODELS)
def test_one_channel_and_many_regions(options: ModelOptions) -> None:
    images = _images(options, 8, 8, channels=1)
    assert _logits(build_model(options, 1, 7, seed=0), images).shape == (2, 7, *images.shape[2:])


@pytest.mark.parametrize("options", _MODELS)
def test_a_step_under_bfloat16_autocast_in_channels_last(options: ModelOptions) -> None:
    model = build_model(options, 3, 2, seed=0)
    memory = torch.channels_last if options.dims == 2 else torch.channels_last_3d
    widen_small_images(model)
    images = _images(options, 9, 9)
    model.to(memory_format=memory)  # type: ignore[call-overload]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(images.contiguous(memory_format=memory))
    _squares(logits).backward()  # type: ignore[no-untyped-call]
    gradients = [weights.grad for weights in model.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("options", _MODELS)
def test_bfloat16_and_float32_agree(options: ModelOptions) -> None:
    model = build_model(options, 3, 2, seed=0).eval()
    images = _images(options, 9, 9)
    with torch.no_grad():
        exact = _logits(model, images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = _logits(model, images)
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize("options", _MODELS)
def test_channels_last_stays_channels_last(options: ModelOptions) -> None:
    """Every convolution is met in the layout in which it is fast."""
    memory = torch.channels_last if options.dims == 2 else torch.channels_last_3d
    model = build_model(options, 3, 2, seed=0)
    model.to(memory_format=memory)  # type: ignore[call-overload]
    met: list[bool] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        met.append(inputs[0].is_contiguous(memory_format=memory))

    for part in model.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            part.register_forward_pre_hook(note)
    # 9 needs padding; 3 channels and more than one voxel, so that the layouts differ; in float32 PyTorch takes another
    # path for toys
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(_images(options, 9, 9).contiguous(memory_format=memory))
    assert met
    assert all(met)


@pytest.mark.parametrize("options", _MODELS)
def test_state_survives_safetensors(options: ModelOptions, tmp_path: Path) -> None:
    model = build_model(options, 3, 2, seed=0)
    images = _images(options, 9, 9)
    model(images)  # moves the running statistics
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    again = build_model(options, 3, 2, seed=1)
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        assert torch.equal(_logits(again.eval(), images), _logits(model.eval(), images))


@pytest.mark.parametrize("options", _MODELS)
def test_the_seed_alone_decides_the_weights(options: ModelOptions) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_model(options, 3, 2, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    same, other = (build_model(options, 3, 2, seed=seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(first[name], same[name]) for name in first)
    kernels = [name for name, weights in first.items() if weights.dim() > 1 and weights.is_floating_point()]
    assert kernels
    assert not any(torch.equal(first[name], other[name]) for name in kernels)


@pytest.mark.parametrize("options", _MODELS)
def test_learns_one_tiny_case_by_heart(options: ModelOptions) -> None:
    larger = {"width": 8, "depth": 1} if isinstance(options, UNetOptions) else {}
    # the decoder of DeepLab works on a quarter of the pictures' size, and can draw no finer edges
    step = 4 if isinstance(options, DeepLabOptions) else 1
    images = _images(options, 8 * step, 8 * step, batch=1)
    regions = torch.zeros(1, 1, *images.shape[2:])
    regions[..., 2 * step : 5 * step, 3 * step : 7 * step] = 1
    torch.manual_seed(0)  # dropout
    model = build_model(options.model_copy(update=larger), 3, 1, seed=0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01 if isinstance(options, SwinUNETROptions) else 0.02)
    for _ in range(40):
        loss = nn.functional.binary_cross_entropy_with_logits(_logits(model, images), regions)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        predicted = _logits(model, images) > 0
    assert (predicted == regions.bool()).float().mean() > 0.97


@pytest.mark.parametrize("options", _MODELS)
def test_every_weight_has_a_part_in_the_logits(options: ModelOptions) -> None:
    model = build_model(options, 3, 2, seed=0)
    logits = model(_images(options, 8, 8))
    _squares(logits).backward()  # type: ignore[no-untyped-call]
    idle = [name for name, weights in model.named_parameters() if weights.grad is None or not weights.grad.any()]
    assert not idle


@pytest.mark.parametrize("kind", [kind for kind in OPTIONS if kind != "swinunetr"])
def test_a_network_that_no_machine_holds_is_refused_before_it_is_built(kind: str) -> None:
    """A recipe or a bundle can ask for petabytes in one number."""
    (name,) = {"width", "filters"} & set(OPTIONS[kind].model_fields)
    options: Any = OPTIONS[kind].model_validate({"kind": kind, name: 1_200_000})
    with pytest.raises(OptionError, match=r"more parameters than can be held; .* at most 1,000,000,000"):
        build_model(options, 4, 3, seed=0, size=64)
