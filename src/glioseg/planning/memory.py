"""How much memory a training step of a U-Net takes, and the largest patch for which there is room.

References:
    [1] Isensee F et al. nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation.
        Nature Methods 18, 2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from glioseg.errors import GeometryError, OptionError
from glioseg.preparation.patches import SMALLEST

Size = tuple[int, ...]
"""Voxels along (H, W) or (D, H, W)."""
Kind = Literal["cpu", "cuda", "mps"]

GB = 1e9
SMALLEST_LEVEL = 4
"""Voxels along an axis of the coarsest level, at least [1]."""
CPU_VOXELS = 2 * 64**3
"""Voxels of one step of a CPU with a network of width 16; two cores take some seconds for it."""
_SHARE_OF_MEMORY = 0.8
_RESERVED_BYTES = 0.5e9
"""What Python, PyTorch and the other libraries take."""


@dataclass(frozen=True)
class Machine:
    """Where a training runs.

    Args:
        memory_gb: free memory of the device (of the computer, for a CPU), in 10^9 bytes.
        kind: of the device.
        bf16: whether networks run under bfloat16 autocast.
    """

    memory_gb: float
    kind: Kind = "cpu"
    bf16: bool = True


@dataclass(frozen=True)
class PlannedNetwork:
    """A U-Net, as far as memory goes.

    Args:
        dims: spatial axes.
        width: channels of the first level.
        depth: poolings.
        n_channels: of the images.
        n_regions: logits per voxel.
        deep_supervision: logits at every level of the expanding path.
    """

    dims: int
    width: int
    depth: int
    n_channels: int
    n_regions: int
    deep_supervision: bool = False


def training_bytes(network: PlannedNetwork, size: Size, batch_size: int, *, bf16: bool) -> float:
    """Memory that a training step takes, libraries included, by a rough count of what is alive at its peak.

    Features: each level has eleven tensors of its width that the way back needs, and about as much again is
    workspace, gradients and conversions; a level has twice the channels on a quarter (an eighth) of the voxels of the
    one above. Logits and their losses: some five float32 values for each region, voxel and supervised level. Weights
    with gradients, both moments of Adam and their running mean: 20 bytes each.

    Against the peaks of 14 trainings on a CPU (``benchmarks/memory.py``; volumes, widths 8 to 32, 48 to 96 voxels, both
    number formats) the count is 1 to 40 % too high, half of the time by less than 13 %.

    Args:
        network: the U-Net.
        size: of an item, (H, W) or (D, H, W).
        batch_size: items of a step.
        bf16: whether features are in 16 bits.
    """
    n_voxels = batch_size * math.prod(size)
    levels = sum(2.0 ** (level * (1 - network.dims)) for level in range(network.depth + 1)) * 3 / 4
    features = network.width * levels * (64 if bf16 else 100)
    heads = network.depth if network.deep_supervision else 1
    others = 16 * network.n_channels + 20 * network.n_regions * heads
    return n_voxels * (features + others) + 20.0 * n_weights(network) + _RESERVED_BYTES


def n_weights(network: PlannedNetwork) -> int:
    """Weights of the convolutions, of which a U-Net has hardly others."""
    kernel = 3**network.dims
    widths = [network.width * 2**level for level in range(network.depth + 1)]
    down = sum(n_in * n + n * n for n_in, n in zip([network.n_channels, *widths], widths, strict=False))
    up = sum(3 * n * n for n in widths[:-1])
    return int(kernel * (down + up))


def fits(network: PlannedNetwork, size: Size, batch_size: int, machine: Machine) -> bool:
    """Whether a step has room in the machine's memory and, on a CPU, ends within seconds."""
    n_bytes = training_bytes(network, size, batch_size, bf16=machine.bf16)
    enough = n_bytes <= _SHARE_OF_MEMORY * machine.memory_gb * GB
    is_slow = machine.kind == "cpu" and batch_size * math.prod(size) * network.width > CPU_VOXELS * 16
    return enough and not (network.dims == 3 and is_slow)


def gigabytes_needed(network: PlannedNetwork, size: Size, batch_size: int, machine: Machine) -> float:
    """Free memory, in 10^9 bytes, for which a step ``fits``: it fills a share of that alone."""
    return training_bytes(network, size, batch_size, bf16=machine.bf16) / _SHARE_OF_MEMORY / GB


def patch_for(shape: tuple[int, int, int], network: PlannedNetwork, batch_size: int, machine: Machine) -> Size:
    """The largest patch of a volume that fits; where all fits, the whole volume.

    Axes are multiples of ``2^depth``. The patch begins as the whole volume; the axis that is longest in proportion to
    the volume's is shortened by a step until it fits, so that the patch keeps the volume's form.

    Args:
        shape: slices, rows and columns of a typical volume.
        network: the U-Net.
        batch_size: patches of a step.
        machine: see ``fits``.

    Raises:
        GeometryError: the volume is too thin for the network's poolings.
        OptionError: not even the smallest patch fits.
    """
    step = 2**network.depth
    if min(shape) < step:
        single = shape[0] == 1
        raise GeometryError(
            "the volumes are too thin for a 3-D network",
            found="single slices" if single else f"{' x '.join(map(str, shape))} voxels",
            expected=f"{step} voxels or more along each axis, for {network.depth} poolings",
            remedy="Use a network of slices: model.dims = 2, without [patches]",
        )
    for patch in _shrinking_patches(shape, step):
        if fits(network, patch, batch_size, machine):
            return patch
    raise OptionError(
        "there is not enough memory for any patch",
        found=f"{machine.memory_gb:.1f} GB",
        expected=f"{gigabytes_needed(network, patch, batch_size, machine):.1f} GB "
        f"for {batch_size} patches of {' x '.join(map(str, patch))} and width {network.width}",
        remedy="Lower train.batch_size or model.width, or give patches.size three numbers",
    )


def _shrinking_patches(shape: tuple[int, int, int], step: int) -> Iterator[Size]:
    whole = [max(-(-n // step) * step, SMALLEST) for n in shape]  # a small step divides that
    least = [min(n, SMALLEST_LEVEL * step) for n in whole]
    patch = list(whole)
    while True:
        yield tuple(patch)
        longer = [axis for axis in range(3) if patch[axis] > least[axis]]
        if not longer:
            return
        patch[max(longer, key=lambda axis: (patch[axis] / shape[axis], patch[axis]))] -= step
