"""Validation of a classifier, with the code of prediction and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from glioseg.console import Step
from glioseg.evaluation.class_items import ItemClasses
from glioseg.evaluation.classification import score_classes
from glioseg.evaluation.reliability import probabilities_at
from glioseg.inference.classifier import Classifier
from glioseg.preparation.classes import slice_classes
from glioseg.preparation.store import PreparedCase
from glioseg.training.job import CaseValidation, Loss, Validation

_LOGGED = ("accuracy", "balanced_accuracy", "auc")


@dataclass(frozen=True)
class ClassLook:
    """What a network says of the slices of one case, (S, K) logits, and (S,) what they are."""

    logits: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassValidator(CaseValidation[ClassLook]):
    """Called by the loop with the network in evaluation mode; every slice counts alike.

    Args:
        classifier: how cases are classified; its model is replaced by the one to be validated.
        cases: the validation part.
        channels: of the prepared images.
        loss: the training's.
        score: name of the score that picks the best model.
        on_case: called with (cases done, cases).
    """

    classifier: Classifier
    cases: Sequence[PreparedCase]
    channels: tuple[int, ...]
    loss: Loss
    score: str
    on_case: Step

    @property
    def n_cases(self) -> int:
        """Cases of the validation part."""
        return len(self.cases)

    def look(self, model: nn.Module, number: int) -> ClassLook:
        """Logits and classes of the slices of a case."""
        classifier, case = replace(self.classifier, model=model), self.cases[number]
        logits = classifier.logits(case.images[:, list(self.channels)])
        return ClassLook(logits, slice_classes(case, classifier.classes))

    def conclude(self, looks: Sequence[ClassLook]) -> Validation:
        """Loss, score and figures."""
        logits = np.concatenate([look.logits for look in looks])
        classes, names = np.concatenate([look.classes for look in looks]), self.classifier.classes
        targets = torch.from_numpy(np.eye(len(names), dtype=np.uint8)[classes])
        loss = float(self.loss(torch.from_numpy(logits), targets, None))
        return _validation(loss, logits, classes, names, self.score)


def _validation(
    loss: float, logits: npt.NDArray[np.float64], classes: npt.NDArray[np.int64], names: tuple[str, ...], score: str
) -> Validation:
    items = tuple(map(str, range(len(classes))))
    probabilities = probabilities_at(logits, 1.0)
    predictions = ItemClasses(names, items, items, classes, probabilities, logits.argmax(axis=1))
    figures = score_classes(predictions, n_resamples=0)
    metrics: dict[str, float | None] = {name: figure.value for name, figure in figures.metrics.items()}
    recalls: dict[str, Any] = {name: values["recall"] for name, values in figures.per_class.items()}
    logged = {"classes": {name: metrics[name] for name in _LOGGED} | {"recall": recalls}}
    return Validation(loss, metrics[score] or 0.0, logged)
