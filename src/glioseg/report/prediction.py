"""The picture that goes with a prediction."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from glioseg.core import Image, LabelMap
from glioseg.core.labels import distinct
from glioseg.report import style
from glioseg.report.figures.mosaic import Group, Panel, mosaic, panel_size
from glioseg.report.figures.overlay import colours_of, painted
from glioseg.report.figures.sections import ScanSection, label_colours, largest_sections
from glioseg.report.figures.views import extent, fit_labels, fit_picture, fitted_size
from glioseg.report.pixels import main_modality

_PANEL = 512


def overlay_figure(name: str, image: Image, labels: LabelMap, regions: Sequence[str], words: Sequence[str]) -> Figure:
    """The sections with most of the prediction (the middle ones without), as they are and with the mask.

    Args:
        name: of the case.
        image: on the native grid; of its modalities the one that shows tumours best is drawn.
        labels: the prediction on the same grid.
        regions: that were predicted; each is drawn in its colour, inner ones over those that hold them.
        words: of each region, for the legend, such as ``WT 71.2 ml``; what is not predicted is not in it.
    """
    sections = largest_sections(image, labels)
    together = len(sections) == 1
    box = panel_size(1, 1, 2 if together else len(sections), most=_PANEL)
    longest = max(max(extent(section.picture)) for section in sections)
    plain, drawn = [], []
    for section in sections:
        scan, mask = _panels(section, labels, regions, fitted_size(section.picture, box, longest))
        plain.append(scan)
        drawn.append(mask)
    colours = [style.region_colour(region, row) for row, region in enumerate(regions)]
    entries = zip(regions, words, colours, strict=True)
    present = set(distinct(labels.array))
    legend = [(word, colour) for region, word, colour in entries if present & {*labels.scheme.values_of(region)}]
    shown = main_modality(image.modalities)
    modality = style.modality_title(shown[0]) if len(shown) == 1 else "the picture"
    if together:
        note = f"{sections[0].words}, {modality}" if modality != "the picture" else sections[0].words
        captions = ("as it is", "prediction")
        return mosaic([Group((*plain, *drawn), name, note)], columns=1, captions=captions, legend=legend)
    groups = [Group(tuple(plain), name, f"{modality}, as it is"), Group(tuple(drawn), "", "prediction")]
    return mosaic(groups, columns=1, captions=[section.words for section in sections], legend=legend)


def _panels(
    section: ScanSection, labels: LabelMap, regions: Sequence[str], size: tuple[int, int]
) -> tuple[Panel, Panel]:
    """A section as it is, and with the mask over it."""
    scan = colours_of(fit_picture(section.picture.pixels, size))
    values = fit_labels(section.of(labels.array), size)
    marks = section.picture.marks
    return Panel(scan, marks), Panel(painted(scan, values, label_colours(labels, list(regions))), marks)
