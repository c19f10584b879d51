"""What each modality contributed to a network's figures: how they change where it is removed or permuted.

A modality that is *removed* is 0, as a missing one is; one that is *permuted* keeps its histogram and its outline, but
what is not 0 in it lies in random order over the case, so that it says nothing of places. The first tells what a
network would do without the scan, which some were trained to do; the second what it takes from it.

References:
    [1] Zeiler MD, Fergus R. Visualizing and understanding convolutional networks. ECCV 2014 (occlusion).
    [2] Breiman L. Random forests. Machine Learning 45, 2001 (permutation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from glioseg.evaluation.overlap import mean_or_none
from glioseg.evaluation.score import Flags, Floats, Integers, Interval, interval_from_json
from glioseg.evaluation.statistics import bootstrap_intervals

Change = Literal["removed", "permuted"]
CHANGES: tuple[Change, ...] = ("removed", "permuted")
CHANGES_ARE: Mapping[Change, str] = {
    "removed": "the modality set to 0",
    "permuted": "the modality's voxels that are not 0 in random order",
}


@dataclass(frozen=True)
class Contribution:
    """A figure of one region, or of classes, where a modality is removed or permuted.

    Args:
        modality: which.
        change: what was done to it.
        metric: ``dice``, or ``accuracy`` of classes.
        n: cases, or pictures or slices, that have the figure with and without the change.
        mean: of the figure with the change; None where nothing has it.
        difference: mean of what the change did to it, below 0 where it made it worse,
        ci95: and its interval, over patients.
        probability: mean of what the change did to the mean probability inside the reference, or to that of the true
            class.
    """

    modality: str
    change: Change
    metric: str
    n: int
    mean: float | None
    difference: float | None
    ci95: Interval
    probability: float | None

    def to_json(self) -> dict[str, object]:
        """Its fields, those of the figure under its name; null for None."""
        return {
            "modality": self.modality,
            "change": self.change,
            "n": self.n,
            self.metric: self.mean,
            f"{self.metric}_change": self.difference,
            f"{self.metric}_change_ci95": None if self.ci95 is None else list(self.ci95),
            "probability_change": self.probability,
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote."""
        metric = next(name.removesuffix("_change_ci95") for name in block if name.endswith("_change_ci95"))
        return cls(
            block["modality"],
            block["change"],
            metric,
            int(block["n"]),
            block[metric],
            block[f"{metric}_change"],
            interval_from_json(block[f"{metric}_change_ci95"]),
            block["probability_change"],
        )


@dataclass(frozen=True)
class Changed:
    """What was done to which modality."""

    modality: str
    change: Change


@dataclass(frozen=True, eq=False)
class ChangedCase:
    """A case in which a modality was removed or permuted.

    Args:
        changed: which, and how.
        counts: (R, 4) TP, FP, FN, TN of each region.
        probability: (R,) change of the mean probability inside the reference; NaN where that is empty.
    """

    changed: Changed
    counts: Integers
    probability: Floats


def mean_inside(probabilities: Floats | npt.NDArray[np.float32], inside: Flags) -> Floats:
    """(R,) mean of probabilities (R, …) over each region's voxels (R, …); NaN where there are none."""
    return np.array(
        [
            row[mask].mean(dtype=np.float64) if mask.any() else np.nan
            for row, mask in zip(probabilities, inside, strict=True)
        ]
    )


def contribution_of(
    changed: Changed,
    metric: str,
    figures: tuple[Floats, Floats],
    probability: Floats,
    units: Sequence[str],
    draws: tuple[int, int],
) -> Contribution:
    """The contribution of a modality, from all cases.

    Args:
        changed: which, and what was done to it.
        metric: name of the figure.
        figures: (N,) before and after the change, NaN where there is none.
        probability: (N,) changes of a probability, NaN where there is none.
        units: (N,) what the bootstrap draws, patients as a rule.
        draws: their number, 0 for no interval, and their seed.
    """
    before, after = figures
    apart = after - before
    both = ~np.isnan(apart)
    n_resamples, seed = draws
    (interval,) = bootstrap_intervals(apart[:, None], units, n_resamples=n_resamples, seed=seed)
    means = (mean_or_none(values) for values in (np.where(both, after, np.nan), apart, probability))
    after_mean, difference, of_probability = means
    return Contribution(
        changed.modality, changed.change, metric, int(both.sum()), after_mean, difference, interval, of_probability
    )
