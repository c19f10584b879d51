"""A mask of a case in another form, by the functions that write what ``predict`` is asked for."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from glioseg.app.answers import NotFoundError
from glioseg.app.masks import facts_in, kept_mask
from glioseg.app.places import CasePlaces
from glioseg.app.service import Service
from glioseg.app.studies import case_of, found_in
from glioseg.app.tables import confidence_words, regions_shown
from glioseg.app.worklist import Correction, ListedCase
from glioseg.core import Case, Image, LabelMap
from glioseg.errors import OptionError
from glioseg.io.nifti import read_nifti
from glioseg.io.text import read_json_object, table_csv


@dataclass(frozen=True)
class ExportItem:
    """What is exported.

    Args:
        service: the application.
        record: the case,
        places: and its files.
        correction: the mask that was drawn; None for the network's.
        deidentify: whether the file names nobody.
    """

    service: Service
    record: ListedCase
    places: CasePlaces
    correction: Correction | None
    deidentify: bool

    @property
    def mask(self) -> Path:
        """The mask's file."""
        return self.places.mask if self.correction is None else self.places.correction(self.correction.n)

    @property
    def labels(self) -> LabelMap:
        """The mask."""
        return kept_mask(self.mask, self.places)

    @property
    def stem(self) -> str:
        """How the file's name begins: what it is of, and what was taken away."""
        corrected = "" if self.correction is None else f"-corrected-{self.correction.n}"
        return f"{self.record.id}{corrected}{'-deidentified' if self.deidentify else ''}"


def export(item: ExportItem, form: str, folder: Path) -> Path:
    """Write a form of a mask into a folder.

    Raises:
        NotFoundError: there is no such form.
        OptionError: the case cannot have it.
    """
    if form not in FORMS:
        raise NotFoundError("there is no such form", found=form, expected=", ".join(FORMS))
    return FORMS[form](item, folder)


def _nifti(item: ExportItem, folder: Path) -> Path:
    target = folder / f"{item.stem}.nii.gz"
    target.write_bytes(item.mask.read_bytes())
    return target


def _forms(item: ExportItem, folder: Path, form: str, case: Case | None) -> list[Path]:
    """Files of a form that ``predict`` writes."""
    from glioseg.tasks.segment.forms import require_forms, write_forms  # which take seconds to import
    from glioseg.tasks.wanted import Wanted

    wanted = Wanted(write=(form,), deidentify=item.deidentify and form == "seg")
    labels, facts = item.labels, facts_in(item.places)
    if not labels.grid.has_mm:
        raise OptionError("pictures have no millimetres, and no other form than a mask", found=form)
    regions = tuple(labels.scheme.regions)
    if case is not None:
        require_forms(wanted, case, regions)
    nothing = np.zeros(0, dtype=np.float32)  # probabilities are of another form
    write_forms(wanted, (folder, item.stem), case, labels, dict.fromkeys(regions, nothing), facts["model_id"])
    return sorted(folder.iterdir())


def _seg(item: ExportItem, folder: Path) -> Path:
    (file,) = _forms(item, folder, "seg", _scans(item))
    return file


def _scans(item: ExportItem) -> Case:
    """The series that a segmentation refers to."""
    service, request = item.service, item.record.request
    upload, voxels = service.worklist.upload(request["upload"]), service.options.limits.voxels
    case = None if upload is None else found_in(upload.folder, voxels).named(request["key"])
    if case is None:
        raise NotFoundError("the scans of this case are no longer there")
    return Case(item.record.id, item.record.patient, case_of(case, request["modalities"], voxels).images)


def _stl(item: ExportItem, folder: Path) -> Path:
    """One surface for each region, in an archive."""
    files = _forms(item, folder, "stl", None)
    target = folder / f"{item.stem}-stl.zip"
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
    return target


