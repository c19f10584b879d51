"""What becomes of a case that is made ready; without the libraries that do it, which few commands need."""

from __future__ import annotations

from dataclasses import dataclass

from glioseg.core import Grid, Image
from glioseg.preparation.ready.record import ReadyRecord
from glioseg.preparation.ready.views import PlaneSections


@dataclass(frozen=True, eq=False)
class ReadyScan:
    """A case made ready.

    Args:
        image: (C, X, Y, Z) of what the network sees, on the working grid, told in the target's world.
        native: the same on the grid of the target, on which the mask will lie.
        home: the working grid as other programs should be told it: in the atlas's own space where there is one.
        record: what was done.
        views: sections that show it.
    """

    image: Image
    native: Image
    home: Grid
    record: ReadyRecord
    views: tuple[PlaneSections, ...]
