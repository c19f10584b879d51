"""What things are: small frozen types on numpy, valid once constructed."""

from glioseg.core.case import Case, Cohort, Facts, Finding, FindingKind, Severity, Source, SourceKind
from glioseg.core.grid import Grid
from glioseg.core.image import Image, LabelMap
from glioseg.core.labels import SCHEMES, LabelScheme, scheme_named

__all__ = [
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
    "Severity",
    "Source",
    "SourceKind",
    "scheme_named",
]
