"""A classifier on a part of a cohort, and the temperature that suits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from glioseg.evaluation.class_protocol import (
    CLASSIFIER_WORDS,
    CaseClasses,
    ClassEvaluation,
    class_rows,
    evaluate_classes,
)
from glioseg.evaluation.comparable import Reason
from glioseg.evaluation.contributions import CHANGES, Changed
from glioseg.evaluation.published_classes import PublishedClasses, published_classes
from glioseg.evaluation.reliability import fit_temperature
from glioseg.evaluation.score import Floats
from glioseg.inference.classifier import Classifier
from glioseg.inference.contributions import changed
from glioseg.preparation.case import nearest_slices
from glioseg.preparation.classes import slice_classes
from glioseg.preparation.slices import channels_of
from glioseg.preparation.store import PreparedCase
from glioseg.tasks.data import CohortPart
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import Publication, Scoring
from glioseg.tasks.texts import classes_text


def score_one(classifier: Classifier, part: CohortPart, number: int, scoring: Scoring) -> CaseClasses:
    """One case of a part, whose class must be known: what the classifier says of it."""
    case, channels = part.prepared.cases[number], list(channels_of(part.prepared, classifier.modalities))
    images = case.images[:, channels]
    said = case_classes(case, part, classifier.classes, classifier.probabilities(images))
    return replace(said, changed=_changed(classifier, images)) if scoring.contributions else said


def scores_of_part(classifier: Classifier, part: CohortPart, cases: Sequence[CaseClasses], scoring: Scoring) -> Scores:
    """The scores of a part, from what was said of each of its cases, in order."""
    evaluation = evaluate_classes(cases, classifier.classes, scoring.options, CLASSIFIER_WORDS, scoring.metrics)
    evaluation = _beside_published(evaluation, part.name, scoring.publication)
    text = classes_text(part.name, evaluation, own=scoring.metrics)
    return Scores(part.name, evaluation, class_rows(cases, classifier.classes), text)


def _changed(classifier: Classifier, images: npt.NDArray[np.float16]) -> dict[Changed, Floats]:
    """What is said of a case with each of the network's modalities removed and permuted."""
    return {
        Changed(name, change): classifier.probabilities(changed(images, channel, change))
        for channel, name in enumerate(classifier.modalities)
        for change in CHANGES
    }


def _beside_published(evaluation: ClassEvaluation, part: str, publication: Publication) -> ClassEvaluation:
    if not isinstance(publication.protocol, PublishedClasses):
        return evaluation
    seen = (Reason("part", "scored on pictures that it was trained on"),) if part in ("train", "all") else ()
    block = published_classes(evaluation.items, publication.protocol, (*seen, *publication.reasons))
    return replace(evaluation, as_published=block)


def temperature_of(classifier: Classifier, part: CohortPart) -> float:
    """The temperature that makes a part's confidences right, which must be the validation part (Guo 2017)."""
    channels = list(channels_of(part.prepared, classifier.modalities))
    logits = np.concatenate([classifier.logits(case.images[:, channels]) for case in part.prepared.cases])
    classes = np.concatenate([slice_classes(case, classifier.classes) for case in part.prepared.cases])
    return round(fit_temperature(logits, classes), 6)


def case_classes(case: PreparedCase, part: CohortPart, classes: Sequence[str], probabilities: Floats) -> CaseClasses:
    """What is said of a case from its slices' probabilities (Z, K): the most probable class of each."""
    return CaseClasses(
        case=case.id,
        patient=case.patient,
        unit=part.units.get(case.id, case.patient),
        reference=slice_classes(case, classes),
        probabilities=probabilities,
        decided=probabilities.argmax(axis=1).astype(np.int64),
        numbers=nearest_slices(case.native, case.working) + 1,
    )
