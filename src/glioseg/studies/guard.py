"""Work of which many pieces are done one after the other, and none may end the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from glioseg.console import Reporter
from glioseg.errors import GliosegError
from glioseg.faces import on_command_line
from glioseg.io.files import write_text

_T = TypeVar("_T")
_LONGEST = 400


def guarded(work: Callable[[], _T], trace: Path, reporter: Reporter) -> tuple[_T | None, str | None]:
    """What a piece of work gave, or its error in one line.

    An error that is not ours (memory that is not there, a fault of a library) leaves its traceback in ``trace``.
    Ctrl-C and the end of the process are no errors of the work, and pass.
    """
    trace.unlink(missing_ok=True)
    try:
        return work(), None
    except GliosegError as error:
        return None, one_line(error)
    except Exception as error:  # noqa: BLE001 - see above
        write_text(trace, traceback.format_exc())
        reporter.say(f"Unforeseen error, see {trace}")
        return None, f"{type(error).__name__}: {one_line(error)}"


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks, cut where it is very long."""
    said = on_command_line(error.text) if isinstance(error, GliosegError) else str(error)
    text = " ".join(said.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
