"""Reading, describing, writing, splitting and preparing cohorts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from glioseg.cohorts.check import check
from glioseg.cohorts.describe import CohortDescription
from glioseg.cohorts.explore import describe
from glioseg.cohorts.layout import ReadOptions
from glioseg.cohorts.phantom import PhantomOptions
from glioseg.cohorts.recognise import read_cohort
from glioseg.cohorts.write import load_cases, write_cohort, write_phantom
from glioseg.console import QUIET, Reporter, Step
from glioseg.core import SCHEMES, Cohort, LabelScheme
from glioseg.errors import FileError, OptionError
from glioseg.prepare.cache import prepare
from glioseg.prepare.options import PrepareOptions
from glioseg.prepare.store import PreparedCohort
from glioseg.report.cohort import write_cohort_report

_T = TypeVar("_T")


@dataclass(frozen=True)
class Data:
    """A folder of scans and what the user says of it.

    Args:
        path: the folder, at whatever level.
        layout: name of the reader; None recognises it.
        scheme: name of the label scheme; None lets the reader decide.
        modalities: names of the channels in file order, for layouts that do not state them.
    """

    path: Path
    layout: str | None = None
    scheme: str | None = None
    modalities: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Inspection:
    """What ``inspect`` found, and where its report is."""

    cohort: Cohort
    description: CohortDescription
    report: Path | None


def read(data: Data, reporter: Reporter = QUIET) -> Cohort:
    """The cohort in a folder: paths, no pixels.

    Raises:
        OptionError: no layout or label scheme of that name, or names of modalities that the data has no place for.
        FileError, LayoutError: no such folder, or none that can be read; see ``read_cohort``.
    """
    options = ReadOptions(scheme=_scheme(data.scheme), modalities=data.modalities)
    with reporter.progress("Listing files") as step:
        return read_cohort(data.path, layout=data.layout, options=options, progress=lambda n: step(n, 0))


def _scheme(name: str | None) -> LabelScheme | None:
    if name is None or name in SCHEMES:
        return None if name is None else SCHEMES[name]
    near = difflib.get_close_matches(name, SCHEMES, 1)
    raise OptionError(
        f"there is no label scheme {name}",
        expected=f"one of {', '.join(SCHEMES)}",
        remedy=f"Did you mean {near[0]}?" if near else None,
    )


def inspect(data: Data, out: Path | None = None, reporter: Reporter = QUIET) -> Inspection:
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
    return Inspection(cohort, description, report)


def phantom(
    out: Path, options: PhantomOptions, layout: str, tissues: Path | None = None, reporter: Reporter = QUIET
) -> None:
    """Write the phantom cohort as files of a layout, and the tissues of the same brains where asked for."""
    with reporter.progress("Writing phantom patients") as step:
        write_phantom(options, out, layout, tissues=tissues, progress=lambda n: step(n, options.n_patients))


def convert(data: Data, out: Path, layout: str, reporter: Reporter = QUIET) -> Cohort:
    """Write a cohort again in another layout; returns what was read."""
    cohort = read(data, reporter)
    with reporter.progress("Writing cases") as step:
        write_cohort(_counted(load_cases(cohort), len(cohort.cases), step), out, layout)
    return cohort


def prepare_data(data: Data, options: PrepareOptions, folder: Path, reporter: Reporter = QUIET) -> PreparedCohort:
    """Read a cohort and prepare it into ``folder``, unless it is there already."""
    cohort = read(data, reporter)
    with reporter.progress("Preparing") as step:
        return prepare(cohort, options, folder, progress=step)


def _counted(items: Iterable[_T], n: int, step: Step) -> Iterator[_T]:
    for done, item in enumerate(items):
        step(done, n)
        yield item
    step(n, n)
