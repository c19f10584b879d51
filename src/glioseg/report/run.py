"""The report of a training run: one page, with its figures as files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

from glioseg import __version__
from glioseg.report.html import FIGURES, Page, Section, figures_shown, write_page
from glioseg.report.parts import (
    class_results,
    class_sections,
    run_cases,
    run_results,
    run_scans,
    run_setup,
    run_training,
)
from glioseg.report.parts.run_words import part_word
from glioseg.report.parts.words import plural
from glioseg.report.run_facts import PartCounts, RunFacts


def write_run_report(
    facts: RunFacts,
    out: Path,
    *,
    written_on: date | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write ``report.html`` and ``figures/*.png`` into ``out``.

    Whatever is not there yet (evaluation, validation, test part, gallery) is left out of the page. Figures that an
    earlier report in ``out`` showed and this one does not are removed, so that nothing stale stays.

    Args:
        facts: all that is shown.
        out: the run folder, made where it is absent.
        written_on: the date at the foot of the page; today unless given.
        progress: told (parts of the page done, parts in all).

    Returns:
        The page.

    Raises:
        FileError: ``out`` cannot be written to.
    """
    folder, page = out / FIGURES, out / "report.html"
    earlier = figures_shown(page)
    makers: tuple[Callable[[], Section], ...] = class_sections.makers(facts, folder) or (
        lambda: run_results.results(facts),
        lambda: run_results.published(facts),
        lambda: run_scans.gallery(facts, folder),
        lambda: run_scans.triptychs(facts, folder),
        lambda: run_training.training(facts, folder),
        lambda: run_cases.distributions(facts, folder),
        lambda: run_cases.case_table(facts),
        lambda: run_training.epochs(facts),
        lambda: run_setup.data(facts),
        lambda: run_setup.network(facts, folder),
        lambda: run_scans.weight_maps(facts, folder),
        lambda: run_setup.recipe(facts),
        lambda: run_setup.machine(facts),
        lambda: run_setup.conventions(facts),
    )
    sections = []
    for done, make in enumerate(makers, start=1):
        sections.append(make())
        if progress is not None:
            progress(done, len(makers))
    write_page(_page(facts, tuple(sections), written_on or date.today()), page)
    for name in earlier - figures_shown(page):
        (folder / f"{name}.png").unlink(missing_ok=True)
    return page


def _counted(facts: RunFacts, part: PartCounts) -> str:
    if facts.split.unit == "patient":
        return plural(part.n_patients, "patient")
    return plural(part.n_cases, facts.split.unit)


def _page(facts: RunFacts, sections: tuple[Section, ...], day: date) -> Page:
    counts = [f"{_counted(facts, part)} for {part_word(name)}" for name, part in facts.split.parts.items()]
    summary = f"{facts.recipe.about.rstrip('.')}. " if facts.recipe.about else ""
    summary += f"Trained on {facts.data.cohort} ({facts.data.layout}): {', '.join(counts)}."
    if facts.recipe.after:
        summary += f" After {facts.recipe.after.rstrip('.')}."
    title = f"{facts.recipe.name} on {facts.data.cohort}"
    tiles = run_results.tiles(facts) if facts.classes is None else class_results.tiles(facts, facts.classes)
    written = f"Written by glioseg {__version__} on {day.isoformat()}."
    return Page("glioseg report", title, summary, tiles, sections, written)
