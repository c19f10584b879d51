"""The command that opens the application in the browser; ``app.py`` holds the application of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glioseg.cli.options import Device, MaxVoxels
from glioseg.console import Reporter

app = typer.Typer()

Worklist = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER", help="The worklist: studies may lie in it, and what is made of them is kept there."
    ),
]
Port = Annotated[
    int,
    typer.Option(min=0, max=65535, show_default=False, help="The port to listen on. [default: any that is free]"),
]
Host = Annotated[
    str, typer.Option(metavar="ADDRESS", help="The address to listen on; any but this machine's needs a password.")
]
PasswordFile = Annotated[
    Path | None, typer.Option(help="A file with the password in a line. [default: a new token in the address]")
]
Public = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="The address of a proxy with TLS in front, such as https://masks.example.org."
    ),
]
Networks = Annotated[
    list[Path] | None,
    typer.Option(
        "--network",
        metavar="RUN_OR_BUNDLE",
        help="Offer a network of your own beside the shipped ones; may be repeated.",
    ),
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Only print the address.")]


@app.command(name="app", epilog="Example: glioseg app studies")
def open_application(
    folder: Worklist = Path("glioseg-cases"),
    port: Port = 0,
    host: Host = "127.0.0.1",
    password_file: PasswordFile = None,
    public: Public = None,
    networks: Networks = None,
    device: Device = "auto",
    max_voxels: MaxVoxels = None,
    no_browser: NoBrowser = False,
) -> None:
    """View, correct and save masks in the browser.

    Drop a study, choose a network, look at the tumour, correct the mask where it is wrong, save it. The page is served
    by this machine to this machine, and nothing leaves it. Studies may also lie in the folder; cases wait in a queue
    that survives a restart. Programs can use the same calls, which /docs describes.
    """
    from glioseg.app.serve import serve
    from glioseg.core import MAX_VOXELS

    serve(
        folder,
        port=port,
        host=host,
        password_file=password_file,
        public=public,
        networks=networks or (),
        device=device,
        max_voxels=MAX_VOXELS if max_voxels is None else max_voxels,
        browser=not no_browser,
        progress=Reporter(),
    )
