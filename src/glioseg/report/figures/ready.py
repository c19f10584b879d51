"""What was done to the scans of a case: volumes laid upon each other as chessboards, the outline of the brain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image as Pillow

from glioseg.preparation.ready.views import PlaneSections
from glioseg.report.figures.mosaic import Group, Panel, mosaic
from glioseg.report.figures.overlay import Colours, colours_of, outlined
from glioseg.report.figures.views import PLANES

_SIDE = 300
_OUTLINE = "#ffd60a"


def ready_figure(views: Sequence[PlaneSections]) -> Figure:
    """Three planes of each view, before (where there is one) beside after."""
    groups = []
    for view in views:
        if view.before:
            groups.append(Group(_panels(view.before, {}), view.title, "by the headers"))
            groups.append(Group(_panels(view.after, {}), "", "registered"))
        else:
            groups += [Group(_panels(view.after, {}), view.title, "as it is")]
            groups += [Group(_panels(view.after, view.outlines), "", "with the outline of the brain")]
    return mosaic(groups, columns=2)


def _panels(
    pictures: Mapping[str, npt.NDArray[np.float32]], outlines: Mapping[str, npt.NDArray[np.bool_]]
) -> tuple[Panel, ...]:
    return tuple(Panel(_square(pictures[plane], outlines.get(plane))) for plane in PLANES)


def _square(picture: npt.NDArray[np.float32], outline: npt.NDArray[np.bool_] | None) -> Colours:
    """In the middle of a black square, its longer side filling it."""
    rows, columns = picture.shape
    factor = _SIDE / max(rows, columns)
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    grey = Pillow.fromarray(np.rint(picture * 255).astype(np.uint8)).resize(size, Pillow.Resampling.BILINEAR)
    colours = colours_of(np.asarray(grey))
    if outline is not None:
        mask = Pillow.fromarray(outline.astype(np.uint8)).resize(size, Pillow.Resampling.NEAREST)
        colours = outlined(colours, np.asarray(mask), _OUTLINE, 1)
    square = np.zeros((_SIDE, _SIDE, 3), dtype=np.uint8)
    top, left = (_SIDE - size[1]) // 2, (_SIDE - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = colours
    return square
