"""``glioseg phantom``: the synthetic cohort as files."""

from __future__ import annotations

from pathlib import Path

from glioseg.cohorts.phantom import PhantomOptions
from glioseg.cohorts.write import write_phantom
from glioseg.console import QUIET, Reporter


def phantom(
    out: Path, options: PhantomOptions, layout: str, tissues: Path | None = None, reporter: Reporter = QUIET
) -> None:
    """Write the phantom cohort as files of a layout, and the tissues of the same brains where asked for."""
    with reporter.progress("Writing phantom patients") as step:
        write_phantom(options, out, layout, tissues=tissues, progress=lambda n: step(n, options.n_patients))
