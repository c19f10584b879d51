"""``glioseg inspect``: recognise, check and describe a cohort."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glioseg.cohorts.checks.check import check
from glioseg.cohorts.description import CohortDescription
from glioseg.cohorts.explore.describe import describe
from glioseg.console import QUIET, Reporter
from glioseg.core import Cohort
from glioseg.errors import FileError
from glioseg.report.cohort import write_cohort_report
from glioseg.runs.read import Data, read


@dataclass(frozen=True)
class InspectResult:
    """What ``inspect`` found, and where its report is."""

    cohort: Cohort
    description: CohortDescription
    report: Path | None


def inspect(data: Data, out: Path | None = None, reporter: Reporter = QUIET) -> InspectResult:
    """Recognise, check and describe a cohort; write the report into ``out`` unless that is None.

    Raises:
        FileError: ``out`` is a file, which is said before anything is looked at; or see ``read``.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise FileError("a folder is needed for the report", path=out, found="a file", remedy="Name another with --out")
    cohort = read(data, reporter)
    with reporter.progress("Looking at cases") as step:
        description = describe(cohort, check(cohort, progress=step))
    report = None
    if out is not None:
        with reporter.progress("Drawing figures") as step:
            report = write_cohort_report(cohort, description, out, progress=step)
    return InspectResult(cohort, description, report)
