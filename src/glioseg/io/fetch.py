"""A file from an address, whole or not at all: resumed where it broke off, and checked against its size and checksum.

What has come so far lies in ``NAME.part``, with the server's mark of that version beside it; the name itself appears
once all bytes are there and are the right ones. A connection that breaks is taken up again by a range request (RFC
9110, section 14), and from the beginning where the server knows no ranges or the file has changed since.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal
from urllib.parse import urlsplit

from glioseg.console import Step
from glioseg.errors import FileError
from glioseg.io.certificate import untrusted
from glioseg.io.files import cannot_write, sync_file, write_json
from glioseg.io.text import read_json

PART = ".part"
"""How the name of a file ends that has not come yet to its end."""
_MARK = ".from"
_CHUNK = 1 << 20
_TIMEOUT_S = 60.0
_WAITS_S = (1.0, 4.0, 15.0, 60.0)
"""How long is waited before each further try; a try that brought something begins anew."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LARGEST_ANSWER = 1 << 24


@dataclass(frozen=True)
class Digest:
    """A checksum as it was published, in hexadecimal digits."""

    algorithm: Literal["md5", "sha256"]
    value: str


@dataclass(frozen=True)
class WebFile:
    """A file that lies elsewhere.

    Args:
        address: where, by http or https.
        n_bytes: its size; None where nobody has said it.
        digest: its checksum; None where none was published.
        page: where a person gets it in a browser.
    """

    address: str
    n_bytes: int | None
    digest: Digest | None
    page: str


class _BrokenError(Exception):
    """A connection that did not bring the file, and may the next time."""


class _NoRangeError(_BrokenError):
    """The server has nothing behind the part that is there."""


def fetch(
    remote: WebFile, path: Path, *, step: Step = lambda done, total: None, wait: Callable[[float], None] = time.sleep
) -> None:
    """Have a remote file at ``path``; one that is there already is looked at instead.

    Args:
        remote: the file.
        path: where it shall be; its folder exists.
        step: told how many bytes are there, of how many (0 where that is not known).
        wait: what is done between two tries.

    Raises:
        FileError: the address cannot be reached, or has nothing; the file is of another size or has another checksum
            than was published (it is deleted then); it cannot be written. What has come stays, but for that.
    """
    if not path.exists():
        _receive_all(remote, path, step, wait)
        part = _part(path)
        _require(remote, part, path)
        try:
            sync_file(part)
            part.replace(path)
        except OSError as error:
            raise cannot_write(path, error) from error
        _mark(path).unlink(missing_ok=True)
    else:
        _require(remote, path, path)


