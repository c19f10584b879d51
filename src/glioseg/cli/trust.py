"""The commands that say how far a network can be trusted; ``app.py`` holds the application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glioseg.cli.options import (
    NO_FLAGS,
    Cache,
    DataFlags,
    Device,
    Json,
    Quiet,
    other_data,
    print_json,
    takes_data_flags,
)
from glioseg.console import Reporter, out

app = typer.Typer()

RunOrBundle = Annotated[Path, typer.Argument(metavar="RUN_OR_BUNDLE", help="A run folder, or a bundle with --data.")]
Unseen = Annotated[
    Path | None,
    typer.Option("--data", help="Scans with masks that the network was not trained on. [default: the run's]"),
]
Risk = Annotated[
    float, typer.Option(metavar="SHARE", help="Of a region, what the cautious mask may miss on average over patients.")
]
Level = Annotated[float, typer.Option(metavar="SHARE", help="Of patients, whose volume an interval has to hold.")]


@app.command(epilog="Example: glioseg calibrate runs/lgg --risk 0.1")
@takes_data_flags
def calibrate(
    run: RunOrBundle,
    data: Unseen = None,
    risk: Risk = 0.1,
    level: Level = 0.9,
    device: Device = "auto",
    cache: Cache = None,
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit how far a network's masks can be trusted.

    On the validation part of a run, or on other data with masks: the Dice to be expected of a mask, a threshold that
    keeps the share of missed tumour below a stated risk, intervals of volumes, a temperature. All of it is kept in the
    bundle, where predict --uncertainty finds it, and is checked on the test part or by leaving patients out:
    calibration.json and calibration.html say how well it holds. No mask changes.
    """
    from glioseg.api import models as api

    found = api.calibrate(
        run,
        other_data(data, flags),
        risk=risk,
        level=level,
        device=device,
        cache=cache,
        progress=Reporter(quiet=quiet),
    )
    if as_json:
        print_json(dict(found.figures))
        return
    out(found.text)
    out(f"Page: {found.page}")
