"""The page of any training: how it went, and what it was made of."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from glioseg.report.html import Tile
from glioseg.report.parts import run_setup, run_training
from glioseg.report.parts.run_words import duration
from glioseg.report.run import RunPage
from glioseg.report.run_facts import RunFacts


def plain_page(facts: RunFacts, figures: Path) -> RunPage:
    """Tiles of epochs and time, and the sections that need no knowledge of the task; pictures go into ``figures``."""
    tiles = []
    if facts.best_epoch is not None:
        tiles.append(Tile("Epoch that was kept", f"{facts.best_epoch + 1}", f"of {len(facts.log)} trained"))
    if facts.timing.training_s is not None:
        tiles.append(Tile("Training time", duration(facts.timing.training_s)))
    return RunPage(
        tuple(tiles),
        (
            partial(run_training.training, facts, figures),
            partial(run_setup.data, facts),
            partial(run_setup.network, facts, figures),
            partial(run_setup.recipe, facts),
            partial(run_setup.machine, facts),
        ),
    )
