"""A network that segments, scored by whether it finds tumour at all, per slice and per case."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from glioseg.console import Step
from glioseg.core import LabelMap
from glioseg.core.schemes import tumour_labels
from glioseg.errors import OptionError
from glioseg.evaluation.class_protocol import CaseClasses, class_rows, evaluate_classes
from glioseg.inference.predictor import Predictor
from glioseg.preparation.classes import NO_YES
from glioseg.tasks.data import CohortPart
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import Scoring
from glioseg.tasks.segment.cohort import scheme_of
from glioseg.tasks.segment.score import score_cases
from glioseg.tasks.texts import classes_text

DETECTOR_WORDS: Mapping[str, str] = {
    "score": "the largest tumour probability of any voxel of the slice, on the native grid",
    "decided": "yes where the predicted label map marks any tumour voxel of the slice",
    "reference": "whether the reference marks any tumour voxel of the slice",
    "case": "a case is its slice with the largest probability",
}
"""How a segmentation is read as a detection."""


def detect_part(predictor: Predictor, part: CohortPart, scoring: Scoring, step: Step) -> Scores:
    """Score a part by tumour or none; its files are ``evaluation-detect-PART.json`` and ``cases-detect-PART.csv``.

    Raises:
        OptionError: a network of tissues, which knows no tumour.
    """
    if not tumour_labels(predictor.scheme) or not tumour_labels(scheme_of(part.prepared)):
        raise OptionError(
            "tumour is detected by networks that segment it",
            found=f"labels of {predictor.scheme.name}",
            expected="labels of tumours",
            remedy="Leave `--detect` out",
        )
    # the resection cavity is no tumour, unless nothing else is predicted
    counted = [row for row, name in enumerate(predictor.regions) if name != "RC" or predictor.regions == ("RC",)]
    cases = []
    for case, result in score_cases(predictor, part, step=step):
        largest = result.prediction.probabilities[counted].max(axis=(0, 1, 2)).astype(np.float64).clip(0, 1)
        cases.append(
            CaseClasses(
                case=case.id,
                patient=case.patient,
                unit=part.units[case.id],
                reference=_tumour_on(result.reference),
                probabilities=np.column_stack([1 - largest, largest]),
                decided=_tumour_on(result.prediction.label_map),
            )
        )
    evaluation = evaluate_classes(cases, NO_YES, scoring.options, DETECTOR_WORDS, scoring.metrics)
    text = classes_text(part.name, evaluation, own=scoring.metrics)
    return Scores(f"detect-{part.name}", evaluation, class_rows(cases, NO_YES), text)


def _tumour_on(labels: LabelMap) -> npt.NDArray[np.int64]:
    """(Z,) 1 for slices with a tumour voxel, else 0."""
    inside = np.isin(labels.array, tumour_labels(labels.scheme))
    return np.asarray(inside.any(axis=(0, 1)), dtype=np.int64)
