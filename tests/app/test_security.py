"""Who may ask, from where, and what a browser may do with the answers."""

from __future__ import annotations

import logging
import re
import socket
from pathlib import Path

import pytest

import glioseg
from glioseg.app.options import AppOptions, is_loopback, token_of
from glioseg.app.security import Gate
from glioseg.app.serve import address_of
from glioseg.errors import FileError, OptionError
from glioseg.io.lock import locked
from tests.app.conftest import BASE, PORT, Served


@pytest.fixture
def stranger(idle: Served) -> Served:
    """Somebody who has neither cookie nor token."""
    client = type(idle.client)(idle.client.app, base_url=BASE, follow_redirects=False)
    return Served(idle.service, client)


@pytest.fixture
def browser(stranger: Served) -> Served:
    """A page that was opened by the address with the token."""
    answer = stranger.client.get("/", params={"token": stranger.service.options.token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return stranger


_CHANGES = [
    ("POST", "/api/uploads"),
    ("POST", "/api/uploads/path"),
    ("POST", "/api/cases"),
    ("POST", "/api/cases/x/cancel"),
    ("POST", "/api/cases/x/retry"),
    ("DELETE", "/api/cases/x"),
    ("PUT", "/api/cases/x/mask"),
    ("POST", "/api/cases/x/reference"),
    ("POST", "/api/keep"),
]
_QUESTIONS = [*(f"/api/{name}" for name in ("session", "models", "cases", "cases/x", "events", "timeline/x")), "/docs"]


def test_all_changes_are_in_the_list(idle: Served) -> None:
    described = idle.client.get("/openapi.json").json()["paths"]
    changes = {(method.upper(), path) for path, methods in described.items() for method in methods if method != "get"}
    assert changes == {(method, path.replace("/x", "/{case_id}")) for method, path in _CHANGES}


@pytest.mark.parametrize(
    ("method", "path"), [*_CHANGES, *(("GET", f"/api/{path}") for path in _QUESTIONS), ("GET", "/docs")]
)
def test_a_stranger_is_answered_nothing(stranger: Served, method: str, path: str) -> None:
    answer = stranger.client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["what"]) == (401, "you are not logged in")
    wrong = stranger.client.request(method, path, headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401


def test_the_page_asks_a_stranger_for_the_password(stranger: Served) -> None:
    for answer in (stranger.client.get("/"), stranger.client.get("/?token=wrong")):
        assert (answer.status_code, 'type="password"' in answer.text) == (401, True)
        assert "set-cookie" not in answer.headers
    assert stranger.client.post("/login", data={"password": "wrong"}).status_code == 401
    assert stranger.client.post("/login", data={"password": stranger.service.options.token}).status_code == 303
    assert stranger.client.get("/api/session").status_code == 200


def test_the_cookie_is_the_pages_alone(stranger: Served) -> None:
    answer = stranger.client.get("/", params={"token": stranger.service.options.token})
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"glioseg-{PORT}=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert stranger.service.options.token.lower() not in cookie


@pytest.mark.parametrize(("method", "path"), _CHANGES)
def test_a_page_changes_something_with_the_header_alone(browser: Served, method: str, path: str) -> None:
    csrf = browser.client.get("/api/session").json()["csrf"]
    for headers in ({}, {"X-Glioseg-CSRF": "wrong"}):
        assert browser.client.request(method, path, headers=headers).status_code == 403
    for origin in ("http://evil.example", f"http://127.0.0.1:{PORT + 1}", f"https://127.0.0.1:{PORT}", "null"):
        headers = {"X-Glioseg-CSRF": csrf, "Origin": origin}
        assert browser.client.request(method, path, headers=headers).status_code == 403, origin
    headers = {"X-Glioseg-CSRF": csrf, "Sec-Fetch-Site": "same-site"}
    assert browser.client.request(method, path, headers=headers).status_code == 403
    headers = {"X-Glioseg-CSRF": csrf, "Origin": BASE, "Sec-Fetch-Site": "same-origin"}
    assert browser.client.request(method, path, headers=headers).status_code in (404, 422)


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", f"127.0.0.1:{PORT + 1}", "127.0.0.1", ""])
def test_another_name_that_leads_here_is_refused(idle: Served, host: str) -> None:
    answer = idle.client.get("/api/session", headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]["what"]) == (
        403, "this address is not one of the application's",
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/", "/api/session", "/api/nothing", "/page/login.css", "/docs"])
def test_every_answer_forbids_what_is_not_its_own(idle: Served, path: str) -> None:
    headers = idle.client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe-inline" not in headers["content-security-policy"]
    assert not re.search(r"https?:|\*", headers["content-security-policy"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if path.startswith("/page/") else "no-store")


def test_the_described_calls_need_no_other_host(idle: Served) -> None:
    text = idle.client.get("/docs").text
    assert "<script" not in text
    assert not re.search(r'(?:src|href)=["\']?(?:https?:)?//', text)
    for path in idle.client.get("/openapi.json").json()["paths"]:
        assert f" {path}</code>" in text


def test_the_viewer_is_what_nilearn_ships(stranger: Served) -> None:
    answer = stranger.client.get("/page/niivue.umd.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "niivue" in answer.text[:2000].lower()


@pytest.mark.parametrize("path", ["/page/../serve.py", "/page/%2e%2e/serve.py", "/page/..%2fserve.py", "/page/"])
def test_nothing_but_the_page_is_served(stranger: Served, path: str) -> None:
    answer = stranger.client.get(path)
    assert answer.status_code in (401, 404)
    assert "import" not in answer.text


def test_nothing_of_a_request_is_logged(idle: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="glioseg"):
        idle.client.get("/api/cases/Plantedname")
        idle.upload({"Plantedname.txt": b"x"})
    assert "Plantedname" not in caplog.text


# -- where it listens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.7", False), ("example.org", False)],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_other_machines_need_a_password(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"without a password.*password_file.*TLS"):
        glioseg.serve(tmp_path / "folder", host="0.0.0.0", browser=False)
    assert not (tmp_path / "folder").exists()
    file = tmp_path / "password"
    for text in ("short", "", "two lines\nof a password", "with a \x07 in it"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(OptionError, match="too short, or not one line"):
            token_of(file, "0.0.0.0")
    file.write_text("correct horse battery\n", encoding="utf-8")
    assert token_of(file, "0.0.0.0") == "correct horse battery"
    assert len({token_of(None, "127.0.0.1") for _ in range(3)}) == 3


def test_the_address(tmp_path: Path) -> None:
    options = AppOptions(tmp_path, token="t")
    assert address_of(options, 80) == "http://127.0.0.1:80/?token=t"
    assert address_of(AppOptions(tmp_path, token="t", host="::1"), 80) == "http://[::1]:80/?token=t"
    assert address_of(AppOptions(tmp_path, token="t", has_password=True), 80) == "http://127.0.0.1:80/"
    public = AppOptions(tmp_path, token="t", public="https://masks.example.org")
    assert address_of(public, 80) == "https://masks.example.org/?token=t"
    with pytest.raises(OptionError, match="no address under which a page"):
        AppOptions(tmp_path, public="masks.example.org/app")


def test_names_behind_a_proxy_and_in_a_network(tmp_path: Path) -> None:
    public = Gate(AppOptions(tmp_path, public="https://masks.example.org"), PORT)
    assert public.is_own_host("masks.example.org")
    assert public.is_own_origin("https://masks.example.org")
    assert not public.is_own_origin("http://masks.example.org")
    assert public.is_encrypted
    network = Gate(AppOptions(tmp_path, host="0.0.0.0"), PORT)
    assert network.is_own_host(f"192.168.1.7:{PORT}")
    assert not network.is_own_host(f"evil.example:{PORT}")
    assert Gate(AppOptions(tmp_path, host="::1"), PORT).is_own_host(f"[::1]:{PORT}")


def test_a_port_that_is_taken_and_a_folder_that_is(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(OptionError, match="cannot be reached at this address"),
    ):
        glioseg.serve(tmp_path / "a", port=other.getsockname()[1], browser=False)
    with locked(tmp_path / "a" / ".glioseg-app"), pytest.raises(FileError, match="another process is at work"):
        glioseg.serve(tmp_path / "a", browser=False)
