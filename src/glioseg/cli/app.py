"""The application and its errors; the commands are in the files beside this one."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from glioseg import __version__
from glioseg.cli import data, runs, studies
from glioseg.cli.options import StoppedError
from glioseg.console import out, printable
from glioseg.errors import GliosegError, OptionError

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
    try:
        app()
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


def _fail(error: GliosegError, code: int) -> None:
    sys.stderr.write(printable(f"glioseg: {error}\n"))
    sys.exit(code)


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


for commands in (data.app, runs.app, studies.app):
    app.add_typer(commands)
