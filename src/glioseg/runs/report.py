"""``glioseg report``: the page of a run, from its folder and its data."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from glioseg.config import write_recipe
from glioseg.console import QUIET, Reporter
from glioseg.core import PARTS
from glioseg.errors import FileError, ScoreError
from glioseg.io.files import read_json
from glioseg.report.html import FIGURES
from glioseg.report.log_rows import LogRow
from glioseg.report.run import write_run_report
from glioseg.report.run_facts import Baseline, RecipeFacts, RunFacts, SplitFacts, SplitUnit, Timing
from glioseg.runs import run_folder
from glioseg.runs.evaluate import open_run
from glioseg.tasks.task import AnyTask, FinishedRun
from glioseg.training.log import read_log
from glioseg.training.loop import LOG

_UNITS: Mapping[str, SplitUnit] = {"patient": "patient", "slice": "slice", "duplicate group": "picture"}


def write_report(
    run: Path,
    device: str = "auto",
    cache: Path | None = None,
    reporter: Reporter = QUIET,
    task: AnyTask | None = None,
) -> Path:
    """Write the report of a run from what stands in its folder; arguments and errors as ``evaluate``."""
    own_task, finished = open_run(run, device, cache, reporter, task)
    return report(own_task, finished, reporter)


def report(task: AnyTask, run: FinishedRun, reporter: Reporter = QUIET, baseline: Baseline | None = None) -> Path:
    """Write ``report.html`` into the run folder from what stands there, predicting the few cases that are shown.

    Raises:
        FileError: a file of the run is missing or damaged.
    """
    recipe, folder = run.recipe, run.folder
    log = log_rows(folder / LOG)
    with reporter.progress("Drawing the report") as step:
        facts = RunFacts(
            recipe=RecipeFacts(recipe.name, write_recipe(recipe), recipe.about, recipe.after, recipe.notes),
            data=task.describe(run.data),
            split=split_facts(task, run),
            log=log,
            best_epoch=kept_epoch(log, recipe.train.keep),
            keep=recipe.train.keep,
            n_epochs=recipe.train.epochs,
            score=recipe.train.score,
            network=task.network_facts(recipe, run.data),
            environment=environment_of(folder),
            timing=timing_of(folder, log),
            baseline=baseline,
        )
        return write_run_report(facts, task.page(facts, run, folder / FIGURES), folder, progress=step)


def log_rows(path: Path) -> list[LogRow]:
    """The rows of a log; none before the first epoch has ended.

    Raises:
        FileError: the log is damaged.
    """
    try:
        return [LogRow.from_json(row) for row in read_log(path)] if path.exists() else []
    except ScoreError as error:
        raise FileError(error.what, path=path, found=error.found) from error


def kept_epoch(log: Sequence[LogRow], keep: str) -> int | None:
    """The epoch whose model is in the bundle, as the loop keeps it: the first of the best, or the last validated."""
    scored = [(row.val_score, row.epoch) for row in log if row.val_score is not None]
    if not scored:
        return None
    return scored[-1][1] if keep == "last" else max(scored, key=lambda pair: (pair[0], -pair[1]))[1]


def split_facts(task: AnyTask, run: FinishedRun) -> SplitFacts:
    """How the cohort was divided, and what is in each part."""
    split, options = run.data.split, run.recipe.split
    parts = {str(name): task.count(run.data, name) for name in PARTS if getattr(split, name)}
    unit = _UNITS[split.unit]
    folds = None if options.n_folds is None else (options.fold + 1, options.n_folds)
    return SplitFacts(parts, unit, split.seed, split.sha256, folds)


def environment_of(run: Path) -> Mapping[str, str | int | float | bool]:
    """What the run was made on."""
    facts = read_json(run / run_folder.ENVIRONMENT)
    return {name: value for name, value in facts.items() if name != "task"} if isinstance(facts, dict) else {}


def timing_of(run: Path, log: Sequence[LogRow]) -> Timing:
    """How long the run took, as far as that was measured."""
    paces = [row.images_per_s for row in log if row.images_per_s is not None]
    block = read_json(run / run_folder.TIMING) if (run / run_folder.TIMING).exists() else {}
    measured = block if isinstance(block, dict) else {}
    return Timing(
        training_s=log[-1].elapsed_s if log else None,
        images_per_s=statistics.median(paces) if paces else None,
        evaluation_s=measured.get("evaluation_s"),
        peak_memory_mib=measured.get("peak_memory_mib"),
    )
