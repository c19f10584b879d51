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
        metavar="CASE",
        help="Predicted cases of one patient: folders that predict wrote, or the JSON files or masks in them.",
    ),
]
Dates = Annotated[
    str | None,
    typer.Option(metavar="DATES", help="Dates of the cases, in order, as 2024-01-31,2024-05-02. [default: the scans']"),
]
Scans = Annotated[
    list[Path] | None,
    typer.Option(
        "--scans",
        metavar="SCAN",
        help="Scan of each case, in order, for the picture: a file, a folder or a DICOM study; repeated. [default: the "
        "predicted scans, unless they are DICOM]",
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

    Volumes and diameters over time, their change in percent from the first time point and from the smallest value
    before, and the first and the last mask on the last scan, to which the first is registered (rigidly): timeline.html,
    timeline.json and timeline.csv. Days are counted from the first time point; no date is written.
    """
    from glioseg.api import masks as api

    result = api.timeline(
        *cases,
        dates=[] if dates is None else dates.split(","),
        scans=scans or (),
        out=folder,
        progress=Reporter(quiet=quiet),
    )
    if as_json:
        print_json(dict(result.facts))
        return
    out(result.text)
    out(f"Page: {result.page}")
