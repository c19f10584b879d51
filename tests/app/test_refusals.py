"""Every call, asked for what is not there or makes no sense: 4xx, in the one shape of errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.app.conftest import Served

_ASKED: dict[str, Any] = {"upload": "upload-x", "key": "a", "model": "model:brats", "modalities": {"t2f": "a"}}


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "what"),
    [
        ("GET", "/api/cases/case-x", {}, 404, "there is no such case"),
        ("GET", "/api/cases/case-x/mask.nii.gz", {}, 404, "there is no such case"),
        ("GET", "/api/cases/case-x/masks/1.nii.gz", {}, 404, "there is no such case"),
        ("GET", "/api/cases/case-x/masks/one.nii.gz", {}, 422, "the request is not as described"),
        ("GET", "/api/cases/case-x/images/t1c.nii.gz", {}, 404, "there is no such case"),
        ("GET", "/api/cases/case-x/maps/a.nii.gz", {}, 404, "there is no such case"),
        ("GET", "/api/cases/case-x/reference.nii.gz", {}, 404, "there is no such case"),
        ("GET", "/api/cases/case-x/export/csv", {}, 404, "there is no such case"),
        ("PUT", "/api/cases/case-x/mask", {"content": b"x"}, 404, "there is no such case"),
        ("POST", "/api/cases/case-x/reference", {}, 404, "there is no such case"),
        ("POST", "/api/cases/case-x/cancel", {}, 404, "there is no such case"),
        ("POST", "/api/cases/case-x/retry", {}, 404, "there is no such case"),
        ("DELETE", "/api/cases/case-x", {}, 404, "there is no such case"),
        ("POST", "/api/cases", {"json": _ASKED}, 404, "there is no such upload"),
        ("POST", "/api/cases", {"json": {**_ASKED, "colour": 1}}, 422, "the request is not as described"),
        ("POST", "/api/cases", {"json": {}}, 422, "the request is not as described"),
        ("POST", "/api/cases", {"content": b"{"}, 422, "the request is not as described"),
        ("POST", "/api/cases", {"content": b" " * 1_100_000}, 413, "this is more than is accepted at once"),
        ("POST", "/api/uploads", {"json": {}}, 422, "nothing was sent"),
        ("POST", "/api/uploads", {"data": {"files": "text"}}, 422, "nothing was sent"),
        ("POST", "/api/uploads/path", {"json": {"path": "nowhere"}}, 404,
         "there is no such folder below that of the application"),
        ("POST", "/api/keep", {"json": {"ids": []}}, 422, "the request is not as described"),
        ("POST", "/api/keep", {"json": {"ids": ["case-x"]}}, 404, "there is no such case"),
        ("GET", "/api/nothing", {}, 404, "there is no such call"),
        ("PATCH", "/api/cases", {}, 405, "Method Not Allowed"),
    ],
)  # fmt: skip
def test_refusals(idle: Served, method: str, path: str, more: dict[str, Any], status: int, what: str) -> None:
    answer = idle.client.request(method, path, **more)
    assert (answer.status_code, answer.json()["error"]["what"]) == (status, what)
    assert set(answer.json()["error"]) == {"what", "found", "expected", "remedy", "file"}


def test_networks_that_cannot_be_used(idle: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from glioseg.app.worklist import UploadRecord

    found = {"cases": [{"key": "a", "name": "n", "patient": "p", "modalities": {}, "others": [{"series": "a"}]}]}
    idle.service.worklist.add_upload(UploadRecord("upload-1", idle.service.options.folder, found))
    asked = {**_ASKED, "upload": "upload-1"}
    unknown = idle.client.post("/api/cases", json={**asked, "model": "model:nothing"})
    assert (unknown.status_code, unknown.json()["error"]["what"]) == (422, "there is no network model:nothing")
    assert "model:brats" in unknown.json()["error"]["expected"]
    other = idle.client.post("/api/cases", json={**asked, "key": "b"})
    assert (other.status_code, other.json()["error"]["expected"]) == (404, "a")


def test_what_is_not_done_has_no_files(idle: Served) -> None:
    idle.service.worklist.add_case("case-1", "n", "p", "model:brats", {"upload": "u"})
    for path in ("mask.nii.gz", "images/t1c.nii.gz", "export/csv", "reference.nii.gz"):
        answer = idle.client.get(f"/api/cases/case-1/{path}")
        assert (answer.status_code, answer.json()["error"]["found"]) == (404, "queued")
    case = idle.client.get("/api/cases/case-1").json()
    assert (case["state"], case["mask"], case["regions"]) == ("queued", None, [])
    assert idle.client.post("/api/cases/case-1/retry").status_code == 409
    assert idle.client.post("/api/cases/case-1/cancel").status_code == 200
    assert idle.client.post("/api/cases/case-1/cancel").status_code == 409
    assert idle.client.post("/api/cases/case-1/retry").status_code == 200
    assert idle.client.get("/api/cases/case-1").json()["state"] == "queued"
    assert idle.client.delete("/api/cases/case-1").status_code == 200
