"""The page of a classifier: its own sections, and those that it shares with networks that segment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from glioseg.report.parts import class_results, class_sections, contributions, run_setup
from glioseg.report.run import RunPage
from glioseg.report.run_facts import ClassificationFacts


def scored_classification_page(
    facts: ClassificationFacts, figures: Path, together: Mapping[str, float | None]
) -> RunPage:
    """Figures, pictures and cases of data that was scored; ``together`` as ``run_setup.members``."""
    return RunPage(
        class_results.tiles(facts),
        (
            partial(class_results.results, facts),
            partial(run_setup.members, facts, together),
            partial(class_sections.outcomes, facts, figures),
            partial(class_sections.pictures, facts, figures),
            partial(contributions.class_contributions, facts),
            partial(class_sections.table, facts),
            partial(run_setup.scored_data, facts),
            partial(class_sections.conventions, facts),
        ),
    )


def classification_page(facts: ClassificationFacts, figures: Path) -> RunPage:
    """Key figures, and the sections in reading order; their pictures are saved into ``figures``."""
    return RunPage(
        class_results.tiles(facts),
        (
            partial(class_results.results, facts),
            partial(class_results.published, facts),
            partial(class_sections.outcomes, facts, figures),
            partial(class_sections.pictures, facts, figures),
            partial(contributions.class_contributions, facts),
            partial(class_sections.training, facts, figures),
            partial(class_sections.table, facts),
            partial(class_sections.epochs, facts),
            partial(class_sections.data, facts),
            partial(run_setup.network, facts, figures),
            partial(run_setup.recipe, facts),
            partial(run_setup.methods, facts),
            partial(run_setup.machine, facts),
            partial(class_sections.conventions, facts),
        ),
    )
