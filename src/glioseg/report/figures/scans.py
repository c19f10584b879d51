"""Sheets of scans: galleries, planes, modalities, regions, pictures of classes, copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from glioseg.report.figures.mosaic import Group, Panel, mosaic, panel_size
from glioseg.report.figures.overlay import Colours, colours_of, filled, mask_picture, outlined, painted
from glioseg.report.figures.views import Cut, extent, fit_labels, fit_picture, fitted_size, trimmed


@dataclass(frozen=True)
class Drawing:
    """How label values are drawn.

    Args:
        colours: label value -> colour, for masks and fillings.
        names: label value -> name, for the legend.
        outlines: (label values whose union is outlined, colour), in drawing order.
        outline_names: what each outline is, for the legend.
    """

    colours: Mapping[int, str]
    names: Mapping[int, str]
    outlines: tuple[tuple[tuple[int, ...], str], ...]
    outline_names: tuple[str, ...]

    @property
    def legend(self) -> tuple[tuple[str, str], ...]:
        """(name, colour) of outlines and fillings, equal ones once."""
        labels = tuple((self.names[value], colour) for value, colour in self.colours.items())
        return tuple(dict.fromkeys(self.outline_legend + labels))

    @property
    def outline_legend(self) -> tuple[tuple[str, str], ...]:
        """(name, colour) of the outlines."""
        return tuple((name, colour) for name, (_, colour) in zip(self.outline_names, self.outlines, strict=True))


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One group of a sheet: cuts side by side, with what is drawn on each, under a title.

    Args:
        cuts: uint8, grey or (rows, columns, 3); None for what the case lacks; the first is there.
        labels: the reference of each cut, or None.
        title: such as the case's id.
        note: such as the slice's number, in smaller letters.
    """

    cuts: tuple[Cut | None, ...]
    labels: tuple[Cut | None, ...]
    title: str
    note: str = ""


def triptychs(exhibits: Sequence[Exhibit], drawing: Drawing, *, columns: int = 2) -> Figure:
    """The first cut of each exhibit three times: as it is, with the anomaly outlined, and its mask alone."""
    box = panel_size(len(exhibits), columns, 3, most=380)
    groups = []
    for exhibit in exhibits:
        cut, labels = _first(exhibit), exhibit.labels[0]
        size = fitted_size(cut, box)
        picture = colours_of(fit_picture(cut.pixels, size))
        values = np.zeros(size, dtype=np.uint8) if labels is None else fit_labels(labels.pixels, size)
        panels = (
            Panel(picture, cut.marks),
            Panel(_with_outlines(picture, values, drawing)),
            Panel(mask_picture(values, drawing.colours)),
        )
        groups.append(Group(panels, exhibit.title, exhibit.note))
    return mosaic(groups, columns=columns, captions=("as it is", "outlined", "mask"), legend=drawing.legend)


def side_by_side(
    exhibits: Sequence[Exhibit],
    captions: Sequence[str] = (),
    *,
    drawing: Drawing | None = None,
    most: int = 512,
    columns: int = 1,
) -> Figure:
    """The cuts of each exhibit next to each other, the reference outlined on each where ``drawing`` is given.

    Serves a case's modalities, copies of one picture, and plain galleries.
    """
    box = panel_size(len(exhibits), columns, max(len(exhibit.cuts) for exhibit in exhibits), most=most)
    groups = [
        Group(
            tuple(_panel(cut, labels, drawing, box) for cut, labels in zip(exhibit.cuts, exhibit.labels, strict=True)),
            exhibit.title,
            exhibit.note,
        )
        for exhibit in exhibits
    ]
    return mosaic(groups, columns=columns, captions=captions, legend=drawing.outline_legend if drawing else ())


def planes(exhibits: Sequence[Exhibit], captions: Sequence[str], drawing: Drawing | None) -> Figure:
    """The planes of each exhibit next to each other, trimmed to the head, all planes of a case at one scale."""
    box = panel_size(len(exhibits), 1, len(captions), most=512)
    groups = []
    for exhibit in exhibits:
        pairs = [
            (None, None) if cut is None else trimmed(cut, labels)
            for cut, labels in zip(exhibit.cuts, exhibit.labels, strict=True)
        ]
        longest = max(max(extent(cut)) for cut, _ in pairs if cut is not None)
        panels = tuple(_panel(cut, labels, drawing, box, longest) for cut, labels in pairs)
        groups.append(Group(panels, exhibit.title, exhibit.note))
    return mosaic(groups, columns=1, captions=captions, legend=drawing.outline_legend if drawing else ())


def region_overlays(
    exhibits: Sequence[Exhibit], regions: Mapping[str, Sequence[int]], colours: Mapping[str, str], drawing: Drawing
) -> Figure:
    """The first cut of each exhibit as it is, with each region filled, and with all labels in their colours.

    Args:
        exhibits: what is shown.
        regions: region -> the label values it is the union of.
        colours: region -> colour.
        drawing: how labels are drawn.
    """
    box = panel_size(len(exhibits), 1, len(regions) + 2, most=380)
    groups = []
    for exhibit in exhibits:
        cut, labels = _first(exhibit), exhibit.labels[0]
        size = fitted_size(cut, box)
        picture = colours_of(fit_picture(cut.pixels, size))
        values = np.zeros(size, dtype=np.uint8) if labels is None else fit_labels(labels.pixels, size)
        panels = [Panel(picture, cut.marks)]
        for name, members in regions.items():
            inside, colour = np.isin(values, members), colours[name]
            panels.append(Panel(outlined(filled(picture, inside, colour, 0.4), inside, colour, 1)))
        panels.append(Panel(painted(picture, values, drawing.colours, 0.5)))
        groups.append(Group(tuple(panels), exhibit.title, exhibit.note))
    legend = [(name, colours[name]) for name in regions]
    named = {name.lower() for name in regions}
    labels_legend = [
        (name, drawing.colours[value]) for value, name in drawing.names.items() if name.lower() not in named
    ]
    captions = ("as it is", *regions, "all labels")
    return mosaic(groups, columns=1, captions=captions, legend=tuple(legend + labels_legend))


def _panel(
    cut: Cut | None, labels: Cut | None, drawing: Drawing | None, box: int, longest: float | None = None
) -> Panel | None:
    if cut is None:
        return None
    size = fitted_size(cut, box, longest)
    picture = colours_of(fit_picture(cut.pixels, size))
    if drawing is not None and labels is not None:
        picture = _with_outlines(picture, fit_labels(labels.pixels, size), drawing)
    return Panel(picture, cut.marks)


def _first(exhibit: Exhibit) -> Cut:
    if exhibit.cuts[0] is None:
        raise ValueError("the first cut of an exhibit must be there")
    return exhibit.cuts[0]


def _with_outlines(picture: Colours, values: Colours, drawing: Drawing) -> Colours:
    for members, colour in drawing.outlines:
        picture = outlined(picture, np.isin(values, members), colour)
    return picture
