"""The few slices that a report shows, read case by case so that memory holds one case at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.console import Step
from glioseg.core import Case, Cohort, Grid, LabelScheme
from glioseg.errors import GliosegError
from glioseg.io import load_labels, read_sources
from glioseg.io.raster import COLOURS
from glioseg.report.figures.views import Cut, cut_slice, display_limits, shade

_PREFERRED = ("t2f", "flair", "t1c", "post", "t2w", "t1n", "pre")


@dataclass(frozen=True)
class SliceRequest:
    """A slice of a case: array axis, index on it, and which modalities (all where empty)."""

    case: str
    index: int
    axis: int = 2
    modalities: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ShadedSlice:
    """A slice read and shaded for display.

    Args:
        pictures: modality -> cut, uint8, grey; or the one key ``picture`` with (rows, columns, 3) for colour pictures.
        labels: the reference, uint8 label values; None where the case has none that can be read.
        grid: of the whole case.
    """

    pictures: Mapping[str, Cut]
    labels: Cut | None
    grid: Grid

    @property
    def main(self) -> Cut:
        """The modality that shows tumours best."""
        name = next((name for name in _PREFERRED if name in self.pictures), next(iter(self.pictures)))
        return self.pictures[name]


def main_modality(names: Iterable[str]) -> tuple[str, ...]:
    """The modality to show where there is room for one; the three colours of colour pictures; empty for none."""
    known = list(names)
    if set(COLOURS) <= set(known):
        return COLOURS
    return tuple([name for name in _PREFERRED if name in known] or known)[:1]


def read_slices(
    cohort: Cohort, requests: Iterable[SliceRequest], progress: Step | None = None
) -> dict[SliceRequest, ShadedSlice]:
    """Every slice asked for that can be read; a case that cannot be read is passed over.

    Args:
        cohort: the cases' files.
        requests: slices; ids that the cohort lacks and indices beyond the grid are passed over too.
        progress: told (cases done, cases in all).
    """
    together: dict[str, list[SliceRequest]] = defaultdict(list)
    for request in requests:
        together[request.case].append(request)
    cases = {case.id: case for case in cohort.cases if case.id in together}
    slices: dict[SliceRequest, ShadedSlice] = {}
    for done, (name, case) in enumerate(cases.items(), start=1):
        slices |= _read_case(case, together[name], cohort.scheme)
        if progress is not None:
            progress(done, len(cases))
    return slices


def _read_case(case: Case, requests: list[SliceRequest], scheme: LabelScheme | None) -> dict[SliceRequest, ShadedSlice]:
    needed = {name for request in requests for name in (request.modalities or case.images)}
    volumes = read_sources({name: source for name, source in case.images.items() if name in needed})
    readable = {name: volume for name, volume in volumes.items() if not isinstance(volume, GliosegError)}
    if not readable:
        return {}
    limits = {name: display_limits(volume.array, volume.grid) for name, volume in readable.items()}
    labels = _labels_of(case, scheme)
    slices = {}
    for request in requests:
        names = [name for name in (request.modalities or case.images) if name in readable]
        grid = readable[names[0]].grid if names else None
        if grid is None or not 0 <= request.index < grid.shape[request.axis]:
            continue
        cuts = {
            name: _shaded(readable[name].array, readable[name].grid, request, limits[name])
            for name in names
            if readable[name].grid.shape == grid.shape
        }
        reference = None
        if labels is not None and labels.shape == grid.shape:
            reference = cut_slice(labels, grid, request.index, request.axis)
        slices[request] = ShadedSlice(_with_colours(cuts), _copied(reference), grid)
    return slices


def _labels_of(case: Case, scheme: LabelScheme | None) -> npt.NDArray[Any] | None:
    if case.labels is None or scheme is None:
        return None
    try:
        return load_labels(case, scheme).array
    except GliosegError:  # reported as a finding; the picture is shown without its mask
        return None


def _shaded(array: npt.NDArray[Any], grid: Grid, request: SliceRequest, limits: tuple[float, float]) -> Cut:
    cut = cut_slice(array, grid, request.index, request.axis)
    return Cut(shade(cut.pixels, limits), cut.spacing, cut.marks)


def _copied(cut: Cut | None) -> Cut | None:
    """A cut of its own, so that the whole label map can be forgotten."""
    return None if cut is None else Cut(np.array(cut.pixels, dtype=np.uint8), cut.spacing, cut.marks)


def _with_colours(cuts: dict[str, Cut]) -> dict[str, Cut]:
    """Red, green and blue become one colour picture."""
    if not set(COLOURS) <= set(cuts):
        return cuts
    pixels = np.stack([cuts[name].pixels for name in COLOURS], axis=-1)
    rest = {name: cut for name, cut in cuts.items() if name not in COLOURS}
    return {"picture": Cut(pixels, cuts["red"].spacing, cuts["red"].marks), **rest}
