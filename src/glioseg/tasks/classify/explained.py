"""What each modality contributed to a class; where the networks looked stands in the picture (Grad-CAM)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glioseg.inference.classifier import Classification, Classifier


def without_modalities(classifiers: Sequence[Classifier], mean: Classification) -> dict[str, Any]:
    """The explanation's part of a case's sidecar: the class's probability without each modality, less that with all."""
    z, decided = mean.telling_slice, mean.decided
    names = classifiers[0].modalities
    changes = {}
    for channel, name in enumerate(names if len(names) > 1 else ()):
        images = mean.arrays.images.copy()
        images[:, channel] = 0
        without = np.mean([classifier.probabilities(images)[z, decided] for classifier in classifiers])
        changes[name] = round(float(without) - float(mean.probabilities[z, decided]), 4)
    return {
        "of": f"the probability of {mean.classes[decided]} on slice {z + 1}",
        "without": changes,
        "without_is": "change of that probability with the modality set to 0",
    }