def _probabilities(item: ExportItem, folder: Path) -> Path:
    """The network's, one volume for each region: nobody has drawn any."""
    maps = facts_in(item.places)["maps"]
    file = next((each["file"] for each in maps if each["kind"] == "probability"), None)
    if file is None:
        raise OptionError("pictures have no map of probabilities", found=item.record.id)
    target = folder / f"{item.record.id}-probabilities.nii.gz"
    target.write_bytes((item.places.result / file).read_bytes())
    return target


def _csv(item: ExportItem, folder: Path) -> Path:
    """A row for each region; without the names of the case and of whoever drew, where nobody shall be named."""
    facts, drawn = facts_in(item.places), item.correction
    rows = [
        {
            "case": item.record.id,
            "name": "" if item.deidentify else item.record.name,
            "region": region["name"],
            "volume": region["volume_ml"],
            "unit": facts["unit"],
            "low": region["interval_ml"][0] if region["interval_ml"] else "",
            "high": region["interval_ml"][1] if region["interval_ml"] else "",
            "confidence": confidence_words(facts["confidence"]) if drawn is None else "",
            "mask": "network" if drawn is None else f"correction {drawn.n}",
            "drawn_by": "" if drawn is None or item.deidentify else drawn.by,
            "drawn_at": "" if drawn is None else drawn.at,
            "model": item.record.model,
            "model_id": facts["model_id"],
            "use": facts["use"],
        }
        for region in regions_shown(facts, None if drawn is None else drawn.volumes_ml)
    ]
    target = folder / f"{item.stem}.csv"
    target.write_text(table_csv(list(rows[0]), rows), encoding="utf-8")
    return target


def _report(item: ExportItem, folder: Path, ending: str) -> Path:
    """The report of the case, as ``predict`` writes it, of whichever mask is meant."""
    from glioseg.app.facts import volumes_in
    from glioseg.evaluation.diameters import measure_diameters
    from glioseg.inference.bundle import read_info  # which takes seconds to import
    from glioseg.tasks.segment.case_report import ReportedCase, write_report

    labels, facts = item.labels, facts_in(item.places)
    if not labels.grid.has_mm:
        raise OptionError("pictures have no report of their own", found=ending)
    names = tuple(facts["modalities"])
    channels = [read_nifti(item.places.images / f"{name}.nii.gz")[0].astype(np.float32) for name in names]
    diameters = measure_diameters(labels)
    sidecar = _sidecar_of(item, {"unit": facts["unit"], **volumes_in(labels, tuple(labels.scheme.regions))})
    reported = ReportedCase(
        item.record.id if item.deidentify else item.record.name,
        Image(np.stack(channels), names, labels.grid),
        labels,
        tuple(labels.scheme.regions),
        diameters,
        {**sidecar, "diameters": diameters.to_json()},
        [read_info(Path(item.record.model))],
    )
    write_report(reported, folder, item.stem)
    return folder / f"{item.stem}.{ending}"


def _sidecar_of(item: ExportItem, volumes: Mapping[str, object]) -> dict[str, Any]:
    """What the JSON file of the case says, of the mask that is meant, and of nobody's files where nobody is named."""
    sidecar = read_json_object(item.places.result / f"{item.record.id}.json")
    exported = {**sidecar, "volumes": volumes}
    if item.deidentify:
        exported["inputs"] = {name: {"files": [name], "channel": None} for name in sidecar["inputs"]}
    if item.correction is not None:
        drawn = item.correction
        who = f" ({drawn.by})" if drawn.by and not item.deidentify else ""
        exported["warnings"] = [
            f"A person{who} has drawn this mask at {drawn.at}: what follows is of it, not of the network's"
        ]
        exported.pop("uncertainty", None)  # is of the network's mask
    return exported


FORMS: Mapping[str, Callable[[ExportItem, Path], Path]] = MappingProxyType(
    {
        "nifti": _nifti,
        "seg": _seg,
        "stl": _stl,
        "pdf": partial(_report, ending="pdf"),
        "html": partial(_report, ending="html"),
        "csv": _csv,
        "probabilities": _probabilities,
    }
)
"""All forms that a mask is exported in."""
