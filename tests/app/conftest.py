"""The application of a tiny network, at work in this process, and asked as programs ask it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from glioseg.app.application import application
from glioseg.app.options import AppOptions, Limits
from glioseg.app.service import Service
from tests.runs.conftest import _one_thread, class_pictures, tiny_runs

with warnings.catch_warnings():  # Starlette would rather have httpx2; httpx is what it works with as well
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

__all__ = ["_one_thread", "class_pictures", "tiny_runs"]

PORT = 4711
BASE = f"http://127.0.0.1:{PORT}"
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Served:
    """A running application, and a program that has its token."""

    service: Service
    client: TestClient

    def upload(self, files: Mapping[str, bytes | Path]) -> Any:
        """What lies in files, by the names that they are sent with."""
        sent = [("files", (name, _content(given))) for name, given in files.items()]
        return self.client.post("/api/uploads", files=sent)

    def queue(self, upload: Mapping[str, Any], network: str, **more: Any) -> str:
        """Queue the first case of an upload as it was recognised."""
        case = upload["cases"][0]
        chosen = {name: scan["series"] for name, scan in case["modalities"].items()}
        asked = {"upload": upload["upload"], "key": case["key"], "model": network, "modalities": chosen, **more}
        answer = self.client.post("/api/cases", json=asked)
        assert answer.status_code == 200, answer.text
        case_id: str = answer.json()["id"]
        return case_id

    def ended(self, case_id: str) -> dict[str, Any]:
        """A case once it has ended."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            case: dict[str, Any] = self.client.get(f"/api/cases/{case_id}").json()
            if case["state"] in ("done", "failed", "cancelled"):
                return case
            time.sleep(0.02)
        raise AssertionError(f"still {case['state']}")


def _content(given: bytes | Path) -> bytes:
    return given if isinstance(given, bytes) else given.read_bytes()


def served_in(folder: Path, *networks: Path, limits: Limits | None = None) -> Iterator[Served]:
    """The application in a folder."""
    options = AppOptions(folder, networks=networks, device="cpu")
    if limits is not None:
        options = replace(options, limits=limits)
    service = Service.of(options, PORT)
    with TestClient(application(service), base_url=BASE) as client:
        client.headers["Authorization"] = f"Bearer {options.token}"
        yield Served(service, client)


@pytest.fixture(scope="package")
def network(tiny_runs: Callable[..., Any]) -> str:
    """A trained network of two modalities (t2f and t1c), as the application knows it."""
    return str(tiny_runs("segment").run)


@pytest.fixture
def served(tmp_path: Path, network: str) -> Iterator[Served]:
    """An empty application."""
    yield from served_in(tmp_path / "worklist", Path(network))
