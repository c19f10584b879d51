"""Which cases and slices of a run to show, and how they are cut from volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from glioseg.core import Image, LabelMap
from glioseg.evaluation.table import Row
from glioseg.io.raster import COLOURS
from glioseg.report.figures.views import cut_slice, display_limits, shade
from glioseg.report.pixels import main_modality
from glioseg.report.run_facts import GalleryItem, GalleryKind

_VISIBLE = 0.15
"""Share of the display range above which a pixel is more than a dark background."""


def mean_dice(row: Row, regions: Sequence[str]) -> float | None:
    """The mean over those of the regions that have a Dice in a case; None where none has (both masks are empty)."""
    values = [float(value) for region in regions if isinstance(value := row[f"{region}.dice"], int | float)]
    return sum(values) / len(values) if values else None


def ranked_cases(
    rows: Sequence[Row], regions: Sequence[str], n_each: int = 4
) -> tuple[tuple[str, GalleryKind, float], ...]:
    """The cases with the best, the middle and the worst ``mean_dice``, each case once.

    Cases without a Dice are not among them. With few cases the worst come first, since they teach
    the most: 1 case is shown as worst, 2 as worst and best.

    Args:
        rows: of ``evaluate.table.case_rows``.
        regions: that they are ranked by.
        n_each: cases of each kind, at most.

    Returns:
        (case, kind, mean Dice): best ones from the best down, then those around the median, then the worst
        from the worst up.
    """
    scored = [(value, str(row["case"])) for row in rows if (value := mean_dice(row, regions)) is not None]
    scored.sort(key=lambda pair: (-pair[0], pair[1]))
    n = len(scored)
    n_worst = min(n_each, (n + 2) // 3)
    n_best = min(n_each, (n - n_worst + 1) // 2)
    n_middle = min(n_each, n - n_worst - n_best)
    first = min(max(n_best, (n - n_middle) // 2), n - n_worst - n_middle)
    chosen: list[tuple[str, GalleryKind, float]] = [(case, "best", dice) for dice, case in scored[:n_best]]
    chosen += [(case, "median", dice) for dice, case in scored[first : first + n_middle]]
    chosen += [(case, "worst", dice) for dice, case in reversed(scored[n - n_worst :])]
    return tuple(chosen)


def telling_slice(reference: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_]) -> int:
    """The slice along Z to show of two masks (X, Y, Z): that with the most reference, or prediction where the reference
    is empty; the middle one where both are.
    """
    for mask in (reference, prediction):
        areas = np.count_nonzero(mask, axis=(0, 1))
        if areas.any():
            return int(np.argmax(areas))
    return int(reference.shape[2]) // 2


def tumour_free_slice(image: Image, reference: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_]) -> int | None:
    """A slice along Z without reference: that with the most false prediction, else the one that shows the most.

    None where every slice has tumour or is black.
    """
    free = ~reference.any(axis=(0, 1))
    wrong = np.where(free, np.count_nonzero(prediction, axis=(0, 1)), 0)
    if wrong.any():
        return int(np.argmax(wrong))
    volume = image.array[image.modalities.index(main_modality(image.modalities)[0])]
    low, high = display_limits(volume, image.grid)
    bright = np.where(free, np.count_nonzero(volume > low + _VISIBLE * (high - low), axis=(0, 1)), 0)
    return int(np.argmax(bright)) if bright.any() else None


def gallery_item(
    case: str,
    part: str,
    kind: GalleryKind,
    z: int,
    image: Image,
    reference: LabelMap,
    prediction: LabelMap,
    regions: Sequence[str],
    dice: float | None = None,
) -> GalleryItem:
    """Cut a slice along Z from a case on its native grid, the right way up, in the brightness of the whole volume.

    Args:
        case: its id.
        part: of the split.
        kind: why it is shown.
        z: the slice, from 0.
        image: (C, X, Y, Z); the modalities to be shown.
        reference: on the same grid.
        prediction: likewise, of the same or another scheme.
        regions: that both schemes know.
        dice: of the case, the mean over the regions that cases are ranked by.
    """
    pictures, cuts = {}, []
    for name, channel in zip(image.modalities, image.array, strict=True):
        cut = cut_slice(channel, image.grid, z)
        cuts.append(cut)
        pictures[name] = shade(cut.pixels, display_limits(channel, image.grid))
    return GalleryItem(
        case=case,
        z=z,
        n_slices=image.grid.shape[2],
        part=part,
        kind=kind,
        pictures=_with_colours(pictures),
        reference=_masks(reference, z, regions),
        prediction=_masks(prediction, z, regions),
        dice=dice,
        spacing=cuts[0].spacing,
        marks=cuts[0].marks,
    )


def _masks(labels: LabelMap, z: int, regions: Sequence[str]) -> dict[str, npt.NDArray[np.bool_]]:
    cut = cut_slice(labels.array, labels.grid, z)
    return {region: np.isin(cut.pixels, labels.scheme.values_of(region)) for region in regions}


def _with_colours(pictures: Mapping[str, npt.NDArray[np.uint8]]) -> dict[str, npt.NDArray[np.uint8]]:
    """Red, green and blue become one colour picture."""
    if not set(COLOURS) <= set(pictures):
        return dict(pictures)
    rest = {name: pixels for name, pixels in pictures.items() if name not in COLOURS}
    return {"picture": np.stack([pictures[name] for name in COLOURS], axis=-1), **rest}
