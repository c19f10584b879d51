"""What is shown of a case that is done, and the masks that are drawn over the network's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path as Folder
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from glioseg.app.answers import NotFoundError
from glioseg.app.calls.cases import case_answer, first_days
from glioseg.app.calls.common import REFUSALS, Id, Served
from glioseg.app.calls.shapes import CaseDetail, Corrected, Scored
from glioseg.app.corrections import correct
from glioseg.app.exports import ExportItem, export
from glioseg.app.masks import facts_in
from glioseg.app.references import keep_reference, score_masks, scores_in
from glioseg.app.service import Service
from glioseg.app.tables import regions_shown
from glioseg.app.worklist import Correction, ListedCase
from glioseg.errors import OptionError
from glioseg.report.style import modality_title

router = APIRouter(prefix="/api/cases/{case_id}", tags=["results"], responses=REFUSALS)
_NIFTI = "application/gzip"
_REFERENCE = {
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary"}},
            }
        }
    },
    "required": True,
}
_MASK = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}, "required": True}


@router.get("")
def case(case_id: Id, service: Served) -> CaseDetail:
    """All that is shown of a case; of one that is not done, what the worklist says of it."""
    record, places = service.case(case_id)
    facts: Mapping[str, Any] = facts_in(places) if record.state == "done" else {}
    firsts = first_days(service.worklist.of_patient(record.patient))
    return CaseDetail.model_validate(case_answer(record, firsts) | _detail(service, record, facts))


def _detail(service: Service, record: ListedCase, facts: Mapping[str, Any]) -> dict[str, Any]:
    scores = scores_in(service.places.case(record.id))
    address = f"/api/cases/{record.id}"
    corrections = service.worklist.corrections(record.id)
    return {
        "modalities": [
            {"name": name, "title": modality_title(name), "url": f"{address}/images/{name}.nii.gz"}
            for name in facts.get("modalities", ())
        ],
        "mask": {"url": f"{address}/mask.nii.gz", "labels": facts["labels"]} if facts else None,
        "regions": regions_shown(facts) if facts else [],
        "maps": [map_ | {"url": f"{address}/maps/{map_['file']}"} for map_ in facts.get("maps", ())],
        "lesions": facts.get("lesions", []),
        "largest": facts.get("largest"),
        "diameters": facts.get("diameters", []),
        "reference": None if scores is None else scores | {"url": f"{address}/reference.nii.gz"},
        "corrections": [
            {**vars(correction), **correction.measured, "url": f"{address}/masks/{correction.n}.nii.gz"}
            for correction in corrections
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


@router.get("/maps/{file}", response_class=FileResponse)
def a_map(case_id: Id, file: Annotated[str, Path(max_length=128)], service: Served) -> FileResponse:
    """A map: NIfTI, a volume for each region, on the grid of the mask."""
    _, places = service.done(case_id)
    if file not in {each["file"] for each in facts_in(places)["maps"]}:
        raise NotFoundError("the case has no such map")
    return _file(places.result / file)


@router.get("/reference.nii.gz", response_class=FileResponse)
def reference(case_id: Id, service: Served) -> FileResponse:
    """The expert's mask, with the labels of the case."""
    _, places = service.done(case_id)
    return _file(places.reference)


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


@router.post("/reference", openapi_extra={"requestBody": _REFERENCE})
async def put_reference(
    case_id: Id,
    request: Request,
    service: Served,
    scheme: Annotated[
        str | None, Query(max_length=64, description="What its integers mean, where they are not the network's.")
    ] = None,
) -> Scored:
    """Compare the masks of a case with an expert's: NIfTI, on the same grid."""
    _, places = service.done(case_id)
    async with request.form(max_files=1, max_fields=0) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise OptionError("no mask was sent", expected="a NIfTI file, as file")
        content = await file.read()

    def scored() -> dict[str, Any]:
        keep_reference(content, places, scheme)
        return score_masks(places, service.done(case_id)[0].n_corrections)  # one may have been drawn meanwhile

    return Scored.model_validate(await run_in_threadpool(scored))


@router.get("/export/{form}", response_class=FileResponse)
def export_mask(
    case_id: Id,
    form: Annotated[str, Path(max_length=16, description="nifti, seg, stl, pdf, html, csv or probabilities.")],
    service: Served,
    deidentify: Annotated[bool, Query(description="Name nobody: patient, dates and UIDs become digests.")] = False,
    n: Annotated[
        int | None, Query(ge=0, le=1 << 31, description="Of which mask that was drawn; 0 for the network's.")
    ] = None,
) -> FileResponse:
    """The last mask that was drawn, or else the network's, in another form."""
    record, places = service.done(case_id)
    folder = Folder(tempfile.mkdtemp(prefix="glioseg-"))
    try:
        correction = _correction(service, record, n)
        file = export(ExportItem(service, record, places, correction, deidentify), form, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(file, filename=file.name, background=gone)


def _correction(service: Service, record: ListedCase, n: int | None) -> Correction | None:
    """The mask that is meant; None for the network's."""
    drawn = {each.n: each for each in service.worklist.corrections(record.id)}
    number = max(drawn, default=0) if n is None else n
    if number and number not in drawn:
        raise NotFoundError("nobody has drawn such a mask", found=str(number))
    return drawn.get(number)


def _file(path: Folder) -> FileResponse:
    if not path.is_file():
        raise NotFoundError("there is no such file")
    return FileResponse(path, media_type=_NIFTI)
