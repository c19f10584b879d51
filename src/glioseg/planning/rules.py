"""From the fingerprint of a cohort and a machine to the settings of a recipe: a pure function, each choice with why.

In the spirit of nnU-Net [1]: what the data decide is decided by rules, not by hand; but the result is a recipe that a
person reads and changes, and nothing else is kept.

The network is the U-Net of ``networks.unet``, whose poolings halve every axis. Where voxels are three times longer
along one axis than along another, or volumes are only a few slices thick, that makes no sense: slices are then
proposed.

References:
    [1] Isensee F et al. nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation.
        Nature Methods 18, 2021.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from glioseg.errors import OptionError
from glioseg.planning import choices
from glioseg.planning.memory import (
    SMALLEST_LEVEL,
    Machine,
    PlannedNetwork,
    Size,
    fits,
    gigabytes_needed,
    patch_for,
    training_bytes,
)
from glioseg.planning.proposal import CohortFingerprint, RecipeProposal

MOST_ANISOTROPIC = 3.0
"""Longest over shortest edge of a voxel from which on slices are proposed [1]."""


def propose(fingerprint: CohortFingerprint, machine: Machine) -> RecipeProposal:
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
    proposal = RecipeProposal(network, size, batch_size, n_bytes, ())
    settings = (
        *choices.of_data(fingerprint),
        *choices.of_preparation(fingerprint, proposal, spacing if resampled and dims == 3 else None, why_spacing),
        *choices.of_network(fingerprint, proposal, machine, shape, why_dims),
        *choices.of_augmentation(proposal, spacing),
        *choices.of_training(fingerprint, proposal, machine, shape),
    )
    return replace(proposal, choices=settings)


def _spacing(fingerprint: CohortFingerprint) -> tuple[tuple[float, float, float] | None, bool, str]:
    """Median edges of a voxel (D, H, W), whether volumes must be resampled to them, and why."""
    if fingerprint.spacings_mm is None:
        return None, False, "pictures have no millimetres"
    table = np.asarray(fingerprint.spacings_mm)
    z, y, x = (round(float(value), 3) for value in np.median(table, axis=0))
    differs = bool((table.max(axis=0) / table.min(axis=0) > 1.05).any())
    words = f"{z:g} x {y:g} x {x:g} mm (slices, rows, columns)"
    why = f"voxels differ between cases; the median is {words}" if differs else f"every case has {words} already"
    return (z, y, x), differs, why


def _median_shape(fingerprint: CohortFingerprint, spacing: tuple[float, float, float] | None) -> tuple[int, int, int]:
    shapes = np.asarray(fingerprint.shapes, dtype=np.float64)
    if spacing is not None and fingerprint.spacings_mm is not None:
        shapes = shapes * np.asarray(fingerprint.spacings_mm) / np.asarray(spacing)
    z, y, x = (max(round(float(n)), 1) for n in np.median(shapes, axis=0))
    return z, y, x


def _dims(
    fingerprint: CohortFingerprint, spacing: tuple[float, float, float] | None, shape: tuple[int, int, int]
) -> tuple[int, str]:
    if spacing is None:
        return 2, "pictures: how far apart slices are is not known"
    if max(spacing) / min(spacing) >= MOST_ANISOTROPIC:
        return 2, f"voxels are {max(spacing) / min(spacing):.1f} times longer than wide: poolings in 3-D would not fit"
    if min(shape) < 4 * SMALLEST_LEVEL:
        return 2, f"the volumes are {min(shape)} voxels thin"
    return 3, f"volumes of about {' x '.join(map(str, shape))} voxels, nearly as long as wide each"


def _network(
    fingerprint: CohortFingerprint, machine: Machine, dims: int, shape: tuple[int, int, int]
) -> PlannedNetwork:
    extent = min(shape[3 - dims :]) if dims == 3 else max(shape[1:])
    depth = 1
    while depth < 4 and extent >= SMALLEST_LEVEL * 2 ** (depth + 1):
        depth += 1
    if dims == 3 and machine.kind == "cpu":
        depth = min(depth, 3)
    width = {("cpu", 3): 16, ("cpu", 2): 24}.get((machine.kind, dims), 32)
    n_channels = len(fingerprint.modalities) * (3 if choices.n_neighbours(dims, shape) else 1)
    return PlannedNetwork(dims, width, depth, n_channels, len(fingerprint.regions), deep_supervision=dims == 3)


def _in_patches(
    fingerprint: CohortFingerprint, machine: Machine, network: PlannedNetwork, shape: tuple[int, int, int]
) -> tuple[PlannedNetwork, Size, int]:
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
    fingerprint: CohortFingerprint, machine: Machine, network: PlannedNetwork, shape: tuple[int, int, int]
) -> tuple[PlannedNetwork, Size, int]:
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
        expected=f"{gigabytes_needed(narrowed, (side, side), 2, machine):.1f} GB",
    )
