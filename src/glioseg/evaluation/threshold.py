"""The threshold and the smallest component worth keeping, chosen on validation cases.

Both are hyper-parameters: chosen on test cases they would flatter the model, so give this the validation part only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from glioseg.core.components import bounding_box, label_components
from glioseg.errors import ScoreError
from glioseg.evaluation.metrics import ruled_ratio
from glioseg.evaluation.overlap import FN, TN
from glioseg.evaluation.score import EmptyRule, Flags, Floats, Integers
from glioseg.frozen import Frozen

_AS_GOOD = 1e-9  # differences of mean Dice below this are round-off


class ThresholdOptions(Frozen):
    """What is tried."""

    thresholds: tuple[float, ...] = Field(
        tuple(round(0.05 * i, 2) for i in range(2, 19)), min_length=1, description="a voxel is inside above it"
    )
    min_voxels: tuple[int, ...] = Field(
        (0, 10, 30, 100, 300, 1000), min_length=1, description="components with fewer voxels are removed"
    )
    empty: EmptyRule = Field("skip", description="what counts where a mask is empty and Dice is 0/0")

    @field_validator("thresholds")
    @classmethod
    def _thresholds_lie_within(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 <= value < 1 for value in values):
            raise ValueError("thresholds lie between 0 and 1")
        return tuple(sorted(set(values)))

    @field_validator("min_voxels")
    @classmethod
    def _sizes_are_sizes(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if not all(value >= 0 for value in values):
            raise ValueError("a component has at least 0 voxels")
        return tuple(sorted(set(values)))


@dataclass(frozen=True, eq=False)
class CaseSearch:
    """What one case says about every setting.

    Args:
        case: its id.
        regions: names of R regions.
        counts: (R, T, M, 4) TP, FP, FN, TN by threshold and smallest component.
    """

    case: str
    regions: tuple[str, ...]
    counts: Integers


@dataclass(frozen=True)
class ThresholdChoice:
    """The best setting of a region.

    Args:
        threshold: a voxel is inside above it.
        min_voxels: components with fewer voxels are removed.
        dice: its mean Dice over the validation cases; None where no case counts.
    """

    threshold: float
    min_voxels: int
    dice: float | None


def search_case(
    case: str,
    probabilities: npt.NDArray[np.floating],
    reference: npt.NDArray[np.generic],
    regions: Sequence[str],
    options: ThresholdOptions,
) -> CaseSearch:
    """Score every setting on one case, region by region.

    Each region is thresholded on its own; painting them into one label map can move a few voxels between regions.

    Args:
        case: its id.
        probabilities: (R, X, Y, Z) in 0..1, on the native grid.
        reference: (R, X, Y, Z) bool or 0/1.
        regions: names of the R regions.
        options: what to try.

    Raises:
        ScoreError: shapes that differ.
    """
    if probabilities.shape != reference.shape or probabilities.ndim != 4 or len(probabilities) != len(regions):
        raise ScoreError(
            f"case {case} needs probabilities and reference with one channel per region",
            found=probabilities.shape,
            expected=reference.shape,
        )
    counts = np.stack(
        [_search_region(p, r.astype(np.bool_), options) for p, r in zip(probabilities, reference, strict=True)]
    )
    return CaseSearch(case, tuple(regions), counts)


def choose(searches: Sequence[CaseSearch], options: ThresholdOptions) -> dict[str, ThresholdChoice]:
    """The setting with the highest mean Dice over cases, for each region.

    Among equally good ones the threshold closest to one half and then the smallest component size wins, so that the
    choice does not depend on the order of anything.

    Raises:
        ScoreError: no case, or cases of differing regions.
    """
    if not searches:
        raise ScoreError("there is no validation case to choose a threshold on")
    regions = searches[0].regions
    if any(search.regions != regions for search in searches):
        raise ScoreError("the validation cases were searched on differing regions")
    ordered = sorted(searches, key=lambda search: search.case)
    dice = ruled_ratio(np.stack([search.counts for search in ordered]), "dice", options.empty)
    return {region: _best(dice[:, row], options) for row, region in enumerate(regions)}


def _search_region(probabilities: npt.NDArray[np.floating], reference: Flags, options: ThresholdOptions) -> Integers:
    """(T, M, 4) counts of one region.

    One labelling per threshold serves all sizes: a component is removed or stays as a whole, so that its voxels and
    those of them inside the reference are all that is needed of it.
    """
    n_reference, total = int(np.count_nonzero(reference)), reference.size
    counts = np.zeros((len(options.thresholds), len(options.min_voxels), 4), dtype=np.int64)
    counts[..., FN], counts[..., TN] = n_reference, total - n_reference  # nothing predicted, until something is
    for t, threshold in enumerate(options.thresholds):
        mask = probabilities > np.float64(threshold)  # in float64: a float32 threshold of 0.1 lies above 0.1
        if not mask.any():
            break
        box = bounding_box(mask)  # thresholds rise, so that what is inside the next one lies in this box
        mask, reference, probabilities = mask[box], reference[box], probabilities[box]
        sizes, hits = _component_sizes(mask, reference, max(options.min_voxels) > 1)
        for m, min_voxels in enumerate(options.min_voxels):
            stays = sizes >= min_voxels
            size, tp = int(sizes[stays].sum()), int(hits[stays].sum())
            counts[t, m] = tp, size - tp, n_reference - tp, total - size - n_reference + tp
    return counts


def _component_sizes(mask: Flags, reference: Flags, by_component: bool) -> tuple[Integers, Integers]:
    """Voxels of each component, and those of them inside the reference; the whole mask as one where that suffices."""
    if not by_component:
        return np.array([np.count_nonzero(mask)]), np.array([np.count_nonzero(mask & reference)])
    components, n = label_components(mask)
    sizes = np.bincount(components.ravel(), minlength=n + 1)[1:]
    return sizes, np.bincount(components[reference], minlength=n + 1)[1:]


def _best(dice: Floats, options: ThresholdOptions) -> ThresholdChoice:
    """The best of (N, T, M) Dice values.

    Means are over the cases that count at a setting, as an evaluation takes them. Under the rule ``skip`` these differ
    between settings: with nothing predicted a case without tumour drops out, with a false alarm it counts as 0.
    """
    n = (~np.isnan(dice)).sum(axis=0)
    total = np.nansum(dice, axis=0)
    means = np.divide(total, n, out=np.full(n.shape, -1.0), where=n > 0)
    best = means.max()
    _, _, t, m = min(
        (abs(options.thresholds[t] - 0.5), options.min_voxels[m], t, m)
        for t, m in np.argwhere(means >= best - _AS_GOOD).tolist()
    )
    return ThresholdChoice(options.thresholds[t], options.min_voxels[m], float(means[t, m]) if n[t, m] else None)
