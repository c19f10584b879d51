"""``glioseg convert``: a cohort written again in another layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from glioseg.cohorts.write import load_cases, write_cohort
from glioseg.console import QUIET, Reporter, Step
from glioseg.core import Cohort
from glioseg.runs.read import Data, read

_T = TypeVar("_T")


def convert(data: Data | Cohort, out: Path, layout: str, reporter: Reporter = QUIET) -> Cohort:
    """Write a cohort again in another layout; returns what was read."""
    cohort = read(data, reporter)
    with reporter.progress("Writing cases") as step:
        write_cohort(_counted(load_cases(cohort), len(cohort.cases), step), out, layout)
    return cohort


def _counted(items: Iterable[_T], n: int, step: Step) -> Iterator[_T]:
    for number, item in enumerate(items):
        step(number, n)
        yield item
    step(n, n)
