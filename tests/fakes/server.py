"""A server of files on this machine that behaves as badly as it is told to."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What lies at a path, and how it is given.

    Args:
        content: the bytes.
        etag: of this version; none is sent where it is empty.
        ranges: whether a part is given on request.
        breaks: after how many bytes each connection is cut, in turn; further ones are not.
        statuses: what is answered first, in turn, before the content.
        length: what is declared; None declares the truth.
        chunked: whether no length is declared.
        leads_to: where the path leads instead.
        begins_late: how many bytes a range begins behind the one that was asked for.
        asked: the ``Range`` of each request.
    """

    content: bytes = b""
    etag: str = '"one"'
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    length: int | None = None
    chunked: bool = False
    leads_to: str | None = None
    begins_late: int = 0
    asked: list[str | None] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: Mapping[str, Served] = {}

    def do_GET(self) -> None:
        served = self.files.get(self.path)
        self.close_connection = True
        if served is None:
            self.send_error(404)
            return
        served.asked.append(self.headers.get("Range"))
        if served.statuses:
            self.send_error(served.statuses.pop(0))
        elif served.leads_to is not None:
            self.send_response(302)
            self.send_header("Location", served.leads_to)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._give(served)

    def _give(self, served: Served) -> None:
        begin = self._begin(served)
        if begin >= len(served.content) > 0:
            self.send_error(416)
            return
        begin += served.begins_late if begin else 0
        body = served.content[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(served.content) - 1}/{len(served.content)}")
        if served.etag:
            self.send_header("ETag", served.etag)
        if served.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            self.send_header("Content-Length", str(len(body) if served.length is None else served.length))
        self.end_headers()
        cut = served.breaks.pop(0) if served.breaks else None
        self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()  # with a reset, as a line that breaks

    def _begin(self, served: Served) -> int:
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if asked is None or not served.ranges or (condition is not None and condition != served.etag):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class calls it
        """Say nothing."""


@contextmanager
def serving(files: Mapping[str, Served]) -> Iterator[str]:
    """Serve these files, by path, while the block runs; the address that the paths stand behind."""
    handler = type("Handler", (_Handler,), {"files": files})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
