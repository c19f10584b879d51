"""A recipe and a folder of scans become a run: read, prepare, split, train, evaluate, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from glioseg import __version__
from glioseg.cohorts.splits.split_file import save_split
from glioseg.config import Recipe, changes_to_shipped
from glioseg.console import QUIET, Reporter
from glioseg.core import Cohort
from glioseg.errors import name_some
from glioseg.evaluation.published import PublishedProtocol, protocol_of
from glioseg.evaluation.published_classes import PublishedClasses
from glioseg.inference.bundle import load_bundle, model_id, save_bundle
from glioseg.io.files import write_json
from glioseg.machine.environment import environment, peak_memory_mib
from glioseg.preparation.records import SchemeRecord
from glioseg.preparation.slices import largest_slice
from glioseg.preparation.store import of_patients
from glioseg.report.run_facts import Baseline
from glioseg.runs import run_folder
from glioseg.runs.classifying import ClassEvaluated, classify_run, save_class_bundle, write_class_evaluation
from glioseg.runs.evaluating import Evaluated, evaluate_part, tuned, write_evaluation
from glioseg.runs.material import Material, Where, gather
from glioseg.runs.plan import sized
from glioseg.runs.predicting import predictor_of
from glioseg.runs.read import Data
from glioseg.runs.reporting import report
from glioseg.runs.watching import Judge, TrainingTable
from glioseg.training.checkpoint import load_checkpoint
from glioseg.training.events import require_tensorboard
from glioseg.training.loop import BEST, LATEST, Outcome
from glioseg.training.run import Plan, run_training

AnyEvaluated = Evaluated | ClassEvaluated


@dataclass(frozen=True, eq=False)
class Trained:
    """How a training ended; evaluations by part, once it has ended by itself."""

    outcome: Outcome
    evaluated: Mapping[str, AnyEvaluated]
    report: Path | None


def train(
    recipe: Recipe,
    data: Data,
    where: Where,
    reporter: Reporter = QUIET,
    *,
    baseline: Baseline | None = None,
    judge: Judge | None = None,
) -> Trained:
    """Train as the recipe says, from the run's checkpoint if it has one; then evaluate and report.

    Args:
        recipe: what decides the training.
        data: the scans.
        where: paths and machinery.
        reporter: of messages and progress.
        baseline: a simple method's figure, for the report.
        judge: sees each step and each row of the log, and may stop the training.

    Raises:
        ResumeError: the run's checkpoint belongs to another recipe, split or data set; nothing is changed.
        GliosegError: see the parts: reading, splitting, preparing, training.
    """
    if where.tensorboard:
        require_tensorboard()
    facts = environment(where.device, recipe.train.precision)  # a device that is not there is said before any work
    initial = None if where.initial is None else load_bundle(where.initial).info
    if initial is not None:
        facts |= {"started_from": f"weights of {initial.name} ({initial.provenance.get('cohort')}), {initial.model_id}"}
    run_folder.begin(where.run)
    material = gather(recipe, data, where, reporter)
    recipe = sized(recipe, material, where)
    if where.restart:
        run_folder.clear(where.run)  # not before: scans or settings that are refused must not cost the old run
    identity = run_folder.identity_of(recipe, material.split, material.prepared)
    if initial is not None:
        identity["started_from"] = initial.model_id
    run_folder.write_head(where.run, recipe, facts, _described(data), identity)
    save_split(material.split, where.run / run_folder.SPLIT)
    plan = _plan(recipe, material, where, identity)
    watch = partial(
        TrainingTable,
        quiet=reporter.quiet,
        epochs=recipe.train.epochs,
        max_minutes=recipe.train.max_minutes,
        judge=judge,
        classifies=bool(material.classes),
    )
    outcome = run_training(plan, watch)
    limited = not outcome.finished and (outcome.reason or "").startswith("train.")
    if not outcome.finished and judge is None:  # a judge has its own reasons, and words for them
        reporter.say(
            f"Stopped ({outcome.reason}); the same command continues{', once the limit is raised' * limited}. "
            f"Checkpoint: {where.run / LATEST}"
        )
    if not outcome.finished and not limited:
        return Trained(outcome, {}, None)
    if not (where.run / BEST).exists():
        reporter.say("There is no best model yet: it stopped before its first validation (train.validate_every)")
        return Trained(outcome, {}, None)
    before = model_id(where.run / run_folder.BUNDLE)
    write_bundle(where.run, recipe, material, where.device, reporter)
    if model_id(where.run / run_folder.BUNDLE) != before:
        run_folder.drop_figures(where.run)  # whatever is not evaluated anew would be another model's
    if not where.evaluate:
        return Trained(outcome, {}, None)
    started = time.monotonic()
    evaluated = evaluate_run(where.run, recipe, material, where, reporter)
    timing = {"evaluation_s": round(time.monotonic() - started, 3), "peak_memory_mib": peak_memory_mib()}
    write_json(where.run / run_folder.TIMING, timing)
    return Trained(outcome, evaluated, report(recipe, material, where, reporter, baseline))


def _described(data: Data) -> dict[str, Any]:
    return {
        "path": str(data.path.absolute()),
        "layout": data.layout,
        "scheme": data.scheme,
        "modalities": None if data.modalities is None else list(data.modalities),
    }


def _plan(recipe: Recipe, material: Material, where: Where, identity: Mapping[str, Any]) -> Plan:
    return Plan(
        cohort=material.cohort,
        prepared=material.prepared,
        train=frozenset(material.split.part("train")),
        val=frozenset(material.split.part("val")),
        modalities=material.modalities,
        classes=material.classes,
        initial=where.initial,
        identity=identity,
        run=where.run,
        device=where.device,
        n_devices=where.n_devices,
        model=recipe.model,
        loss=recipe.loss,
        augment=recipe.augment,
        slices=recipe.slices,
        train_options=recipe.train,
        predict=recipe.predict.model_copy(update={"flips": "none"}),  # views at test time cost too much at each epoch
        evaluate=recipe.evaluate,
        tensorboard=where.tensorboard,
        patches=recipe.patches,
    )


# -- what comes out ----------------------------------------------------------------------------------------------------


def write_bundle(run: Path, recipe: Recipe, material: Material, device: str, reporter: Reporter) -> None:
    """Write the best model as a bundle, thresholds tuned on the validation part where the recipe asks for it.

    Of a classifier it is the temperature that is found there.
    """
    best = load_checkpoint(run / BEST)
    scheme = material.prepared.scheme
    fields: dict[str, Any] = {
        "name": recipe.name,
        "modalities": material.modalities,
        "model": recipe.model,
        "prepare": recipe.prepare,
        "slices": recipe.slices,
        "predict": recipe.predict,
        "patches": recipe.patches,
        "provenance": {
            "glioseg": __version__,
            "written": datetime.now(UTC).date().isoformat(),
            "cohort": material.cohort.name,
            "patients_trained_on": len(material.split.train),
            "best_epoch": best["epoch"] + 1,
            "validation_score": round(float(best["score"]), 6),
        },
    }
    if material.classes:
        return save_class_bundle(run, fields, best["model"], material, device)
    assert scheme is not None, "a cohort without labels is refused before"
    trained_on = of_patients(material.prepared, frozenset(material.split.train))
    fields |= {
        "regions": material.prepared.region_names,
        "scheme": SchemeRecord.of(scheme),
        "shape": largest_slice(trained_on) if recipe.patches is None else None,
    }
    save_bundle(run / run_folder.BUNDLE, fields, best["model"])
    if recipe.predict.tune:
        predictor = predictor_of(load_bundle(run / run_folder.BUNDLE), device)
        with reporter.progress("Choosing thresholds on validation") as step:
            fields["predict"] = tuned(predictor, material.part("val"), step)
        save_bundle(run / run_folder.BUNDLE, fields, best["model"])


def evaluate_run(
    run: Path, recipe: Recipe, material: Material, where: Where, reporter: Reporter, parts: tuple[str, ...] = ()
) -> dict[str, AnyEvaluated]:
    """Score the run's bundle on parts of its split (validation and test unless named) and write the figures."""
    known = ("train", "val", "test") if where.score_train else ("val", "test")
    wanted = parts or tuple(name for name in known if getattr(material.split, name))
    if material.classes:
        return {name: _classified(run, recipe, material, where, reporter, name) for name in wanted}
    predictor = predictor_of(load_bundle(run), where.device)
    found: dict[str, AnyEvaluated] = {}
    for name in wanted:
        follows = recipe.published if isinstance(recipe.published, PublishedProtocol) else None
        protocol, reasons = (None, ()) if follows is None else protocol_of(follows, name)
        with reporter.progress(f"Evaluating {name}") as step:
            one = evaluate_part(
                predictor,
                material.part(name),
                recipe.evaluate,
                protocol,
                (*reasons, *_reasons(recipe, material)),
                step,
            )
        write_evaluation(one, where.run, name)
        found[name] = one
    return found


