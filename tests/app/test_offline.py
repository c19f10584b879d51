"""No request leaves the machine: neither of the server, nor of the process that predicts, nor of the page."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest

from glioseg.app.calls.session import page_folder
from glioseg.app.predicting import Predicting
from tests.app.conftest import Served, scans_of


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every host that this process wants to reach or to know the address of; none is."""
    found: list[object] = []

    def refuse(*given: object, **more: object) -> Any:
        found.append((given[1:], more))
        raise OSError("no network here")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    return found


def test_neither_server_nor_prediction_asks_anybody(
    idle: Served, network: str, phantom_data: Path, tmp_path: Path, asked: list[object]
) -> None:
    for path in ("/api/session", "/api/models", "/api/cases", "/docs", "/", "/page/niivue.umd.js"):
        assert idle.client.get(path).status_code in (200, 401)
    upload = idle.upload(scans_of(phantom_data, 0)).json()
    case = upload["cases"][0]
    job = {
        "case": "case-1",
        "patient": "patient-1",
        "opened": upload["upload"],
        "upload": str(idle.service.places.upload(upload["upload"])),
        "key": case["key"],
        "folder": str(tmp_path / "case-1"),
        "model": network,
        "device": "cpu",
        "max_voxels": 10**7,
        "modalities": {name: scan["series"] for name, scan in case["modalities"].items()},
        "register": False,
        "brain_extract": False,
        "atlas": None,
        "uncertainty": True,
        "explain": True,
    }
    steps: list[tuple[str, float]] = []
    summary = Predicting().predict(job, lambda step, share: steps.append((step, share)))
    assert summary["volumes_ml"]
    assert list(dict(steps)) == ["read", "network", "explain", "paint"]
    shares = [share for step, share in steps if step == "network"]
    assert (shares[0], shares[-1]) == (0, 1)
    assert shares == sorted(shares)
    assert len(set(shares)) > 4
    assert asked == []
    with pytest.raises(OSError, match="no network here"):
        socket.create_connection(("127.0.0.1", 9))
    assert len(asked) == 1


def test_the_page_loads_nothing_from_elsewhere() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in page_folder().iterdir() if path.suffix != ".png"}
    assert {"index.html", "login.html", "app.js"} <= set(texts)
    for name, text in texts.items():
        loaded = re.findall(r"""(?:src|href|url|fetch|import)\s*[=(]?\s*["'(]*((?:https?:)?//[^"')\s]+)""", text)
        assert not [address for address in loaded if "www.w3.org" not in address], name
