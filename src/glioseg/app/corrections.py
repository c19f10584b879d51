"""Masks that are drawn over the network's: kept beside it, with who, what and when, never over it."""

from __future__ import annotations

from uuid import uuid4

import numpy as np

from glioseg.app.masks import scheme_in, sent_mask
from glioseg.app.references import score_masks
from glioseg.app.service import Service
from glioseg.app.worklist import Correction, now
from glioseg.io.files import TEMPORARY
from glioseg.io.nifti import write_nifti


def correct(service: Service, case_id: str, content: bytes, by: str, note: str) -> Correction:
    """Keep a mask.

    Args:
        service: the application.
        case_id: whose mask it is.
        content: a NIfTI file.
        by: who drew it.
        note: a remark.

    Raises:
        NotFoundError: no such case, or one that is not done.
        FileError, GeometryError, LabelError: as ``sent_mask``.
    """
    from glioseg.app.facts import measured  # by SciPy, which the first page must not wait for

    record, places = service.done(case_id)
    scheme = scheme_in(places)
    labels = sent_mask(content, places, scheme)
    drawn = places.correction(0).with_name(f"{TEMPORARY}{uuid4().hex}.nii.gz")
    write_nifti(drawn, labels.array.astype(np.uint8), labels.grid)
    correction = service.worklist.add_correction(
        record.id, Correction(0, by, now(), note, measured(labels)), lambda n: drawn.replace(places.correction(n))
    )
    if places.reference.exists():
        score_masks(places, correction.n)
    service.hub.publish({"case": record.id, "state": "done", "step": "", "share": 1.0})
    return correction
