"""The application and its errors; the commands are in the files beside this one."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from glioseg import __version__
from glioseg.cli import browser, data, download, runs, score, studies, timeline, trust
from glioseg.cli.options import StoppedError
from glioseg.console import out, printable, unwritable
from glioseg.errors import GliosegError, OptionError, OutputError, ToldElsewhereError
from glioseg.faces import on_command_line
from glioseg.machine.launched import launcher

app = typer.Typer(
    name="glioseg",
    help="Brain-tumour segmentation in MRI with the U-Net family: from a folder of scans as downloaded to a trained, "
    "honestly evaluated model. For research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

_INTERRUPTED = (130, 143)


def main() -> None:
    """Run the command line: 0 good, 1 the input has faults that were reported, 2 misuse, 130 Ctrl-C, 143 SIGTERM."""
    _let_streams_take_all()
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read once, by PyTorch, whose advice is not for users
    try:
        app()
    except OutputError as error:
        _fail_without_stdout(error)
    except OSError as error:
        if error.filename is not None or isinstance(error, BrokenPipeError):
            raise
        _fail_without_stdout(unwritable(error.strerror or str(error)))  # help is written by typer
    except ToldElsewhereError as error:
        _end(2 if error.is_misuse else 1)
    except OptionError as error:
        _fail(error, 2)
    except GliosegError as error:
        _fail(error, 1)
    except StoppedError as end:
        sys.exit(end.code)
    except SystemExit as end:
        if end.code in _INTERRUPTED:  # typer turns Ctrl-C into such a code and says nothing
            sys.stderr.write("Interrupted.\n")
        raise


def _let_streams_take_all() -> None:
    """Spell out what the terminal's encoding lacks, and let messages go nowhere where stderr is closed."""
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it stays open as long as the program
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail_without_stdout(error: GliosegError) -> NoReturn:
    """Say it on stderr, and leave nothing in stdout that Python would try to write once more at its end."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
    _fail(error, 1)


def _fail(error: GliosegError, code: int) -> NoReturn:
    sys.stderr.write(printable(f"glioseg: {on_command_line(error.text)}\n"))
    _end(code)


def _end(code: int) -> NoReturn:
    """End this process; one of several that train together at once, whatever it still waits for.

    Where another of them is gone, threads of PyTorch wait for its answers, each for `train.patience_minutes`, and after
    all is said Python would wait for them.
    """
    if launcher() is None:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _show_version(value: bool) -> None:
    if value:
        out(f"glioseg {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None: ...


for commands in (download.app, data.app, runs.app, trust.app, score.app, timeline.app, studies.app, browser.app):
    app.add_typer(commands)
