"""The page, the way in, what networks there are, and events."""

from __future__ import annotations

import asyncio
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from glioseg import __version__
from glioseg.app.answers import BusyError
from glioseg.app.calls.common import REFUSALS, Served
from glioseg.app.calls.shapes import Accepted, NetworkAnswer, Session
from glioseg.app.service import Service

router = APIRouter()
_PAUSE_S = 0.5
"""After a wrong password: guessing takes its time."""
_OPTIONS = {"register": None, "brain_extract": "deepbet", "atlas": None, "uncertainty": None, "explain": None}
"""What can be asked of a case, and the library that it needs."""
RESEARCH_USE = "For research use only; not a medical device."


def page_folder() -> Path:
    """Where the files of the page lie."""
    return Path(str(resources.files("glioseg.app") / "page"))


@router.get("/", include_in_schema=False)
async def page(request: Request, service: Served, token: str = "") -> Response:
    """The page; whoever has the token gets a cookie for it."""
    if token:
        return await _enter(service, token)
    if not service.gate.has_session(request.headers):
        return HTMLResponse((page_folder() / "login.html").read_text(encoding="utf-8"), 401)
    return HTMLResponse((page_folder() / "index.html").read_text(encoding="utf-8"))


@router.post("/login", include_in_schema=False)
async def login(request: Request, service: Served) -> Response:
    """The same with a password that was typed in."""
    async with request.form(max_files=0, max_fields=1) as form:
        password = str(form.get("password", ""))
    return await _enter(service, password)


async def _enter(service: Service, token: str) -> Response:
    gate = service.gate
    if not gate.is_token(token.strip()):
        await asyncio.sleep(_PAUSE_S)
        return HTMLResponse((page_folder() / "login.html").read_text(encoding="utf-8"), 401)
    answer = RedirectResponse("/", 303)  # so that the token is in no address that the browser keeps
    answer.set_cookie(gate.cookie, gate.session, httponly=True, samesite="strict", secure=gate.is_encrypted)
    return answer


@router.get("/api/session", responses=REFUSALS, tags=["session"])
def session(service: Served) -> Session:
    """What a page has to know first; `csrf` goes into the header X-Glioseg-CSRF of every change."""
    limits = service.options.limits
    return Session(
        csrf=service.gate.csrf,
        version=__version__,
        folder=str(service.options.folder),
        limits=Accepted(bytes=limits.bytes, files=limits.files, voxels=limits.voxels),
        options=[name for name, library in _OPTIONS.items() if library is None or find_spec(library) is not None],
        research_use=RESEARCH_USE,
    )


@router.get("/api/models", responses=REFUSALS, tags=["session"])
def models(service: Served) -> list[NetworkAnswer]:
    """The networks, in the order in which they are proposed."""
    return [NetworkAnswer.model_validate(network.to_json()) for network in service.networks.all]


@router.get("/api/events", responses=REFUSALS, tags=["cases"])
async def events(service: Served) -> StreamingResponse:
    """Server-sent events: `{case, state, step, share}` at each change."""
    if service.hub.is_full:
        raise BusyError("so many pages listen already", remedy="Close one of them")
    return StreamingResponse(service.hub.listen(), media_type="text/event-stream")
