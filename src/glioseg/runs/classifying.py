"""A trained classifier: its bundle with a temperature, its evaluation; and a segmentation run scored as a detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.checks.measure import tumour_labels
from glioseg.config import Recipe
from glioseg.console import Reporter
from glioseg.core import Cohort, LabelMap
from glioseg.errors import OptionError
from glioseg.evaluation.class_protocol import (
    CLASSIFIER_WORDS,
    CaseClasses,
    ClassEvaluation,
    class_rows,
    evaluate_classes,
)
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.evaluation.published_classes import PublishedClasses, published_classes
from glioseg.evaluation.reliability import fit_temperature
from glioseg.evaluation.table import rows_to_csv
from glioseg.inference.bundle import Bundle, load_bundle, save_bundle
from glioseg.inference.classifier import Classifier
from glioseg.inference.predictor import Predictor
from glioseg.io.files import write_json, write_text
from glioseg.machine.device import pick_device, uses_bf16
from glioseg.preparation.classes import NO_YES, slice_classes
from glioseg.preparation.slices import channels_of
from glioseg.runs import run_folder
from glioseg.runs.evaluating import Part, scored
from glioseg.runs.material import Material
from glioseg.runs.split import survey

Step = Callable[[int, int], None]

DETECTOR_WORDS: Mapping[str, str] = {
    "score": "the largest tumour probability of any voxel of the slice, on the native grid",
    "decided": "yes where the predicted label map marks any tumour voxel of the slice",
    "reference": "whether the reference marks any tumour voxel of the slice",
    "case": "a case is its slice with the largest probability",
}
"""How a segmentation run is read as a detector."""


@dataclass(frozen=True, eq=False)
class ClassEvaluated:
    """A part's figures and what was said of its cases."""

    evaluation: ClassEvaluation
    cases: tuple[CaseClasses, ...]


def classifier_of(bundle: Bundle, device: str = "auto") -> Classifier:
    """The bundle's network on a device."""
    chosen = pick_device(device)
    info = bundle.info
    return Classifier(
        model=bundle.model.to(chosen),
        modalities=info.modalities,
        classes=info.classes,
        prepare=info.prepare,
        slices=info.slices,
        temperature=info.temperature,
        flips=info.predict.flips,
        batch_size=info.predict.batch_size,
        bf16=uses_bf16("auto", chosen),
    )


def save_class_bundle(
    run: Path, fields: Mapping[str, Any], weights: Mapping[str, Any], material: Material, device: str
) -> None:
    """Write the bundle of a classifier, its temperature found on the validation part (Guo 2017).

    Args:
        run: the run folder.
        fields: of ``BundleInfo``, but classes and temperature.
        weights: of the best model.
        material: what it was trained on.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
    """
    described = dict(fields) | {"classes": material.classes}
    save_bundle(run / run_folder.BUNDLE, described, weights)
    classifier = classifier_of(load_bundle(run / run_folder.BUNDLE), device)
    part = material.part("val")
    channels = list(channels_of(part.prepared, classifier.modalities))
    logits = np.concatenate([classifier.logits(case.images[:, channels]) for case in part.prepared.cases])
    classes = np.concatenate([slice_classes(case, classifier.classes) for case in part.prepared.cases])
    described["temperature"] = round(fit_temperature(logits, classes), 6)
    save_bundle(run / run_folder.BUNDLE, described, weights)


def unit_names(cohort: Cohort, groups: Sequence[frozenset[str]]) -> dict[str, str]:
    """Case -> what the bootstrap draws: its patient or, where cases of several show the same, all of these together."""
    units = {case.id: case.patient for case in cohort.cases}
    for group in groups:
        together = {units[name] for name in group if name in units}
        if len(together) > 1:
            name = min(together)
            units = {case: name if unit in together else unit for case, unit in units.items()}
    return units


