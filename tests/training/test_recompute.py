"""Activations that are made twice change nothing: not a gradient, not a running mean, not what dropout drops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from glioseg.networks.build import OPTIONS, build_model, needs_size
from glioseg.training.recompute import blocks_of, recompute_activations

_SMALL = {"width": 4, "depth": 2, "dropout": 0.3}


def _network(kind: str) -> nn.Module:
    values = {name: value for name, value in _SMALL.items() if name in OPTIONS[kind].model_fields}
    options: Any = OPTIONS[kind].model_validate({"kind": kind, **values})
    return build_model(options, 2, 2, seed=3, size=32 if needs_size(options) else None)


def _passed(network: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    logits = network.train()(images)
    several = [logits] if isinstance(logits, torch.Tensor) else list(logits)
    torch.autograd.backward([each.square().mean() for each in several])
    found = {f"gradient of {name}": each.grad for name, each in network.named_parameters() if each.grad is not None}
    return found | dict(network.named_buffers())


@pytest.mark.parametrize("kind", ["unet", "resunet", "attention-unet", "unet++", "deeplabv3plus", "classifier"])
def test_a_step_is_the_same_to_the_bit(kind: str) -> None:
    images = torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, twice = _network(kind), _network(kind)
    assert list(blocks_of(twice))
    recompute_activations(twice)
    expected, found = _passed(plain, images), _passed(twice, images)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert plain.state_dict().keys() == twice.state_dict().keys()


def test_nothing_is_kept_of_a_block_but_its_input() -> None:
    """Counted as PyTorch keeps it for the backward pass: every tensor that is saved, once."""

    def kept(network: nn.Module) -> int:
        sizes: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network.train()(torch.randn(1, 2, 64, 64))
        return sum(sizes.values())

    plain, twice = _network("unet"), _network("unet")
    recompute_activations(twice)
    assert kept(twice) < 0.5 * kept(plain)


def test_in_evaluation_a_block_runs_once() -> None:
    network, calls = _network("unet"), []
    block = next(blocks_of(network))
    block.register_forward_hook(lambda *_: calls.append(1))
    recompute_activations(network)
    network.eval()(torch.randn(1, 2, 32, 32)).sum().backward()
    assert len(calls) == 1
