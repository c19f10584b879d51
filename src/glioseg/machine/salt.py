"""A secret of this machine, by which digests of identifiers cannot be looked up by whoever knows the identifiers."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from datetime import date
from pathlib import Path

_N_BYTES = 16
_N_DIGITS = 10
_MOST_DAYS = 36525


def salt_file() -> Path:
    """Where the secret is kept."""
    return Path.home() / ".config" / "glioseg" / "salt"


def local_salt() -> bytes | None:
    """The secret, made once; None where it cannot be kept."""
    try:
        path = salt_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        return _kept(path) or _made(path)
    except (OSError, RuntimeError):  # no home, or one that cannot be written to
        return None


def _kept(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _made(path: Path) -> bytes:
    """A new one, which is whole before it has its name; that of another process, where it was quicker."""
    fresh = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_N_BYTES))
        with suppress(OSError):  # the name is taken, or the file system has no links
            path.hardlink_to(fresh)
        if not _kept(path):  # nor has a process that was killed left more than an empty file
            fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return path.read_bytes()


def digest_of(identifier: str, salt: bytes) -> str:
    """Ten hexadecimal digits for an identifier: the same each time, and nothing by which to find it."""
    return hashlib.blake2b(
        identifier.encode(errors="surrogateescape"), key=salt, digest_size=_N_DIGITS // 2
    ).hexdigest()


def day_of(day: date, identifier: str, salt: bytes) -> int:
    """The number of a day on a calendar of one person's own.

    Days of one person lie as far apart as they are; which days they were nobody can tell without the secret.
    """
    digest = hashlib.blake2b(identifier.encode(errors="surrogateescape"), key=salt, digest_size=8, person=b"calendar")
    return day.toordinal() - int.from_bytes(digest.digest(), "big") % _MOST_DAYS
