"""A recipe and a folder of scans become a run: read, prepare, split, train, evaluate, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from glioseg import __version__
from glioseg.cohorts.slicewise import by_slices, find_dark_slices
from glioseg.cohorts.split import Split
from glioseg.cohorts.split_file import save_split
from glioseg.config import Recipe
from glioseg.console import QUIET, Reporter
from glioseg.core import Cohort
from glioseg.errors import LabelError, name_some
from glioseg.predict.bundle import SchemeInfo, load_bundle, save_bundle
from glioseg.prepare.cache import prepare
from glioseg.prepare.slices import channels_of
from glioseg.prepare.store import PreparedCohort, of_patients
from glioseg.train.checkpoint import load_checkpoint
from glioseg.train.environment import environment
from glioseg.train.loop import BEST, Outcome
from glioseg.train.run import Plan, run_training
from glioseg.workflows import runs
from glioseg.workflows.cohorts import Data, read
from glioseg.workflows.evaluating import Evaluated, Part, evaluate_part, tuned, write_evaluation
from glioseg.workflows.predicting import predictor_of
from glioseg.workflows.splitting import split_cohort
from glioseg.workflows.watching import TrainingTable


@dataclass(frozen=True)
class Where:
    """Paths and machinery of a training: everything that is not in the recipe.

    Args:
        run: the run folder.
        cache: where prepared cohorts are kept; None for ``cache`` beside the run.
        split: a split to be used in place of a drawn one.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        n_devices: processes that train together.
        restart: begin anew where a run is there already.
        evaluate: end with evaluation and report.
    """

    run: Path
    cache: Path | None = None
    split: Path | None = None
    device: str = "auto"
    n_devices: int = 1
    restart: bool = False
    evaluate: bool = True

    @property
    def cache_folder(self) -> Path:
        """Where prepared cohorts are kept."""
        return self.cache or self.run.parent / "cache"


@dataclass(frozen=True, eq=False)
class Material:
    """What a training works on: the cohort as read, prepared, and who is in which part."""

    cohort: Cohort
    prepared: PreparedCohort
    split: Split
    modalities: tuple[str, ...]

    def part(self, name: str) -> Part:
        """A part by name; a SplitError where it is empty."""
        return Part.of(name, of_patients(self.prepared, frozenset(self.split.part(name))), self.cohort)


@dataclass(frozen=True, eq=False)
class Trained:
    """How a training ended; evaluations by part, once it has ended by itself."""

    outcome: Outcome
    evaluated: Mapping[str, Evaluated]
    report: Path | None


def train(
    recipe: Recipe, data: Data, where: Where, reporter: Reporter = QUIET, *, baseline: float | None = None
) -> Trained:
    """Train as the recipe says, from the run's checkpoint if it has one; then evaluate and report.

    Raises:
        ResumeError: the run's checkpoint belongs to another recipe, split or data set; nothing is changed.
        GliosegError: see the parts: reading, splitting, preparing, training.
    """
    runs.begin(where.run, restart=where.restart)
    material = gather(recipe, data, where, reporter)
    identity = runs.identity_of(recipe, material.split, material.prepared)
    runs.write_head(where.run, recipe, environment(where.device, recipe.train.precision), _described(data), identity)
    save_split(material.split, where.run / runs.SPLIT)
    plan = _plan(recipe, material, where, identity)
    watch = partial(
        TrainingTable, quiet=reporter.quiet, epochs=recipe.train.epochs, images_per_step=recipe.train.batch_size
    )
    outcome = run_training(plan, watch)
    if not outcome.finished:
        reporter.say(
            f"Stopped ({outcome.reason}); the same command continues. Checkpoint: {where.run / 'latest_checkpoint.pth'}"
        )
    if not where.evaluate or not (where.run / BEST).exists():
        return Trained(outcome, {}, None)
    if not outcome.finished and recipe.train.max_minutes is None and recipe.train.max_steps is None:
        return Trained(outcome, {}, None)
    write_bundle(where.run, recipe, material, where.device, reporter)
    evaluated = evaluate_run(where.run, recipe, material, where, reporter)
    return Trained(outcome, evaluated, None)


# -- what a training works on ------------------------------------------------------------------------------------------


def gather(recipe: Recipe, data: Data, where: Where, reporter: Reporter) -> Material:
    """Read, prepare and split."""
    cohort = usable(read(data, reporter), recipe.data.max_patients, reporter)
    if recipe.split.protocol == "slice":
        with reporter.progress("Looking for dark slices") as step:
            dark = find_dark_slices(cohort, recipe.slices.dark_below, step) if recipe.slices.dark_below else {}
        cohort = by_slices(cohort, dark)
    with reporter.progress("Preparing") as step:
        prepared = prepare(cohort, recipe.prepare, where.cache_folder, progress=step)
    channels_of(prepared, recipe.data.modalities)
    chosen = split_cohort(cohort, recipe.split, given=where.split, cache=where.cache_folder, reporter=reporter)
    chosen.part("val")
    return Material(cohort, prepared, chosen, recipe.data.modalities or prepared.modalities)


def usable(cohort: Cohort, max_patients: int | None, reporter: Reporter) -> Cohort:
    """The cases that a training can use: with a reference; at most ``max_patients`` patients."""
    if cohort.scheme is None or not any(case.labels is not None for case in cohort.cases):
        has_masks = any(case.labels is not None for case in cohort.cases)
        raise LabelError(
            "the meaning of the labels is not known" if has_masks else "no case has a reference",
            path=cohort.name,
            remedy="Say it with --scheme" if has_masks else "Training needs masks beside the images",
        )
    without = [case.id for case in cohort.cases if case.labels is None]
    if without:
        reporter.say(f"Left out, for want of a reference: {name_some(without)}")
    cases = tuple(case for case in cohort.cases if case.labels is not None)
    if max_patients is not None:
        kept = frozenset(sorted({case.patient for case in cases})[:max_patients])
        cases = tuple(case for case in cases if case.patient in kept)
    return replace(cohort, cases=cases)


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
    )


# -- what comes out ----------------------------------------------------------------------------------------------------


def write_bundle(run: Path, recipe: Recipe, material: Material, device: str, reporter: Reporter) -> None:
    """Write the best model as a bundle, thresholds tuned on the validation part where the recipe asks for it."""
    best = load_checkpoint(run / BEST)
    scheme = material.prepared.scheme
    assert scheme is not None
    fields: dict[str, Any] = {
        "name": recipe.name,
        "modalities": material.modalities,
        "regions": material.prepared.region_names,
        "scheme": SchemeInfo.of(scheme),
        "model": recipe.model,
        "prepare": recipe.prepare,
        "slices": recipe.slices,
        "predict": recipe.predict,
        "provenance": {
            "glioseg": __version__,
            "written": datetime.now(UTC).date().isoformat(),
            "cohort": material.cohort.name,
            "patients_trained_on": len(material.split.train),
            "best_epoch": best["epoch"] + 1,
            "validation_score": round(float(best["score"]), 6),
        },
    }
    save_bundle(run / runs.BUNDLE, fields, best["model"])
    if recipe.predict.tune:
        predictor = predictor_of(load_bundle(run / runs.BUNDLE), device)
        with reporter.progress("Choosing thresholds on validation") as step:
            fields["predict"] = tuned(predictor, material.part("val"), step)
        save_bundle(run / runs.BUNDLE, fields, best["model"])


def evaluate_run(
    run: Path, recipe: Recipe, material: Material, where: Where, reporter: Reporter, parts: tuple[str, ...] = ()
) -> dict[str, Evaluated]:
    """Score the run's bundle on parts of its split (validation and test unless named) and write the figures."""
    predictor = predictor_of(load_bundle(run), where.device)
    wanted = parts or tuple(name for name in ("val", "test") if getattr(material.split, name))
    found = {}
    for name in wanted:
        with reporter.progress(f"Evaluating {name}") as step:
            found[name] = evaluate_part(
                predictor,
                material.part(name),
                recipe.evaluate,
                recipe.published,
                _reasons(recipe, material, name),
                step,
            )
        write_evaluation(found[name], where.run, name)
    return found


def _reasons(recipe: Recipe, material: Material, part: str) -> tuple[str, ...]:
    """Why figures must not be read against the published ones, beyond their number."""
    reasons = []
    if part == "train":
        reasons.append("scored on the patients it was trained on")
    if recipe.data.max_patients is not None:
        reasons.append(f"trained on {len(material.split.train)} patients (data.max_patients)")
    if recipe.train.max_minutes is not None or recipe.train.max_steps is not None:
        reasons.append("training was stopped before its end may have been reached (max_minutes, max_steps)")
    return tuple(reasons)
