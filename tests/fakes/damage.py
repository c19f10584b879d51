"""Damage to files, as downloads and copies do it."""

from __future__ import annotations

from pathlib import Path


def truncate(path: Path, share: float = 0.5) -> None:
    """Keep the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def as_text(path: Path) -> None:
    """What a download leaves where a login page came instead."""
    path.write_text("<html>Please log in</html>\n" * 20)


def as_empty(path: Path) -> None:
    """A file of 0 bytes."""
    path.write_bytes(b"")
