"""A layout of your own: how your folder is laid out, as two functions.

python examples/own_layout.py FOLDER     # FOLDER/patient/visit/{flair,mask}.nii.gz
"""

from __future__ import annotations

import sys
from pathlib import Path

import glioseg
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import Listing


def match(listing: Listing) -> str | None:
    """Why a folder is laid out so, from names alone; None where it is not."""
    images = listing.named("flair.nii.gz")
    return f"{len(images)} visits with flair.nii.gz" if images else None


def read(listing: Listing, options: ReadOptions) -> glioseg.Cohort:
    """The visits as cases; all visits of a patient stay on one side of every split."""
    cases = []
    for image in listing.named("flair.nii.gz"):
        visit = image.parent
        mask = visit / "mask.nii.gz"
        cases.append(
            glioseg.Case(
                id=f"{visit.parent.name}-{visit.name}",
                patient=visit.parent.name,
                images={"t2f": glioseg.Source((image,), "nifti")},
                labels=glioseg.Source((mask,), "nifti") if mask.exists() else None,
            )
        )
    cases.sort(key=lambda case: case.id)
    return glioseg.Cohort(
        name=listing.root.name,
        layout="visits",
        reason=match(listing) or "",
        cases=tuple(cases),
        modalities=("t2f",),
        scheme=options.scheme or glioseg.LabelScheme("mine", {"tumour": 1}, {"tumour": ("tumour",)}, ("tumour",)),
    )


VISITS = glioseg.Layout("visits", "PATIENT/VISIT/flair.nii.gz with mask.nii.gz", match, read)

if __name__ == "__main__":
    cohort = glioseg.read(Path(sys.argv[1]), layout=VISITS)
    sys.stdout.write(f"{len(cohort.cases)} visits of {len(cohort.patients)} patients\n")
