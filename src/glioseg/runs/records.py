"""What is kept with a model once its run has ended: the card in its bundle, a methods section, and the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glioseg.core import PARTS
from glioseg.inference.bundle import DESCRIPTION, annotate_bundle
from glioseg.io.files import write_text
from glioseg.report.run_facts import NetworkFacts
from glioseg.runs import run_folder
from glioseg.runs.card import figures_of_part, subgroups_of_part
from glioseg.runs.manifest import write_manifest
from glioseg.runs.methods import Methods, methods_of
from glioseg.runs.model_card import card_of_run, write_card
from glioseg.tasks.task import FinishedRun
from glioseg.training.checkpoint import LATEST, load_checkpoint

METHODS = "methods.txt"
_TOLD = tuple(reversed(PARTS))
"""Parts in the order in which their figures are told: test first."""


def write_records(run: FinishedRun, network: NetworkFacts, best_epoch: int | None, n_epochs: int) -> Methods:
    """Write ``methods.txt`` and, where the run has a bundle, its card, ``MODEL_CARD.md`` and ``manifest.json``.

    A card that somebody wrote and put into an exported bundle is another's; that of a run is made anew each time.

    Args:
        run: whose evaluations lie in its folder; parts that were not evaluated are not told.
        network: as reports show it.
        best_epoch: of the model that was kept, from 0.
        n_epochs: that were trained.

    Raises:
        FileError: a file of the run is missing or damaged, or the folder cannot be written to.
    """
    folder, bundle = run.folder, run.folder / run_folder.BUNDLE
    has_bundle = (bundle / DESCRIPTION).exists()  # a task of one's own may make none, and score in a way of its own
    parts = [name for name in _TOLD if has_bundle and (folder / f"evaluation-{name}.json").exists()]
    figures = [figure for name in parts for figure in figures_of_part(folder, name, run.data.cohort.name)]
    methods = methods_of(
        run.recipe,
        run.data,
        figures=figures,
        best_epoch=best_epoch,
        n_epochs=n_epochs,
        n_parameters=network.n_parameters,
        started_from=run_folder.RunFolder(folder).environment.started_from,
        own=_own_names(run),
    )
    write_text(folder / METHODS, methods.text)
    if has_bundle:
        groups = subgroups_of_part(folder, parts[0]) if parts else ()
        card = card_of_run(run.recipe, run.data, methods, figures, groups)
        write_card(bundle, annotate_bundle(bundle, card=card))
        write_manifest(run)
    return methods


def _own_names(run: FinishedRun) -> Mapping[str, str]:
    """``network`` and ``loss`` -> name, of those that stood in the place of the recipe's."""
    own_parts: Mapping[str, Any] = load_checkpoint(run.folder / LATEST)["identity"].get("own") or {}
    return {part: str(record["name"]) for part, record in own_parts.items()}
