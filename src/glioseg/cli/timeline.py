"""The command that compares the time points of a patient; ``app.py`` holds the application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glioseg.cli.options import Json, Quiet, print_json
from glioseg.console import Reporter, out

app = typer.Typer()

TimePoints = Annotated[
    list[Path],
    typer.Argument(
        metavar="CASE CASE...",
        help="Predicted cases of one patient: folders that predict wrote, or the JSON files or masks in them.",
    ),
]
Dates = Annotated[
    str | None,
    typer.Option(metavar="DATES", help="Of each case in that order, as 2024-01-31,2024-05-02. [default: the scans']"),
]
Scans = Annotated[
    list[Path] | None,
    typer.Option(
        "--scans",
        metavar="SCAN",
        help="Of each case in that order, for the picture: a file, or a folder or DICOM study; repeated. [default: "
        "those that were predicted, where they are not DICOM]",
    ),
]
Folder = Annotated[Path, typer.Option("--out", help="Where the page, the figures and the table go.")]


@app.command(epilog="Example: glioseg timeline january/masks may/masks --dates 2024-01-31,2024-05-02")
def timeline(
    cases: TimePoints,
    dates: Dates = None,
    scans: Scans = None,
    folder: Folder = Path("timeline"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare the time points of a patient.

    Volumes and diameters in order of time, their change in percent from the first and from the smallest before, and the
    first mask over the last on the scan, to which the first is registered (rigidly): timeline.html, timeline.json and
    timeline.csv. Days are counted from the first time point; no date is written.
    """
    from glioseg.api import masks as api

    found = api.timeline(
        *cases,
        dates=[] if dates is None else dates.split(","),
        scans=scans or (),
        out=folder,
        progress=Reporter(quiet=quiet),
    )
    if as_json:
        print_json(dict(found.facts))
        return
    out(found.text)
    out(f"Page: {found.page}")
