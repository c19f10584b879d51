"""What is made of several cases: a cohort for training, and a patient's course."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from glioseg.app.calls.cases import first_days, study_day
from glioseg.app.calls.common import REFUSALS, Served
from glioseg.app.calls.shapes import KeepAsked, Kept, TimePoint
from glioseg.faces import command

router = APIRouter(prefix="/api", tags=["collections"], responses=REFUSALS)


@router.post("/keep")
def collect(request: KeepAsked, service: Served) -> Kept:
    """Put the scans of cases and the last masks that were drawn into a cohort that `glioseg train` reads."""
    from glioseg.app.keep import keep  # which knows all ways to write cohorts: the first page must not wait for it

    n = keep(service, request.ids)
    folder = service.places.kept
    return Kept(folder=str(folder), n=n, command=command("train", "RECIPE", "--data", folder, "--out", "RUN"))


@router.get("/timeline/{patient}")
def timeline(patient: Annotated[str, Path(max_length=64)], service: Served) -> list[TimePoint]:
    """The cases of a patient that are done, by the days of their studies; as they were queued where one is unknown."""
    records = service.worklist.of_patient(patient)
    firsts = first_days(records)
    points = [
        TimePoint(
            id=record.id,
            date=record.created,
            study_day=study_day(record, firsts),
            volumes_ml=dict(record.drawn_ml or record.summary["volumes_ml"]),
            unit=record.summary["unit"],
        )
        for record in records
        if record.state == "done" and record.summary is not None
    ]
    days = [point.study_day for point in points]
    return points if None in days else sorted(points, key=lambda point: point.study_day or 0)
