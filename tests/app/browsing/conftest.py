"""One application with one case that is done, and one browser, for all tests of the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import glioseg
from tests.app.browser import CHROMIUM, PATIENCE_S, Application, chromium
from tests.app.browsing.pages import MODALITIES, SPACING_MM, WIDE, OpenPage


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them are slow, and need Chromium."""
    here = Path(__file__).parent
    without = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: make test-app says how")
    alone = pytest.mark.skipif(find_spec("playwright") is None, reason="no Playwright: make test-app installs it")
    for item in items:
        if here in item.path.parents:
            for mark in (pytest.mark.slow, without, alone):
                item.add_marker(mark)


@pytest.fixture(scope="package")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The four modalities of a coarse phantom patient."""
    folder = tmp_path_factory.mktemp("scans") / "phantom"
    glioseg.phantom(folder, patients=1, spacing_mm=SPACING_MM)
    return {name: next(folder.glob(f"*/*-{name}.nii.gz")) for name in (*MODALITIES, "seg")}


@pytest.fixture(scope="package")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The application with an empty worklist."""
    application = Application(tmp_path_factory.mktemp("app") / "worklist")
    yield application
    application.kill()


def _made(application: Application, scans: dict[str, Path], **asked: bool) -> str:
    """A case that is done, made by a program."""
    with application.client() as client:
        files = [("files", (f"scan/{scans[name].name}", scans[name].read_bytes())) for name in MODALITIES]
        upload = client.post("/api/uploads", files=files).json()
        found = upload["cases"][0]
        chosen = {name: scan["series"] for name, scan in found["modalities"].items()}
        order = {
            "upload": upload["upload"],
            "key": found["key"],
            "model": "model:phantom",
            "modalities": chosen,
            **asked,
        }
        case_id: str = client.post("/api/cases", json=order | asked).json()["id"]
        end = time.monotonic() + PATIENCE_S
        while (case := client.get(f"/api/cases/{case_id}").json())["state"] in ("queued", "running"):
            assert time.monotonic() < end
            time.sleep(0.2)
        assert case["state"] == "done", case["error"]
    return case_id


@pytest.fixture(scope="package")
def case(application: Application, scans: dict[str, Path]) -> str:
    """A case with all that can be asked."""
    return _made(application, scans, uncertainty=True, explain=True)


@pytest.fixture(scope="package")
def later(application: Application, scans: dict[str, Path], case: str) -> str:
    """A later time point of the same patient, with a confidence, since no test corrects its mask."""
    return _made(application, scans, uncertainty=True)


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Any, application: Application) -> Iterator[OpenPage]:
    """Opens pages that are let in; fails where one asked anything of another machine, or broke a script."""
    asked: list[str] = []
    broken: list[str] = []
    contexts = []

    def open_one(path: str = "", *, context: Any = None, **options: Any) -> Any:
        if context is None:
            context = browser.new_context(**{"viewport": WIDE, "locale": "en-GB", "accept_downloads": True} | options)
            contexts.append(context)
            context.set_default_timeout(PATIENCE_S * 1000)
            context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(application.address)
        page.wait_for_selector("#header nav")
        if path:
            page.goto(f"{application.base}{path}")
        return page

    yield open_one
    for context in contexts:
        context.close()
    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme not in ("data", "blob")}
    assert hosts <= {f"127.0.0.1:{application.port}"}
    assert broken == []
