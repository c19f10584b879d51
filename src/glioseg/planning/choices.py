"""The settings of a proposed recipe, section by section, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from glioseg.planning.memory import GB, Machine
from glioseg.planning.proposal import Choice, CohortFingerprint, RecipeProposal


def n_neighbours(dims: int, shape: tuple[int, int, int]) -> int:
    """Slices on each side that a network of slices sees; none where a case has too few."""
    return int(dims == 2 and shape[0] >= 3)


def of_data(fingerprint: CohortFingerprint) -> Iterator[Choice]:
    """Modalities and the shares of the parts."""
    n = fingerprint.n_patients
    shares = (0.7, 0.15, 0.15) if n >= 10 else (0.6, 0.2, 0.2) if n >= 3 else (0.5, 0.5, 0.0)
    why = {0.7: "enough for all three parts", 0.6: "few: each part needs at least one"}.get(
        shares[0], "too few to test"
    )
    yield Choice("data.modalities", list(fingerprint.modalities), "all that the cohort has")
    yield Choice("split.train", shares[0], f"{n} patients: {why}")
    yield Choice("split.val", shares[1], "picks the best epoch and the thresholds")
    yield Choice("split.test", shares[2], "patients that decide nothing")


def of_preparation(
    fingerprint: CohortFingerprint,
    proposal: RecipeProposal,
    spacing: tuple[float, float, float] | None,
    why_spacing: str,
) -> Iterator[Choice]:
    """Crop, size, intensities; ``spacing`` is (D, H, W) in mm where volumes must be resampled to it."""
    share, dark = fingerprint.box_share, fingerprint.dark_share
    slices = proposal.network.dims == 2
    yield Choice(
        "prepare.crop_to_brain",
        slices or share < 0.85,
        f"the box that holds the brain is {share:.0%} of a scan" + ", and is made square" * slices,
    )
    if slices:
        yield Choice(
            "prepare.size", proposal.size[0], "a multiple of 2^depth, as near to the slices as time and memory allow"
        )
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


def of_network(
    fingerprint: CohortFingerprint,
    proposal: RecipeProposal,
    machine: Machine,
    shape: tuple[int, int, int],
    why_dims: str,
) -> Iterator[Choice]:
    """Patches or neighbours, the network, the loss; ``shape`` is that of a typical volume."""
    network = proposal.network
    memory = (
        f"{proposal.batch_size} at a time take about {proposal.n_bytes / GB:.1f} GB of {machine.memory_gb:.1f} GB; "
        f"typical volumes have {' x '.join(map(str, shape))} voxels"
    )
    smallest, share = min(fingerprint.region_shares.items(), key=lambda pair: pair[1], default=("", 1.0))
    rare = f"{smallest} fills {share:.2%} of the box" if smallest else "no region was seen"
    if network.dims == 3:
        yield from _of_patches(proposal, machine, shape, memory, 0.5 if share < 0.005 else 0.33, rare)
    else:
        n = n_neighbours(2, shape)
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
    yield Choice("loss.dice", {"over": "batch"}, "single items often lack a region")
    if network.dims == 2:
        yield Choice("train.tumour_share", 0.5, rare)


def _of_patches(
    proposal: RecipeProposal, machine: Machine, shape: tuple[int, int, int], memory: str, foreground: float, rare: str
) -> Iterator[Choice]:
    limited = machine.kind == "cpu" and any(np.less(proposal.size, shape))
    limit = "; a CPU would take too long for larger ones" * limited
    n_windows = math.prod(shape) / math.prod(proposal.size)
    yield Choice("patches.size", list(proposal.size), f"slices, rows, columns: {memory}{limit}")
    yield Choice("patches.foreground", foreground, rare)
    yield Choice("patches.per_case", _per_case(proposal, shape), f"a volume holds {n_windows:.1f} patches")


def _per_case(proposal: RecipeProposal, shape: tuple[int, int, int]) -> int:
    return min(max(math.ceil(math.prod(shape) / math.prod(proposal.size)), 2), 8)


def of_augmentation(proposal: RecipeProposal, spacing: tuple[float, float, float] | None) -> Iterator[Choice]:
    """Flips, turns and intensities; ``spacing`` is the median edge of a voxel (D, H, W) in mm."""
    dims = proposal.network.dims
    axes = ["width", "height", "depth"] if dims == 3 else ["width"]
    yield Choice("augment.flip", {"probability": 0.5, "axes": axes}, "mirrored brains are brains")
    if spacing is None or max(spacing) / min(spacing) < 1.5 or dims == 2:
        yield Choice("augment.rotation", {"probability": 0.3}, "voxels are about as long as wide")
    for name in ("scale", "gamma", "brightness", "contrast"):
        yield Choice(f"augment.{name}", {"probability": 0.2}, "scanners and heads differ")


def of_training(
    fingerprint: CohortFingerprint, proposal: RecipeProposal, machine: Machine, shape: tuple[int, int, int]
) -> Iterator[Choice]:
    """How long and how fast; epochs are as many as make up the steps that the machine can do in reasonable time."""
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
