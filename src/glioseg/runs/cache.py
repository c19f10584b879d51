"""``glioseg cache``: a cohort prepared for training, kept on disk."""

from __future__ import annotations

from pathlib import Path

from glioseg.console import QUIET, Reporter
from glioseg.preparation.cache import prepare
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.store import PreparedCohort
from glioseg.runs.read import Data, read


def cache(data: Data, options: PrepareOptions, folder: Path, reporter: Reporter = QUIET) -> PreparedCohort:
    """Read a cohort and prepare it into ``folder``, unless it is there already."""
    cohort = read(data, reporter)
    with reporter.progress("Preparing") as step:
        return prepare(cohort, options, folder, progress=step)
