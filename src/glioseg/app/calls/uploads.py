"""Scans in: dropped onto the page, or opened where they lie."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from glioseg.app.answers import NotFoundError, finding_answer
from glioseg.app.calls.common import REFUSALS, Served
from glioseg.app.calls.shapes import PathAsked, UploadAnswer
from glioseg.app.looked import looked_at
from glioseg.app.networks import OfferedNetworks
from glioseg.app.options import Limits
from glioseg.app.service import Service, below, new_id, patient_digest
from glioseg.app.studies import Found, FoundCase, called_by_files, found_in, grids_of, is_one_grid
from glioseg.app.uploads import Sent, receive, too_many
from glioseg.app.worklist import UploadRecord
from glioseg.core import Finding
from glioseg.errors import GliosegError, OptionError

router = APIRouter(prefix="/api/uploads", tags=["uploads"], responses=REFUSALS)
_OF_TRAINING = ("left-over-files", "missing-mask", "unknown-patients", "unknown-scheme")
_FILES = {
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["files"],
                "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        }
    },
    "required": True,
}


@router.post("", openapi_extra={"requestBody": _FILES})
async def upload(request: Request, service: Served) -> UploadAnswer:
    """Files of scans, each with its place in their folder as its name; archives (.zip) are unpacked."""
    files = await _files(request, service.options.limits.files)
    try:
        sent = [Sent(file.filename or "", file.file) for file in files]
        return await run_in_threadpool(_received, service, sent)
    finally:
        for file in files:
            await file.close()


@router.post("/path")
def open_path(request: PathAsked, service: Served) -> UploadAnswer:
    """A folder, or file, below that of the application, read where it lies."""
    folder = below(service.options.folder, request.path)
    if folder is None or not folder.exists():
        raise NotFoundError("there is no such folder below that of the application", found=request.path)
    if not folder.is_dir():
        raise OptionError("not a folder", found=request.path, remedy="Open the folder that it lies in")
    upload_id = new_id("upload")
    return _answer_of(service, upload_id, folder, ())


async def _files(request: Request, most: int) -> Sequence[UploadFile]:
    try:
        form = await request.form(max_files=most, max_fields=8)
    except HTTPException as error:
        if error.detail.startswith("Too many files"):
            raise too_many(most) from error
        raise OptionError("what was sent is no upload of files", found=error.detail) from error
    return [value for _, value in form.multi_items() if isinstance(value, UploadFile)]


def _received(service: Service, sent: Sequence[Sent]) -> UploadAnswer:
    """Written below a folder of their own, which goes again where they cannot be used."""
    upload_id = new_id("upload")
    folder = service.places.upload(upload_id)
    try:
        findings = _taken(sent, folder, service.options.limits)
        return _answer_of(service, upload_id, folder, findings, look=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _taken(sent: Sequence[Sent], folder: Path, limits: Limits) -> Sequence[Finding]:
    """What could not be taken; errors name files as whoever sent them does."""
    try:
        return receive(sent, folder, limits)
    except GliosegError as error:
        raise _in_words(error, folder, ()) from error


def _answer_of(
    service: Service, upload_id: str, folder: Path, findings: Sequence[Finding], *, look: bool = False
) -> UploadAnswer:
    """What lies in a folder; of scans that were sent every voxel is looked at, of a folder of many only the headers."""
    service.jobs.warm()
    try:
        recognised = found_in(folder, service.options.limits.voxels)
        recognised = called_by_files(looked_at(recognised), folder) if look else recognised
    except GliosegError as error:
        raise _in_words(error, folder, findings) from error
    answer = {
        "upload": upload_id,
        "cases": [case_answer(case, service.networks) for case in recognised.cases],
        "findings": [finding_answer(finding, folder) for finding in (*findings, *_findings_for_page(recognised))],
    }
    service.worklist.add_upload(UploadRecord(upload_id, folder, answer))
    return UploadAnswer.model_validate(answer)


def _findings_for_page(recognised: Found) -> tuple[Finding, ...]:
    """What matters to whoever has scans predicted; the rest is for those who train on them."""
    return tuple(finding for finding in recognised.findings if finding.kind not in _OF_TRAINING)


def _in_words(error: GliosegError, folder: Path, findings: Sequence[Finding]) -> GliosegError:
    """The error without the server's own path, and with what became of members of archives."""
    lost = "; ".join(finding.message for finding in findings)
    values: dict[str, Any] = {
        name: None if text is None else text.replace(f"{folder}/", "").replace(str(folder), "the upload")
        for name, text in vars(error).items()
        if name in ("what", "path", "found", "expected", "remedy")
    }
    values["found"] = "; ".join(text for text in (values["found"], lost) if text) or None
    return type(error)(values.pop("what"), **values)


def case_answer(case: FoundCase, networks: OfferedNetworks) -> dict[str, Any]:
    """A case of an upload as the page is told of it."""
    used = {row.taken_for: row.to_json() for row in case.rows if row.is_used}
    fits, grids = networks.fitting(case.case), grids_of(case.case)
    return {
        "key": case.key,
        "name": case.case.id,
        "patient": patient_digest(case.case.patient),
        "modalities": used,
        "others": [row.to_json() for row in case.rows if not row.is_used],
        "on_one_grid": is_one_grid(grids),
        "has_mm": all(grid.has_mm for grid in grids),
        "fits": fits,
        "proposed": fits[0] if fits else None,
        "missing": networks.missing(case.case),
    }