def answer(address: str, page: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """What an address answers, as JSON: a record of a repository, say.

    Raises:
        FileError: it cannot be reached, or answers something else.
    """
    remote = WebFile(address, None, None, page)
    try:
        with _open(remote, {}) as response:
            return json.loads(response.read(_LARGEST_ANSWER))
    except (_BrokenError, ValueError, OSError, http.client.HTTPException) as error:
        raise _unreachable(remote, str(error)) from error


def n_bytes_there(path: Path) -> int:
    """How much of a file has come so far."""
    return next((each.stat().st_size for each in (path, _part(path)) if each.exists()), 0)


def _part(path: Path) -> Path:
    return path.with_name(path.name + PART)


def _mark(path: Path) -> Path:
    return path.with_name(path.name + PART + _MARK)


# -- what comes over the network ---------------------------------------------------------------------------------------


def _receive_all(remote: WebFile, path: Path, step: Step, wait: Callable[[float], None]) -> None:
    """Try until all of it is there, or several tries in turn bring no more than was there at most before."""
    n_failed, most = 0, n_bytes_there(path)
    while True:
        try:
            return _receive(remote, path, step)
        except _BrokenError as error:
            there = n_bytes_there(path)
            n_failed = 1 if there > most else n_failed + 1
            most = max(most, there)
            if n_failed > len(_WAITS_S):
                raise _unreachable(remote, str(error), path) from error
            wait(_WAITS_S[n_failed - 1])


def _receive(remote: WebFile, path: Path, step: Step) -> None:
    """One connection: append what is missing, or write all of it where the server begins anew."""
    part, there = _part(path), n_bytes_there(path)
    mark = _mark_of(remote, path)
    if there and there == remote.n_bytes:
        return
    if mark is None and remote.digest is None:  # nothing would tell whether the rest belongs to it
        there = 0
    headers = {"Range": f"bytes={there}-", **({"If-Range": mark} if mark else {})} if there else {}
    try:
        response = _open(remote, headers, path)
    except _NoRangeError:
        _forget(path)
        raise
    with response:
        begin, total = _begin_and_total(response)
        if begin not in (0, there):
            _forget(path)
            raise _BrokenError(f"the server answers from byte {begin} on, and was asked from {there} on")
        _require_size(remote, total)
        _write_mark(remote, path, response.headers)
        done = _append(response, part, begin, remote.n_bytes or total, step)
    wanted = remote.n_bytes if remote.n_bytes is not None else total
    if wanted is not None and done < wanted:
        raise _BrokenError(f"the connection ended after {done:,} of {wanted:,} bytes")


def _append(response: IO[bytes], part: Path, begin: int, wanted: int | None, step: Step) -> int:
    """Write what comes behind the first ``begin`` bytes; how many there are then."""
    done = begin
    try:
        file = part.open("r+b" if begin else "wb")
    except OSError as error:
        raise cannot_write(part, error) from error
    with file:
        file.seek(begin)
        while piece := _next_piece(response):
            if wanted is not None and done + len(piece) > wanted:
                raise FileError("the server sends more than the file has", path=part, expected=f"{wanted:,} bytes")
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                raise cannot_write(part, error) from error
            done += len(piece)
            step(done, wanted or 0)
    return done


def _next_piece(response: IO[bytes]) -> bytes:
    try:
        return response.read1(_CHUNK)  # type: ignore[attr-defined, no-any-return] # of HTTPResponse
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_reason(error)) from error


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows where an address leads, but never from an encrypted connection to one that is not."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request to be made in place of ``req``."""
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new == "http"):
            raise urllib.error.URLError(f"it leads on to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(remote: WebFile, headers: Mapping[str, str], path: Path | None = None) -> Any:  # noqa: ANN401 - an HTTPResponse
    """A connection whose answer has begun.

    Raises:
        _BrokenError: it may go another time.
        FileError: it will not.
    """
    request = urllib.request.Request(
        remote.address, headers={"User-Agent": "glioseg", "Accept-Encoding": "identity", **headers}
    )
    if request.type not in ("http", "https"):
        raise FileError("only http and https are fetched", path=remote.address)
    try:
        return urllib.request.build_opener(_NoDowngrade).open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in _PASSING:
                raise _BrokenError(f"the server answers {error.code} {error.reason}") from error
            if error.code == 416:
                raise _NoRangeError("the server has no such range") from error
            raise _unreachable(remote, f"{error.code} {error.reason}", path) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        if isinstance(getattr(error, "reason", error), ConnectionResetError | TimeoutError | http.client.HTTPException):
            raise _BrokenError(_reason(error)) from error
        raise _unreachable(remote, _reason(error), path) from error


def _begin_and_total(response: Any) -> tuple[int, int | None]:  # noqa: ANN401 - an HTTPResponse
    """From which byte on an answer is, and how many the file has; None where it does not say."""
    if response.status == http.client.PARTIAL_CONTENT:
        unit, _, rest = (response.headers.get("Content-Range") or "").partition(" ")
        span, _, total = rest.partition("/")
        begin = span.partition("-")[0]
        if unit != "bytes" or not begin.isdecimal():
            raise _BrokenError("the server sends a range and does not say which")
        return int(begin), int(total) if total.isdecimal() else None
    length = response.headers.get("Content-Length") or ""
    return 0, int(length) if length.isdecimal() else None


# -- which version it is -----------------------------------------------------------------------------------------------


def _mark_of(remote: WebFile, path: Path) -> str | None:
    """What the server called the version of which a part is there; None where it did not, or is not the same."""
    try:
        content = read_json(_mark(path))
    except FileError:
        return None
    if not isinstance(content, Mapping) or content.get("address") != remote.address:
        return None
    mark = content.get("mark")
    return mark if isinstance(mark, str) else None


def _write_mark(remote: WebFile, path: Path, headers: Mapping[str, str]) -> None:
    """A strong ETag, else the time of change: what may stand in ``If-Range``."""
    tag = headers.get("ETag") or ""
    mark = tag if tag.startswith('"') else headers.get("Last-Modified")
    write_json(_mark(path), {"address": remote.address, "mark": mark})


def _forget(path: Path) -> None:
    _part(path).unlink(missing_ok=True)
    _mark(path).unlink(missing_ok=True)


# -- whether it is the right one ---------------------------------------------------------------------------------------


def _require_size(remote: WebFile, total: int | None) -> None:
    """Refuse by what the server declares, before anything of it is written."""
    if total is not None and remote.n_bytes is not None and total != remote.n_bytes:
        raise FileError(
            "another file lies at this address than the one that is known",
            path=remote.address,
            found=f"{total:,} bytes",
            expected=f"{remote.n_bytes:,}",
            remedy=f"See {remote.page} for what has changed",
        )


def _require(remote: WebFile, file: Path, path: Path) -> None:
    """Refuse, and delete, what is not the file that was published."""
    found = expected = ""
    try:
        n_bytes = file.stat().st_size
        if remote.n_bytes is not None and n_bytes != remote.n_bytes:
            found, expected = f"{n_bytes:,} bytes", f"{remote.n_bytes:,}"
        elif remote.digest is not None:
            value = digest_of(file, remote.digest.algorithm)
            if value != remote.digest.value:
                found, expected = f"{remote.digest.algorithm} {value}", remote.digest.value
        if not found:
            return
        file.unlink()
    except OSError as error:
        raise cannot_write(file, error) from error
    _forget(path)
    raise FileError(
        "what came is not the file that was published, and was deleted",
        path=path,
        found=found,
        expected=expected,
        remedy=f"Try again; if it comes the same, the publisher has changed it: see {remote.page}",
    )


def digest_of(file: Path, algorithm: Literal["md5", "sha256"]) -> str:
    """The checksum of a file; MD5 is what publishers state, against damage and not against fraud."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


_REASONS: Mapping[type[BaseException], str] = MappingProxyType(
    {
        TimeoutError: "no answer came in time",
        ConnectionRefusedError: "the server refuses the connection",
        ConnectionResetError: "the connection broke",
        http.client.IncompleteRead: "the connection broke",
        http.client.RemoteDisconnected: "the connection broke",
    }
)


def _reason(error: BaseException) -> str:
    """Why a connection failed, in words."""
    inner = getattr(error, "reason", error)
    cause = inner if isinstance(inner, BaseException) else error
    return _REASONS.get(type(cause), getattr(cause, "strerror", None) or str(inner))


def _unreachable(remote: WebFile, why: str, path: Path | None = None) -> FileError:
    there = "" if path is None or not n_bytes_there(path) else "The same command goes on from where it stopped. "
    by_hand = "" if path is None else f" and put it at {path.absolute()}"
    refused = untrusted(remote.address, why)
    if refused is not None:
        return refused
    return FileError(
        "the address cannot be fetched",
        path=remote.address,
        found=why,
        remedy=f"{there}Check the connection (a proxy is taken from https_proxy), or download it in a browser from "
        f"{remote.page}{by_hand}",
    )
