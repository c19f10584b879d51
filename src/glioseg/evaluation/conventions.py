"""Named conventions: what a published program does with empty masks, surfaces, percentiles and lesions.

A convention sets the rules here as that program has them, and says in words where its figures cannot be had to the
letter. All four take a surface's voxels or elements of both masks and, for HD95, the larger of the two sides' 95th
percentiles, so that they differ in empty masks and lesions most.

References:
    [1] Saluja R. BraTS-2023-Metrics, 2023; Kazerooni AF et al. arXiv:2305.17033.
    [2] Isensee F et al. nnU-Net, version 2, nnunetv2/evaluation/evaluate_predictions.py.
    [3] MONAI 1.5, monai/metrics: DiceMetric, MeanIoU, HausdorffDistanceMetric, SurfaceDistanceMetric,
        SurfaceDiceMetric.
    [4] MetricsReloaded, MetricsReloaded/metrics/pairwise_measures.py; Maier-Hein L, Reinke A et al. Nat Methods 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from glioseg.evaluation.lesions import ANY_OVERLAP, GLIOMA, MENINGIOMA, METASTASES, LesionRule
from glioseg.evaluation.score import EmptyRule

ConventionName = Literal[
    "glioseg", "brats2023", "brats2023-men", "brats2023-met", "nnunet", "monai", "metrics-reloaded"
]


@dataclass(frozen=True)
class Convention:
    """The rules of a program.

    Args:
        follows: whose they are.
        empty: the rule for empty masks.
        lesions: what counts as one lesion.
        differs: in what figures here are not those of the program, a sentence each.
    """

    follows: str
    empty: EmptyRule
    lesions: LesionRule = GLIOMA
    differs: tuple[str, ...] = ()


_ELEMENTS = (
    "the challenge measures between surface elements weighted by their area, glioseg between the centres of surface "
    "voxels: distances differ by about a voxel"
)
_NO_LESIONS = "it has no figures of lesions: those here follow BraTS 2023, glioma"


def _brats(task: str, lesions: LesionRule) -> Convention:
    return Convention(f"BraTS 2023, {task}", "both_empty_1", lesions, (_ELEMENTS,))


CONVENTIONS: Mapping[ConventionName, Convention] = MappingProxyType(
    {
        "glioseg": Convention("glioseg; lesions as BraTS 2023, glioma", "skip"),
        "brats2023": _brats("glioma, Africa and paediatric (GLI, SSA, PED)", GLIOMA),
        "brats2023-men": _brats("meningioma (MEN)", MENINGIOMA),
        "brats2023-met": _brats("metastases (MET)", METASTASES),
        "nnunet": Convention(
            "nnU-Net version 2, evaluate_predictions",
            "skip",
            differs=("it has Dice and IoU alone: distances here follow MONAI", _NO_LESIONS),
        ),
        "monai": Convention(
            "MONAI, with its defaults (ignore_empty=True)",
            "skip_reference_empty",
            differs=(
                "where a prediction is missed its distances are infinite, and so is their mean: here they are left out",
                "its surface Dice counts as 0 where the reference alone is empty: here it is left out like Dice",
                _NO_LESIONS,
            ),
        ),
        "metrics-reloaded": Convention(
            "MetricsReloaded, the program of Metrics Reloaded",
            "both_empty_1",
            ANY_OVERLAP,
            differs=(
                "two empty masks have IoU 1 here and none there, as precision and recall",
                "where one mask is empty its distances depend on the size of the image: here they are 374 mm",
                "its lesion-wise sensitivity, precision and F1 are 1 for two empty masks: here they are left out",
            ),
        ),
    }
)
"""Name -> rules. Verified against the programs' sources [1-4]."""
