"""Masks as a BIDS derivative dataset, in a folder ``bids`` beside the predictions.

Names and sidecars follow BIDS 1.10, "Derivatives: imaging data": a discrete segmentation (``dseg``) with its lookup
table, and a binary mask for each region, which overlap. What is written refers to the grid of the scan
(``SpatialReference`` ``orig``). Labels of subject and session hold letters and digits alone, as BIDS wants.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg import __version__
from glioseg.core import LabelMap
from glioseg.core.region_titles import region_title
from glioseg.core.schemes import tumour_labels
from glioseg.io.files import names_apart, write_json, write_text
from glioseg.io.nifti import write_nifti
from glioseg.report.style import region_colour

FOLDER = "bids"
VERSION = "1.10.0"
_DESC = "glioseg"
_PREFIXES = re.compile(r"^(?:sub|ses)-")


@dataclass(frozen=True)
class BidsName:
    """How a case is called.

    Args:
        subject: its label,
        session: and that of the session; empty where the case is all there is of the patient.
    """

    subject: str
    session: str

    @classmethod
    def of(cls, case: str, patient: str) -> BidsName:
        """``BraTS-GLI-00001-001`` of ``BraTS-GLI-00001`` -> sub-BraTSGLI00001 ses-001; ``sub-1_ses-2`` stays so."""
        rest = case.removeprefix(patient)
        session = "" if case == patient else rest if len(rest) < len(case) else case
        return cls(_label(patient), _label(session.lstrip("_-. ")) if session else "")

    @property
    def prefix(self) -> str:
        """``sub-01_ses-2``."""
        return f"sub-{self.subject}" + (f"_ses-{self.session}" if self.session else "")

    @property
    def place(self) -> str:
        """The folder of the files, below that of the predictions."""
        return "/".join([FOLDER, *self.prefix.split("_"), "anat"])

    def files(self, regions: Sequence[str]) -> list[str]:
        """All files of a case, below the folder of the predictions."""
        names = [f"{self.dseg}{ending}" for ending in (".nii.gz", ".json", ".tsv")]
        return names + [f"{mask}{ending}" for mask in self.masks(regions) for ending in (".nii.gz", ".json")]

    @property
    def dseg(self) -> str:
        """The segmentation, without an ending."""
        return f"{self.place}/{self.prefix}_space-orig_desc-{_DESC}_dseg"

    def masks(self, regions: Sequence[str]) -> tuple[str, ...]:
        """The masks of all regions that the case has, likewise."""
        labels = names_apart(regions, _label)
        return tuple(f"{self.place}/{self.prefix}_space-orig_label-{label}_desc-{_DESC}_mask" for label in labels)


def _label(text: str) -> str:
    return re.sub(r"[^0-9a-zA-Z]", "", _PREFIXES.sub("", text)) or "unnamed"


def write_derivative(
    folder: Path, called: BidsName, labels: LabelMap, masks: Mapping[str, npt.NDArray[np.bool_]]
) -> list[str]:
    """Write a case, and what describes the dataset.

    Args:
        folder: of the predictions.
        called: the case.
        labels: the mask.
        masks: region -> bool (X, Y, Z) on the same grid.

    Returns:
        its files, below the folder.

    Raises:
        FileError: one of them cannot be written.
    """
    write_json(folder / FOLDER / "dataset_description.json", _description())
    about = {"SpatialReference": "orig"}
    write_nifti(folder / f"{called.dseg}.nii.gz", labels.array.astype(np.uint8), labels.grid)
    of_tumour = bool(tumour_labels(labels.scheme))
    drawn = "Tumour, as a network drew it" if of_tumour else "Tissues, as a network drew them"
    write_json(folder / f"{called.dseg}.json", {"Description": f"{drawn}; research use only", **about})
    write_text(folder / f"{called.dseg}.tsv", _lookup(labels))
    for (region, mask), name in zip(masks.items(), called.masks(list(masks)), strict=True):
        write_nifti(folder / f"{name}.nii.gz", mask.astype(np.uint8), labels.grid)
        title = region_title(region)
        description = f"{title[0].upper()}{title[1:]}; research use only"
        write_json(
            folder / f"{name}.json",
            {"Type": "Lesion" if of_tumour else "ROI", "Description": description, **about},
        )
    return called.files(list(masks))


def _description() -> dict[str, Any]:
    return {
        "Name": "Brain tumour segmentations by glioseg",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "glioseg", "Version": __version__, "Description": "For research use only; not a medical device"}
        ],
    }


def _lookup(labels: LabelMap) -> str:
    lines = ["index\tname\tabbreviation\tcolor", "0\tbackground\tBG\t#000000"]
    for row, (name, value) in enumerate(sorted(labels.scheme.labels.items(), key=lambda item: item[1])):
        lines.append(f"{value}\t{region_title(name)}\t{name}\t{region_colour(name, row)}")
    return "\n".join(lines) + "\n"
