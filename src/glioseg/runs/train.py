"""``glioseg train``: a recipe and a folder of scans become a run: gathered, trained, evaluated, reported."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.multiprocessing.spawn import ProcessRaisedException

from glioseg import __version__
from glioseg.cohorts.splits.split_file import save_split
from glioseg.config import Recipe
from glioseg.console import QUIET, Reporter
from glioseg.errors import OptionError
from glioseg.inference.bundle import load_bundle, model_id, save_bundle
from glioseg.io.files import write_json
from glioseg.machine.device import pick_device, uses_bf16
from glioseg.machine.environment import environment, peak_memory_mib
from glioseg.report.run_facts import Baseline
from glioseg.runs import run_folder
from glioseg.runs.evaluate import evaluate_parts
from glioseg.runs.gather import gather
from glioseg.runs.options import RunOptions
from glioseg.runs.plan import sized
from glioseg.runs.progress_table import ProgressTable, Watcher
from glioseg.runs.read import Data
from glioseg.runs.report import report
from glioseg.tasks.choose import task_named
from glioseg.tasks.data import TrainingData
from glioseg.tasks.task import AnyTask, FinishedRun, Scores
from glioseg.training.checkpoint import load_checkpoint
from glioseg.training.events import EventLog, require_tensorboard
from glioseg.training.loop import BEST, LATEST, Job, Outcome, TrainingError, fit, progress_of
from glioseg.training.transfer import take_weights

_OUR_ERROR = re.compile(r"^glioseg\.[\w.]*Error: (.*)\Z", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, eq=False)
class TrainResult:
    """How a training ended; scores by part and the report, once it has ended by itself or met a limit of time."""

    outcome: Outcome
    scores: Mapping[str, Scores] = field(default_factory=dict)
    report: Path | None = None


@dataclass(frozen=True, eq=False)
class Launch:
    """Everything that a training needs; plain data, so that it can be sent to other processes.

    Args:
        task: what the network is asked for.
        recipe: what decides the training.
        data: what it works on.
        options: paths and machinery.
        identity: what must not change between the parts of a training, as plain values.
    """

    task: AnyTask
    recipe: Recipe
    data: TrainingData
    options: RunOptions
    identity: Mapping[str, Any]


def train(
    recipe: Recipe,
    data: Data,
    options: RunOptions,
    reporter: Reporter = QUIET,
    *,
    task: AnyTask | None = None,
    baseline: Baseline | None = None,
    watcher: Watcher | None = None,
) -> TrainResult:
    """Train as the recipe says, from the run's checkpoint if it has one; then evaluate and report.

    Args:
        recipe: what decides the training.
        data: the scans.
        options: paths and machinery.
        reporter: of messages and progress.
        task: one of your own; None for the recipe's.
        baseline: a simple method's figure, for the report.
        watcher: sees each step and each row of the log, and may stop the training.

    Raises:
        ResumeError: the run's checkpoint belongs to another recipe, split or data set; nothing is changed.
        GliosegError: see the parts: reading, splitting, preparing, training.
    """
    task = task or task_named(recipe.task)
    if options.tensorboard:
        require_tensorboard()
    facts: dict[str, Any] = dict(
        environment(options.device, recipe.train.precision)
    )  # a device that is not there is said before any work
    started_from = _starting_point(options.initial)
    run_folder.begin(options.run)
    gathered = gather(task, recipe, data, options, reporter)
    recipe = sized(recipe, gathered, options)
    if options.restart:
        run_folder.clear(options.run)  # not before: scans or settings that are refused must not cost the old run
    identity = run_folder.identity_of(recipe, gathered, task.name) | started_from.identity
    run_folder.write_head(
        options.run, recipe, facts | started_from.facts | {"task": task.name}, _described(data), identity
    )
    save_split(gathered.split, options.run / run_folder.SPLIT)
    outcome = launch(Launch(task, recipe, gathered, options, identity), _table(task, recipe, reporter, watcher))
    if not outcome.finished and watcher is None:  # a watcher has its own reasons, and words for them
        reporter.say(_stopped(outcome, options.run))
    if not outcome.finished and not outcome.met_limit:
        return TrainResult(outcome)
    if not (options.run / BEST).exists():
        reporter.say("There is no best model yet: it stopped before its first validation (train.validate_every)")
        return TrainResult(outcome)
    run = FinishedRun(options.run, recipe, gathered, options.device)
    write_bundle(task, run, reporter)
    if not options.evaluate:
        return TrainResult(outcome)
    started = time.monotonic()
    scores = evaluate_parts(task, run, reporter, score_train=options.score_train)
    timing = {"evaluation_s": round(time.monotonic() - started, 3), "peak_memory_mib": peak_memory_mib()}
    write_json(options.run / run_folder.TIMING, timing)
    return TrainResult(outcome, scores, report(task, run, reporter, baseline))


@dataclass(frozen=True)
class _InitialWeights:
    """What a run keeps of the weights that it started from."""

    identity: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def _starting_point(initial: Path | None) -> _InitialWeights:
    if initial is None:
        return _InitialWeights()
    info = load_bundle(initial).info
    words = f"weights of {info.name} ({info.provenance.get('cohort')}), {info.model_id}"
    return _InitialWeights({"started_from": info.model_id}, {"started_from": words})


def _described(data: Data) -> dict[str, Any]:
    return {
        "path": str(data.path.absolute()),
        "layout": data.layout,
        "scheme": data.scheme,
        "modalities": None if data.modalities is None else list(data.modalities),
    }


def _table(task: AnyTask, recipe: Recipe, reporter: Reporter, watcher: Watcher | None) -> Callable[[], ProgressTable]:
    return partial(
        ProgressTable,
        task.columns,
        quiet=reporter.quiet,
        epochs=recipe.train.epochs,
        max_minutes=recipe.train.max_minutes,
        watcher=watcher,
    )


def _stopped(outcome: Outcome, run: Path) -> str:
    once = ", once the limit is raised" if outcome.met_limit else ""
    return f"Stopped ({outcome.reason}); the same command continues{once}. Checkpoint: {run / LATEST}"


# -- launching ---------------------------------------------------------------------------------------------------------


def launch(job: Launch, watch: Callable[[], ProgressTable]) -> Outcome:
    """Train in this process or, on several devices, in spawned ones.

    Args:
        job: the training.
        watch: makes the watcher, in the process where it is needed.

    Raises:
        OptionError: several devices that this machine does not have.
        ResumeError, TrainingError, FileError: see ``loop.fit``.
    """
    fabric = make_fabric(job.recipe, job.options)
    if job.recipe.train.deterministic:
        _be_deterministic(fabric.device)
    if job.options.n_devices == 1:
        return _train(fabric, job, watch)
    # Fabric looks through arguments and results for modules and tensors, and stumbles over frozen dataclasses: so the
    # job goes inside the function, and the outcome comes back as plain values
    try:
        values = fabric.launch(partial(_train_together, job=job, watch=watch))
    except ProcessRaisedException as error:
        raise _error_of_process(error) from error
    return Outcome(values["finished"], values["reason"], progress_of(values["progress"]))


def make_fabric(recipe: Recipe, options: RunOptions) -> Fabric:
    """Devices, precision and processes."""
    chosen, n_devices = pick_device(options.device), options.n_devices
    if n_devices > 1 and chosen.type == "cuda" and n_devices > torch.cuda.device_count():
        raise OptionError(
            "this machine has fewer GPUs than asked for", found=torch.cuda.device_count(), expected=n_devices
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces what doctor and reports say
    several = n_devices > 1 or chosen.type == "cpu"
    return Fabric(
        accelerator=chosen.type,
        devices=n_devices if several else [chosen.index or 0],
        precision="bf16-mixed" if uses_bf16(recipe.train.precision, chosen) else "32-true",
        strategy="ddp_spawn" if n_devices > 1 else "auto",
    )


def _be_deterministic(device: torch.device) -> None:
    if device.type == "cuda":
        # cuBLAS repeats only with a fixed workspace, which it reads from here at its first use
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def _train(fabric: Fabric, job: Launch, watch: Callable[[], ProgressTable]) -> Outcome:
    watcher = watch()
    events = EventLog(job.options.run) if job.options.tensorboard and fabric.is_global_zero else None
    try:
        network = job.task.network(job.recipe, job.data)
        if job.options.initial is not None:
            take_weights(network, load_bundle(job.options.initial))
        outcome = fit(fabric, network, job_of(job, fabric.device, watcher, events))
        if events is not None:
            events.close()
        return outcome
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _train_together(fabric: Fabric, job: Launch, watch: Callable[[], ProgressTable]) -> dict[str, Any]:
    return asdict(_train(fabric, job, watch))


def job_of(job: Launch, device: torch.device, watcher: ProgressTable, events: EventLog | None = None) -> Job:
    """What the loop works on: the task's items, loss and validation, on a device."""
    parts = job.task.training_parts(job.recipe, job.data, device)
    return Job(
        options=job.recipe.train,
        items=parts.items,
        augment=parts.augment,
        loss=parts.loss,
        validate=job.task.validator(job.recipe, job.data, parts, device, watcher.on_case),
        identity=job.identity,
        run=job.options.run,
        on_epoch=_on_epoch(watcher, events),
        on_step=watcher.on_step,
    )


