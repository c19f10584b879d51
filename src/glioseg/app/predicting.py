"""A case of the worklist through the functions of ``glioseg predict``, and what the page shows of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from glioseg.api.models import Model, load
from glioseg.app.facts import facts_of, scheme_of
from glioseg.app.places import CasePlaces
from glioseg.app.references import put_reference, score_masks
from glioseg.app.studies import case_of, found_in
from glioseg.core import MAX_VOXELS, Case, Cohort, Image, LabelMap, LabelScheme, Source
from glioseg.errors import OptionError
from glioseg.io.files import write_json
from glioseg.io.load import load_image, load_labels, read_labels
from glioseg.io.nifti import read_nifti, write_nifti
from glioseg.tasks.members import fitted
from glioseg.tasks.task import WrittenCase

OnStep = Callable[[str, float], None]
"""Told (step, share of it that is done)."""


class Predicting:
    """Networks that stay loaded from one case to the next; the last one that was asked for."""

    def __init__(self) -> None:
        self._loaded: tuple[tuple[str, str], Model] | None = None

    def _model(self, name: str, device: str) -> Model:
        if self._loaded is None or self._loaded[0] != (name, device):
            self._loaded = None  # before the next is loaded: both may not fit
            self._loaded = ((name, device), load(name, device=device))
        return self._loaded[1]

    def predict(self, job: Mapping[str, Any], step: OnStep) -> dict[str, Any]:
        """Predict a case and write all that the page shows of it.

        Args:
            job: see ``worker``.
            step: told how far it is.

        Returns:
            what the worklist shows of it.

        Raises:
            GliosegError: whatever is wrong with the scans.
        """
        places = CasePlaces(Path(job["folder"]))
        shutil.rmtree(places.folder, ignore_errors=True)
        step("read", 0.0)
        case, reference = _case(job)
        step("network", 0.0)
        model = self._model(job["model"], job["device"])
        case = fitted(case, model.modalities)
        cohort = Cohort("case", "chosen", "chosen by the user", (case,), tuple(case.images), None)
        is_volume = next(iter(case.images.values())).kind != "raster"
        result = model.predict_files(
            cohort,
            places.result,
            uncertainty=job["uncertainty"],
            explain=job["explain"],
            write=["probabilities"] if is_volume else [],
        )
        if result.failed:
            raise next(iter(result.failed.values()))
        step("write", 0.0)
        summary = write_views(places, case, result.cases[0])
        if reference is not None:
            put_reference(reference, places)
            score_masks(places, 0)
        return summary


def _case(job: Mapping[str, Any]) -> tuple[Case, LabelMap | None]:
    """The case of a job, called as it is in the worklist, and the expert's mask that lies beside its scans."""
    found = found_in(Path(job["upload"]), job["max_voxels"])
    for each in found.cases:
        if each.key == job["key"]:
            case = case_of(each, job["modalities"], job["max_voxels"])
            scheme = None if each.cohort is None else each.cohort.scheme
            reference = load_labels(case, scheme) if case.labels is not None and scheme is not None else None
            return Case(job["case"], job["patient"], case.images), reference
    raise OptionError("the scans of this case are no longer there", remedy="Drop them again")


def write_views(places: CasePlaces, case: Case, written: WrittenCase) -> dict[str, Any]:
    """The scans and the mask as the page shows them, and what stands beside; what the worklist shows."""
    image = load_image(case)
    for name, channel in zip(image.modalities, image.array, strict=True):
        write_nifti(places.images / f"{name}.nii.gz", _storable(channel), image.grid)
    sidecar = dict(written.sidecar)
    labels = mask_of(written, scheme_of(sidecar), image)
    write_nifti(places.mask, labels.array.astype(np.uint8), image.grid)
    facts = facts_of(sidecar, labels) | {"modalities": list(image.modalities), "sidecar": f"{written.case}.json"}
    write_json(places.facts, facts)
    return {"volumes_ml": facts["volumes_ml"], "unit": facts["unit"], "confidence": facts["confidence"]}


def mask_of(written: WrittenCase, scheme: LabelScheme, image: Image) -> LabelMap:
    """The mask that ``predict`` wrote, from its file: a volume, a picture, or a folder of them."""
    file = written.file
    if file.name.endswith(".nii.gz"):
        return LabelMap(read_nifti(file)[0], scheme, image.grid)
    pictures = tuple(sorted(file.iterdir())) if file.is_dir() else (file,)
    return LabelMap(read_labels(Source(pictures, "raster", max_voxels=MAX_VOXELS), scheme).array, scheme, image.grid)


def _storable(channel: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In a type that NIfTI has and every viewer reads."""
    return channel if channel.dtype in (np.uint8, np.int16, np.int32, np.float32) else channel.astype(np.float32)
