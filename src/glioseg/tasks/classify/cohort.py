"""Which cases a classifier can be trained on and scored by, and how it is shown pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from glioseg.cohorts.reading.pictures import picture_sources
from glioseg.core import Cohort
from glioseg.io.raster import COLOURS


def in_colours(cohort: Cohort, modalities: Sequence[str] | None) -> Cohort:
    """Pictures sorted by class, in red, green and blue whatever their mode; grey ones show the same three times.

    Other cohorts, and pictures that are wanted as ``grey``, stay as they are.
    """
    if not cohort.categories or cohort.modalities != ("grey",) or modalities == ("grey",):
        return cohort
    cases = tuple(replace(case, images=picture_sources(case.images["grey"].paths[0], COLOURS)) for case in cohort.cases)
    return replace(cohort, cases=cases, modalities=COLOURS)
