"""What the application is told when it starts, and what it accepts at most."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from glioseg.core import MAX_VOXELS
from glioseg.errors import OptionError
from glioseg.io.text import read_text

LOOPBACK = "127.0.0.1"
_SHORTEST_PASSWORD = 12
_PUBLIC = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


@dataclass(frozen=True)
class Limits:
    """What is refused before anything is stored or memory is taken.

    Args:
        bytes: of one upload.
        files: of one upload, those in its archives included.
        unpacked_bytes: that the archives of one upload may become.
        voxels: that a file may declare.
        json_bytes: of a request that is no upload.
        listeners: pages that are told of progress at once.
    """

    bytes: int = 1 << 30
    files: int = 20_000
    unpacked_bytes: int = 4 << 30
    voxels: int = MAX_VOXELS
    json_bytes: int = 1 << 20
    listeners: int = 64


@dataclass(frozen=True)
class AppOptions:
    """How the application is served.

    Args:
        folder: the worklist: studies may lie in it, and what is made of them is kept there.
        token: whoever says it may use the application.
        host: the address that is listened at.
        port: likewise; 0 for any that is free.
        has_password: whether the token is a password that people remember, and that stands in no address.
        public: the address under which it is reached where a proxy stands in front, as ``https://masks.example.org``.
        networks: runs or bundles of one's own that are offered beside the shipped networks.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        limits: what is accepted.
    """

    folder: Path
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    host: str = LOOPBACK
    port: int = 0
    has_password: bool = False
    public: str | None = None
    networks: tuple[Path, ...] = ()
    device: str = "auto"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.public is not None and not _PUBLIC.fullmatch(self.public):
            raise OptionError(
                "that is no address under which a page can be reached",
                found=f"`--public {self.public}`",
                expected="such as https://masks.example.org",
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_of(password_file: Path | None, host: str) -> str:
    """What has to be said to use the application: what the file holds, or a new random token.

    Raises:
        OptionError: an address that other machines reach, without a password of one's own; a short one.
        FileError: the file cannot be read.
    """
    if password_file is None:
        if not is_loopback(host):
            raise OptionError(
                "other machines would reach the application",
                found=f"`--host {host}` without a password",
                expected=f"`--password-file FILE`, a file that holds one of {_SHORTEST_PASSWORD} characters or more",
                remedy="Put a server with TLS in front too: what goes over the network is not encrypted here",
            )
        return secrets.token_urlsafe(32)
    password = read_text(password_file).strip()
    if len(password) < _SHORTEST_PASSWORD or not password.isprintable():
        raise OptionError(
            "the password is too short, or not one line of text",
            path=password_file,
            expected=f"{_SHORTEST_PASSWORD} characters or more in one line",
        )
    return password
