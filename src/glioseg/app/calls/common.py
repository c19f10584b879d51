"""What all calls share."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Request

from glioseg.app.calls.shapes import ErrorAnswer
from glioseg.app.service import Service

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": words}
    for status, words in {
        401: "Not logged in",
        403: "Not allowed",
        404: "Not there",
        409: "Not now",
        413: "Too much",
        422: "What was sent cannot be used",
    }.items()
}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(_service)]
Id = Annotated[str, Path(max_length=64, description="Of a case.")]
