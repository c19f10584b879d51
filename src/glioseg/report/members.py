"""What each member of an ensemble contributes to a prediction, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from glioseg.core import Image, LabelMap
from glioseg.report import style
from glioseg.report.figures.mosaic import Group, Panel, mosaic, panel_size
from glioseg.report.figures.overlay import Colours, colours_of, painted
from glioseg.report.figures.sections import label_colours, largest_sections
from glioseg.report.figures.views import extent, fit_labels, fit_picture, fitted_size

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
    sections = largest_sections(image, ensemble.labels)
    n_groups = len(members) + 3
    box = panel_size(n_groups, min(_COLUMNS, n_groups), len(sections), most=320)
    longest = max(max(extent(section.picture)) for section in sections)
    sized = [(section, fitted_size(section.picture, box, longest)) for section in sections]
    colours = label_colours(ensemble.labels, list(regions))

    def group(title: str, note: str, drawn: Sequence[Colours]) -> Group:
        panels = [Panel(pixels, section.picture.marks) for pixels, section in zip(drawn, sections, strict=True)]
        return Group(tuple(panels), title, note)

    scans = [colours_of(fit_picture(section.picture.pixels, size)) for section, size in sized]
    groups = [group("scan", "as it is", scans)]
    for row in (*members, ensemble):
        maps = [fit_labels(section.of(row.labels.array), size) for section, size in sized]
        drawn = [painted(scan, values, colours) for scan, values in zip(scans, maps, strict=True)]
        groups.append(group(row.title, row.note, drawn))
    shares = [fit_picture((section.of(dissent) * 255).astype(np.uint8), size) for section, size in sized]
    heat = [_heated(scan, share) for scan, share in zip(scans, shares, strict=True)]
    groups.append(group("where members differ from the ensemble", note, heat))
    legend = [(name, style.region_colour(name, row)) for row, name in enumerate(regions)]
    captions = [section.words for section in sections]
    return mosaic(groups, columns=_COLUMNS, captions=captions, legend=[*legend, ("members differ", style.REFERENCE)])


def _heated(picture: Colours, share: npt.NDArray[np.uint8]) -> Colours:
    """``picture`` with red laid over it, as opaque as the share (0..255) of members that differ."""
    weight = share.astype(np.float32)[..., None] / 255
    red = np.asarray(style.rgb(style.REFERENCE), dtype=np.float32)
    return np.rint(picture * (1 - weight) + red * weight).astype(np.uint8)
