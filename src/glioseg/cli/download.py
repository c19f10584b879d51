"""The command that downloads public sets of scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glioseg.cli.options import Json, Quiet, print_json
from glioseg.console import Reporter, out
from glioseg.errors import OptionError
from glioseg.faces import command

if TYPE_CHECKING:
    from glioseg.cohorts.catalogue import PublicSet

app = typer.Typer()


@app.command(epilog="Example: glioseg download brisc --out data/brisc")
def download(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A public set; without it, all are listed.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Where it goes; a broken download is resumed. [default: NAME]")
    ] = None,
    checked: Annotated[
        Path | None,
        typer.Option(
            "--check", metavar="FOLDER", help="Fetch nothing; say whether the set in this folder is complete."
        ),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the sets: terms, sizes, and how to get each.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Download a public set of scans, or say how to get it.

    Archives are checked against the published size and checksum, and unpacked; the folder appears once it is complete.
    The exit code is 1 if the numbers of cases, patients or files are not those that the publisher states.
    """
    from glioseg.api import public as api
    from glioseg.runs.download import found_text

    if name is None or listed:
        if name is not None or folder is not None or checked is not None:
            raise OptionError("--list takes nothing else" if listed else "no set is named", expected="a NAME")
        if as_json:
            print_json({each.name: each.to_json() for each in api.public_sets()})
        else:
            out("\n\n".join(map(_text, api.public_sets())))
        return
    if folder is not None and checked is not None:
        raise OptionError("--check fetches nothing, so that --out has no meaning", remedy="Leave one of them out")
    result = api.download(name, folder, check=checked, progress=Reporter(quiet=quiet))
    if as_json:
        print_json(result.to_json())
    else:
        out(found_text(result))
        if checked is None:
            out(f"Look at it: {command('inspect', result.folder)}")
    if result.differences:
        raise typer.Exit(1)


def _text(entry: PublicSet) -> str:
    """A set, in lines."""
    how = {"open": "fetched without an account", "account": "needs an account", "program": "by its publisher's program"}
    size = "" if entry.n_bytes is None else f", {entry.n_bytes / 1e9:.2f} GB"
    return (
        f"{entry.name}: {entry.about}\n  {how[entry.access]}{size}; {entry.licence}; {entry.page}\n"
        f"  checked by {entry.checked_by}"
    )
