"""Every error that glioseg raises on purpose; the command line shows their message, and a traceback is a bug."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from glioseg.faces import in_python


class GliosegError(Exception):
    """A fault in what was given: says what is wrong, where, what was found, what was expected and how to mend it.

    Options and commands that it names are written as ``glioseg.faces`` has them. ``str`` is for whoever called a
    function; the command line, files and pages show ``on_command_line(error.text)``.

    Args:
        what: the fault in one sentence, without a full stop.
        path: the file or folder at fault.
        found: what was there.
        expected: what should have been there.
        remedy: what the user can do now.
    """

    def __init__(
        self,
        what: str,
        *,
        path: Path | str | None = None,
        found: object = None,
        expected: object = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.path = None if path is None else str(path)
        self.found = None if found is None else str(found)
        self.expected = None if expected is None else str(expected)
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        return in_python(self.text)

    @property
    def text(self) -> str:
        """All of it, as both faces make their own of it."""
        head = f"{self.path}: {self.what}" if self.path else self.what
        parts = [head.rstrip(".")]
        if self.found is not None:
            parts.append(f"found {self.found}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        text = _sentence("; ".join(parts))
        if not self.remedy:
            return text
        return f"{text}{'' if self.remedy.startswith(chr(10)) else ' '}{_sentence(self.remedy)}"

    def __reduce__(self) -> tuple[object, ...]:
        """Let the error cross process boundaries with all of its fields."""
        return _rebuild, (type(self), self.what, self.path, self.found, self.expected, self.remedy)


def misuse(error: GliosegError) -> OptionError:
    """The same fault, in what the user asked for instead of in what a file holds."""
    return OptionError(error.what, path=error.path, found=error.found, expected=error.expected, remedy=error.remedy)


def nameless(error: GliosegError, path: Path) -> GliosegError:
    """The same fault without the name of a file or folder, which may be a patient's; all media have a DICOMDIR."""
    names = sorted({str(path), str(path.absolute()), path.name} - {"", "DICOMDIR"}, key=len, reverse=True)
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names) or "(?!)")
    found, expected, remedy = (
        None if text is None else pattern.sub("…", text) for text in (error.found, error.expected, error.remedy)
    )
    return _rebuild(type(error), pattern.sub("…", error.what), None, found, expected, remedy)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _rebuild(
    kind: type[GliosegError], what: str, path: str | None, found: str | None, expected: str | None, remedy: str | None
) -> GliosegError:
    return kind(what, path=path, found=found, expected=expected, remedy=remedy)


class GeometryError(GliosegError):
    """Grids that do not fit: shape, affine, spacing or orientation."""


class LabelError(GliosegError):
    """Label values or regions that the label scheme does not know."""


class OutputError(GliosegError):
    """What a command has to say cannot be shown."""


class FileError(GliosegError):
    """A file that cannot be read or written: missing, truncated, damaged, of another format, not permitted."""


class LayoutError(GliosegError):
    """A folder that no reader recognises, or that lacks what its layout needs."""


class SplitError(GliosegError):
    """A split that is empty, leaks or names patients that the cohort does not hold."""


class CacheError(GliosegError):
    """A prepared cache that cannot be built or does not belong to the cohort at hand."""


class ScoreError(GliosegError):
    """Masks, probabilities or evaluations that cannot be scored or compared."""


class NetworkError(GliosegError):
    """A network whose answer is not a number."""


class ToldElsewhereError(GliosegError):
    """An error that another of the processes that work together has told.

    Args:
        text: of that error.
        is_misuse: whether it is an OptionError.
    """

    def __init__(self, text: str, *, is_misuse: bool = False) -> None:
        super().__init__(text)
        self.is_misuse = is_misuse


class OptionError(GliosegError):
    """An option or a combination of options that has no meaning."""


def name_some(names: Iterable[object], limit: int = 6) -> str:
    """``a, b, c and 14 more``: names for a message, never a whole cohort."""
    words = [str(name) for name in names]
    head = ", ".join(words[:limit])
    return head if len(words) <= limit else f"{head} and {len(words) - limit} more"


def listed(names: Iterable[object], last: str = "and") -> str:
    """``t1n, t1c and t2f``: all of some names in a sentence; ``last`` stands before the last of several."""
    words = [str(name) for name in names]
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def suggestion(name: str, known: Iterable[str], written: str = "{}") -> str | None:
    """``Did you mean lgg?``: the known name nearest to an unknown one, in ``written``; None where none is near."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"Did you mean {written.format(near[0])}?" if near else None


def plural(count: int, singular: str, many: str = "") -> str:
    """``1 case``, ``2 cases``."""
    return f"{count:,} {singular if count == 1 else many or singular + 's'}"
