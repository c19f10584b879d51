"""Training a classifier with the one loop: its items, its loss, its validation.

References:
    [1] Szegedy C et al. Rethinking the inception architecture for computer vision. CVPR 2016 (label smoothing).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from glioseg.errors import GeometryError
from glioseg.evaluation.classification import ClassPredictions, PickingMetric, score_classes
from glioseg.evaluation.reliability import probabilities_at
from glioseg.inference.classifier import Classifier
from glioseg.preparation.classes import slice_classes
from glioseg.preparation.slices import SliceIndex, SliceOptions, channels_of, index_slices, largest_slice, take_images
from glioseg.preparation.store import PreparedCase, PreparedCohort
from glioseg.training.augment import AugmentOptions, ChannelLayout, augment
from glioseg.training.loop import Batch, Validation
from glioseg.training.losses import LossOptions
from glioseg.training.randomness import DrawKey

_LOGGED = ("accuracy", "balanced_accuracy", "auc")


@dataclass(frozen=True, eq=False)
class ClassItems:
    """Pictures, or slices of scans, with their classes.

    Args:
        prepared: the training part.
        index: its slices; ``has_tumour`` says which are of another class than the first.
        classes: (N,) class of each.
        n_classes: K.
        n_neighbours: slices shown on each side.
        channels: of the prepared images.
        shape: rows and columns of every item.
    """

    prepared: PreparedCohort
    index: SliceIndex
    classes: npt.NDArray[np.int64]
    n_classes: int
    n_neighbours: int
    channels: tuple[int, ...]
    shape: tuple[int, int]

    @property
    def has_tumour(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each item is of another class than the first, which is the one without tumour."""
        return self.index.has_tumour

    def take(self, indices: npt.NDArray[np.int64], key: DrawKey) -> Batch:
        """The pictures of a batch, the same in every epoch; in the place of regions stand their classes, (B, K) 0/1."""
        images = take_images(
            self.prepared,
            self.index,
            indices,
            n_neighbours=self.n_neighbours,
            channels=self.channels,
            shape=self.shape,
        )
        return Batch(images, np.eye(self.n_classes, dtype=np.uint8)[self.classes[indices]])

    def name(self, index: int) -> str:
        """The case, and which of its slices where it has several (counted from 1)."""
        case = self.prepared.cases[int(self.index.cases[index])]
        return case.id if case.n_slices == 1 else f"{case.id} slice {int(self.index.slices[index]) + 1}"


def class_items(
    prepared: PreparedCohort, options: SliceOptions, modalities: Sequence[str], classes: Sequence[str]
) -> ClassItems:
    """The pictures or slices of a part that ``options`` choose; errors as ``index_slices`` and ``slice_classes``."""
    index = index_slices(prepared, options)
    of_case = [slice_classes(case, classes) for case in prepared.cases]
    labels = np.array([of_case[case][z] for case, z in zip(index.cases, index.slices, strict=True)], dtype=np.int64)
    return ClassItems(
        prepared=prepared,
        index=replace(index, has_tumour=labels > 0),
        classes=labels,
        n_classes=len(classes),
        n_neighbours=options.n_neighbours,
        channels=channels_of(prepared, modalities),
        shape=largest_slice(prepared),
    )


def augment_pictures(
    images: Tensor,
    classes: Tensor,
    weights: Tensor | None,
    key: DrawKey,
    *,
    options: AugmentOptions,
    channels: ChannelLayout,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """``augment`` for pictures whose class has no place in them and stays what it is."""
    no_regions = images.new_zeros((len(images), 0, *images.shape[2:]))
    changed, _, _ = augment(images, no_regions, None, key, options=options, channels=channels)
    return changed, classes, weights


@dataclass(frozen=True)
class ClassLoss:
    """Cross-entropy −Σ_k t_k log p_k, weighted by the class of each picture, mean over the batch.

    Args:
        class_weights: (K,) on the device of the logits; None for 1.
        smoothing: share of the target that is spread evenly over all classes [1].
    """

    class_weights: Tensor | None = None
    smoothing: float = 0.0

    def __call__(self, logits: Tensor | Sequence[Tensor], classes: Tensor, weights: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, K) of any floating type.
            classes: (B, K) 0 or 1, of any type.
            weights: None; classes have no weight maps.

        Returns:
            float32 scalar.

        Raises:
            GeometryError: shapes that do not fit.
        """
        if not isinstance(logits, Tensor) or logits.shape != classes.shape or weights is not None:
            found = tuple(logits.shape) if isinstance(logits, Tensor) else f"{len(logits)} of them"
            raise GeometryError("logits and classes differ in shape", found=found, expected=tuple(classes.shape))
        with torch.autocast(classes.device.type, enabled=False):
            target = classes.float()
            smooth = target * (1 - self.smoothing) + self.smoothing / classes.shape[1]
            costs = -(smooth * F.log_softmax(logits.float(), dim=1)).sum(dim=1)
            if self.class_weights is not None:
                costs = costs * (target @ self.class_weights)
            return costs.mean()


def class_loss(options: LossOptions, items: ClassItems, *, device: torch.device | str = "cpu") -> ClassLoss:
    """The loss that ``options`` describe; balanced weights are n / (K n_k), from the training part's n_k pictures."""
    weights = None
    if options.class_weights == "balanced":
        counts = np.bincount(items.classes, minlength=items.n_classes)
        weights = torch.tensor(len(items.classes) / (items.n_classes * counts), dtype=torch.float32, device=device)
    return ClassLoss(weights, options.label_smoothing)


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
    loss: ClassLoss
    score: PickingMetric
    on_case: Callable[[int, int], None]

    def __call__(self, model: nn.Module) -> Validation:
        """Loss, score and figures; every slice counts alike."""
        classifier = replace(self.classifier, model=model)
        logits = []
        for done, case in enumerate(self.cases):
            logits.append(classifier.logits(case.images[:, list(self.channels)]))
            self.on_case(done + 1, len(self.cases))
        found = np.concatenate(logits)
        classes = np.concatenate([slice_classes(case, classifier.classes) for case in self.cases])
        targets = torch.from_numpy(np.eye(len(classifier.classes), dtype=np.uint8)[classes])
        loss = float(self.loss(torch.from_numpy(found), targets))
        return _validation(loss, found, classes, classifier.classes, self.score)


def _validation(
    loss: float, logits: npt.NDArray[np.float64], classes: npt.NDArray[np.int64], names: tuple[str, ...], score: str
) -> Validation:
    items = tuple(map(str, range(len(classes))))
    probabilities = probabilities_at(logits, 1.0)
    predictions = ClassPredictions(names, items, items, classes, probabilities, logits.argmax(axis=1))
    figures = score_classes(predictions, n_resamples=0)
    metrics: dict[str, float | None] = {name: figure.value for name, figure in figures.metrics.items()}
    recalls: dict[str, Any] = {name: values["recall"] for name, values in figures.per_class.items()}
    logged = {"classes": {name: metrics[name] for name in _LOGGED} | {"recall": recalls}}
    return Validation(loss, metrics[score] or 0.0, logged)
