"""``glioseg report``: the page of a run, from its folder and its data."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from glioseg.cohorts.reading.layout import Layout
from glioseg.config import write_recipe
from glioseg.console import QUIET, Reporter
from glioseg.core import PARTS
from glioseg.io.files import require_folder
from glioseg.io.text import read_json
from glioseg.networks.summary import summarise_levels
from glioseg.report.html import FIGURES
from glioseg.report.run import write_run_report
from glioseg.report.run_facts import (
    Baseline,
    NetworkFacts,
    RecipeFacts,
    RunFacts,
    SplitFacts,
    SplitUnit,
    Timing,
)
from glioseg.runs import run_folder
from glioseg.runs.evaluate import open_run
from glioseg.runs.records import write_records
from glioseg.runs.run_files import require_run
from glioseg.tasks.task import AnyTask, FinishedRun, facts_of_network, image_size
from glioseg.training.log import LogRow, log_of

_UNITS: Mapping[str, SplitUnit] = {"patient": "patient", "slice": "slice", "duplicate group": "picture"}


def write_report(
    run: Path,
    device: str = "auto",
    cache: Path | None = None,
    reporter: Reporter = QUIET,
    task: AnyTask | None = None,
    network: nn.Module | None = None,
    layout: Layout | None = None,
) -> Path:
    """Write the report of a run from what stands in its folder; arguments and errors as ``evaluate``."""
    require_run(run)
    require_folder(run)
    own_task, finished = open_run(run, device, cache, reporter, task, network=network, layout=layout)
    return report(own_task, finished, reporter)


def report(task: AnyTask, run: FinishedRun, reporter: Reporter = QUIET, baseline: Baseline | None = None) -> Path:
    """Write ``report.html`` into the run folder from what stands there, predicting the few cases that are shown.

    What is kept with the model is written too: see ``records``.

    Raises:
        FileError: a file of the run is missing or damaged.
    """
    recipe, folder = run.recipe, run.folder
    log = log_of(folder)
    with reporter.progress("Drawing the report") as step:
        best_epoch, network = kept_epoch(log, recipe.train.keep), network_facts(task, run)
        methods = write_records(run, network, best_epoch, log[-1].epoch + 1 if log else 0)
        facts = RunFacts(
            recipe=RecipeFacts(recipe.name, write_recipe(recipe), recipe.about, recipe.after, recipe.notes),
            data=task.describe(run.data),
            split=split_facts(task, run),
            log=log,
            best_epoch=best_epoch,
            keep=recipe.train.keep,
            n_epochs=recipe.train.epochs,
            score=recipe.train.score,
            network=network,
            methods=(*methods.paragraphs, *methods.references),
            environment=environment_of(folder),
            timing=timing_of(folder, log),
            baseline=baseline,
        )
        return write_run_report(facts, task.page(facts, run, folder / FIGURES), folder, progress=step)


def kept_epoch(log: Sequence[LogRow], keep: str) -> int | None:
    """The epoch whose model is in the bundle, as the loop keeps it: the first of the best, or the last validated."""
    scores = {row.epoch: row.val_score for row in log if row.val_score is not None}
    if not scores:
        return None
    return max(scores) if keep == "last" else max(scores, key=lambda epoch: (scores[epoch], -epoch))


def network_facts(task: AnyTask, run: FinishedRun) -> NetworkFacts:
    """The network as drawn in the report: the recipe's, or the one that was given in its place."""
    if run.network is None:
        return task.network_facts(run.recipe, run.data)
    n_channels = run.recipe.slices.n_channels(len(run.data.modalities))
    levels = summarise_levels(run.network, image_size(run.recipe, run.data), n_channels)
    given = {"given": "as an object, from Python"}
    return facts_of_network(type(run.network).__qualname__, run.network, levels, given, outputs=task.outputs)


def split_facts(task: AnyTask, run: FinishedRun) -> SplitFacts:
    """How the cohort was divided, and what is in each part."""
    split, options = run.data.split, run.recipe.split
    parts = {str(name): task.count(run.data, name) for name in PARTS if getattr(split, name)}
    unit = _UNITS[split.unit]
    if unit == "picture" and any(case.native.has_mm for case in run.data.prepared.cases):
        unit = "case"
    folds = None if options.n_folds is None else (options.fold + 1, options.n_folds)
    return SplitFacts(parts, unit, split.seed, split.sha256, folds)


def environment_of(run: Path) -> Mapping[str, run_folder.Fact]:
    """What the run was made on, and from which weights it started."""
    return replace(run_folder.RunFolder(run).environment, task=None).to_json()


def timing_of(run: Path, log: Sequence[LogRow]) -> Timing:
    """How long the run took, as far as that was measured."""
    paces = [row.images_per_s for row in log if row.images_per_s is not None]
    values = read_json(run / run_folder.TIMING) if (run / run_folder.TIMING).exists() else {}
    measured = values if isinstance(values, dict) else {}
    return Timing(
        training_s=log[-1].elapsed_s if log else None,
        images_per_s=statistics.median(paces) if paces else None,
        evaluation_s=measured.get("evaluation_s"),
        peak_memory_mib=measured.get("peak_memory_mib"),
    )
