"""A picture with what a classifier said of it, and where it looked."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image as Pillow

from glioseg.core import Image
from glioseg.errors import GeometryError
from glioseg.io.raster import COLOURS
from glioseg.report import style
from glioseg.report.figures.mosaic import Group, Panel, mosaic, panel_size
from glioseg.report.figures.overlay import colours_of, heat
from glioseg.report.figures.render import draw
from glioseg.report.figures.views import Cut, cut_slice, display_limits, fit_picture, fitted_size, shade
from glioseg.report.pixels import main_modality


@dataclass(frozen=True, eq=False)
class ClassifiedPicture:
    """A picture, or a slice of a scan, and what was said of it.

    Args:
        case: its id.
        pixels: (rows, columns) or (rows, columns, 3) uint8, the right way up.
        said: the class that was said,
        confidence: and its probability.
        reference: the true class; None where it is not known.
        looked_at: (rows, columns) in 0..1, see ``predict.explain.grad_cam``; None without.
        note: which slice, and of which part.

    Raises:
        GeometryError: picture and map differ in size.
    """

    case: str
    pixels: npt.NDArray[np.uint8]
    said: str
    confidence: float
    reference: str | None = None
    looked_at: npt.NDArray[np.float32] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.looked_at is not None and self.looked_at.shape != self.pixels.shape[:2]:
            raise GeometryError(
                f"picture and map of {self.case} differ in size",
                found=self.looked_at.shape,
                expected=self.pixels.shape[:2],
            )

    @property
    def words(self) -> str:
        """``yes, 97.3 %``."""
        return f"{self.said}, {percent(self.confidence)}"


def percent(share: float) -> str:
    """``97.3 %``; never 100 % unless it is."""
    return f"{100 * min(share, 0.9999) if share < 1 else 100:.{2 if share > 0.999 else 1}f} %"


def native_pixels(image: Image, z: int) -> npt.NDArray[np.uint8]:
    """A slice of an image as it is displayed: in its colours, or in grey by its main modality."""
    names = main_modality(image.modalities)
    cuts = []
    for name in names:
        volume = image.array[image.modalities.index(name)]
        cuts.append(shade(cut_slice(volume, image.grid, z).pixels, display_limits(volume, image.grid)))
    return np.stack(cuts, axis=2) if names == COLOURS else cuts[0]


def captioned(picture: ClassifiedPicture) -> bytes:
    """PNG bytes: the picture and, where there is a map, the picture under it, above them class and confidence."""
    buffer = io.BytesIO()
    Pillow.fromarray(draw(gallery_figure([picture], columns=1))).save(buffer, "PNG")
    return buffer.getvalue()


def gallery_figure(pictures: Sequence[ClassifiedPicture], *, columns: int = 3) -> Figure:
    """Each picture beside itself under its map, with what was said of it and, where that is known, the truth."""
    panels_each = 2 if any(picture.looked_at is not None for picture in pictures) else 1
    box = panel_size(max(len(pictures), 2), columns, panels_each, most=320)
    groups = []
    for picture in pictures:
        size = fitted_size(Cut(picture.pixels, (1.0, 1.0), None), box)
        pixels = fit_picture(picture.pixels, size)
        panels = [Panel(colours_of(pixels))]
        if picture.looked_at is not None:
            panels.append(Panel(heat(pixels, _fitted(picture.looked_at, size))))
        truth = "" if picture.reference is None else f" (is {style.plain(picture.reference, 20)})"
        note = f"{style.plain(picture.case, 34)}{', ' if picture.note else ''}{picture.note}"
        groups.append(
            Group(tuple(panels), f"{style.plain(picture.said, 20)}, {percent(picture.confidence)}{truth}", note)
        )
    return mosaic(groups, columns=columns)


def _fitted(shares: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    small = fit_picture(np.rint(shares * 255).astype(np.uint8), size)
    return np.asarray(small, dtype=np.float32) / np.float32(255)
