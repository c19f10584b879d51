"""``glioseg train``: a recipe and a folder of scans become a run: gathered, trained, evaluated, reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from glioseg import __version__
from glioseg.cohorts.splits.split_file import save_split
from glioseg.config import Recipe
from glioseg.console import QUIET, Reporter
from glioseg.core import PARTS
from glioseg.errors import ToldElsewhereError
from glioseg.evaluation.metric import OwnMetrics
from glioseg.faces import command
from glioseg.inference.bundle import BundleInfo, load_bundle
from glioseg.inference.shipped import is_model_name
from glioseg.io.files import write_json
from glioseg.io.lock import locked
from glioseg.io.text import read_json
from glioseg.machine.environment import environment
from glioseg.machine.memory import peak_of_process_mib
from glioseg.report.run_facts import Baseline
from glioseg.runs import run_folder
from glioseg.runs.bundle import is_complete, write_bundle
from glioseg.runs.evaluate import evaluate_parts
from glioseg.runs.gather import gather
from glioseg.runs.launch import TrainingSetup, launch
from glioseg.runs.options import RunOptions
from glioseg.runs.own_parts import OwnParts
from glioseg.runs.plan import sized
from glioseg.runs.progress_table import ProgressTable, Watcher
from glioseg.runs.read import Data, with_labels_file
from glioseg.runs.report import report
from glioseg.runs.run_folder import RunEnvironment
from glioseg.runs.together import Together, joined
from glioseg.tasks.choose import task_named
from glioseg.tasks.data import TrainingData
from glioseg.tasks.scores import Scores
from glioseg.tasks.task import AnyTask, FinishedRun
from glioseg.training.checkpoint import LATEST, Identity
from glioseg.training.events import require_tensorboard
from glioseg.training.loop import TrainingError
from glioseg.training.progress import Outcome


@dataclass(frozen=True, eq=False)
class TrainResult:
    """How a training ended.

    Args:
        outcome: of the loop.
        scores: by part, of what was evaluated in this call: once the training has ended or met a limit.
        report: the page, likewise; also where an earlier call has left nothing to be done.
        run: the folder.
        is_first: whether this process did what follows a training, and speaks of it; others trained along.
    """

    outcome: Outcome
    run: Path
    scores: Mapping[str, Scores] = field(default_factory=dict)
    report: Path | None = None
    is_first: bool = True

    def figures(self) -> dict[str, Any]:
        """Part -> its figures as ``evaluation-PART.json`` has them, those of an earlier call too."""
        if self.scores or self.report is None:
            return {name: scores.to_json() for name, scores in self.scores.items()}
        paths = {name: self.run / f"evaluation-{name}.json" for name in PARTS}
        return {name: read_json(path) for name, path in paths.items() if path.exists()}


def train(
    recipe: Recipe,
    data: Data,
    options: RunOptions,
    reporter: Reporter = QUIET,
    *,
    task: AnyTask | None = None,
    own: OwnParts | None = None,
    metrics: OwnMetrics = (),
    baseline: Baseline | None = None,
    watcher: Watcher | None = None,
    is_locked: bool = False,
) -> TrainResult:
    """Train as the recipe says, from the run's checkpoint if it has one; then evaluate and report.

    Args:
        recipe: what decides the training.
        data: the scans.
        options: paths and machinery.
        reporter: of messages and progress.
        task: one of your own; None for the recipe's.
        own: a network or a loss of your own, in the place of the recipe's.
        metrics: of your own, in the evaluations at the end besides those that there are.
        baseline: a simple method's figure, for the report.
        watcher: sees each step and each row of the log, and may stop the training.
        is_locked: whether the caller holds the folder's lock already.

    Raises:
        FileError: another process is at work in the folder.
        LostProcessError: another process of this training has ended, or does not answer.
        ResumeError: the run's checkpoint belongs to another recipe, split or data set; nothing is changed.
        GliosegError: see the parts: reading, splitting, preparing, training.
    """
    task, own = task or task_named(recipe.task), own or OwnParts()
    recipe, options = _started(recipe, options)
    own.require(options.n_devices)
    task.require_scores(metrics)
    with joined(recipe, options) as together, ExitStack() as held:
        facts = together.each(lambda: _machine_facts(recipe, options))
        initial = together.each(lambda: None if options.initial is None else load_bundle(options.initial).info)
        together.first(lambda: _take_folder(options.run, held, is_locked=is_locked))
        extras = _Extras(own, metrics, facts, initial, baseline, watcher)
        return _train(task, recipe, data, options, reporter if options.is_first else QUIET, extras, together)


def _started(recipe: Recipe, options: RunOptions) -> tuple[Recipe, RunOptions]:
    """Both with the weights to start from: those that were asked for, else those that the recipe names."""
    named = recipe.train.start_from
    initial = options.initial or (None if named is None else Path(named))
    shipped = str(initial) if initial is not None and is_model_name(initial) else None
    train = recipe.train.model_copy(update={"start_from": shipped})
    return recipe.model_copy(update={"train": train}), replace(options, initial=initial)


def _take_folder(run: Path, held: ExitStack, *, is_locked: bool) -> None:
    run_folder.begin(run)
    if not is_locked:
        held.enter_context(locked(run))


@dataclass(frozen=True)
class _Extras:
    """What a training is given beside recipe, data and options."""

    own: OwnParts
    metrics: OwnMetrics
    facts: Mapping[str, run_folder.Fact]
    initial: BundleInfo | None
    baseline: Baseline | None
    watcher: Watcher | None


def _train(
    task: AnyTask,
    recipe: Recipe,
    data: Data,
    options: RunOptions,
    reporter: Reporter,
    extras: _Extras,
    together: Together,
) -> TrainResult:
    """``train`` in a folder that is this process's own, or that of the first of several."""
    own, metrics, initial, watcher = extras.own, extras.metrics, extras.initial, extras.watcher
    training_data = together.each(lambda: gather(task, recipe, data, options, reporter))
    recipe = together.first(partial(sized, recipe, training_data, options))
    identity = _identity(task, recipe, training_data, initial, own)
    together.require_same("data, settings or version", f"{__version__} {identity.to_json()}")
    setup = TrainingSetup(task, recipe, training_data, options, identity, own)
    is_same = not metrics and run_folder.holds_recipe(options.run, recipe)
    made_on = RunEnvironment(extras.facts, task.name, _started_from(initial))
    together.first(lambda: _write_head(setup, with_labels_file(data), made_on))
    outcome = _outcome(setup, _table(task, recipe, reporter, watcher), together)
    if not options.is_first:
        return TrainResult(outcome, options.run, is_first=False)
    if not outcome.finished and watcher is None:  # a watcher has its own reasons, and words for them
        reporter.say(_stopped(outcome, options.run))
    if not outcome.finished and not outcome.met_limit:
        return TrainResult(outcome, options.run)
    run = FinishedRun(options.run, recipe, training_data, options.device, own.network)
    if is_same and not outcome.n_new and is_complete(run, options):
        reporter.say(_nothing_left(outcome, options.run))
        return TrainResult(outcome, options.run, report=options.run / run_folder.REPORT if options.evaluate else None)
    write_bundle(task, run, reporter, own)
    if not options.evaluate:
        return TrainResult(outcome, options.run)
    scores = _evaluate(task, run, options, reporter, metrics)
    return TrainResult(outcome, options.run, scores, report(task, run, reporter, extras.baseline))


