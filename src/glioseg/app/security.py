"""Who may ask, and what a browser may do with the answers: in front of every call.

A page shows a cookie, which it got for the token, and with every change a header that only it knows; a program shows
the token itself. What names another host, or comes from another page, is refused whatever it shows, and every answer
forbids the browser to run or load anything that is not the application's own.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glioseg.app.answers import BusyError, ForbiddenError, NotFoundError, TooLargeError, error_answer
from glioseg.app.options import AppOptions, Limits
from glioseg.errors import GliosegError

CSRF_HEADER = "X-Glioseg-CSRF"
OPEN = ("/login", "/page/")
"""What is answered to anybody: how to log in, and the program of the page, which tells nothing of anybody."""
_UPLOADS = ("/uploads", "/reference", "/mask")
"""What takes scans or masks; all else is short."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True)
class Gate:
    """What is shown by whom, and under which names the application is reached.

    Args:
        options: of the application.
        port: that is listened at.
    """

    options: AppOptions
    port: int

    @property
    def cookie(self) -> str:
        """The name of the cookie: cookies of one machine know no ports."""
        return f"glioseg-{self.port}"

    @property
    def session(self) -> str:
        """What the cookie holds."""
        return self._derived("session")

    @property
    def csrf(self) -> str:
        """What the header of a changing request holds."""
        return self._derived("csrf")

    def _derived(self, purpose: str) -> str:
        return hmac.new(self.options.token.encode(), purpose.encode(), hashlib.sha256).hexdigest()

    def is_token(self, text: str) -> bool:
        """Whether it is the token, in a time that does not tell how much of it is."""
        return hmac.compare_digest(text.encode(errors="surrogateescape"), self.options.token.encode())

    @property
    def is_encrypted(self) -> bool:
        """Whether browsers reach it through TLS."""
        return self.options.public is not None and self.options.public.startswith("https://")

    def is_own_host(self, host: str) -> bool:
        """Whether a request names this application: another name that leads here is a trick (DNS rebinding)."""
        public = self.options.public
        if public is not None and host == public.partition("://")[2]:
            return True
        name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "80")
        return port == str(self.port) and self._is_own_name(name.strip("[]").lower())

    def _is_own_name(self, name: str) -> bool:
        if name in ("localhost", "127.0.0.1", "::1", self.options.host.lower()):
            return True
        if self.options.is_local:
            return False
        try:
            ipaddress.ip_address(name)  # a number cannot be made to lead elsewhere
        except ValueError:
            return name in (socket.gethostname().lower(), socket.getfqdn().lower())
        return True

    def is_own_origin(self, origin: str) -> bool:
        """Whether a request comes from a page of this application."""
        if origin == self.options.public:
            return True
        scheme, _, host = origin.partition("://")
        return scheme == "http" and self.is_own_host(host if ":" in host else f"{host}:80")

    def require(self, scope: Scope) -> None:
        """Refuse what may not be asked.

        Raises:
            ForbiddenError: it names another host, comes from another page, or shows neither cookie nor token.
        """
        headers = Headers(scope=scope)
        if not self.is_own_host(headers.get("host", "")):
            raise ForbiddenError(
                "this address is not one of the application's",
                found=headers.get("host", "none")[:80],
                expected=f"127.0.0.1:{self.port}, or what `--public` names",
            )
        origin = headers.get("origin")
        is_change = scope["method"] not in _SAFE
        if is_change and origin is not None and not self.is_own_origin(origin):
            raise ForbiddenError("another page may change nothing here", found=origin[:80])
        if is_change and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise ForbiddenError("another page may change nothing here")
        if scope["path"].startswith(OPEN) or scope["path"] == "/":
            return  # the page itself asks who it is
        if self._shows_token(headers):
            return
        if not self.has_session(headers):
            raise _LoginError()
        if is_change and not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), self.csrf.encode()):
            raise ForbiddenError(
                f"a change needs the header {CSRF_HEADER}", remedy="GET /api/session tells what it holds"
            )

    def has_session(self, headers: Headers) -> bool:
        """Whether the cookie is there."""
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        shown = cookies.get(self.cookie)
        return shown is not None and hmac.compare_digest(shown.value.encode(), self.session.encode())

    def _shows_token(self, headers: Headers) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self.is_token(token)


class _LoginError(ForbiddenError):
    def __init__(self) -> None:
        super().__init__(
            "you are not logged in",
            remedy="Open the address that `glioseg app` printed; a program sends Authorization: Bearer TOKEN",
        )


class Guard:
    """The ASGI application in front of the calls.

    Args:
        app: that answers.
        gate: who may ask.
        limits: how long a request may be.
    """

    def __init__(self, app: ASGIApp, gate: Gate, limits: Limits) -> None:
        self._app = app
        self._gate = gate
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        guarded = _with_headers(send, is_kept=scope["path"].startswith("/page/"))
        try:
            self._gate.require(scope)
            limited = self._limited(scope, receive)
        except GliosegError as error:
            await _answer(guarded, error)
            return
        await self._app(scope, limited, guarded)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """Reading no further than is accepted, whatever the request declares or leaves out."""
        most = self._limits.bytes if scope["path"].endswith(_UPLOADS) else self._limits.json_bytes
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdigit() or int(declared) > most:
            raise too_large(declared, most)
        n_read = 0

        async def counted() -> Message:
            nonlocal n_read
            message = await receive()
            n_read += len(message.get("body", b""))
            if n_read > most:
                raise too_large(str(n_read), most)
            return message

        return counted


def too_large(length: str, most: int) -> TooLargeError:
    """The error for a request that is longer than is accepted."""
    size = f"{int(length) / 1e6:,.0f} MB" if length.isdigit() else length[:40]
    return TooLargeError(
        "this is more than is accepted at once",
        found=size,
        expected=f"at most {most / 1e6:,.0f} MB",
        remedy="Send one study after the other, or copy it into the folder of the application and open it there",
    )


def status_of(error: GliosegError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, _LoginError):
        return 401
    table = ((ForbiddenError, 403), (NotFoundError, 404), (BusyError, 409), (TooLargeError, 413))
    return next((status for kind, status in table if isinstance(error, kind)), 422)


async def _answer(send: Send, error: GliosegError) -> None:
    body = json.dumps({"error": error_answer(error)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status_of(error), "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send, *, is_kept: bool) -> Send:
    async def with_headers(message: Any) -> None:  # noqa: ANN401 - a message of ASGI
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-cache" if is_kept else "no-store")
        await send(message)

    return with_headers
