"""A bucket on this machine, and a web server whose connections break."""

from __future__ import annotations

import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

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
        """The first part of the path says how the server behaves; a proxy is asked for whole addresses."""
        return super().translate_path(f"/{urlsplit(path).path.lstrip('/').partition('/')[2]}")

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
        kind = urlsplit(self.path).path.lstrip("/").partition("/")[0]
        if kind == "forbidden":
            self.send_error(403)
        elif kind == "broken":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
        return None if kind == "good" else kind


@contextmanager
def _serving(folder: Path, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server that shows a folder, below ``good/``."""
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The address of a server, and the folder that it shows below ``good/``."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with _serving(tmp_path / "served") as address:
        yield address, tmp_path / "served"


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[str, Path, Path]]:
    """The address of a server whose certificate is its own alone, the folder that it shows, and the certificate."""
    key, path = ec.generate_private_key(ec.SECP256R1()), tmp_path / "server.pem"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + key.private_bytes(*plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with _serving(tmp_path / "encrypted", context) as address:
        yield address, tmp_path / "encrypted", path
