"""The report of a cohort: a page, its figures as files, and the same facts for machines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

from glioseg.cohorts.description import CohortDescription
from glioseg.cohorts.summary import CaseSummary
from glioseg.console import Step
from glioseg.core import Cohort
from glioseg.errors import plural
from glioseg.io.files import sweep, write_json, write_text
from glioseg.io.text import csv_text
from glioseg.report.figures.views import CONVENTION
from glioseg.report.html import FIGURES, Listed, Page, Section, replace_page, written
from glioseg.report.parts import charts, intensities, scans, tables
from glioseg.report.parts.plan import plan
from glioseg.report.parts.words import BRAIN
from glioseg.report.pixels import ShadedSlice, SliceRequest, read_slices


def write_cohort_report(
    cohort: Cohort,
    about: CohortDescription,
    out: Path,
    *,
    written_on: date | None = None,
    progress: Step | None = None,
) -> Path:
    """Write ``report.html``, ``figures/*.png``, ``inspect.json`` and ``cases.csv`` into ``out``.

    Reads the few slices that are shown, case by case; cases that cannot be read are passed over. Figures that an
    earlier report in ``out`` showed and this one does not are removed, so that nothing stale stays.

    Args:
        cohort: the cases' files.
        about: what was found in them.
        out: folder, made where it is absent.
        written_on: the date at the foot of the page; today unless given.
        progress: told (steps done, steps in all): one for each case that is read, one for each part of the page.

    Returns:
        The page.

    Raises:
        FileError: ``out`` cannot be written to.
    """
    sweep(out)
    folder, page = out / FIGURES, out / "report.html"
    sections = _sections(cohort, about, folder, progress)
    write_json(out / "inspect.json", about.to_json())
    write_text(out / "cases.csv", _cases_csv(about))
    return replace_page(_page(about, sections, written_on), page, folder)


def _sections(cohort: Cohort, about: CohortDescription, folder: Path, progress: Step | None) -> tuple[Section, ...]:
    """The parts of the page in reading order, drawn one after the other."""
    chosen = plan(about)
    slices: dict[SliceRequest, ShadedSlice] = {}
    makers: tuple[Callable[[], Section | None], ...] = (
        lambda: tables.findings(about),
        lambda: scans.doubtful(about, chosen, slices, folder),
        lambda: tables.contents(about),
        lambda: tables.series(about),
        lambda: scans.gallery(about, chosen, slices, folder),
        lambda: scans.anatomy(about, chosen, slices, folder),
        lambda: charts.diagnoses(about, folder),
        lambda: charts.tumours(about, folder),
        lambda: intensities.intensity(about, folder),
        lambda: scans.dark(about, chosen, slices, folder, charts.dark_blocks(about, folder)),
        lambda: scans.copies(about, chosen, slices, folder),
        lambda: charts.facts(about, folder),
        lambda: tables.case_table(about),
        lambda: _conventions(about),
    )
    n_cases = len({request.case for request in chosen.requests})
    steps = n_cases + len(makers)
    step = progress or (lambda done, total: None)
    slices |= read_slices(cohort, chosen.requests, lambda done, _: step(done, steps))
    sections: list[Section] = []
    for done, make in enumerate(makers, start=n_cases + 1):
        section = make()
        sections += [] if section is None else [section]
        step(done, steps)
    return tuple(sections)


def _page(about: CohortDescription, sections: tuple[Section, ...], day: date | None) -> Page:
    summary = (
        f"{plural(len(about.cases), 'case')} of {plural(len(about.patients), 'patient')}, recognised as {about.layout}"
    )
    summary += f" with labels {about.scheme.describe()}." if about.scheme is not None else "."
    return Page("glioseg inspect", about.name, summary, tables.tiles(about), sections, written(day))


def _conventions(about: CohortDescription) -> Section:
    """What the words of the report mean."""
    items = [
        ("Brain", BRAIN),
        (
            "Black",
            "0 or 1 in 8-bit pictures, the value of the corners in volumes (1/255 of the range where they disagree)",
        ),
        ("Slice", "a section along the third axis (Z) of a case; counted from 1"),
        ("Reference", "the expert's labels; outlined in red"),
        ("Views", CONVENTION if any(case.has_mm for case in about.cases) else "as published; orientation unknown"),
        ("Normalised", "minus the mean, divided by the standard deviation over the brain of the case"),
        ("Copies", "exact: equal pixels; near: highly correlated after a perceptual hash; never within a patient"),
    ]
    return Section("conventions", "How to read this report", "", (Listed(tuple(items)),))


def _cases_csv(about: CohortDescription) -> str:
    """One row per case: what the page's table shows, for all cases, with the volumes of labels and the facts."""
    labels = list(about.labels)
    fact_names = [column.name for column in about.facts]
    columns = [
        *("case", "patient", "category", "x", "y", "z", "spacing_x_mm", "spacing_y_mm", "spacing_z_mm", "orientation"),
        *("n_slices", "n_tumour_slices", "tumour_voxels", "tumour_ml", "n_brain_voxels"),
        *(f"voxels_{name}" for name in labels),
        *fact_names,
    ]
    return csv_text(columns, (_csv_row(case, labels, fact_names) for case in about.cases))


def _csv_row(case: CaseSummary, labels: list[str], fact_names: list[str]) -> list[object]:
    spacing = case.spacing if case.has_mm and case.spacing is not None else ("", "", "")
    counts = (
        dict(zip(case.labels, case.slices.label_voxels.sum(axis=0).tolist(), strict=True)) if case.has_reference else {}
    )
    row: list[object] = [case.case, case.patient, case.category or "", *(case.shape or ("", "", "")), *spacing]
    row += [case.orientation or "", case.n_slices, case.n_tumour_slices if case.tumour_voxels is not None else ""]
    row += ["" if value is None else value for value in (case.tumour_voxels, case.tumour_ml)]
    row += [case.n_brain_voxels, *(counts.get(name, "") for name in labels)]
    return row + [case.facts.get(name, "") for name in fact_names]
