"""The application of a tiny network, at work in this process, and asked as programs ask it."""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest

from glioseg.app.application import application
from glioseg.app.options import AppOptions, Limits
from glioseg.app.service import Service
from glioseg.core import Grid
from glioseg.io.nifti import read_nifti, write_nifti
from tests.runs.conftest import _one_thread, class_pictures, tiny_classifier, tiny_runs

with warnings.catch_warnings():  # Starlette would rather have httpx2; httpx is what it works with as well
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

__all__ = ["_one_thread", "class_pictures", "tiny_classifier", "tiny_runs"]

PORT = 4711
BASE = f"http://127.0.0.1:{PORT}"
Files = dict[str, bytes | Path]
_PATIENCE_S = 240.0


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

    def case(self, case_id: str) -> dict[str, Any]:
        """A case as it stands."""
        case: dict[str, Any] = self.client.get(f"/api/cases/{case_id}").json()
        return case

    def ended(self, case_id: str) -> dict[str, Any]:
        """A case once it has ended."""
        return self.once(case_id, "done", "failed", "cancelled")

    def once(self, case_id: str, *states: str) -> dict[str, Any]:
        """A case once it is in one of these states."""
        end = time.monotonic() + _PATIENCE_S
        while (case := self.case(case_id))["state"] not in states:
            assert time.monotonic() < end, f"still {case['state']}"
            time.sleep(0.02)
        return case

    def volume(self, url: str, folder: Path) -> tuple[npt.NDArray[Any], Grid]:
        """A NIfTI file that is offered."""
        answer = self.client.get(url)
        assert answer.status_code == 200, answer.text
        (folder / "got.nii.gz").write_bytes(answer.content)
        return read_nifti(folder / "got.nii.gz")


def nifti(array: npt.NDArray[Any], grid: Grid, folder: Path) -> bytes:
    """A NIfTI file as it is sent."""
    write_nifti(folder / "sent.nii.gz", array, grid)
    return (folder / "sent.nii.gz").read_bytes()


def _content(given: bytes | Path) -> io.BytesIO:
    return io.BytesIO(given if isinstance(given, bytes) else given.read_bytes())


def served_in(folder: Path, *networks: Path, limits: Limits | None = None) -> Iterator[Served]:
    """The application in a folder."""
    options = AppOptions(folder, networks=networks, device="cpu")
    if limits is not None:
        options = replace(options, limits=limits)
    service = Service.of(options, PORT)
    with TestClient(application(service), base_url=BASE) as client:
        client.headers["Authorization"] = f"Bearer {options.token}"
        yield Served(service, client)


def scans_of(data: Path, number: int, *, with_mask: bool = False) -> Files:
    """The files of a phantom patient, below a folder of its name."""
    case = sorted(path for path in data.iterdir() if path.is_dir())[number]
    paths = sorted(path for path in case.iterdir() if with_mask or "seg" not in path.name)
    return {f"{case.name}/{path.name}": path for path in paths}


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An application that never predicts: its process is not started."""
    with pytest.MonkeyPatch.context() as patch:
        for served in served_in(tmp_path_factory.mktemp("idle") / "worklist"):
            patch.setattr(served.service.jobs, "warm", lambda: None)
            patch.setattr(served.service.jobs, "wake", lambda: None)
            yield served


@pytest.fixture(scope="package")
def network(tiny_runs: Callable[..., Any]) -> str:
    """A trained network of two modalities (t2f and t1c), as the application knows it."""
    return str(tiny_runs("segment").run)


@pytest.fixture(scope="package")
def served(network: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An application that predicts, for all tests of the room."""
    yield from served_in(tmp_path_factory.mktemp("served") / "worklist", Path(network))
