"""``glioseg app``: the server, from the folder of the worklist to the address in the browser."""

from __future__ import annotations

import os
import socket
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.api.common import Progress, StrPath, optional_path, reporter_of
from glioseg.app.options import LOOPBACK, AppOptions, Limits, token_of
from glioseg.app.places import PRIVATE, Places
from glioseg.console import Reporter
from glioseg.core import MAX_VOXELS
from glioseg.errors import OptionError
from glioseg.io.lock import locked

if TYPE_CHECKING:
    import uvicorn

FOLDER = "glioseg-cases"
_BACKLOG = 2048
_GRACE_S = 3
_DOOR = "open.html"


def serve(
    folder: StrPath = FOLDER,
    *,
    port: int = 0,
    host: str = LOOPBACK,
    password_file: StrPath | None = None,
    public: str | None = None,
    networks: Sequence[StrPath] = (),
    device: str = "auto",
    max_voxels: int = MAX_VOXELS,
    browser: bool = True,
    progress: Progress | None = None,
) -> None:
    """Open the application in the browser, and serve it until it is stopped by Ctrl-C.

    Args:
        folder: the worklist: studies may lie in it, and what is made of them is kept there; made where it is absent.
        port: that is listened at; 0 for any that is free.
        host: the address that is listened at; another than this machine's own needs ``password_file``.
        password_file: a file whose line is the password; None for a new random token in the address.
        public: the address under which it is reached through a proxy, such as ``https://masks.example.org``.
        networks: runs or bundles of your own that are offered beside the shipped networks.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        max_voxels: files that declare more are refused before memory is taken for them; of a picture, an eighth.
        browser: whether the browser is opened.
        progress: told the address.

    Raises:
        OptionError: the address or port cannot be listened at, is open to others without a password, or a library is
            missing; a network of your own that draws no masks.
        FileError: the folder cannot be written to, or another application is at work in it; a network of your own
            that is no run or bundle.
    """
    password = optional_path(password_file)
    options = AppOptions(
        folder=Path(folder).absolute(),
        token=token_of(password, host),
        host=host,
        port=port,
        has_password=password is not None,
        public=public,
        networks=tuple(Path(network) for network in networks),
        device=device,
        limits=Limits(voxels=max_voxels),
    )
    with serving(options) as (server, listener):
        address = address_of(options, listener.getsockname()[1])
        _say(reporter_of(progress), options, address)
        if browser:
            _open(Places(options.folder), address)
        with suppress(KeyboardInterrupt):  # how it is ended
            server.run([listener])


@contextmanager
def serving(options: AppOptions) -> Iterator[tuple[uvicorn.Server, socket.socket]]:
    """A server that is ready to run at a socket that listens, with the folder locked.

    Raises:
        OptionError, FileError: as ``serve``.
    """
    try:
        import uvicorn

        from glioseg.app.application import application
        from glioseg.app.service import Service
    except ImportError as error:
        raise OptionError(
            "the application needs a library that is not installed",
            found=f"no {error.name}",
            remedy="Install it with: pip install 'glioseg[app]'",
        ) from error
    with _listening(options.host, options.port) as listener, locked(Places(options.folder).state, mode=PRIVATE):
        service = Service.of(options, listener.getsockname()[1])
        config = uvicorn.Config(
            application(service),
            access_log=False,
            log_config=None,  # which would close the handlers of whoever calls
            server_header=False,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_GRACE_S,
        )
        yield uvicorn.Server(config), listener


def address_of(options: AppOptions, port: int) -> str:
    """Where the page opens; whoever has an address with a token needs no password."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    base = f"http://{host}:{port}" if options.public is None else options.public
    return f"{base}/" if options.has_password else f"{base}/?token={options.token}"


def _say(reporter: Reporter, options: AppOptions, address: str) -> None:
    reporter.say(f"The application is at {address}")
    reporter.say(f"Cases are kept in {options.folder}. For research use only. Ctrl-C ends it.")
    if not options.is_local and options.public is None:
        reporter.say(
            "What goes over the network is not encrypted: put a server with TLS in front, and say its address with "
            "`--public`"
        )


def _open(places: Places, address: str) -> None:
    """Open the browser by a file that only this user can read: what a program is started with, all users can."""
    door = places.state / _DOOR
    door.unlink(missing_ok=True)
    with os.fdopen(os.open(door, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(address)}">\n')
    webbrowser.open(door.as_uri())


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OptionError(
            "the application cannot be reached at this address",
            found=f"{host}, port {port}: {error.strerror}",
            remedy="Name another with `--port`, or leave it out for any that is free",
        ) from error
    return listener
