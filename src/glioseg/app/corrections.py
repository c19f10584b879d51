"""Masks that are drawn over the network's: kept beside it, with who, what and when, never over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from glioseg.app.facts import scheme_of, volumes_in
from glioseg.app.places import CasePlaces
from glioseg.app.service import Service
from glioseg.app.worklist import Correction, now
from glioseg.core import LabelMap
from glioseg.errors import FileError, GeometryError, LabelError
from glioseg.io.files import TEMPORARY
from glioseg.io.load import whole_numbers
from glioseg.io.nifti import read_nifti, read_nifti_grid, write_nifti
from glioseg.io.text import read_json

_PACKED = b"\x1f\x8b"


def facts_in(places: CasePlaces) -> dict[str, Any]:
    """What was written beside the mask of a case that is done.

    Raises:
        FileError: the file cannot be read.
    """
    facts = read_json(places.facts)
    assert isinstance(facts, dict)
    return facts


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
        FileError: not a NIfTI file.
        GeometryError: another grid than that of the case.
        LabelError: values that the network's labels do not have.
    """
    record, places = service.done(case_id)
    facts = facts_in(places)
    labels = _read(content, places, facts)
    drawn = places.correction(0).with_name(f"{TEMPORARY}{uuid4().hex}.nii.gz")
    write_nifti(drawn, labels.array.astype(np.uint8), labels.grid)
    volumes = volumes_in(labels, tuple(facts["scheme"]["regions"]))
    correction = service.worklist.add_correction(
        record.id, Correction(0, by, now(), note, volumes), lambda n: drawn.replace(places.correction(n))
    )
    service.hub.publish({"case": record.id, "state": "done", "step": "", "share": 1.0})
    return correction


def _read(content: bytes, places: CasePlaces, facts: dict[str, Any]) -> LabelMap:
    """The label map in a file that was sent, on the grid of the case."""
    ending = ".nii.gz" if content.startswith(_PACKED) else ".nii"
    sent = places.folder / f"{TEMPORARY}{uuid4().hex}{ending}"
    sent.write_bytes(content)
    try:
        return read_mask(sent, places, facts)
    except FileError as error:
        raise FileError("what was sent is no NIfTI file", remedy="Send the mask as NIfTI (.nii.gz)") from error
    except (GeometryError, LabelError) as error:
        error.path = None
        raise
    finally:
        sent.unlink()


def read_mask(path: Path, places: CasePlaces, facts: dict[str, Any]) -> LabelMap:
    """A NIfTI file as a mask of a case.

    Raises:
        FileError, GeometryError, LabelError: as ``correct``.
    """
    own, _ = read_nifti_grid(places.mask)
    grid, n_channels = read_nifti_grid(path)
    difference = own.difference(grid) if n_channels == 1 else f"{n_channels} channels"
    if difference is not None:
        raise GeometryError(
            "the mask does not lie on the grid of the scan",
            found=difference,
            expected="x".join(map(str, own.shape)),
            remedy="Save it on the grid of the scan that it was drawn on",
        )
    array, _ = read_nifti(path, own.shape[0] * own.shape[1] * own.shape[2])
    return LabelMap(whole_numbers(array), scheme_of(facts["scheme"]), own)