def _classified(
    run: Path, recipe: Recipe, material: Material, where: Where, reporter: Reporter, name: str
) -> ClassEvaluated:
    seen = ("scored on pictures that it was trained on",) if name in ("train", "all") else ()
    reasons = (*seen, *_reasons(recipe, material))
    found = classify_run(run, recipe, material, where.device, where.cache_folder, reporter, name, reasons)
    write_class_evaluation(found, where.run, name)
    return found


def _reasons(recipe: Recipe, material: Material) -> tuple[str, ...]:
    """Why figures must not be read against the published ones, beyond their number."""
    reasons = [] if recipe.published is None else _deviations(recipe, recipe.published, material.cohort)
    if recipe.data.max_patients is not None:
        reasons.append(f"trained on {len(material.split.train)} patients (data.max_patients)")
    if recipe.train.max_minutes is not None or recipe.train.max_steps is not None:
        reasons.append("training was stopped before its end may have been reached (max_minutes, max_steps)")
    return tuple(reasons)


def _deviations(recipe: Recipe, protocol: PublishedProtocol | PublishedClasses, cohort: Cohort) -> list[str]:
    """Where split, data and settings are not those of the publication."""
    found = []
    if recipe.split.protocol != protocol.split:
        found.append(f"split by {recipe.split.protocol}, the publication split by {protocol.split}")
    n_patients = len({case.facts.get("of_patient", case.patient) for case in cohort.cases})
    if protocol.n_patients not in (None, n_patients):
        word = "pictures" if cohort.categories else "patients"
        found.append(f"{cohort.name} with {n_patients} {word}, published on {protocol.data} with {protocol.n_patients}")
    changed = changes_to_shipped(recipe)
    if changed:
        found.append(f"other settings than the recipe's: {name_some(changed)}")
    return found
