"""The diameters of lesions, drawn on the slices in which they were measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image as Pillow
from PIL import ImageDraw

from glioseg.core import Image, LabelMap
from glioseg.evaluation.diameters import Diameters, LesionDiameters
from glioseg.report import style
from glioseg.report.figures.mosaic import Group, Panel, mosaic, panel_size
from glioseg.report.figures.overlay import Colours, colours_of, outlined
from glioseg.report.figures.sections import ScanSection, label_colours, section_at
from glioseg.report.figures.views import extent, fit_labels, fit_picture, fitted_size
from glioseg.report.pixels import main_modality

_PANEL = 512
_SHARPER = 2
"""Lines are drawn so many times as large and made smaller again, so that they are smooth."""
_LINE = "#00e1ff"


def diameters_figure(image: Image, labels: LabelMap, regions: Sequence[str], diameters: Diameters) -> Figure:
    """A slice for each target lesion, with its outline and both diameters; at least one lesion.

    Args:
        image: on the native grid; where the enhancing part was measured, T1 with contrast is drawn if it is there.
        labels: the mask on the same grid.
        regions: that were predicted; each has its colour.
        diameters: of this mask.
    """
    shown = _shown(image, diameters)
    lesions = diameters.targets
    sections = [section_at(image, lesion.slice_index, lesion.axis, modality=shown) for lesion in lesions]
    box = panel_size(len(lesions), len(lesions), 1, most=_PANEL)
    longest = max(max(extent(section.picture)) for section in sections)
    colours = label_colours(labels, list(regions))
    groups = []
    for number, (lesion, section) in enumerate(zip(lesions, sections, strict=True), start=1):
        size = fitted_size(section.picture, box, longest)
        drawn = colours_of(fit_picture(section.picture.pixels, size))
        values = fit_labels(section.of(labels.array), size)
        for value, colour in colours.items():
            drawn = outlined(drawn, values == value, colour, 1)
        drawn = _with_lines(drawn, _places(lesion, section, size))
        title = f"{number}: {lesion.long_mm:.1f} × {lesion.short_mm:.1f} mm"
        note = f"{section.words}, {style.modality_short(shown)}" if shown else section.words
        groups.append(Group((Panel(drawn, section.picture.marks),), title, note))
    return mosaic(groups, columns=len(groups))


def _shown(image: Image, diameters: Diameters) -> str | None:
    """The modality in which what was measured is seen best; None for a picture in colours."""
    if diameters.region == "ET" and "t1c" in image.modalities:
        return "t1c"
    names = main_modality(image.modalities)
    return names[0] if len(names) == 1 else None


def _places(lesion: LesionDiameters, section: ScanSection, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """(4, 2) rows and columns of the ends in the picture, whose corner is (0, 0)."""
    rows, columns = section.rows_and_columns(lesion.points)
    height, width = section.picture.pixels.shape[:2]
    return np.stack([(rows + 0.5) * size[0] / height, (columns + 0.5) * size[1] / width], axis=1)


def _with_lines(picture: Colours, ends: npt.NDArray[np.float64]) -> Colours:
    """Two lines with a dark rim, so that they are seen on white and on black."""
    large = (picture.shape[1] * _SHARPER, picture.shape[0] * _SHARPER)
    canvas = Pillow.fromarray(picture).resize(large, Pillow.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    lines = [[(float(x) * _SHARPER, float(y) * _SHARPER) for y, x in ends[first : first + 2]] for first in (0, 2)]
    for colour, width in (("#000000", 4 * _SHARPER), (_LINE, 2 * _SHARPER)):
        for line in lines:
            draw.line(line, fill=colour, width=width)
    return np.asarray(canvas.resize((picture.shape[1], picture.shape[0]), Pillow.Resampling.LANCZOS))
