"""A network as PyTorch's compiler makes it: kernels of its own for the passes of the training, the weights stay shared.

Validation, checkpoints and bundles keep to the network as it is. The digits are those of other kernels; the same run
on the same machine and versions repeats bit for bit, and so does one that was continued: what is dropped depends on the
seed of the step, and nothing is chosen by timing, as the compiler's ``mode="max-autotune"`` would.

Source: Ansel J et al. PyTorch 2: faster machine learning through dynamic Python bytecode transformation and graph
compilation. ASPLOS 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Literal, cast

import torch
from torch import nn

from glioseg.errors import OptionError

Compile = Literal["no", "kernels", "graphs"]
_MODES = MappingProxyType({"kernels": "default", "graphs": "reduce-overhead"})


def compiled(network: nn.Module, how: Compile, device: torch.device, n_processes: int) -> nn.Module:
    """What the training passes its batches through: the network itself with ``no``.

    Raises:
        OptionError: CUDA graphs without CUDA, or several processes, whose layers wait for each other in each pass.
    """
    if how == "no":
        return network
    if n_processes > 1:
        raise OptionError(
            f"train.compile={how} works in one process alone",
            found=f"{n_processes} processes",
            remedy="Leave out `--set train.compile`, or `--devices`",
        )
    if how == "graphs" and device.type != "cuda":
        raise OptionError(
            "CUDA graphs need a CUDA device",
            found=f"{device.type}",
            remedy="Use `--set train.compile=kernels`",
        )
    return cast("nn.Module", torch.compile(network, mode=_MODES[how], dynamic=False))


@contextmanager
def compiler_faults() -> Iterator[None]:
    """Say in a sentence what the compiler, which works at the first batch of a size, could not do."""
    try:
        yield
    except RuntimeError as error:
        from torch._dynamo.exc import TorchDynamoException

        if not isinstance(error, TorchDynamoException):
            raise
        raise OptionError(
            "PyTorch's compiler cannot make this network",
            found=" ".join(str(error).split("\n\n")[0].split()),
            expected="a C++ compiler, for a GPU Triton, and layers that it knows",
            remedy="Leave out `--set train.compile`",
        ) from error
