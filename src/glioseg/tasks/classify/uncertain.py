"""What classifiers say of a case when they are asked in several ways: mirrored, scaled, with dropout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glioseg.errors import OptionError, listed
from glioseg.evaluation.score import Floats
from glioseg.evaluation.uncertainty import class_entropy, class_information
from glioseg.inference.classifier import Classification, Classifier
from glioseg.inference.uncertainty import UncertaintyOptions, Viewed, views_of
from glioseg.tasks.predicted import kept_words

_DIMS = 2


@dataclass(frozen=True, eq=False)
class ClassSamples:
    """Opinions on the slice that speaks for a case.

    Args:
        names: what each sample is.
        probabilities: (N, K) calibrated.
    """

    names: tuple[str, ...]
    probabilities: Floats


def class_samples(classifiers: Sequence[Classifier], mean: Classification, options: UncertaintyOptions) -> ClassSamples:
    """Ask each classifier again by every view, of the slice that speaks for the case.

    Raises:
        OptionError: the options leave one sample.
    """
    names, rows = [], []
    for number, classifier in enumerate(classifiers, start=1):
        for view in views_of(classifier.model, _DIMS, options):
            asked = replace(classifier, model=Viewed(classifier.model, view), flips="none")
            rows.append(asked.probabilities(mean.arrays.images)[mean.telling_slice])
            names.append(view.words if len(classifiers) == 1 else f"network {number}: {view.words}")
    if len(rows) < 2:
        raise OptionError(
            "uncertainty needs two samples or more",
            found="one network and one view",
            expected="several networks, views (flips, scales) or dropout",
        )
    return ClassSamples(tuple(names), np.stack(rows))


def sample_facts(samples: ClassSamples, mean: Classification, kept: float | None) -> dict[str, Any]:
    """The uncertainty's part of a case's sidecar.

    Args:
        samples: what was said,
        mean: and of which mean.
        kept: the share of its accuracy that the network keeps with the modalities that it was shown; None where nobody
            measured it (``tasks.predicted.kept_share``).
    """
    probabilities = samples.probabilities
    words = (
        f"share of {len(samples.names)} samples that say the same class; the class's own calibrated probability stands "
        "above"
    )
    return {
        "samples": list(samples.names),
        "confidence": None if kept is None else round(_share_of_same(samples, mean) * kept, 4),
        "confidence_is": kept_words(words, kept, "accuracy"),
        "entropy_unit": "bits",
        "entropy": round(float(class_entropy(probabilities.mean(axis=0))), 4),
        "mutual_information": round(class_information(probabilities), 4),
        "probability_intervals": {
            name: [round(float(low), 4), round(float(high), 4)]
            for name, low, high in zip(mean.classes, probabilities.min(axis=0), probabilities.max(axis=0), strict=True)
        },
    }


def changed_minds(samples: ClassSamples, mean: Classification) -> tuple[str, ...]:
    """A sentence where a sample says another class."""
    others = [mean.classes[row] for row in samples.probabilities.argmax(axis=1) if row != mean.decided]
    if not others:
        return ()
    said = listed(dict.fromkeys(others), "or")
    return (f"Asked {len(samples.names)} times (mirrored, scaled, …), the answer is {said} in {len(others)} of them",)


def _share_of_same(samples: ClassSamples, mean: Classification) -> float:
    return float((samples.probabilities.argmax(axis=1) == mean.decided).mean())