def classify_part(
    classifier: Classifier, part: Part, units: Mapping[str, str], options: EvaluateOptions, step: Step
) -> ClassEvaluated:
    """Classify every case of a part, whose classes must be known, and score what was said."""
    channels = list(channels_of(part.prepared, classifier.modalities))
    found = []
    for done, case in enumerate(part.prepared.cases):
        probabilities = classifier.probabilities(case.images[:, channels])
        reference = slice_classes(case, classifier.classes)
        decided = probabilities.argmax(axis=1).astype(np.int64)
        unit = units.get(case.id, case.patient)
        found.append(CaseClasses(case.id, case.patient, unit, reference, probabilities, decided))
        step(done + 1, len(part.prepared.cases))
    evaluation = evaluate_classes(found, classifier.classes, options, CLASSIFIER_WORDS)
    return ClassEvaluated(evaluation, tuple(found))


def detect_part(
    predictor: Predictor, part: Part, units: Mapping[str, str], options: EvaluateOptions, step: Step
) -> ClassEvaluated:
    """Score a network that segments by whether it finds tumour at all, per slice and per case; see DETECTOR_WORDS."""
    found = []
    counted = [row for row, name in enumerate(predictor.regions) if name != "RC" or predictor.regions == ("RC",)]
    for case, one in scored(predictor, part, curves=False, step=step):
        reference, decided = _tumour_on(one.reference), _tumour_on(one.prediction.label_map)
        largest = one.prediction.probabilities[counted].max(axis=(0, 1, 2)).astype(np.float64).clip(0, 1)
        probabilities = np.column_stack([1 - largest, largest])
        unit = units.get(case.id, case.patient)
        found.append(CaseClasses(case.id, case.patient, unit, reference, probabilities, decided))
    return ClassEvaluated(evaluate_classes(found, NO_YES, options, DETECTOR_WORDS), tuple(found))


def _tumour_on(labels: LabelMap) -> npt.NDArray[np.int64]:
    """(Z,) 1 for slices with a tumour voxel, else 0."""
    inside = np.isin(labels.array, tumour_labels(labels.scheme))
    return np.asarray(inside.any(axis=(0, 1)), dtype=np.int64)


def detected(
    predictor: Predictor,
    part: Part,
    name: str,
    options: EvaluateOptions,
    folder: Path,
    reporter: Reporter,
) -> ClassEvaluated:
    """``detect_part`` with its progress, its units and its files, ``evaluation-detect-PART.json`` and the table.

    Raises:
        OptionError: a network of tissues, which knows no tumour.
    """
    scheme = part.prepared.scheme
    if not tumour_labels(predictor.scheme) or scheme is None or not tumour_labels(scheme):
        raise OptionError("tumour is detected by networks that segment it", found=f"labels of {predictor.scheme.name}")
    units = {case.id: case.patient for case in part.cases.values()}
    with reporter.progress(f"Detecting on {name}") as step:
        found = detect_part(predictor, part, units, options, step)
    write_class_evaluation(found, folder, f"detect-{name}")
    return found


def write_class_evaluation(evaluated: ClassEvaluated, folder: Path, part: str) -> None:
    """``evaluation-PART.json`` and ``cases-PART.csv``."""
    classes = evaluated.evaluation.items.classes
    write_json(folder / f"evaluation-{part}.json", evaluated.evaluation.to_json())
    write_text(folder / f"cases-{part}.csv", rows_to_csv(class_rows(evaluated.cases, classes)))


def classify_run(
    run: Path,
    recipe: Recipe,
    material: Material,
    device: str,
    cache: Path,
    reporter: Reporter,
    name: str,
    reasons: Sequence[str],
) -> ClassEvaluated:
    """Score a run's classifier on a part of its split."""
    classifier = classifier_of(load_bundle(run), device)
    units = unit_names(material.cohort, survey(material.cohort, cache, reporter).groups)
    with reporter.progress(f"Evaluating {name}") as step:
        found = classify_part(classifier, material.part(name), units, recipe.evaluate, step)
    if isinstance(recipe.published, PublishedClasses):
        block = published_classes(found.evaluation.items, recipe.published, reasons)
        found = replace(found, evaluation=replace(found.evaluation, as_published=block))
    return found
