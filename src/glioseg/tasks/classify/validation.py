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
from glioseg.training.job import Loss, Validation

_LOGGED = ("accuracy", "balanced_accuracy", "auc")


@dataclass(frozen=True)
class ClassValidator:
    """Called by the loop with the network in evaluation mode.

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

    def __call__(self, model: nn.Module) -> Validation:
        """Loss, score and figures; every slice counts alike."""
        classifier = replace(self.classifier, model=model)
        logits = []
        for number, case in enumerate(self.cases, start=1):
            logits.append(classifier.logits(case.images[:, list(self.channels)]))
            self.on_case(number, len(self.cases))
        all_logits = np.concatenate(logits)
        classes = np.concatenate([slice_classes(case, classifier.classes) for case in self.cases])
        targets = torch.from_numpy(np.eye(len(classifier.classes), dtype=np.uint8)[classes])
        loss = float(self.loss(torch.from_numpy(all_logits), targets, None))
        return _validation(loss, all_logits, classes, classifier.classes, self.score)


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
