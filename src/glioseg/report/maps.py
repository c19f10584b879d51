"""Maps of a case laid over its scan, one beside the other: how uncertain a mask is, what spoke for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from glioseg.core import Image, LabelMap
from glioseg.report import style
from glioseg.report.figures.mosaic import Group, Panel, mosaic, panel_size
from glioseg.report.figures.overlay import Colours, colours_of, for_and_against, heat, painted
from glioseg.report.figures.sections import ScanSection, label_colours, largest_sections
from glioseg.report.figures.views import extent, fit_labels, fit_picture, fitted_size

_MOST_COLUMNS = 4
_LEVELS = 127


@dataclass(frozen=True, eq=False)
class TitledMap:
    """A map of the figure.

    Args:
        title: what it is.
        note: its figures, in words.
        values: (X, Y, Z), 0..1 or, where it has two sides, −1..1.
        two_sided: whether what is below 0 speaks against.
    """

    title: str
    note: str
    values: npt.NDArray[np.float32]
    two_sided: bool = False


def maps_figure(
    image: Image,
    labels: LabelMap,
    regions: Sequence[str],
    maps: Sequence[TitledMap],
    words: str = "",
    *,
    plane: str | None = None,
) -> Figure:
    """The sections with most of the prediction: as they are, with the mask, and under each map.

    Args:
        image: on the native grid.
        labels: the prediction on the same grid.
        regions: that were predicted; each is drawn in its colour.
        maps: on the same grid.
        words: what is said of the mask.
        plane: the only one that is shown, where there are several.
    """
    every = largest_sections(image, labels)
    sections = [section for section in every if section.plane == plane] or every
    n_groups = len(maps) + 2
    columns = 1 if len(sections) > 1 else n_groups if n_groups <= _MOST_COLUMNS else _MOST_COLUMNS - 1
    box = panel_size(n_groups, columns, len(sections), most=400)
    longest = max(max(extent(section.picture)) for section in sections)
    sized = [(section, fitted_size(section.picture, box, longest)) for section in sections]
    scans = [colours_of(fit_picture(section.picture.pixels, size)) for section, size in sized]
    colours = label_colours(labels, list(regions))
    masks = [
        painted(scan, fit_labels(section.of(labels.array), size), colours)
        for scan, (section, size) in zip(scans, sized, strict=True)
    ]
    groups = [_group("scan", "as it is", scans, sections), _group("mask", words, masks, sections)]
    for each in maps:
        laid = [
            _laid_over(scan, section.of(each.values), size, two_sided=each.two_sided)
            for scan, (section, size) in zip(scans, sized, strict=True)
        ]
        groups.append(_group(each.title, each.note, laid, sections))
    legend = [(name, style.region_colour(name, row)) for row, name in enumerate(regions)]
    return mosaic(groups, columns=columns, captions=[section.words for section in sections], legend=legend)


def _group(title: str, note: str, drawn: Sequence[Colours], sections: Sequence[ScanSection]) -> Group:
    panels = [Panel(pixels, section.picture.marks) for pixels, section in zip(drawn, sections, strict=True)]
    return Group(tuple(panels), title, note)


def _laid_over(scan: Colours, values: npt.NDArray[np.float32], size: tuple[int, int], *, two_sided: bool) -> Colours:
    shades = np.rint(np.clip(values, -1, 1) * _LEVELS) + (_LEVELS if two_sided else 0)
    fitted = fit_picture(shades.astype(np.uint8), size).astype(np.float32)
    fitted = (fitted - _LEVELS if two_sided else fitted) / np.float32(_LEVELS)
    return for_and_against(scan, fitted.clip(-1, 1)) if two_sided else heat(scan, fitted.clip(0, 1))
