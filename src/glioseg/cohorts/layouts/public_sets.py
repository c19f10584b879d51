"""Public sets of volumes that are told by the names of their cases: what their labels mean, and who is a patient.

References:
    [1] IBSR, Center for Morphometric Analysis, Massachusetts General Hospital.
    [2] Calabrese E et al. The University of California San Francisco preoperative diffuse glioma MRI dataset.
        Radiology: Artificial Intelligence 2022 (UCSF-PDGM): 1 necrosis, 2 oedema, 4 enhancing tumour.
    [3] Bakas S et al. The University of Pennsylvania glioblastoma (UPenn-GBM) cohort. Scientific Data 2022: likewise.
    [4] Bakas S et al. Advancing The Cancer Genome Atlas glioma MRI collections with expert segmentation labels and
        radiomic features. Scientific Data 2017 (GlistrBoost): likewise.
    [5] van der Voort SR et al. The Erasmus Glioma Database. Data in Brief 2021 (EGD): 1 tumour.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PublicSet:
    """What is known of a set without looking at a voxel.

    Args:
        name: of the set.
        case: how its cases are called; the group ``patient`` is the part that names the patient.
        scheme: of its label maps.
        only_modality: what an image is whose name does not say it.
    """

    name: str
    case: re.Pattern[str]
    scheme: str
    only_modality: str = "image"

    def patient_of(self, case: str) -> str:
        """The patient whose case has that name."""
        parts = self.case.fullmatch(case)
        return case if parts is None else parts["patient"]


_SETS = (
    PublicSet("IBSR", re.compile(r"(?P<patient>IBSR_\d{2,})", re.I), "ibsr", "t1n"),
    PublicSet("UCSF-PDGM", re.compile(r"(?P<patient>UCSF-PDGM-\d+)(?:_FU\d+d)?(?:_nifti)?", re.I), "brats2021"),
    PublicSet("UPENN-GBM", re.compile(r"(?P<patient>UPENN-GBM-\d+)(?:_\d+)?", re.I), "brats2021"),
    PublicSet("TCGA", re.compile(r"(?P<patient>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})(?:_[\d.]+)?", re.I), "brats2021"),
    PublicSet("EGD", re.compile(r"(?P<patient>EGD-\d+)", re.I), "whole-tumour"),
)


def set_of(cases: Sequence[str]) -> PublicSet | None:
    """The public set all of whose cases are called like these; None where there is none."""
    return next((known for known in _SETS if all(known.case.fullmatch(case) for case in cases)), None)
