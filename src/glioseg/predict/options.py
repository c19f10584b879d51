"""What decides how probabilities become a label map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PredictOptions(BaseModel):
    """Options of prediction, kept in the bundle.

    Attributes:
        threshold: a voxel is inside a region above this probability,
        thresholds: unless the region has one of its own here.
        min_voxels: smaller components (26-connected, native voxels) of a region are removed; by region.
        flips: views that are averaged at test time: ``none``, ``lr`` (as is and mirrored along the columns), ``all``
            (both in-plane axes: four views; all three axes of a 3-D network: eight).
        tune: choose thresholds and min_voxels on the validation part after training.
        batch_size: slices, or windows of a 3-D network, at a time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(0.5, ge=0, lt=1)
    thresholds: Mapping[str, float] = Field(default_factory=dict)
    min_voxels: Mapping[str, int] = Field(default_factory=dict)
    flips: Literal["none", "lr", "all"] = "none"
    tune: bool = False
    batch_size: int = Field(16, ge=1)

    def threshold_of(self, region: str) -> float:
        """The threshold in force for a region."""
        return self.thresholds.get(region, self.threshold)
