"""From the fingerprint of a cohort and a machine to the settings of a recipe: a pure function, each choice with why.

In the spirit of nnU-Net [1]: what the data decide is decided by rules, not by hand; but the result is a recipe that a
person reads and changes, and nothing else is kept.

The network is the U-Net of ``models.unet``, whose poolings halve every axis. Where voxels are three times longer along
one axis than along another, or volumes are only a few slices thick, that makes no sense: slices are proposed then.

References:
    [1] Isensee F et al. nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation.
        Nature Methods 18, 2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from glioseg.errors import GeometryError, OptionError

Size = tuple[int, ...]
"""Voxels along (H, W) or (D, H, W)."""
Kind = Literal["cpu", "cuda", "mps"]
Value = bool | int | float | str | list[int] | list[float] | list[str] | dict[str, object]

SMALLEST_LEVEL = 4
"""Voxels along an axis of the coarsest level, at least [1]."""
MOST_ANISOTROPIC = 3.0
"""Longest over shortest edge of a voxel from which on slices are proposed [1]."""
CPU_VOXELS = 2 * 64**3
"""Voxels of one step of a CPU with a network of width 16; two cores take some seconds for it."""
_GB = 1e9
_SHARE_OF_MEMORY = 0.8
_RESERVED_BYTES = 0.5e9
"""What Python, PyTorch and the other libraries take."""


@dataclass(frozen=True)
class Fingerprint:
    """What of a cohort decides a recipe.

    Args:
        n_patients: in the cohort.
        modalities: its channels.
        regions: what is to be found.
        shapes: slices, rows and columns of the box that holds the brain, for each case that was looked at.
        spacings_mm: the edges of its voxels, in the same order; None for pictures.
        box_share: median share of a case's voxels that lie in that box.
        dark_share: median share of the voxels of that box that are background.
        outlier_ratio: how much brighter the brightest voxel of a modality is than its quantile 0.999, both from the
            median; median over the cases, largest over the modalities.
        region_shares: region -> median share of the box's voxels that it fills, over the cases that show it.
    """

    n_patients: int
    modalities: tuple[str, ...]
    regions: tuple[str, ...]
    shapes: tuple[tuple[int, int, int], ...]
    spacings_mm: tuple[tuple[float, float, float], ...] | None
    box_share: float
    dark_share: float
    outlier_ratio: float
    region_shares: Mapping[str, float]


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
class Network:
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


@dataclass(frozen=True)
class Choice:
    """One setting of the recipe, and why."""

    setting: str
    value: Value
    why: str


@dataclass(frozen=True)
class Proposal:
    """What to train.

    Args:
        network: the U-Net.
        size: of a patch (D, H, W), or of a slice (H, W).
        batch_size: items of a step.
        n_bytes: memory that a step is expected to take.
        choices: the settings of the recipe, in its order.
    """

    network: Network
    size: Size
    batch_size: int
    n_bytes: float
    choices: tuple[Choice, ...]


# -- memory ------------------------------------------------------------------------------------------------------------


def training_bytes(network: Network, size: Size, batch_size: int, *, bf16: bool) -> float:
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


def n_weights(network: Network) -> int:
    """Weights of the convolutions, of which a U-Net has hardly others."""
    kernel = 3**network.dims
    widths = [network.width * 2**level for level in range(network.depth + 1)]
    down = sum(n_in * n + n * n for n_in, n in zip([network.n_channels, *widths], widths, strict=False))
    up = sum(3 * n * n for n in widths[:-1])
    return int(kernel * (down + up))


def fits(network: Network, size: Size, batch_size: int, machine: Machine) -> bool:
    """Whether a step has room in the machine's memory and, on a CPU, ends within seconds."""
    enough = training_bytes(network, size, batch_size, bf16=machine.bf16) <= _SHARE_OF_MEMORY * machine.memory_gb * _GB
    is_slow = machine.kind == "cpu" and batch_size * math.prod(size) * network.width > CPU_VOXELS * 16
    return enough and not (network.dims == 3 and is_slow)


def patch_for(shape: tuple[int, int, int], network: Network, batch_size: int, machine: Machine) -> Size:
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
    for patch in _ever_smaller(shape, step):
        if fits(network, patch, batch_size, machine):
            return patch
    raise OptionError(
        "there is not enough memory for any patch",
        found=f"{machine.memory_gb:.1f} GB",
        expected=f"{training_bytes(network, patch, batch_size, bf16=machine.bf16) / _SHARE_OF_MEMORY / _GB:.1f} GB "
        f"for {batch_size} patches of {' x '.join(map(str, patch))} and width {network.width}",
        remedy="Lower train.batch_size or model.width, or give patches.size three numbers",
    )


