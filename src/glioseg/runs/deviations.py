"""In what a run is not as the publication that its recipe follows: what figures may not be read against, and why."""

from __future__ import annotations

from glioseg.cohorts.splits.split import counted_in
from glioseg.config import PublishedOptions, Recipe, changes_to_shipped
from glioseg.core import Cohort
from glioseg.errors import name_some, plural
from glioseg.evaluation.comparable import Reason
from glioseg.evaluation.published_classes import PublishedClasses
from glioseg.tasks.data import TrainingData
from glioseg.tasks.task import FinishedRun


def deviations(run: FinishedRun) -> tuple[Reason, ...]:
    """In what the run is not as the publication that its recipe follows, beyond how many were scored."""
    recipe = run.recipe
    reasons = [] if recipe.published is None else _unlike(recipe, recipe.published, run.data.cohort)
    if isinstance(recipe.published, PublishedClasses) and recipe.published.copies_apart:
        reasons += _copies_together(run.data)
    if recipe.data.max_patients is not None:
        reasons.append(Reason("data", f"trained on {len(run.data.split.train)} patients (data.max_patients)"))
    if recipe.train.max_minutes is not None or recipe.train.max_steps is not None:
        words = "training was stopped before its end may have been reached (max_minutes, max_steps)"
        reasons.append(Reason("settings", words))
    return tuple(reasons)


def _copies_together(data: TrainingData) -> list[Reason]:
    """A reason where the cohort has copies and none of them lie in several parts, as the authors' may."""
    parts = {patient: name for name, patients in data.split.parts.items() for patient in patients}
    patients = {case.id: case.patient for case in data.cohort.cases}
    placed = [{parts[patients[case]] for case in group if patients.get(case) in parts} for group in data.copies]
    together = [places for places in placed if places]
    if not together or any(len(places) > 1 for places in together):
        return []
    words = f"copies of pictures ({len(together)} groups) are kept in one part, and may lie in several of the authors'"
    return [Reason("copies", words)]


def _unlike(recipe: Recipe, protocol: PublishedOptions, cohort: Cohort) -> list[Reason]:
    """Where split, data and settings are not those of the publication."""
    reasons = []
    if recipe.split.protocol != protocol.split:
        words = f"split by {recipe.split.protocol}, the publication split by {protocol.split}"
        reasons.append(Reason("split", words))
    n_patients = len({case.facts.get("of_patient", case.patient) for case in cohort.cases})
    if protocol.n_patients not in (None, n_patients):
        counted = plural(n_patients, counted_in(cohort))
        words = f"{cohort.name} with {counted}, published on {protocol.data} with {protocol.n_patients}"
        reasons.append(Reason("data", words))
    if protocol.epoch not in (None, recipe.train.keep):
        words = f"of the {recipe.train.keep} epoch (train.keep), published of the {protocol.epoch}"
        reasons.append(Reason("epoch", words))
    changed = changes_to_shipped(recipe)
    if changed:
        reasons.append(Reason("settings", f"other settings than the recipe's: {name_some(changed)}"))
    return reasons
