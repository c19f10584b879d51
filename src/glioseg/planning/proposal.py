"""What a recipe is proposed from, and what is proposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glioseg.planning.memory import PlannedNetwork, Size

Value = bool | int | float | str | list[int] | list[float] | list[str] | dict[str, object]


@dataclass(frozen=True)
class CohortFingerprint:
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
class Choice:
    """One setting of the recipe, and why."""

    setting: str
    value: Value
    why: str


@dataclass(frozen=True)
class RecipeProposal:
    """What to train.

    Args:
        network: the U-Net.
        size: of a patch (D, H, W), or of a slice (H, W).
        batch_size: items of a step.
        n_bytes: memory that a step is expected to take.
        choices: the settings of the recipe, in its order.
    """

    network: PlannedNetwork
    size: Size
    batch_size: int
    n_bytes: float
    choices: tuple[Choice, ...]
