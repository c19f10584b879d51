"""Activation checkpointing: what the blocks of a network made is thrown away, and made again for the backward pass.

Of each block only the input is kept. The gradients are the same to the bit, and so are running statistics and dropout:
the second time a block runs it changes nothing and drops what it dropped.

Source: Chen T, Xu B, Zhang C, Guestrin C. Training deep nets with sublinear memory cost. arXiv:1604.06174, 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recompute_activations(network: nn.Module) -> None:
    """Let every block of a network make its activations again in the backward pass; its weights stay what they are.

    Blocks are the smallest modules that are made of several layers with weights, so that it fits every network.
    """
    for block in list(blocks_of(network)):
        block.forward = partial(_made_twice, block, block.forward)


def blocks_of(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that hold layers with weights themselves, or of whose children none holds several."""
    children = list(module.children())
    numbers = [_n_layers(child) for child in children]
    n_own = sum(n for n, child in zip(numbers, children, strict=True) if not list(child.children()))
    is_smallest = n_own > 1 or (sum(numbers) > 1 and max(numbers) == 1)
    if is_smallest and not isinstance(module, nn.ModuleList | nn.ModuleDict):
        yield module
        return
    for child in children:
        yield from blocks_of(child)


def _n_layers(module: nn.Module) -> int:
    """Layers with weights, inside a module or itself."""
    return sum(any(True for _ in layer.parameters(recurse=False)) for layer in module.modules())


def _made_twice(block: nn.Module, forward: Callable[..., Any], *tensors: Any, **named: Any) -> Any:  # noqa: ANN401
    if not block.training:
        return forward(*tensors, **named)
    contexts = partial(_contexts, block)
    return checkpoint(forward, *tensors, use_reentrant=False, context_fn=contexts, **named)


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _without_tracking(block)


@contextmanager
def _without_tracking(block: nn.Module) -> Iterator[None]:
    """Within it normalisations leave their running statistics as they are, which have seen this batch already."""
    layers = [layer for layer in block.modules() if isinstance(layer, _BatchNorm)]
    before = [(layer.momentum, _counted(layer)) for layer in layers]
    for layer in layers:
        layer.momentum = 0.0  # the share of the batch
    try:
        yield
    finally:
        for layer, (momentum, counted) in zip(layers, before, strict=True):
            layer.momentum = momentum
            if counted is not None and layer.num_batches_tracked is not None:
                layer.num_batches_tracked.copy_(counted)


def _counted(layer: _BatchNorm) -> Tensor | None:
    return None if layer.num_batches_tracked is None else layer.num_batches_tracked.clone()
