"""The loss of a classifier.

References:
    [1] Szegedy C et al. Rethinking the inception architecture for computer vision. CVPR 2016 (label smoothing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from glioseg.errors import GeometryError
from glioseg.tasks.classify.items import ClassItems
from glioseg.training.terms import LossOptions


@dataclass(frozen=True)
class ClassLoss:
    """Cross-entropy −Σ_k t_k log p_k, weighted by the class of each picture, mean over the batch.

    Args:
        class_weights: (K,) on the device of the logits; None for 1.
        smoothing: share of the target that is spread evenly over all classes [1].
        weight: that the mean is multiplied by.
    """

    class_weights: Tensor | None = None
    smoothing: float = 0.0
    weight: float = 1.0

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
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else f"{len(logits)} of them"
            raise GeometryError("logits and classes differ in shape", found=shape, expected=tuple(classes.shape))
        with torch.autocast(classes.device.type, enabled=False):
            target = classes.float()
            smooth = target * (1 - self.smoothing) + self.smoothing / classes.shape[1]
            costs = -(smooth * F.log_softmax(logits.float(), dim=1)).sum(dim=1)
            if self.class_weights is not None:
                costs = costs * (target @ self.class_weights)
            return costs.mean() if self.weight == 1.0 else self.weight * costs.mean()


def class_loss(options: LossOptions, items: ClassItems, *, device: torch.device | str = "cpu") -> ClassLoss:
    """The loss that ``options`` describe; balanced weights are n / (K n_k), from the training part's n_k pictures."""
    term, weights = options.cross_entropy, None
    assert term is not None, "the recipe has seen to it"
    if term.class_weights == "balanced":
        counts = np.bincount(items.classes, minlength=items.n_classes)
        weights = torch.tensor(len(items.classes) / (items.n_classes * counts), dtype=torch.float32, device=device)
    return ClassLoss(weights, term.label_smoothing, term.weight)
