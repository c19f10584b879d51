"""Cohorts written as files, in the layouts that the readers read."""

from glioseg.cohorts.write.case import LoadedCase, WriteOptions, load_cases
from glioseg.cohorts.write.cohort import WRITTEN_LAYOUTS, require_fit, write_cohort
from glioseg.cohorts.write.phantom import write_phantom

__all__ = [
    "WRITTEN_LAYOUTS",
    "LoadedCase",
    "WriteOptions",
    "load_cases",
    "require_fit",
    "write_cohort",
    "write_phantom",
]
