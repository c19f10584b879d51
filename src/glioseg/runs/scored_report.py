"""The page of networks on data that they did not grow up with, beside the figures of ``glioseg evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from glioseg.console import QUIET, Reporter
from glioseg.errors import GliosegError, listed
from glioseg.faces import on_command_line
from glioseg.report.html import FIGURES, Section
from glioseg.report.predictions import left_out_section, left_out_tile
from glioseg.report.run import RunPage, write_scored_report
from glioseg.report.run_facts import RecipeFacts, RunFacts, ScoredNetwork, SplitFacts, SplitUnit
from glioseg.tasks.predicted import network_cards
from glioseg.tasks.prediction import Members
from glioseg.tasks.scoring import ScoredData


def scored_report(
    members: Members, scored: ScoredData, out: Path, reporter: Reporter = QUIET, suffix: str = ""
) -> Path:
    """Write ``report-PART.html`` into ``out``, predicting the few cases that are shown.

    Args:
        members: the networks, as they were scored.
        scored: the data, and how they did.
        out: a folder.
        reporter: shows progress.
        suffix: follows the part in the name of the page.

    Raises:
        FileError: ``out`` cannot be written to.
    """
    stem, cards = f"{scored.part.name}{suffix}", network_cards(scored.infos)
    about, counts = members.facts_of(scored)
    unit: SplitUnit = "picture" if scored.cohort.categories else "patient"
    facts = RunFacts(
        recipe=RecipeFacts(listed(dict.fromkeys(card.name for card in cards)), ""),
        data=about,
        split=SplitFacts({scored.part.name: counts}, unit),
        networks=tuple(ScoredNetwork(card) for card in cards),
    )
    figures = out / FIGURES / stem
    with reporter.progress("Drawing the report") as step:
        page = _with_left_out(members.page_of_scores(facts, scored, figures), scored.scores.left_out or {})
        return write_scored_report(facts, page, out / f"report-{stem}.html", figures, progress=step)


def _with_left_out(page: RunPage, left_out: Mapping[str, GliosegError]) -> RunPage:
    """The page, saying first which cases are not in its figures."""
    why = {case: on_command_line(error.text) for case, error in left_out.items()}
    sections = (partial(_itself, section) for section in left_out_section(why, "scored"))
    return RunPage((*page.tiles, *left_out_tile(why)), (*sections, *page.sections))


def _itself(section: Section) -> Section:
    return section
