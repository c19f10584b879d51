"""The best model of a run as its bundle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from glioseg import __version__
from glioseg.console import Reporter
from glioseg.inference.bundle import bundle_of, model_id, save_bundle
from glioseg.runs import run_folder
from glioseg.runs.own_parts import OwnParts
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