def _on_epoch(watcher: ProgressTable, events: EventLog | None) -> Callable[[Mapping[str, Any]], str | None]:
    """A row of the log goes to TensorBoard, where that is wanted, and to the watcher, who may ask for a stop."""

    def on_epoch(row: Mapping[str, Any]) -> str | None:
        if events is not None:
            events.on_epoch(row)
        return watcher.on_epoch(row)

    return on_epoch


def _error_of_process(error: ProcessRaisedException) -> Exception:
    """Our own errors cross the border of a process as the last part of a printed traceback; others stay as they are."""
    messages = _OUR_ERROR.findall(str(error))
    return TrainingError(messages[-1].strip()) if messages else error


# -- the bundle --------------------------------------------------------------------------------------------------------


def write_bundle(task: AnyTask, run: FinishedRun, reporter: Reporter) -> None:
    """Write the best model as a bundle, calibrated on the validation part as its task does.

    Evaluations of another model that stood in the run folder are deleted.
    """
    own = task.bundle_fields(run.recipe, run.data)
    if own is None:
        reporter.say(f"The task {task.name} makes no bundle: the best model is {run.folder / BEST}")
        return
    best, bundle = load_checkpoint(run.folder / BEST), run.folder / run_folder.BUNDLE
    before = model_id(bundle)
    fields = _bundle_fields(run, best) | own
    save_bundle(bundle, fields, best["model"])
    calibrated = task.calibrated(load_bundle(bundle), run.recipe, run.data, run.device, reporter)
    if calibrated:
        save_bundle(bundle, fields | calibrated, best["model"])
    if model_id(bundle) != before:
        run_folder.drop_figures(run.folder)  # whatever is not evaluated anew would be another model's


def _bundle_fields(run: FinishedRun, best: Mapping[str, Any]) -> dict[str, Any]:
    recipe, data = run.recipe, run.data
    return {
        "name": recipe.name,
        "modalities": data.modalities,
        "model": recipe.model,
        "prepare": recipe.prepare,
        "slices": recipe.slices,
        "predict": recipe.predict,
        "patches": recipe.patches,
        "provenance": {
            "glioseg": __version__,
            "written": datetime.now(UTC).date().isoformat(),
            "cohort": data.cohort.name,
            "patients_trained_on": len(data.split.train),
            "best_epoch": best["epoch"] + 1,
            "validation_score": round(float(best["score"]), 6),
        },
    }
