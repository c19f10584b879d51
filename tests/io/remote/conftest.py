"""A bucket on this machine, and a web server whose connections break."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

BUCKET = "brains"


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what is fetched, of this test alone; its settings are beside it."""
    settings = tmp_path / "mirror.toml"
    settings.write_text(f'folder = "{tmp_path / "mirror"}"\nlimit_gb = 1.0\n', encoding="utf-8")
    monkeypatch.setattr("glioseg.io.remote.mirror.options_file", lambda: settings)
    return tmp_path / "mirror"


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Moto's S3, of this test run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of moto's own libraries
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    """A file system on an empty bucket, which fsspec's own settings lead to."""
    told = {"key": "AKIAEXAMPLE", "secret": "not-to-be-shown", "client_kwargs": {"endpoint_url": endpoint}}
    monkeypatch.setitem(fsspec.config.conf, "s3", told)
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    if system.exists(BUCKET):
        system.rm(BUCKET, recursive=True)
    system.mkdir(BUCKET)
    yield system
    fsspec.filesystem("s3").clear_instance_cache()


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder; what it does wrong is told by the first part of the path."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own
        """Nothing is said."""

    def translate_path(self, path: str) -> str:
        """The first part of the path says how the server behaves."""
        return super().translate_path(f"/{path.lstrip('/').partition('/')[2]}")

    def do_GET(self) -> None:
        kind = self._misbehaviour()
        if kind is None:
            super().do_GET()
        elif kind == "broken":
            self.wfile.write(b"the beginning")

    def do_HEAD(self) -> None:
        if self._misbehaviour() is None:
            super().do_HEAD()

    def _misbehaviour(self) -> str | None:
        """How it answered that was wrong; None where it has not answered yet."""
        kind = self.path.lstrip("/").partition("/")[0]
        if kind == "forbidden":
            self.send_error(403)
        elif kind == "broken":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
        return None if kind == "good" else kind


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a server, and the folder that it shows below ``good/``."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    server.server_close()
