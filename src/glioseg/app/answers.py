"""Errors and findings as the page is told them: without the server's own paths, options as they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glioseg.core import Finding
from glioseg.errors import GliosegError
from glioseg.faces import on_command_line


class NotFoundError(GliosegError):
    """What is addressed is not there."""


class TooLargeError(GliosegError):
    """More than is accepted."""


class BusyError(GliosegError):
    """What is asked for cannot be done while the case is in its state, or with so many at once."""


class ForbiddenError(GliosegError):
    """A request of somebody who has not shown that he may make it."""


def error_answer(error: GliosegError, root: Path | None = None) -> dict[str, Any]:
    """The fields of an error.

    Args:
        error: the error.
        root: the folder of an upload, whose path is nobody's business.
    """
    texts = {name: getattr(error, name) for name in ("what", "found", "expected", "remedy")}
    file = error.path
    if root is not None:
        texts = {name: None if text is None else _without(text, root) for name, text in texts.items()}
        file = None if file is None else _without(file, root)
    return {**{name: None if text is None else on_command_line(text) for name, text in texts.items()}, "file": file}


def finding_answer(finding: Finding, root: Path) -> dict[str, Any]:
    """A finding's severity and message, and the case that it is of."""
    return {
        "severity": finding.severity,
        "message": on_command_line(_without(finding.message, root)),
        "file": None,
        "case": finding.case,
    }


def _without(text: str, root: Path) -> str:
    return text.replace(f"{root}/", "").replace(str(root), "the upload")
