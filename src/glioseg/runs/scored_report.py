"""The page of a network on data that it did not grow up with, beside the figures of ``glioseg evaluate --data``."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from glioseg.console import QUIET, Reporter
from glioseg.report.html import FIGURES
from glioseg.report.run import write_scored_report
from glioseg.report.run_facts import RecipeFacts, RunFacts, SplitFacts, SplitUnit
from glioseg.tasks.predicted import network_cards
from glioseg.tasks.task import ScoredData, Task

_P = TypeVar("_P")


def scored_report(task: Task[_P], scored: ScoredData, predictor: _P, out: Path, reporter: Reporter = QUIET) -> Path:
    """Write ``report-on-NAME.html`` into ``out``, predicting the few cases that are shown.

    Raises:
        FileError: ``out`` cannot be written to.
    """
    name, (card,) = scored.part.name, network_cards([scored.bundle.info])
    about, counts = task.scored_facts(scored)
    unit: SplitUnit = "picture" if scored.cohort.categories else "patient"
    facts = RunFacts(
        recipe=RecipeFacts(card.name, ""),
        data=about,
        split=SplitFacts({name: counts}, unit),
        environment=dict(card.facts),
    )
    figures = out / FIGURES / name
    with reporter.progress("Drawing the report") as step:
        page = task.page_of_scores(facts, scored, predictor, figures)
        return write_scored_report(facts, page, out / f"report-{name}.html", figures, progress=step)