def _outcome(setup: TrainingSetup, make_table: Callable[[], ProgressTable], together: Together) -> Outcome:
    try:
        return launch(setup, make_table, together.fabric)
    except TrainingError as error:
        if setup.options.is_first:
            raise
        raise ToldElsewhereError(error.text) from error  # all processes have found the same


def _machine_facts(recipe: Recipe, options: RunOptions) -> Mapping[str, run_folder.Fact]:
    """What the run is made on; a device or a library that is not there is said here, before any work."""
    if options.tensorboard:
        require_tensorboard()
    return environment(options.device, recipe.train.precision)


def _started_from(initial: BundleInfo | None) -> str | None:
    if initial is None:
        return None
    return f"weights of {initial.name} ({initial.provenance.get('cohort')}), {initial.model_id}"


def _identity(task: AnyTask, recipe: Recipe, data: TrainingData, initial: BundleInfo | None, own: OwnParts) -> Identity:
    identity = run_folder.identity_of(recipe, data, task.name, None if initial is None else initial.model_id)
    return replace(identity, own=own.identity() or None)


def _write_head(setup: TrainingSetup, data: Data, made_on: RunEnvironment) -> None:
    """Write what the run is made of; an old run that is to go makes room for it."""
    run = setup.options.run
    if setup.options.restart:
        run_folder.clear(run)  # not before: scans or settings that are refused must not cost the old run
    run_folder.write_head(run, setup.recipe, made_on, data, setup.identity, setup.data)
    save_split(setup.data.split, run / run_folder.SPLIT)


def _evaluate(
    task: AnyTask, run: FinishedRun, options: RunOptions, reporter: Reporter, metrics: OwnMetrics
) -> dict[str, Scores]:
    """Score the usual parts, and keep how long that took."""
    started = time.monotonic()
    scores = evaluate_parts(task, run, reporter, score_train=options.score_train, metrics=metrics)
    elapsed_s, peak_mib = time.monotonic() - started, peak_of_process_mib()
    timing = {"evaluation_s": round(elapsed_s, 3), "peak_memory_mib": None if peak_mib is None else round(peak_mib, 1)}
    write_json(run.folder / run_folder.TIMING, timing)
    return scores


def _table(task: AnyTask, recipe: Recipe, reporter: Reporter, watcher: Watcher | None) -> Callable[[], ProgressTable]:
    return partial(
        ProgressTable,
        task.log_columns(recipe),
        quiet=reporter.quiet,
        epochs=recipe.train.epochs,
        score=recipe.train.score,
        max_minutes=recipe.train.max_minutes,
        watcher=watcher,
    )


def _nothing_left(outcome: Outcome, run: Path) -> str:
    n_epochs = outcome.progress.epoch
    ended = f"This training has ended ({n_epochs} {'epoch' if n_epochs == 1 else 'epochs'})"
    done = ended if outcome.finished else "Nothing was left to be trained"
    again = command("evaluate", run)
    return f"{done}, and all that follows is there. Again: `{again}`, or from the start with `--restart`"


def _stopped(outcome: Outcome, run: Path) -> str:
    once = ", once the limit is raised" if outcome.met_limit else ""
    return f"Stopped ({outcome.reason}); the same command continues{once}. Checkpoint: {run / LATEST}"
