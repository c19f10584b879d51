"""Several classifiers as one, scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glioseg.console import Step
from glioseg.evaluation.class_protocol import (
    CLASSIFIER_WORDS,
    CaseClasses,
    ClassEvaluation,
    class_rows,
    evaluate_classes,
)
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.classifier import Classifier
from glioseg.preparation.slices import channels_of
from glioseg.tasks.classify.score import case_classes
from glioseg.tasks.data import CohortPart
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import Scoring
from glioseg.tasks.texts import classes_text

RULE = "mean of the members' calibrated probabilities"


@dataclass(frozen=True, eq=False)
class ClassEnsembleFigures:
    """The figures of classifiers together, and those of each member."""

    evaluation: ClassEvaluation
    members: tuple[ClassEvaluation, ...]
    infos: tuple[BundleInfo, ...]

    def to_json(self) -> dict[str, Any]:
        """``ClassEvaluation.to_json`` of the ensemble with its rule and its members' main figures."""
        members = [
            {
                "model_id": info.model_id,
                "recipe": info.name,
                "metrics": {name: figure.value for name, figure in member.items.metrics.items()},
            }
            for info, member in zip(self.infos, self.members, strict=True)
        ]
        return self.evaluation.to_json() | {"ensemble": {"rule": RULE, "members": members}}

    def summary_rows(self) -> list[dict[str, Any]]:
        """Those of the ensemble."""
        return self.evaluation.summary_rows()


def score_ensemble(
    classifiers: Sequence[Classifier], infos: tuple[BundleInfo, ...], part: CohortPart, scoring: Scoring, step: Step
) -> Scores:
    """Score the mean of classifiers on a part; all are shown the same, so that it is prepared once.

    Args:
        classifiers: with the same classes, preparation and slices,
        infos: and what their bundles say of them.
        part: its classes must be known.
        scoring: how figures are averaged, and metrics of the caller's own.
        step: called with (cases done, cases).
    """
    classes = classifiers[0].classes
    channels = list(channels_of(part.prepared, classifiers[0].modalities))
    whole: list[CaseClasses] = []
    by_member: list[list[CaseClasses]] = [[] for _ in classifiers]
    for number, case in enumerate(part.prepared.cases, start=1):
        by_classifier = [classifier.probabilities(case.images[:, channels]) for classifier in classifiers]
        whole.append(case_classes(case, part, classes, np.mean(by_classifier, axis=0)))
        for cases, probabilities in zip(by_member, by_classifier, strict=True):
            cases.append(case_classes(case, part, classes, probabilities))
        step(number, len(part.prepared.cases))
    without_intervals = scoring.options.model_copy(update={"n_resamples": 0})
    members = tuple(
        evaluate_classes(cases, classes, without_intervals, CLASSIFIER_WORDS, scoring.metrics) for cases in by_member
    )
    evaluation = evaluate_classes(whole, classes, scoring.options, CLASSIFIER_WORDS, scoring.metrics)
    names = [f"{info.name}, {info.model_id}" for info in infos]
    text = classes_text(part.name, evaluation, list(zip(names, members, strict=True)), scoring.metrics)
    figures = ClassEnsembleFigures(evaluation, members, infos)
    return Scores(part.name, figures, class_rows(whole, classes), text)
