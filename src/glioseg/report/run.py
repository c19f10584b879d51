"""The report of a training run: one page, with its figures as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from glioseg.console import Step
from glioseg.errors import plural
from glioseg.report.html import FIGURES, Page, Section, Tile, replace_page, written
from glioseg.report.parts.run_words import part_word
from glioseg.report.run_facts import PartCounts, RunFacts


@dataclass(frozen=True, eq=False)
class RunPage:
    """What a task shows of a run: key figures, and what makes each section, in reading order."""

    tiles: tuple[Tile, ...]
    sections: tuple[Callable[[], Section], ...]


def write_run_report(
    facts: RunFacts,
    page: RunPage,
    out: Path,
    *,
    written_on: date | None = None,
    progress: Step | None = None,
) -> Path:
    """Write ``report.html`` and ``figures/*.png`` into ``out``.

    Whatever is not there yet (evaluation, validation, test part, gallery) is left out of the page. Figures that an
    earlier report in ``out`` showed and this one does not are removed, so that nothing stale stays.

    Args:
        facts: of the run.
        page: what its task shows of it.
        out: the run folder, made where it is absent.
        written_on: the date at the foot of the page; today unless given.
        progress: told (parts of the page done, parts in all).

    Returns:
        The page.

    Raises:
        FileError: ``out`` cannot be written to.
    """
    return _write(
        out / "report.html", out / FIGURES, page, partial(_page, facts, page.tiles, written(written_on)), progress
    )


def write_scored_report(
    facts: RunFacts,
    page: RunPage,
    file: Path,
    figures: Path,
    *,
    progress: Step | None = None,
) -> Path:
    """Write the page of a network on data that it did not grow up with; see ``write_run_report``.

    Args:
        facts: of network and data.
        page: what the task shows.
        file: of the page.
        figures: the folder of its pictures.
        progress: told (parts of the page done, parts in all).
    """

    def whole(sections: tuple[Section, ...]) -> Page:
        counts = ", ".join(f"{_counted(facts, part)}" for part in facts.split.parts.values())
        summary = f"{counts} of {facts.data.cohort} ({facts.data.layout}), scored with {_networks(facts)}."
        title = f"{facts.recipe.name} on {facts.data.cohort}"
        return Page("glioseg evaluate", title, summary, page.tiles, sections)

    return _write(file, figures, page, whole, progress)


def _write(
    file: Path,
    figures: Path,
    page: RunPage,
    whole: Callable[[tuple[Section, ...]], Page],
    progress: Step | None,
) -> Path:
    """Draw the sections, and write the page in the place of an earlier one."""
    sections = []
    for done, make in enumerate(page.sections, start=1):
        sections.append(make())
        if progress is not None:
            progress(done, len(page.sections))
    return replace_page(whole(tuple(sections)), file, figures)


def _networks(facts: RunFacts) -> str:
    """Which networks were scored, and what they were trained on."""
    trained = [
        dict(network.card.facts).get("Trained on", "data that its bundle does not name") for network in facts.networks
    ]
    if len(trained) == 1:
        return f"a network that was trained on {trained[0]}"
    return f"the mean of {len(trained)} networks, trained on {'; '.join(dict.fromkeys(trained))}"


def _counted(facts: RunFacts, part: PartCounts) -> str:
    if facts.split.unit == "patient":
        return plural(part.n_patients, "patient")
    return plural(part.n_cases, facts.split.unit)


def _page(facts: RunFacts, tiles: tuple[Tile, ...], foot: str, sections: tuple[Section, ...]) -> Page:
    counts = [f"{_counted(facts, part)} for {part_word(name)}" for name, part in facts.split.parts.items()]
    summary = f"Trained on {facts.data.cohort} ({facts.data.layout}): {', '.join(counts)}."
    if facts.recipe.about:
        summary += f" Recipe {facts.recipe.name}: {facts.recipe.about.rstrip('.')}."
    if facts.recipe.after:
        summary += f" After {facts.recipe.after.rstrip('.')}."
    title = f"{facts.recipe.name} on {facts.data.cohort}"
    return Page("glioseg report", title, summary, tiles, sections, foot)
