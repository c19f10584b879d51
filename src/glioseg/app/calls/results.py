"""What is shown of a case that is done, and the masks that are drawn over the network's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as File
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from glioseg.app.answers import NotFoundError
from glioseg.app.calls.cases import case_answer
from glioseg.app.calls.common import REFUSALS, Id, Served
from glioseg.app.calls.shapes import CaseDetail, Corrected
from glioseg.app.corrections import correct, facts_in
from glioseg.app.facts import regions_shown
from glioseg.app.service import Service
from glioseg.app.worklist import CaseRecord
from glioseg.report.style import modality_title

router = APIRouter(prefix="/api/cases/{case_id}", tags=["results"], responses=REFUSALS)
_NIFTI = "application/gzip"
_MASK = {"content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}}, "required": True}


@router.get("")
def case(case_id: Id, service: Served) -> CaseDetail:
    """All that is shown of a case; of one that is not done, what the worklist says of it."""
    record, places = service.case(case_id)
    facts: Mapping[str, Any] = facts_in(places) if record.state == "done" else {}
    return CaseDetail.model_validate(case_answer(record) | _detail(service, record, facts))


def _detail(service: Service, record: CaseRecord, facts: Mapping[str, Any]) -> dict[str, Any]:
    address = f"/api/cases/{record.id}"
    corrections = service.worklist.corrections(record.id)
    return {
        "modalities": [
            {"name": name, "title": modality_title(name), "url": f"{address}/images/{name}.nii.gz"}
            for name in facts.get("modalities", ())
        ],
        "mask": {"url": f"{address}/mask.nii.gz", "labels": facts["labels"]} if facts else None,
        "regions": regions_shown(facts, facts["volumes_ml"]) if facts else [],
        "maps": [],
        "lesions": facts.get("lesions", []),
        "largest": facts.get("largest"),
        "reference": None,
        "corrections": [
            vars(correction) | {"url": f"{address}/masks/{correction.n}.nii.gz"} for correction in corrections
        ],
        "warnings": facts.get("warnings", []),
        "terms": facts.get("terms", []),
    }


@router.get("/images/{modality}.nii.gz", response_class=FileResponse)
def image(case_id: Id, modality: Annotated[str, Path(max_length=64)], service: Served) -> FileResponse:
    """A scan as it is shown: NIfTI, on the grid of the mask."""
    _, places = service.done(case_id)
    if modality not in facts_in(places)["modalities"]:
        raise NotFoundError("the case has no such scan")
    return _file(places.images / f"{modality}.nii.gz")


@router.get("/mask.nii.gz", response_class=FileResponse)
def mask(case_id: Id, service: Served) -> FileResponse:
    """The network's mask: NIfTI, the labels of the case."""
    _, places = service.done(case_id)
    return _file(places.mask)


@router.get("/masks/{n}.nii.gz", response_class=FileResponse)
def corrected_mask(case_id: Id, n: Annotated[int, Path(ge=1, le=1 << 31)], service: Served) -> FileResponse:
    """A mask that was drawn."""
    _, places = service.done(case_id)
    return _file(places.correction(n))


@router.put("/mask", openapi_extra={"requestBody": _MASK})
async def put_mask(
    case_id: Id,
    request: Request,
    service: Served,
    by: Annotated[str, Query(max_length=100, description="Who drew it.")] = "",
    note: Annotated[str, Query(max_length=1000, description="A remark.")] = "",
) -> Corrected:
    """Keep a mask that was drawn, beside the network's: NIfTI, the same grid and labels."""
    content = await request.body()
    correction = await run_in_threadpool(correct, service, case_id, content, by, note)
    return Corrected(n=correction.n, volumes_ml=dict(correction.volumes_ml))


def _file(path: File) -> FileResponse:
    if not path.is_file():
        raise NotFoundError("there is no such file")
    return FileResponse(path, media_type=_NIFTI)
