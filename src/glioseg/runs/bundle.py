"""The best model of a run as its bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from glioseg import __version__
from glioseg.cohorts.splits.split import counted_in
from glioseg.console import Reporter
from glioseg.core import PARTS
from glioseg.errors import GliosegError
from glioseg.inference.bundle import bundle_of, load_bundle, model_id, save_bundle
from glioseg.runs import run_folder
from glioseg.runs.changed import data_digest
from glioseg.runs.options import RunOptions
from glioseg.runs.own_parts import OwnParts
from glioseg.tasks.skull import skull_of_cases
from glioseg.tasks.task import AnyTask, FinishedRun
from glioseg.training.checkpoint import BEST, load_checkpoint


def write_bundle(task: AnyTask, run: FinishedRun, reporter: Reporter, own: OwnParts) -> None:
    """Write the best model as a bundle, calibrated on the validation part as its task does.

    Evaluations of another model that stood in the run folder are deleted.
    """
    own_fields = task.bundle_fields(run.recipe, run.data)
    if own_fields is None:
        reporter.say(f"The task {task.name} makes no bundle: the best model is {run.folder / BEST}")
        return
    best, bundle = load_checkpoint(run.folder / BEST), run.folder / run_folder.BUNDLE
    before = model_id(bundle)
    fields = _bundle_fields(run, best) | own_fields
    network = own.described(run.recipe.task)
    fields |= {} if network is None else {"model": network}
    tried = bundle_of(fields, best["model"], own.network)
    calibrated = task.calibrate(tried, run.recipe, run.data, run.device, reporter)
    save_bundle(bundle, fields | calibrated, best["model"])
    if model_id(bundle) != before:
        run_folder.drop_figures(run.folder)  # whatever is not evaluated anew would be another model's


def is_complete(run: FinishedRun, options: RunOptions) -> bool:
    """Whether all that follows a training is there already, of its best model.

    A bundle is written before what is evaluated with it, and of another model takes away figures and report; the report
    is written last.
    """
    if options.evaluate and not all(path.exists() for path in _expected(run, options)):
        return False
    try:
        bundle = load_bundle(run.folder / run_folder.BUNDLE, run.network)
    except GliosegError:
        return False
    weights, best = bundle.model.state_dict(), load_checkpoint(run.folder / BEST)["model"]
    return all(torch.equal(weights[name].cpu(), value) for name, value in best.items())


def _expected(run: FinishedRun, options: RunOptions) -> Iterator[Path]:
    yield run.folder / run_folder.REPORT
    for name in PARTS if options.score_train else ("val", "test"):
        if getattr(run.data.split, name):
            yield run.folder / f"evaluation-{name}.json"
            yield run.folder / f"cases-{name}.csv"


def _bundle_fields(run: FinishedRun, best: Mapping[str, Any]) -> dict[str, Any]:
    recipe, data = run.recipe, run.data
    return {
        "name": recipe.name,
        "modalities": data.modalities,
        "modality_sets": recipe.data.sets_of(data.modalities),
        "model": recipe.model,
        "prepare": recipe.prepare,
        "slices": recipe.slices,
        "predict": recipe.predict,
        "patches": recipe.patches,
        "skull": skull_of_cases([case for case in data.cohort.cases if case.patient in data.split.train]),
        "provenance": {
            "glioseg": __version__,
            "written": datetime.now(UTC).date().isoformat(),
            "cohort": data.cohort.name,
            "data_digest": data_digest(data.prepared.files),
            "patients_trained_on": len(data.split.train),
            "counted": counted_in(data.cohort),
            "best_epoch": best["epoch"] + 1,
            "validation_score": round(float(best["score"]), 6),
        },
    }
