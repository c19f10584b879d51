"""Corrected masks and their scans as a cohort: the way from use back to training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np

from glioseg.app.masks import facts_in, kept_mask, scheme_in
from glioseg.app.places import CasePlaces
from glioseg.app.service import Service
from glioseg.app.worklist import ListedCase
from glioseg.cohorts.reading.labels_file import LABELS_FILE, labels_toml, read_labels_file
from glioseg.cohorts.reading.tables import FACTS_TABLE, read_rows, write_rows
from glioseg.cohorts.write.case import CohortPlace, LoadedCase, WriteOptions
from glioseg.cohorts.write.volumes import write_volumes
from glioseg.core import Image, LabelScheme
from glioseg.errors import OptionError
from glioseg.io.files import TEMPORARY, write_text
from glioseg.io.lock import locked
from glioseg.io.nifti import read_nifti

_COLUMNS = ("case", "patient", "mask", "drawn_by", "drawn_at")


def keep(service: Service, ids: Sequence[str]) -> int:
    """Put cases, each with the last mask that was drawn, into the cohort beside those that are there; how many it has.

    A case that is kept again takes the place of what was kept of it.

    Raises:
        NotFoundError: no such case, or one that is not done.
        OptionError: a case of which nobody has drawn a mask, of pictures, or of a network with other labels.
        FileError: the folder cannot be written to.
    """
    chosen = [service.done(case_id) for case_id in dict.fromkeys(ids)]
    with locked(service.places.kept, waiting=lambda _: None):
        return _kept(service, chosen, service.places.kept)


def _kept(service: Service, chosen: Sequence[tuple[ListedCase, CasePlaces]], folder: Path) -> int:
    kept = folder / LABELS_FILE
    scheme = read_labels_file(kept) if kept.exists() else scheme_in(chosen[0][1])
    for record, places in chosen:
        _require_fit(record, places, scheme, kept)
    rows = {row["case"]: row for row in _rows(folder)}
    for record, places in chosen:
        if not kept.exists():
            write_text(kept, labels_toml(scheme))
        last = service.worklist.corrections(record.id)[-1]
        _put(record, places, last.n, folder)
        values = (record.id, record.patient, f"correction {last.n}", last.by, last.at)
        rows[record.id] = dict(zip(_COLUMNS, values, strict=True))
        write_rows(folder / FACTS_TABLE, _COLUMNS, list(rows.values()))
    return len(rows)


def _rows(folder: Path) -> list[dict[str, str]]:
    """What is kept already."""
    return [dict(row) for row in read_rows(folder / FACTS_TABLE)[0]] if (folder / FACTS_TABLE).exists() else []


def _require_fit(record: ListedCase, places: CasePlaces, scheme: LabelScheme, kept: Path) -> None:
    """Refuse a case that cannot be beside those of ``scheme``, whether they are there already or come with it."""
    if not record.n_corrections:
        raise OptionError(
            f"nobody has drawn a mask of {record.name}",
            expected="a corrected mask, or the network's saved as it is",
            remedy="Open the case, look at every slice, and save the mask",
        )
    facts = facts_in(places)
    if facts["unit"] != "ml":
        raise OptionError(f"{record.name} is of pictures, whose masks are not collected")
    if dict(scheme.labels) != dict(scheme_in(places).labels):
        raise OptionError(
            f"the labels of {record.name} are not those of the masks that were collected",
            path=kept,
            found=", ".join(facts["scheme"]["labels"]),
            expected=", ".join(scheme.labels),
            remedy="Collect the cases of one network alone; where others are there, move their folder elsewhere first",
        )


def _put(record: ListedCase, places: CasePlaces, n: int, folder: Path) -> None:
    """All files of a case at once, in the place of what was there."""
    labels = kept_mask(places.correction(n), places)
    names = facts_in(places)["modalities"]
    channels = [read_nifti(places.images / f"{name}.nii.gz")[0] for name in names]
    case = LoadedCase(record.id, record.patient, Image(np.stack(channels), tuple(names), labels.grid), labels)
    staging = folder.parent / f"{TEMPORARY}{uuid4().hex}"
    try:
        write_volumes(case, CohortPlace(1, 0, 1), staging, WriteOptions())
        shutil.rmtree(folder / record.id, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        (staging / record.id).rename(folder / record.id)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
