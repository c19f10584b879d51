"""Why a mask should be looked at before it is believed: what the prediction itself shows, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid, Image, LabelMap
from glioseg.core.components import bounding_box, label_components
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Prediction
from glioseg.inference.thresholds import threshold_in
from glioseg.report import style
from glioseg.tasks.segment.kinds import kind_doubts

_UNDECIDED = 0.6
"""A region is undecided where its size changes by more than this share of itself between strict and lenient limits."""
_COVERED = 0.4
"""A tumour that covers more than this share of all that the scan shows is not to be believed unseen."""
_SCATTERED = 0.6
"""A prediction is scattered where its largest piece holds less than this share of it."""
_DISPUTED = 0.3


def doubts(
    image: Image, prediction: Prediction, options: PredictOptions, n_disputed: int | None = None
) -> tuple[str, ...]:
    """Sentences for people, the weightiest first; none where nothing speaks against the mask.

    Args:
        image: (C, X, Y, Z), what the network was shown.
        prediction: on the same grid.
        options: how its probabilities became labels.
        n_disputed: voxels in which the members of an ensemble differ from it; None for one network.
    """
    labels = prediction.label_map
    inside = labels.array > 0
    n_inside = int(np.count_nonzero(inside))
    if not n_inside:
        return ("Nothing was found: either there is nothing, or the scan is unlike those that the network knows",)
    reasons = [
        *_cover(image, labels, n_inside),
        *kind_doubts(prediction, options.kinds),
        *_undecided(prediction, options),
    ]
    reasons += [*_scatter(inside, n_inside), *_edges(inside, has_depth=labels.grid.has_mm)]
    if n_disputed is not None and n_disputed > _DISPUTED * n_inside:
        reasons.append(
            f"The networks disagree on {n_disputed:,} voxels, {n_disputed / n_inside:.0%} of those predicted"
        )
    return tuple(reasons)


def place_words(grid: Grid) -> tuple[str, ...]:
    """A sentence where the scan's file states two places for its voxels."""
    if grid.other_form is None:
        return ()
    apart = f"{grid.forms_apart_mm:.3g} mm"
    return (f"The sform and qform of the scan put it up to {apart} apart; the mask has both, as the scan has",)


def _cover(image: Image, labels: LabelMap, n_inside: int) -> Iterator[str]:
    if "tumour" not in labels.scheme.regions:
        return
    shown = int(np.count_nonzero(image.array.any(axis=0)))
    if n_inside > _COVERED * shown:
        yield f"The prediction covers {n_inside / max(shown, 1):.0%} of what the scan shows, more than a tumour does"


def _undecided(prediction: Prediction, options: PredictOptions) -> Iterator[str]:
    """Regions whose size hangs on where the line is drawn: half of the threshold against half-way from it to 1.

    Kinds share the line of the region that they are kinds of.
    """
    voxel, unit = _voxel(prediction.label_map)
    for region, probabilities in zip(prediction.regions, prediction.probabilities, strict=True):
        if region in options.kinds:
            continue
        limit = 0.5 if options.activation == "softmax" else threshold_in(probabilities, options.threshold_of(region))
        strict, painted, lenient = (
            int(np.count_nonzero(probabilities > value)) for value in ((1 + limit) / 2, limit, limit / 2)
        )
        if painted and lenient - strict > _UNDECIDED * painted:
            yield (
                f"{region} is undecided: {style.number(strict * voxel)} {unit} are sure (probability above "
                f"{(1 + limit) / 2:.2g}), {style.number(lenient * voxel)} {unit} are possible (above {limit / 2:.2g})"
            )


def _scatter(inside: npt.NDArray[np.bool_], n_inside: int) -> Iterator[str]:
    components, n_pieces = label_components(inside[bounding_box(inside)])
    largest = int(np.bincount(components.ravel())[1:].max())
    if largest < _SCATTERED * n_inside:
        yield f"The prediction lies in {n_pieces:,} separate pieces; the largest holds {largest / n_inside:.0%} of it"


def _edges(inside: npt.NDArray[np.bool_], *, has_depth: bool) -> Iterator[str]:
    """Sides of the scan that the prediction touches; the ends of a stack of pictures are none where there is one."""
    n_axes = 3 if has_depth or inside.shape[2] > 1 else 2
    touched = any(
        np.take(inside, end, axis=axis).any() for axis in range(n_axes) if inside.shape[axis] > 1 for end in (0, -1)
    )
    if touched:
        yield "The prediction reaches the edge of the scan and may go on outside it"


def _voxel(labels: LabelMap) -> tuple[float, str]:
    return (labels.grid.voxel_ml, "ml") if labels.grid.has_mm else (1.0, "voxels")
