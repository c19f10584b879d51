"""The commands that say how far a network can be trusted; ``app.py`` holds the application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glioseg import console
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

app = typer.Typer()

RunOrBundle = Annotated[Path, typer.Argument(metavar="RUN_OR_BUNDLE", help="A run folder, or a bundle with --data.")]
Unseen = Annotated[
    Path | None,
    typer.Option("--data", help="Scans with masks that the network was not trained on. [default: the run's]"),
]
Folds = Annotated[
    list[Path] | None,
    typer.Option(
        "--folds",
        metavar="RUN",
        help="A fold of the same recipe, which held out some of the patients, for a network that was trained on all of "
        "them. May be repeated.",
    ),
]
Check = Annotated[
    Path | None, typer.Option("--check", help="Further scans with masks, to see how well the calibration holds there.")
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Where figures and page go. [default: the run, or the bundle's folder]")
]
Risk = Annotated[
    float, typer.Option(metavar="SHARE", help="Share of a region that the cautious mask may miss, mean over patients.")
]
Level = Annotated[float, typer.Option(metavar="SHARE", help="Share of patients whose volume an interval has to cover.")]


@app.command(epilog="Example: glioseg calibrate runs/lgg --risk 0.1")
@takes_data_flags
def calibrate(
    run: RunOrBundle,
    data: Unseen = None,
    folds: Folds = None,
    check: Check = None,
    out: Out = None,
    risk: Risk = 0.1,
    level: Level = 0.9,
    device: Device = "auto",
    cache: Cache = None,
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Calibrate how far a network's masks can be trusted.

    Fits, on the validation part of a run, on other data with masks, or on what folds held out: the expected Dice of a
    mask, a threshold that keeps the share of missed tumour below a stated risk, intervals of volumes, a temperature.
    All of it is stored in the bundle, where predict --uncertainty finds it, and is checked on the test part, on the
    data of --check or by leaving patients out: calibration.json and calibration.html say how well it holds. No mask
    changes.
    """
    from glioseg.api import models as api

    result = api.calibrate(
        run,
        other_data(data, flags),
        folds=folds or (),
        check=check,
        out=out,
        risk=risk,
        level=level,
        device=device,
        cache=cache,
        progress=console.Reporter(quiet=quiet),
    )
    if as_json:
        print_json(dict(result.figures))
        return
    console.out(result.text)
    console.out(f"Page: {result.page}")