def _ever_smaller(shape: tuple[int, int, int], step: int) -> Iterator[Size]:
    whole = [-(-n // step) * step for n in shape]
    least = [min(n, SMALLEST_LEVEL * step) for n in whole]
    patch = list(whole)
    while True:
        yield tuple(patch)
        longer = [axis for axis in range(3) if patch[axis] > least[axis]]
        if not longer:
            return
        patch[max(longer, key=lambda axis: (patch[axis] / shape[axis], patch[axis]))] -= step


# -- a recipe ----------------------------------------------------------------------------------------------------------


def propose(fingerprint: Fingerprint, machine: Machine) -> Proposal:
    """The recipe for a cohort on a machine; the same for the same arguments.

    Raises:
        OptionError: no case was looked at, or there is not enough memory for any network.
    """
    if not fingerprint.shapes:
        raise OptionError("there is no case to plan for")
    spacing, resampled, why_spacing = _spacing(fingerprint)
    shape = _median_shape(fingerprint, spacing)
    dims, why_dims = _dims(fingerprint, spacing, shape)
    network = _network(fingerprint, machine, dims, shape)
    network, size, batch_size = (_in_patches if dims == 3 else _in_slices)(fingerprint, machine, network, shape)
    n_bytes = training_bytes(network, size, batch_size, bf16=machine.bf16)
    proposal = Proposal(network, size, batch_size, n_bytes, ())
    choices = (
        *_of_data(fingerprint),
        *_of_preparation(fingerprint, proposal, spacing if resampled and dims == 3 else None, why_spacing),
        *_of_network(fingerprint, proposal, machine, shape, why_dims),
        *_of_training(fingerprint, proposal, machine, shape, spacing),
    )
    return replace(proposal, choices=choices)


def _spacing(fingerprint: Fingerprint) -> tuple[tuple[float, float, float] | None, bool, str]:
    """Median edges of a voxel (D, H, W), whether volumes must be resampled to them, and why."""
    if fingerprint.spacings_mm is None:
        return None, False, "pictures have no millimetres"
    table = np.asarray(fingerprint.spacings_mm)
    z, y, x = (round(float(value), 3) for value in np.median(table, axis=0))
    differs = bool((table.max(axis=0) / table.min(axis=0) > 1.05).any())
    words = f"{z:g} x {y:g} x {x:g} mm (slices, rows, columns)"
    why = f"voxels differ between cases; the median is {words}" if differs else f"every case has {words} already"
    return (z, y, x), differs, why


def _median_shape(fingerprint: Fingerprint, spacing: tuple[float, float, float] | None) -> tuple[int, int, int]:
    shapes = np.asarray(fingerprint.shapes, dtype=np.float64)
    if spacing is not None and fingerprint.spacings_mm is not None:
        shapes = shapes * np.asarray(fingerprint.spacings_mm) / np.asarray(spacing)
    z, y, x = (max(round(float(n)), 1) for n in np.median(shapes, axis=0))
    return z, y, x


def _dims(
    fingerprint: Fingerprint, spacing: tuple[float, float, float] | None, shape: tuple[int, int, int]
) -> tuple[int, str]:
    if spacing is None:
        return 2, "pictures: how far apart slices are is not known"
    if max(spacing) / min(spacing) >= MOST_ANISOTROPIC:
        return 2, f"voxels are {max(spacing) / min(spacing):.1f} times longer than wide: poolings in 3-D would not fit"
    if min(shape) < 4 * SMALLEST_LEVEL:
        return 2, f"the volumes are {min(shape)} voxels thin"
    return 3, f"volumes of about {' x '.join(map(str, shape))} voxels, nearly as long as wide each"


def _network(fingerprint: Fingerprint, machine: Machine, dims: int, shape: tuple[int, int, int]) -> Network:
    extent = min(shape[3 - dims :]) if dims == 3 else max(shape[1:])
    depth = 1
    while depth < 4 and extent >= SMALLEST_LEVEL * 2 ** (depth + 1):
        depth += 1
    if dims == 3 and machine.kind == "cpu":
        depth = min(depth, 3)
    width = {("cpu", 3): 16, ("cpu", 2): 24}.get((machine.kind, dims), 32)
    n_channels = len(fingerprint.modalities) * (3 if _neighbours(dims, shape) else 1)
    return Network(dims, width, depth, n_channels, len(fingerprint.regions), deep_supervision=dims == 3)


def _neighbours(dims: int, shape: tuple[int, int, int]) -> int:
    return int(dims == 2 and shape[0] >= 3)


def _in_patches(
    fingerprint: Fingerprint, machine: Machine, network: Network, shape: tuple[int, int, int]
) -> tuple[Network, Size, int]:
    """The widest network for which there is a patch; then larger batches where the whole volume fits."""
    batch_size = 2
    while True:
        try:
            size = patch_for(shape, network, batch_size, machine)
            break
        except OptionError:
            if network.width <= 4:
                raise
            network = replace(network, width=network.width // 2)
    whole = all(length >= n for length, n in zip(size, shape, strict=True))
    most = 0.05 * fingerprint.n_patients * math.prod(shape)  # [1]: a batch is at most 5 % of the voxels
    while whole and batch_size < 8 and (batch_size + 1) * math.prod(size) <= most:
        if not fits(network, size, batch_size + 1, machine):
            break
        batch_size += 1
    return network, size, batch_size


def _in_slices(
    fingerprint: Fingerprint, machine: Machine, network: Network, shape: tuple[int, int, int]
) -> tuple[Network, Size, int]:
    """Whole slices, made square; batches, and then widths, as small as memory asks for."""
    step = 2**network.depth
    side = min(-(-max(shape[1:]) // step) * step, 128 if machine.kind == "cpu" else 256)
    for width in (network.width, network.width // 2, network.width // 4):
        for batch_size in (16, 8, 4, 2):
            narrowed = replace(network, width=max(width, 1))
            if fits(narrowed, (side, side), batch_size, machine):
                return narrowed, (side, side), batch_size
    raise OptionError(
        "there is not enough memory for slices of this size",
        found=f"{machine.memory_gb:.1f} GB",
        expected=f"{training_bytes(narrowed, (side, side), 2, bf16=machine.bf16) / _SHARE_OF_MEMORY / _GB:.1f} GB",
    )


# -- the settings, with reasons ----------------------------------------------------------------------------------------


def _of_data(fingerprint: Fingerprint) -> Iterator[Choice]:
    n = fingerprint.n_patients
    shares = (0.7, 0.15, 0.15) if n >= 10 else (0.6, 0.2, 0.2) if n >= 3 else (0.5, 0.5, 0.0)
    why = {0.7: "enough for all three parts", 0.6: "few: each part needs at least one"}.get(
        shares[0], "too few to test"
    )
    yield Choice("data.modalities", list(fingerprint.modalities), "all that the cohort has")
    yield Choice("split.train", shares[0], f"{n} patients: {why}")
    yield Choice("split.val", shares[1], "picks the best epoch and the thresholds")
    yield Choice("split.test", shares[2], "patients that decide nothing")


def _of_preparation(
    fingerprint: Fingerprint, proposal: Proposal, spacing: tuple[float, float, float] | None, why_spacing: str
) -> Iterator[Choice]:
    share, dark = fingerprint.box_share, fingerprint.dark_share
    slices = proposal.network.dims == 2
    yield Choice(
        "prepare.crop_to_brain",
        slices or share < 0.85,
        f"the box that holds the brain is {share:.0%} of a scan" + ", and is made square" * slices,
    )
    if slices:
        yield Choice("prepare.size", proposal.size[0], "a multiple of 2^depth, not larger than slices are")
    elif spacing is not None:
        z, y, x = spacing
        yield Choice("prepare.spacing_mm", [x, y, z], f"columns, rows, slices: {why_spacing}")
    yield Choice("prepare.normalise", "z-score", "intensities of MRI have no unit: each scan is its own measure")
    stripped = dark > 0.1
    yield Choice(
        "prepare.brain_only",
        stripped,
        f"{dark:.0%} of that box is background" + ("" if stripped else ": too little to matter"),
    )
    if fingerprint.outlier_ratio > 2:
        yield Choice(
            "prepare.clip_percentiles",
            [0.1, 99.9],
            f"the brightest voxels lie {fingerprint.outlier_ratio:.1f} times as far out as all but a thousandth",
        )
    yield Choice("prepare.regions", list(fingerprint.regions), "what the label scheme is scored by")


def _of_network(
    fingerprint: Fingerprint, proposal: Proposal, machine: Machine, shape: tuple[int, int, int], why_dims: str
) -> Iterator[Choice]:
    network = proposal.network
    memory = (
        f"{proposal.batch_size} at a time take about {proposal.n_bytes / _GB:.1f} GB of {machine.memory_gb:.1f} GB; "
        f"typical volumes have {' x '.join(map(str, shape))} voxels"
    )
    smallest, share = min(fingerprint.region_shares.items(), key=lambda one: one[1], default=("", 1.0))
    foreground = 0.5 if share < 0.005 else 0.33
    rare = f"{smallest} fills {share:.2%} of the box" if smallest else "no region was seen"
    if network.dims == 3:
        limited = machine.kind == "cpu" and any(np.less(proposal.size, shape))
        limit = "; a CPU would take too long for larger ones" * limited
        n_windows = math.prod(shape) / math.prod(proposal.size)
        yield Choice("patches.size", list(proposal.size), f"slices, rows, columns: {memory}{limit}")
        yield Choice("patches.foreground", foreground, rare)
        yield Choice("patches.per_case", _per_case(proposal, shape), f"a volume holds {n_windows:.1f} patches")
    else:
        n = _neighbours(2, shape)
        yield Choice("slices.n_neighbours", n, "slices on each side tell more" if n else "no neighbouring slices")
    yield Choice("model.kind", "unet", "the U-Net; every rule here is about it")
    yield Choice("model.dims", network.dims, why_dims)
    yield Choice("model.width", network.width, f"what a {machine.kind.upper()} can do; {memory}")
    coarsest = " x ".join(str(n // 2**network.depth) for n in proposal.size)
    yield Choice("model.depth", network.depth, f"poolings: the coarsest level has {coarsest} voxels")
    if network.dims == 3:
        yield Choice("model.normalisation", "instance", "batches are too small for statistics over them")
        yield Choice("model.deep_supervision", True, "helps the coarse levels of 3-D networks to learn")
    yield Choice("loss.kind", "bce+dice", "cross-entropy for every voxel, Dice for small regions")
    yield Choice("loss.dice_over", "batch", "single items often lack a region")
    if network.dims == 2:
        yield Choice("train.tumour_share", 0.5, rare)


def _per_case(proposal: Proposal, shape: tuple[int, int, int]) -> int:
    return min(max(math.ceil(math.prod(shape) / math.prod(proposal.size)), 2), 8)


def _of_training(
    fingerprint: Fingerprint,
    proposal: Proposal,
    machine: Machine,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float] | None,
) -> Iterator[Choice]:
    axes = ["width", "height", "depth"][: proposal.network.dims]
    flips = axes if proposal.network.dims == 3 else ["width"]
    yield Choice("augment.flip", {"probability": 0.5, "axes": list(flips)}, "mirrored brains are brains")
    even = spacing is None or max(spacing) / min(spacing) < 1.5 or proposal.network.dims == 2
    if even:
        yield Choice("augment.rotation", {"probability": 0.3}, "voxels are about as long as wide")
    for name in ("scale", "gamma", "brightness", "contrast"):
        yield Choice(f"augment.{name}", {"probability": 0.2}, "scanners and heads differ")
    n_steps = 1_500 if machine.kind == "cpu" else 20_000
    items = _per_case(proposal, shape) if proposal.network.dims == 3 else shape[0]
    per_epoch = max(math.ceil(0.7 * fingerprint.n_patients * items / proposal.batch_size), 1)
    epochs = min(max(round(n_steps / per_epoch), 5), 300)
    yield Choice("train.epochs", epochs, f"about {epochs * per_epoch} steps: {n_steps} are wanted of a {machine.kind}")
    yield Choice("train.batch_size", proposal.batch_size, "what memory and time allow, see model.width")
    yield Choice("train.optimiser", "adamw", "needs no tuning")
    yield Choice("train.lr", 2e-3, "its peak")
    yield Choice("train.schedule", "one-cycle", "ends where the epochs end")
    yield Choice("train.clip_norm", 1.0, "a bad batch does not spoil the weights")
    yield Choice("train.ema", 0.99, "the mean of the last hundred steps is predicted with")
    yield Choice("train.validate_every", max(epochs // 5, 1), "validation of whole cases costs time")
    yield Choice("predict.batch_size", min(proposal.batch_size, 16), "prediction takes less memory than training")
    yield Choice("predict.tune", True, "thresholds and smallest components, on validation")
