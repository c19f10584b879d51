"""Addresses of files that are elsewhere, and what opens them: fsspec, with credentials of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from glioseg.errors import FileError, GliosegError, OptionError
from glioseg.io.certificate import untrusted

_T = TypeVar("_T")
_URL = re.compile(r"(?P<scheme>s3|gs|https?):/{1,2}(?P<rest>[^/].*)", re.DOTALL)
_OTHER = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/{1,2}(?P<rest>[^/].*)", re.DOTALL | re.IGNORECASE)
NOT_PERMITTED = "access is not permitted"
"""What is wrong where credentials are: trying again does not help."""
_SILENCE_S = 60.0
"""How long a server of the web may say nothing; aiohttp's own bound is five minutes for all of a file."""
_EXTRA = "Install the extra: pip install 'glioseg[scale]'"
_SECRET = re.compile(r"(?<=://)[^/@\s]+@|\?[^\s'\"]*")


def url_of(path: Path | str) -> str | None:
    """The URL that a path is, where it is one (s3, gs, http, https); a Path has lost one of its slashes."""
    match = _URL.fullmatch(str(path))
    return None if match is None else f"{match['scheme']}://{match['rest']}"


def require_known(text: str) -> None:
    """Refuse an address of a kind that is not opened: as a path it would be a folder here, and results would go there.

    Raises:
        OptionError: it is one.
    """
    match = _OTHER.fullmatch(text) if url_of(text) is None else None
    if match is not None and not Path(text).exists():
        raise OptionError(
            "addresses of this kind are not opened",
            found=shown(f"{match['scheme']}://{match['rest']}"),
            expected="s3://, gs://, or https:// for reading, in small letters",
            remedy="Copy the files into a folder of this machine, or mount what they are on",
        )


def shown(text: str) -> str:
    """A URL, or what a library says of one, without what may be secret: names and passwords, signatures."""
    return _SECRET.sub("", text)


def as_given(path: Path) -> str:
    """A path as it was typed, for whoever types it again: a URL has its slashes, and shows no secrets."""
    url = url_of(path)
    return str(path) if url is None else shown(url)


def name_of(url: str) -> str:
    """What the file or folder is called: the last part of its URL."""
    parts = urlsplit(url)
    return PurePosixPath(parts.path).name or re.sub(r"[^\w.-]", "-", parts.hostname or "data")


@dataclass(frozen=True)
class RemoteFile:
    """A file that is elsewhere.

    Args:
        url: its own, as fsspec takes it.
        size: in bytes; None where nobody says it.
        tag: changes with its contents (ETag, or when it was changed); None where nobody says it.
    """

    url: str
    size: int | None
    tag: str | None


@dataclass(frozen=True)
class Remote:
    """A place elsewhere.

    Args:
        url: of it.
        system: fsspec's, that reaches it.
        path: of the place in it.
    """

    url: str
    system: Any
    path: str

    def files(self) -> dict[str, RemoteFile]:
        """Path below the place -> file; of a file alone the one, under its name. A page of the web is a folder of what
        it leads to.

        Raises:
            FileError: nothing is there, it may not be read, or it cannot be reached.
        """
        about = self.said(lambda: self.system.info(self.path))
        is_page = str(about.get("mimetype", "")).startswith("text/html")
        if about.get("type") == "file" and not is_page:
            return {name_of(self.url): _described(self.path, about)}
        root = f"{self.path.rstrip('/')}/" if is_page else self.path
        entries = self.said(lambda: self.system.find(root, detail=True))
        files = {}
        for path, facts in entries.items():
            below = path.removeprefix(self.path).strip("/")
            if not below or path.endswith("/"):
                continue  # what stands for a folder itself
            if not path.startswith(self.path) or ".." in PurePosixPath(below).parts:
                continue  # a page may link to whatever it likes
            if is_page:
                facts = self.said(partial(self.system.info, path))  # a page says neither sizes nor tags
            files[below] = _described(path, facts)
        if not files:
            raise FileError("nothing is there", path=shown(self.url), remedy="Check the address for a typing error")
        return files

    @property
    def exists(self) -> bool:
        """Whether anything is there; errors as of ``files``."""
        return bool(self.said(lambda: self.system.exists(self.path)))

    def said(self, work: Callable[[], _T]) -> _T:
        """What fsspec gives, or its error in a sentence without secrets."""
        try:
            return work()
        except GliosegError:
            raise
        except Exception as error:  # noqa: BLE001 - each of fsspec's libraries raises its own
            raise _of_library(self.url, error) from None


def remote(url: str) -> Remote:
    """The place at a URL; nothing is looked at yet.

    Raises:
        OptionError: fsspec, or the library that it needs for such an address, is not installed.
    """
    try:
        from fsspec.core import url_to_fs  # an extra: only who works with addresses needs it

        system, path = url_to_fs(url, **_options(url))
    except ImportError as error:
        raise OptionError(
            "a library for such an address is missing", path=shown(url), found=error, remedy=_EXTRA
        ) from error
    except Exception as error:  # noqa: BLE001 - as above
        raise _of_library(url, error) from None
    system.invalidate_cache()
    return Remote(url, system, path)


def _options(url: str) -> dict[str, Any]:
    """Of fsspec's file system, where its own settings do not say them."""
    from fsspec.config import conf

    scheme = url.partition(":")[0]
    if not scheme.startswith("http") or "client_kwargs" in conf.get(scheme, {}):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=_SILENCE_S, sock_read=_SILENCE_S)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}  # https_proxy, no_proxy and ~/.netrc


def _described(path: str, facts: dict[str, Any]) -> RemoteFile:
    return RemoteFile(path, facts.get("size"), tag_of(facts))


def tag_of(facts: dict[str, Any]) -> str | None:
    """What changes with a file's contents, among what fsspec says of it."""
    return next((str(facts[name]) for name in ("ETag", "etag", "LastModified", "mtime") if facts.get(name)), None)


def _of_library(url: str, error: Exception) -> FileError:
    """A sentence for what a library of fsspec raised; what it said is kept, without secrets."""
    cause = error.__cause__  # of the web fsspec says of whatever went wrong that there is no such file
    status = getattr(error, "status", getattr(cause, "status", None))
    is_unreached = url.startswith("http") and cause is not None and status != 404
    reason = cause if is_unreached else error
    found = shown(" ".join(f"{type(reason).__name__}: {reason}".rstrip(": ").split()))[:300]
    where = shown(url)
    refused = untrusted(where, str(reason))
    if refused is not None:
        return refused
    if isinstance(error, PermissionError) or status in (401, 403) or "credential" in found.lower():
        remedy = (
            "Check what lets you in: a name and password in the address or in ~/.netrc, or a signature, which expires"
            if url.startswith("http")
            else "Check the credentials: they are fsspec's own (for s3 those of AWS, in ~/.aws or the environment)"
        )
        return FileError(NOT_PERMITTED, path=where, found=found, remedy=remedy)
    if status == 404 or (isinstance(error, FileNotFoundError) and not is_unreached):
        remedy = "Check the address for a typing error"
        return FileError("nothing is there, or no such bucket", path=where, found=found, remedy=remedy)
    remedy = "Check the network and the address, and try again: what is here by now is kept"
    return FileError("it cannot be reached", path=where, found=found, remedy=remedy)
