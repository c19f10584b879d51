"""The sections of a scan in which a prediction is looked at: in each plane, the one with most of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid, Image, LabelMap
from glioseg.core.grid import PLANE_OF_AXIS
from glioseg.core.labels import painting_order
from glioseg.io.raster import COLOURS
from glioseg.report import style
from glioseg.report.figures.views import PLANES, Cut, cut_slice, display_limits, shade, shown_box
from glioseg.report.pixels import main_modality


@dataclass(frozen=True, eq=False)
class ScanSection:
    """A section of a scan, trimmed to what is not black.

    Args:
        plane: ``axial``, ``coronal``, ``sagittal``; ``slice`` where the orientation is unknown.
        grid: of the scan.
        index: which section, from 0,
        axis: along which array axis.
        box: the rows and columns that are shown.
        picture: the scan in it, shaded.
    """

    plane: str
    grid: Grid
    index: int
    axis: int
    box: tuple[slice, slice]
    picture: Cut

    @property
    def words(self) -> str:
        """``axial, slice 78 of 155``, counted from 1; the plane alone where there is but one section."""
        n_sections = self.grid.shape[self.axis]
        number = f"slice {self.index + 1} of {n_sections}"
        if self.plane == "slice":
            return number if n_sections > 1 else "the picture"
        return f"{self.plane}, {number}"

    def of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The same section of another array (X, Y, Z) on the grid."""
        return np.ascontiguousarray(cut_slice(array, self.grid, self.index, self.axis).pixels[self.box])

    def rows_and_columns(self, points: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
        """Where points (N, 3) in voxels of the grid lie in the picture: rows (N,) and columns (N,), centres whole."""
        places = [np.zeros(len(points)), np.zeros(len(points))]
        for axis in {0, 1, 2} - {self.axis}:
            numbers = np.arange(self.grid.shape[axis]).reshape([-1 if each == axis else 1 for each in range(3)])
            section = self.of(np.broadcast_to(numbers, self.grid.shape)).astype(np.float64)
            along = int(section[0, 0] == section[-1, 0])  # a picture is a slice turned and mirrored
            ends = section[0, 0], section[-1, -1]
            places[along] = (points[:, axis] - ends[0]) * (1.0 if ends[1] >= ends[0] else -1.0)
        return tuple(places)


def largest_sections(image: Image, labels: LabelMap) -> list[ScanSection]:
    """In each plane that the grid has, the section with most of the label map (the middle one where it is empty)."""
    grid = image.grid
    axes = {PLANE_OF_AXIS[world]: axis for axis, (world, _) in enumerate(grid.axis_directions)}
    planes = [(str(name), axes[name]) for name in PLANES] if grid.has_mm else [("slice", 2)]
    inside = labels.array > 0
    sections = []
    for name, axis in planes:
        counts = inside.sum(axis=tuple({0, 1, 2} - {axis}))
        index = int(counts.argmax()) if counts.any() else len(counts) // 2
        sections.append(_section(image, name, index, axis))
    return sections


def section_at(image: Image, index: int, axis: int, modality: str | None = None) -> ScanSection:
    """One section of a grid with millimetres, along an array axis; ``modality`` is drawn, or that which shows most."""
    return _section(image, PLANE_OF_AXIS[image.grid.axis_directions[axis][0]], index, axis, modality)


def _section(image: Image, plane: str, index: int, axis: int, modality: str | None = None) -> ScanSection:
    cut = _picture(image, index, axis, modality)
    box = shown_box(cut)
    return ScanSection(plane, image.grid, index, axis, box, Cut(cut.pixels[box], cut.spacing, cut.marks))


def label_colours(labels: LabelMap, regions: list[str]) -> dict[int, str]:
    """Label value -> colour of the innermost region that holds it, outer regions first.

    Networks paint one label of each region; whoever corrects a mask may draw any.
    """
    colours: dict[int, str] = {}
    for _, row, _ in painting_order(labels.scheme, regions):
        for value in labels.scheme.values_of(regions[row]):
            colours.pop(value, None)
            colours[value] = style.region_colour(regions[row], row)
    return colours


def _picture(image: Image, index: int, axis: int, modality: str | None = None) -> Cut:
    names = main_modality(image.modalities) if modality is None else (modality,)
    cuts = []
    for name in names:
        volume = image.array[image.modalities.index(name)]
        cut = cut_slice(volume, image.grid, index, axis)
        cuts.append(Cut(shade(cut.pixels, display_limits(volume, image.grid)), cut.spacing, cut.marks))
    if names != COLOURS:
        return cuts[0]
    return Cut(np.stack([cut.pixels for cut in cuts], axis=2), cuts[0].spacing, cuts[0].marks)
