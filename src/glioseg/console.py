"""What the user sees while something runs: bars on a terminal, plain lines elsewhere, always on stderr.

stdout belongs to results, so that ``--json`` leaves one object there and nothing else.
"""

from __future__ import annotations

import logging
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from glioseg.errors import OutputError
from glioseg.faces import in_python, on_command_line

_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Classes of the characters that turn the direction of writing."""
Step = Callable[[int, int], None]
"""Called with (number done, number in all); 0 in all means that the end is not known."""
OnProgress = Callable[[str, int, int], None]
"""Called with (what is done, steps done, steps in all)."""


class Reporter:
    """Messages and progress of one command.

    Args:
        quiet: show nothing at all (for functions called from Python).
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, message: str) -> None:
        """One line on stderr, as the command line has it."""
        if not self.quiet:
            self.console.print(printable(on_command_line(message)), markup=False)

    @contextmanager
    def progress(self, label: str) -> Iterator[Step]:
        """A bar on a terminal; elsewhere a line at the start, every ten seconds and at the end."""
        if self.quiet:
            yield _nothing
        elif self.console.is_terminal:
            with _bar(self.console) as bar:
                task = bar.add_task(printable(label), total=None)
                yield _stepping(bar, task)
        else:
            yield _PlainLines(self, label)

    def bar(self) -> ProgressBar:
        """A bar whose words and length may change while it runs; it shows nothing unless stderr is a terminal."""
        return ProgressBar(None if self.quiet or not self.console.is_terminal else _worded_bar(self.console))


class ProgressBar:
    """See ``Reporter.bar``."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def show(self, label: str, n_done: int, n_total: int, words: str = "") -> None:
        """Set what stands before the bar, how far it is, and what stands behind it."""
        if self._bar is None:
            return
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(printable(label), words=words)
        self._bar.update(
            self._task, description=printable(label), completed=n_done, total=n_total, words=printable(words)
        )

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


class _PlainLines:
    def __init__(self, reporter: Reporter, label: str, every_s: float = 10.0) -> None:
        self._reporter = reporter
        self._label = label
        self._every_s = every_s
        self._said_at = time.monotonic()
        reporter.say(f"{label} …")

    def __call__(self, n_done: int, n_total: int) -> None:
        time_s = time.monotonic()
        if n_done == n_total or time_s - self._said_at >= self._every_s:
            self._said_at = time_s
            self._reporter.say(f"{self._label}: {n_done}{f' of {n_total}' if n_total else ''}")


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=False,
    )


def _worded_bar(console: Console) -> Progress:
    """One that leaves nothing behind, so that rows of a table stand under each other."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[words]}"))
    return Progress(*columns, console=console, transient=True)


def _stepping(bar: Progress, task: TaskID) -> Step:
    def step(n_done: int, n_total: int) -> None:
        bar.update(task, completed=n_done, total=n_total or None)

    return step


def _nothing(n_done: int, n_total: int) -> None:
    """A progress that nobody watches."""


class CallbackReporter(Reporter):
    """For callers from Python: nothing is shown; messages are logged, progress is told to a function.

    Args:
        progress: called with (what is done, steps done, steps in all; 0 where their number is not known); None for
            nobody.
    """

    def __init__(self, progress: OnProgress | None = None) -> None:
        super().__init__(quiet=True)
        self._progress = progress

    def say(self, message: str) -> None:
        """Log a message."""
        logging.getLogger("glioseg").info(in_python(message))

    @contextmanager
    def progress(self, what: str) -> Iterator[Step]:
        """Steps of a piece of work, told to the function."""
        tell = self._progress
        yield _nothing if tell is None else lambda done, total: tell(what, done, total)


QUIET = Reporter(quiet=True)
"""Shows nothing; for workflows called from Python."""


def out(text: str) -> None:
    """A result on stdout.

    Raises:
        OutputError: stdout is closed, or takes nothing more.
    """
    shown = printable(text)
    if sys.stdout is None:  # as Python leaves it where the caller has closed it
        raise unwritable("it is closed")
    try:
        sys.stdout.write(shown if shown.endswith("\n") else f"{shown}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # a reader that has seen enough is no fault
    except OSError as error:
        raise unwritable(error.strerror or str(error)) from error


def unwritable(why: str) -> OutputError:
    """What is said where results cannot be shown."""
    return OutputError(
        "the results cannot be written to stdout",
        found=why,
        remedy="Send them elsewhere, such as > results.txt on another disk; what the command wrote into files is there",
    )


def printable(text: str, *, kept: str = "\n\t") -> str:
    r"""The text with all that would act on a terminal spelt out (``\u001b``), as JSON spells it too.

    Names of files and labels come from outside. What they may hold beside text: control characters, those that turn
    the direction of writing, and halves of characters, which no terminal and no UTF-8 file takes. Lines and columns are
    ``kept``.
    """
    if text.isprintable():
        return text
    return "".join(_spelt_out(character) if character not in kept else character for character in text)


def _spelt_out(character: str) -> str:
    acts = unicodedata.category(character) in ("Cc", "Cs") or unicodedata.bidirectional(character) in _TURNING
    return f"\\u{ord(character):04x}" if acts else character
