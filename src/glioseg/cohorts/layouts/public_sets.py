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
from dataclasses import dataclass, replace

from glioseg.cohorts.reading.naming import Named
from glioseg.io.endings import file_stem


@dataclass(frozen=True)
class NamedSet:
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
    NamedSet("IBSR", re.compile(r"(?P<patient>IBSR_\d{2,})", re.I), "ibsr", "t1n"),
    NamedSet("UCSF-PDGM", re.compile(r"(?P<patient>UCSF-PDGM-\d+)(?:_FU\d+d)?(?:_nifti)?", re.I), "brats2021"),
    NamedSet("UPENN-GBM", re.compile(r"(?P<patient>UPENN-GBM-\d+)(?:_\d+)?", re.I), "brats2021"),
    NamedSet("TCGA", re.compile(r"(?P<patient>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})(?:_[\d.]+)?", re.I), "brats2021"),
    NamedSet("EGD", re.compile(r"(?P<patient>EGD-\d+)", re.I), "whole-tumour"),
)


def set_of(cases: Sequence[str]) -> NamedSet | None:
    """The public set all of whose cases are called like these; None where there is none."""
    return next((public_set for public_set in _SETS if all(public_set.case.fullmatch(case) for case in cases)), None)


_IBSR_FILE = re.compile(
    r"(?P<case>IBSR_\d{2,})_(?P<what>ana|ana_strip|ana_brainmask|(?:seg|segTRI|segTRI_fill)_ana)", re.I
)
_IBSR_MASK, _IBSR_IMAGES = "segtri_fill_ana", ("ana", "ana_strip")


def as_published(files: Sequence[Named]) -> list[Named]:
    """The files of IBSR V2.0 by what they are: of each case the head and the label map of its three tissues.

    Beside them it has the head without skull, which is taken where the head is not there, a mask of the brain, a finer
    parcellation and the tissues with holes. Files of other names are as they were.
    """
    parts = {file.path: _IBSR_FILE.fullmatch(file_stem(file.path)) for file in files}
    there = {(part["case"], part["what"].lower()) for part in parts.values() if part}
    taken: list[Named] = []
    for file in files:
        part = parts[file.path]
        if part is None:
            taken.append(file)
        elif part["what"].lower() == _IBSR_MASK:
            taken.append(replace(file, name=part["case"], is_mask=True))
        elif part["what"].lower() == next((what for what in _IBSR_IMAGES if (part["case"], what) in there), None):
            taken.append(replace(file, name=part["case"], is_mask=False))
    return taken
