"""The ASGI application: calls, page and guard, put together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from glioseg import __version__
from glioseg.app.answers import error_answer
from glioseg.app.calls import cases, collected, results, session, uploads
from glioseg.app.manual import manual
from glioseg.app.security import Guard, status_of
from glioseg.app.service import Service
from glioseg.errors import FileError, GliosegError, OptionError

_LOG = logging.getLogger("glioseg.app")
_VIEWER = "_assets/js/niivue.umd.js"


def application(service: Service) -> ASGIApp:
    """All calls of a service, behind its guard; what works in the background does so while the application is open."""

    @asynccontextmanager
    async def at_work(_: FastAPI) -> AsyncIterator[None]:
        service.hub.open()
        service.jobs.start()
        yield
        service.hub.close()
        service.jobs.close()

    app = FastAPI(
        title="glioseg",
        version=__version__,
        description="Brain-tumour segmentation in MRI. " + session.RESEARCH_USE,
        docs_url=None,
        redoc_url=None,
        lifespan=at_work,
    )
    app.state.service = service
    for calls in (session, uploads, cases, results, collected):
        app.include_router(calls.router)
    app.add_api_route("/docs", lambda: HTMLResponse(manual(app.openapi())), include_in_schema=False)
    app.add_api_route("/page/niivue.umd.js", _viewer, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=session.page_folder()), name="page")
    app.exception_handler(GliosegError)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_other)
    app.exception_handler(Exception)(_unforeseen)
    return Guard(app, service.gate, service.options.limits)


async def _viewer() -> FileResponse:
    """NiiVue, as nilearn ships it."""
    return FileResponse(viewer_file(), media_type="text/javascript")


def viewer_file() -> Path:
    """Where NiiVue lies.

    Raises:
        FileError: this nilearn ships none.
    """
    package = find_spec("nilearn")
    path = Path(package.origin).parent / _VIEWER if package is not None and package.origin else None
    if path is None or not path.is_file():
        raise FileError("nilearn ships no viewer", path=path, remedy="Install nilearn 0.14 or newer")
    return path


async def _refused(_: Request, error: GliosegError) -> Response:
    return _answer(error, status_of(error))


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _answer(OptionError("the request is not as described", found=f"{where}: {first['msg']}"), 422)


async def _other(request: Request, error: HTTPException) -> Response:
    if isinstance(error.__cause__, GliosegError):  # raised while FastAPI read the body; not a fault of parsing
        return await _refused(request, error.__cause__)
    answer = _answer(
        OptionError("there is no such call" if error.status_code == 404 else error.detail), error.status_code
    )
    answer.headers.update(error.headers or {})
    return answer


async def _unforeseen(_: Request, error: Exception) -> Response:
    """A fault of ours: said without what it was about, which may name somebody; the log has it."""
    what = GliosegError("this failed for an unforeseen reason", found=type(error).__name__, remedy="Try it again")
    return _answer(what, 500)


def _answer(error: GliosegError, status: int) -> JSONResponse:
    return JSONResponse({"error": error_answer(error)}, status)
