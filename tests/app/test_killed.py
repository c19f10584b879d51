"""A real application, killed in the middle of a case: started again, it finishes what it had begun."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.app.browser import Application
from tests.app.conftest import scans_of

pytestmark = pytest.mark.slow


def _workers(parent: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == parent:
            found.append(int(status.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are listed in /proc on Linux alone")
def test_killed_in_the_middle_of_a_case(tmp_path: Path, phantom_data: Path) -> None:
    application = Application(tmp_path / "worklist")
    files = [("files", (name, path.read_bytes())) for name, path in scans_of(phantom_data, 0).items()]  # type: ignore[union-attr]
    with application.client() as client:
        upload = client.post("/api/uploads", files=files).json()
        case = upload["cases"][0]
        chosen = {name: scan["series"] for name, scan in case["modalities"].items()}
        asked = {"upload": upload["upload"], "key": case["key"], "model": "model:phantom", "modalities": chosen}
        ids = [client.post("/api/cases", json=asked).json()["id"] for _ in range(2)]
        while client.get(f"/api/cases/{ids[0]}").json()["state"] == "queued":
            time.sleep(0.01)
    workers = _workers(application.process.pid)
    assert len(workers) == 1
    os.kill(application.process.pid, signal.SIGKILL)  # alone: its worker has to see for itself
    application.process.wait(30)
    with sqlite3.connect(tmp_path / "worklist" / ".glioseg-app" / "worklist.sqlite") as database:
        states = dict(database.execute("SELECT id, state FROM cases").fetchall())
    database.close()
    assert states == {ids[0]: "running", ids[1]: "queued"}
    end = time.monotonic() + 60
    while Path(f"/proc/{workers[0]}").exists():
        assert time.monotonic() < end, "the worker outlives the program that asked it"
        time.sleep(0.05)

    application.start()
    with application.client() as client:
        end = time.monotonic() + 300
        while {each["state"] for each in client.get("/api/cases").json()} != {"done"}:
            assert time.monotonic() < end, client.get("/api/cases").text
            time.sleep(0.1)
        masks = [client.get(f"/api/cases/{case_id}/mask.nii.gz").content for case_id in ids]
        assert masks[0] == masks[1]
    application.kill()
