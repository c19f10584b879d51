"""What each modality contributed to a class; where the networks looked stands in the picture (Grad-CAM)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glioseg.evaluation.contributions import CHANGES, CHANGES_ARE, Change
from glioseg.inference.classifier import Classification, Classifier
from glioseg.inference.contributions import changed


def without_modalities(classifiers: Sequence[Classifier], mean: Classification) -> dict[str, Any]:
    """The explanation's part of a case's sidecar: the class's probability without each modality, less that with it."""
    z, decided = mean.telling_slice, mean.decided
    names = classifiers[0].modalities
    changes: dict[Change, dict[str, float]] = {change: {} for change in CHANGES}
    for channel, name in enumerate(names if len(names) > 1 else ()):
        for change, by_name in changes.items():
            images = changed(mean.arrays.images, channel, change)
            after = np.mean([classifier.probabilities(images)[z, decided] for classifier in classifiers])
            by_name[name] = round(float(after) - float(mean.probabilities[z, decided]), 4)
    return {
        "of": f"the probability of {mean.classes[decided]} on slice {mean.numbers[z]}",
        "without": changes["removed"],
        "without_is": f"change of that probability with {CHANGES_ARE['removed']}",
        "permuted": changes["permuted"],
        "permuted_is": f"change of that probability with {CHANGES_ARE['permuted']}",
    }
