"""What things are: small frozen types on numpy, valid once constructed."""

from glioseg.core.case import (
    MAX_VOXELS,
    Case,
    Cohort,
    Facts,
    Finding,
    FindingKind,
    Severity,
    Source,
    SourceKind,
    allowing,
)
from glioseg.core.grid import Grid
from glioseg.core.image import Image, LabelMap
from glioseg.core.labels import LabelScheme
from glioseg.core.parts import HEADLINE_ORDER, PARTS, PartName
from glioseg.core.schemes import SCHEMES, scheme_named
from glioseg.core.series import SeriesRow

__all__ = [
    "HEADLINE_ORDER",
    "MAX_VOXELS",
    "PARTS",
    "SCHEMES",
    "Case",
    "Cohort",
    "Facts",
    "Finding",
    "FindingKind",
    "Grid",
    "Image",
    "LabelMap",
    "LabelScheme",
    "PartName",
    "SeriesRow",
    "Severity",
    "Source",
    "SourceKind",
    "allowing",
    "scheme_named",
]
