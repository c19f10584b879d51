"""What each member of an ensemble contributes to a prediction, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from glioseg.core import Grid, Image, LabelMap
from glioseg.core.labels import painting_order
from glioseg.io.raster import COLOURS
from glioseg.report import style
from glioseg.report.figures.mosaic import Group, Panel, mosaic, panel_size
from glioseg.report.figures.overlay import Colours, colours_of, painted
from glioseg.report.figures.views import (
    PLANES,
    Cut,
    Plane,
    cut_slice,
    display_limits,
    extent,
    fit_labels,
    fit_picture,
    fitted_size,
    shade,
    shown_box,
)
from glioseg.report.pixels import main_modality

_WORLD: Mapping[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}
_COLUMNS = 2


@dataclass(frozen=True, eq=False)
class TitledLabelMap:
    """A row of the figure.

    Args:
        title: whose label map it is.
        note: its figures.
        labels: (X, Y, Z).
    """

    title: str
    note: str
    labels: LabelMap


def members_figure(
    image: Image,
    members: Sequence[TitledLabelMap],
    ensemble: TitledLabelMap,
    dissent: npt.NDArray[np.float32],
    note: str,
    regions: Sequence[str],
) -> Figure:
    """The same slices of the scan, of each member, of the ensemble, and where members differ from it.

    Args:
        image: on the native grid.
        members: their label maps on that grid.
        ensemble: the ensemble's.
        dissent: (X, Y, Z) share of the members that differ from the ensemble, in 0..1.
        note: how much that is, in words.
        regions: that were predicted; each is drawn in its colour.
    """
    cuts = _cuts(image, ensemble.labels)
    n_groups = len(members) + 3
    box = panel_size(n_groups, min(_COLUMNS, n_groups), len(cuts), most=320)
    longest = max(max(extent(cut)) for _, cut in cuts)
    sized = [(place, cut, fitted_size(cut, box, longest)) for place, cut in cuts]
    order = painting_order(ensemble.labels.scheme, list(regions))
    colours = {value: style.region_colour(regions[row], row) for _, row, value in order}

    def group(title: str, note: str, drawn: Sequence[Colours]) -> Group:
        panels = [Panel(pixels, cut.marks) for pixels, (_, cut, _) in zip(drawn, sized, strict=True)]
        return Group(tuple(panels), title, note)

    scans = [colours_of(fit_picture(cut.pixels, size)) for _, cut, size in sized]
    groups = [group("scan", "as it is", scans)]
    for row in (*members, ensemble):
        maps = [fit_labels(place.of(row.labels.array), size) for place, _, size in sized]
        drawn = [painted(scan, values, colours) for scan, values in zip(scans, maps, strict=True)]
        groups.append(group(row.title, row.note, drawn))
    shares = [fit_picture((place.of(dissent) * 255).astype(np.uint8), size) for place, _, size in sized]
    heat = [_heated(scan, share) for scan, share in zip(scans, shares, strict=True)]
    groups.append(group("where members differ from the ensemble", note, heat))
    legend = [(name, style.region_colour(name, row)) for row, name in enumerate(regions)]
    captions = [place.name for place, _, _ in sized]
    return mosaic(groups, columns=_COLUMNS, captions=captions, legend=[*legend, ("members differ", style.REFERENCE)])


@dataclass(frozen=True)
class _Place:
    """A slice, and the part of it that is shown."""

    name: str
    grid: Grid
    index: int
    axis: int
    box: tuple[slice, slice]

    def of(self, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.ascontiguousarray(cut_slice(array, self.grid, self.index, self.axis).pixels[self.box])


def _cuts(image: Image, labels: LabelMap) -> list[tuple[_Place, Cut]]:
    """In each plane that the grid has, the slice with most of the prediction (the middle one without), trimmed."""
    grid = image.grid
    directions = [world for world, _ in grid.axis_directions]
    planes = [(name, directions.index(_WORLD[name])) for name in PLANES] if grid.has_mm else [("slice", 2)]
    cuts = []
    for name, axis in planes:
        counts = (labels.array > 0).sum(axis=tuple({0, 1, 2} - {axis}))
        index = int(counts.argmax()) if counts.any() else len(counts) // 2
        cut = _picture(image, index, axis)
        box = shown_box(cut)
        cuts.append((_Place(name, grid, index, axis, box), Cut(cut.pixels[box], cut.spacing, cut.marks)))
    return cuts


def _picture(image: Image, index: int, axis: int) -> Cut:
    names = main_modality(image.modalities)
    cuts = []
    for name in names:
        volume = image.array[image.modalities.index(name)]
        cut = cut_slice(volume, image.grid, index, axis)
        cuts.append(Cut(shade(cut.pixels, display_limits(volume, image.grid)), cut.spacing, cut.marks))
    if names != COLOURS:
        return cuts[0]
    return Cut(np.stack([cut.pixels for cut in cuts], axis=2), cuts[0].spacing, cuts[0].marks)


def _heated(picture: Colours, share: npt.NDArray[np.uint8]) -> Colours:
    """``picture`` with red laid over it, as opaque as the share (0..255) of members that differ."""
    weight = share.astype(np.float32)[..., None] / 255
    red = np.asarray(style.rgb(style.REFERENCE), dtype=np.float32)
    return np.rint(picture * (1 - weight) + red * weight).astype(np.uint8)
