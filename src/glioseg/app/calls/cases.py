"""The worklist: cases that wait, run, are done."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter

from glioseg.app.answers import BusyError, NotFoundError
from glioseg.app.calls.common import REFUSALS, Id, Served
from glioseg.app.calls.shapes import CaseAnswer, CaseAsked, CaseId, Nothing
from glioseg.app.service import Service, new_id
from glioseg.app.worklist import ListedCase
from glioseg.core.modalities import named_among
from glioseg.errors import GeometryError, OptionError
from glioseg.inference.modalities import shown_modalities

router = APIRouter(prefix="/api/cases", tags=["cases"], responses=REFUSALS)


@router.post("")
def queue(request: CaseAsked, service: Served) -> CaseId:
    """Queue a case of an upload for a network, with the scans that were chosen."""
    case = _case_of(service, request)
    info = service.networks.info_of(request.model)
    _require_scans(case, request)
    names = [named_among(name, info.modalities) for name in request.modalities]
    try:
        shown_modalities(info.modalities, names, info.prepare.missing, info.modality_sets)
    except GeometryError as error:
        raise OptionError(
            f"{request.model} needs other scans than were chosen",
            found=", ".join(request.modalities) or "none",
            expected=error.expected,
            remedy="Choose a scan for each, or another network",
        ) from error
    case_id = new_id("case")
    service.worklist.add_case(case_id, case["name"], case["patient"], request.model, request.model_dump(by_alias=True))
    service.hub.publish({"case": case_id, "state": "queued", "step": "", "share": 0.0})
    service.jobs.wake()
    return CaseId(id=case_id)


def _case_of(service: Service, request: CaseAsked) -> Mapping[str, Any]:
    """The case of the upload that is meant."""
    upload = service.worklist.upload(request.upload)
    if upload is None:
        raise NotFoundError("there is no such upload", remedy="Drop the scans again")
    for case in upload.found["cases"]:
        if case["key"] == request.key:
            found_case: Mapping[str, Any] = case
            return found_case
    keys = ", ".join(case["key"] for case in upload.found["cases"])
    raise NotFoundError("there is no such case in the upload", expected=keys)


def _require_scans(case: Mapping[str, Any], request: CaseAsked) -> None:
    all_series = [scan["series"] for scan in (*case["modalities"].values(), *case["others"])]
    unknown = [series for series in request.modalities.values() if series not in all_series]
    if unknown:
        raise OptionError("there is no such scan in the case", found=unknown[0], expected=", ".join(all_series[:12]))
    if len(set(request.modalities.values())) < len(request.modalities):
        raise OptionError("a scan was chosen for two modalities", found=", ".join(request.modalities.values()))


@router.get("")
def worklist(service: Served) -> list[CaseAnswer]:
    """All cases, the newest first."""
    records = service.worklist.cases()
    firsts = first_days(records)
    return [CaseAnswer.model_validate(case_answer(record, firsts)) for record in records]


def first_days(records: Iterable[ListedCase]) -> dict[str, int]:
    """Patient -> the day of the first study that is known, on the patient's own calendar."""
    firsts: dict[str, int] = {}
    for record in records:
        day = (record.summary or {}).get("day")
        if day is not None:
            firsts[record.patient] = min(day, firsts.get(record.patient, day))
    return firsts


def study_day(record: ListedCase, firsts: Mapping[str, int]) -> int | None:
    """Days since the first study of the patient; None where the scans say no date, or it is not kept."""
    day = (record.summary or {}).get("day")
    return None if day is None else int(day - firsts[record.patient])


def case_answer(record: ListedCase, firsts: Mapping[str, int]) -> dict[str, Any]:
    """A case as the worklist shows it; ``firsts`` are those of ``first_days``."""
    summary = record.summary or {}
    return {
        "id": record.id,
        "name": record.name,
        "patient": record.patient,
        "state": record.state,
        "step": record.step,
        "share": record.share,
        "created": record.created,
        "study_day": study_day(record, firsts),
        "model": record.model,
        "volumes_ml": record.drawn_ml or summary.get("volumes_ml", {}),
        "unit": summary.get("unit", "ml"),
        "confidence": summary.get("confidence"),
        "corrected": record.n_corrections,
        "error": record.error,
    }


@router.post("/{case_id}/cancel")
def cancel(case_id: Id, service: Served) -> Nothing:
    """Stop a case that waits or runs."""
    record, _ = service.case(case_id)
    if not service.jobs.cancel(record.id):
        raise BusyError("only what waits or runs can be cancelled", found=record.state)
    return Nothing()


@router.post("/{case_id}/retry")
def retry(case_id: Id, service: Served) -> Nothing:
    """Queue a case that failed or was cancelled once more."""
    record, _ = service.case(case_id)
    if not service.worklist.again(record.id):
        raise BusyError("only what failed or was cancelled can be tried again", found=record.state)
    service.hub.publish({"case": record.id, "state": "queued", "step": "", "share": 0.0})
    service.jobs.wake()
    return Nothing()


@router.delete("/{case_id}")
def delete(case_id: Id, service: Served) -> Nothing:
    """Delete a case and all that was made of it; the scans stay where they are."""
    record, places = service.case(case_id)
    service.jobs.cancel(record.id)
    service.worklist.delete(record.id)
    shutil.rmtree(places.folder, ignore_errors=True)
    service.hub.publish({"case": record.id, "state": "deleted", "step": "", "share": 0.0})
    return Nothing()
