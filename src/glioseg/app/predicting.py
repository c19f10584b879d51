"""A case of the worklist through the functions of ``glioseg predict``, and what the page shows of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.api.models import Model, load
from glioseg.app.facts import facts_of
from glioseg.app.places import CasePlaces
from glioseg.app.references import put_reference, score_masks
from glioseg.app.studies import Found, case_of, found_in
from glioseg.core import Case, Image, LabelMap
from glioseg.errors import GliosegError, OptionError
from glioseg.io.files import write_json
from glioseg.io.load import Voxels, load_labels, read_sources
from glioseg.io.nifti import write_nifti
from glioseg.machine.device import on_free_processors
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.preparation.resample import resample_array
from glioseg.tasks.members import fitted
from glioseg.tasks.prediction import Members
from glioseg.tasks.ready import needed_for
from glioseg.tasks.segment.prediction import SegmentPrediction
from glioseg.tasks.wanted import Wanted

OnStep = Callable[[str, float], None]
"""Told (step, share of it that is done)."""


class Predicting:
    """The network and the scans that were asked for last, which stay loaded and recognised between cases."""

    def __init__(self) -> None:
        self._loaded: tuple[tuple[str, str], Model] | None = None
        self._opened: tuple[str, Found] | None = None

    def _model(self, name: str, device: str) -> Model:
        if self._loaded is None or self._loaded[0] != (name, device):
            self._loaded = None  # before the next is loaded: both may not fit
            self._loaded = ((name, device), load(name, device=device))
        return self._loaded[1]

    def _recognised(self, job: Mapping[str, Any]) -> Found:
        """What lies in the scans that were opened: recognised once, since a folder of many takes long to walk."""
        if self._opened is None or self._opened[0] != job["opened"]:
            self._opened = (job["opened"], found_in(Path(job["upload"]), job["max_voxels"]))
        return self._opened[1]

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
        case, reference = _case(job, self._recognised(job))
        members = self._model(job["model"], job["device"]).members
        case = fitted(case, members.modalities)
        wanted = _wanted(job, members, case, step)
        members.require(case)
        with on_free_processors():
            prediction = members.predict(needed_for(case, members.modalities, wanted.ready), wanted)
        assert isinstance(prediction, SegmentPrediction)  # no classifier is offered
        step("paint", 0.0)
        summary = write_views(places, case, prediction)
        if reference is not None and reference.grid.difference(prediction.label_map.grid) is None:
            put_reference(reference, places)
            score_masks(places, 0)
        return summary


def _wanted(job: Mapping[str, Any], members: Members, case: Case, step: OnStep) -> Wanted:
    """What was asked; of volumes the probabilities, which smart fill needs, of pictures the mask."""
    is_volume = next(iter(case.images.values())).kind != "raster"
    return Wanted(
        uncertainty=members.samples if job["uncertainty"] else None,
        explain=job["explain"],
        write=("probabilities",) if is_volume else ("nifti",),
        ready=ReadyOptions(register=job["register"], brain_extract=job["brain_extract"], atlas=job["atlas"]),
        told=step,
    )


def _case(job: Mapping[str, Any], opened: Found) -> tuple[Case, LabelMap | None]:
    """The case of a job, called as it is in the worklist, and the expert's mask that lies beside its scans."""
    recognised = opened.named(job["key"])
    if recognised is None:
        raise OptionError("the scans of this case are no longer there", remedy="Drop them again")
    case = case_of(recognised, job["modalities"], job["max_voxels"])
    scheme = None if recognised.cohort is None else recognised.cohort.scheme
    reference = load_labels(case, scheme) if case.labels is not None and scheme is not None else None
    return Case(job["case"], job["patient"], case.images, day=case.day), reference


def write_views(places: CasePlaces, case: Case, prediction: SegmentPrediction) -> dict[str, Any]:
    """The scans and the mask as the page shows them, and what stands beside; what the worklist shows."""
    written, image, labels = prediction.save(places.result), prediction.image, prediction.label_map
    shown = dict(zip(image.modalities, image.array, strict=True)) | _others(case, image)
    for name, channel in shown.items():
        write_nifti(places.images / f"{name}.nii.gz", _storable(channel), image.grid)
    write_nifti(places.mask, labels.array.astype(np.uint8), labels.grid)
    facts = facts_of(written.sidecar, labels) | {"modalities": list(shown)}
    write_json(places.facts, facts)
    return {
        "volumes_ml": facts["volumes_ml"],
        "unit": facts["unit"],
        "confidence": facts["confidence"],
        "day": written.sidecar.get("day"),
    }


def _others(case: Case, image: Image) -> dict[str, npt.NDArray[Any]]:
    """Modalities that the network did not see, on its grid as their headers say; what cannot be is left out."""
    sources = {name: source for name, source in case.images.items() if name not in image.modalities}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, voxels in read_sources(sources).items():
        if isinstance(voxels, Voxels):
            with suppress(GliosegError):
                array = np.asarray(voxels.array)[None]
                arrays[name] = resample_array(array, voxels.grid, image.grid, "linear")[0]
    return arrays


def _storable(channel: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """In a type that NIfTI has and every viewer reads."""
    return channel if channel.dtype in (np.uint8, np.int16, np.int32, np.float32) else channel.astype(np.float32)
