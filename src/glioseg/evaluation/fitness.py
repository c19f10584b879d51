"""Where a metric is not fit for what it is shown, in sentences, after Metrics Reloaded [1].

A figure is not wrong for it: it says little, or something else than it seems to.

References:
    [1] Maier-Hein L, Reinke A et al. Metrics reloaded: recommendations for image analysis validation; Reinke A et al.
        Understanding metric-related pitfalls in image analysis validation. Nat Methods 2024.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from glioseg.evaluation.cases import CaseScores
from glioseg.evaluation.overlap import FN, FP, TP
from glioseg.evaluation.score import EmptyRule, Integers

_MOSTLY_BACKGROUND = 0.95
_FEW_VOXELS = 100
Fitness = Mapping[str, Mapping[str, str]]
"""Region -> metric -> why it is not fit."""


def fitness_of(cases: Sequence[CaseScores], rule: EmptyRule) -> dict[str, dict[str, str]]:
    """What is to be said of the metrics of a cohort; regions of which nothing is to be said are absent.

    Args:
        cases: all of them, scored on the same regions.
        rule: for empty masks.
    """
    counts = np.stack([case.counts for case in cases])
    notes_by_region: dict[str, dict[str, str]] = {}
    for row, region in enumerate(cases[0].regions):
        notes = {**_background(counts[:, row]), **_overlap(cases, counts[:, row], row)}
        notes |= _distances(cases, counts[:, row], rule)
        if notes:
            notes_by_region[region] = notes
    return notes_by_region


def _background(counts: Integers) -> dict[str, str]:
    share = 1 - (counts[:, TP] + counts[:, FN]).sum() / counts.sum()
    if share < _MOSTLY_BACKGROUND:
        return {}
    words = f"{100 * share:.1f} % of the voxels are background, so it is near 1 whatever is drawn"
    return dict.fromkeys(("specificity", "accuracy"), words)


def _overlap(cases: Sequence[CaseScores], counts: Integers, row: int) -> dict[str, str]:
    sizes = (counts[:, TP] + counts[:, FN])[counts[:, TP] + counts[:, FN] > 0]
    n_lesions = [case.measured["n_lesions"][row] or 0.0 for case in cases if "n_lesions" in case.measured]
    words = []
    if sizes.size and np.median(sizes) < _FEW_VOXELS:
        median = float(np.median(sizes))
        words.append(
            f"the median reference has {median:g} voxels: one more or less moves it by {1 / (2 * median + 1):.3f}"
        )
    if n_lesions and np.median(n_lesions) >= 2:
        words.append("half of the cases have two lesions or more, and a large one hides small ones: read lesion_dice")
    return dict.fromkeys(("dice", "iou"), "; ".join(words)) if words else {}


def _distances(cases: Sequence[CaseScores], counts: Integers, rule: EmptyRule) -> dict[str, str]:
    """A maximum is decided by one voxel; what has no distance is not in a mean."""
    if "hd" not in cases[0].measured:
        return {}
    notes = {"hd": "one voxel decides it: read hd95"}
    is_missed = (counts[:, TP] + counts[:, FN] > 0) & (counts[:, TP] + counts[:, FP] == 0)
    if is_missed.any() and rule in ("skip", "skip_reference_empty"):
        words = f"{is_missed.sum()} of {len(cases)} cases are missed and have no distance, so that it is the mean of "
        words += "the others: read recall beside it"
        for name in ("hd", "hd95", "mean_surface_distance"):
            notes[name] = f"{notes[name]}; {words}" if name in notes else words
    return notes
