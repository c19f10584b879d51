"""The command that scores masks; ``app.py`` holds the application."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from glioseg.cli.options import (
    NO_FLAGS,
    Convention,
    DataFlags,
    Json,
    Pixels,
    Quiet,
    named_folder,
    print_json,
    takes_data_flags,
)
from glioseg.console import Reporter, out
from glioseg.errors import OptionError

app = typer.Typer()

References = Annotated[
    list[str],
    typer.Option(
        "--reference",
        metavar="[NAME=]DIR",
        help="Folder of the experts' masks, or a data set that has some; repeated with names for several raters.",
    ),
]
Predictions = Annotated[
    list[str],
    typer.Option(
        "--prediction",
        metavar="[NAME=]DIR",
        help="Folder of the masks to score; may be repeated, to compare methods on the same patients.",
    ),
]
PredictionScheme = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What the integers in the predictions mean, if that differs from the references and no file beside them "
        "says so.",
    ),
]
Resample = Annotated[
    bool,
    typer.Option("--resample", help="Bring masks on another grid to that of the reference, by the nearest voxel."),
]
ConsensusRule = Annotated[
    str, typer.Option("--consensus", metavar="NAME", help="How several raters are combined: majority or staple.")
]
ScoreFolder = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for score.json, score.html, figures, and the table of cases of each method."),
]


@app.command(
    epilog="Example: glioseg score --reference labelsTs --prediction ours=masks --prediction nnU-Net=predicted"
)
@takes_data_flags
def score(
    reference: References,
    prediction: Predictions,
    prediction_scheme: PredictionScheme = None,
    resample: Resample = False,
    consensus: ConsensusRule = "majority",
    convention: Convention = None,
    pixels: Pixels = False,
    folder: ScoreFolder = None,
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score masks of any origin: a program's, a radiologist's, ours.

    Masks (NIfTI, MetaImage, NRRD, pictures) are matched by the name of the case, in which words such as seg, mask and
    pred are ignored. A case without a prediction counts as missed. With --json one method is printed as evaluate --json
    prints it. Several raters are combined into a consensus, and their agreement with each other is reported beside the
    methods'.
    """
    from glioseg.api import masks as api
    from glioseg.cli.texts import score_text

    references = _named("--reference", reference, "reference")
    predictions = _named("--prediction", prediction, None)
    result = api.score(
        {name: flags.data(path) for name, path in references.items()},
        predictions,
        prediction_scheme=prediction_scheme,
        consensus=consensus,
        resample=resample,
        convention=convention,
        pixels=pixels,
        out=folder,
        progress=Reporter(quiet=quiet),
    )
    if as_json:
        print_json(result.to_json())
        return
    out(score_text(result))
    if result.page is not None:
        out(f"\nPage: {result.page}")


def _named(option: str, values: Sequence[str], alone: str | None) -> dict[str, Path]:
    """``NAME=DIR`` or ``DIR``, which is called ``alone`` or after itself -> name and folder."""
    by_name: dict[str, Path] = {}
    for value in values:
        name, path = named_folder(option, value, alone)
        if name in by_name:
            raise OptionError(
                f"two folders of {option} have the name {name}",
                found=f"{by_name[name]}, {path}",
                remedy=f"Name each: {option} A=FOLDER {option} B=FOLDER",
            )
        by_name[name] = path
    return by_name
