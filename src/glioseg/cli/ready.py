"""Options of what is done to scans before a network sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from glioseg.cli.options import DataFlags, end_with, print_json
from glioseg.console import Reporter, out
from glioseg.errors import OptionError
from glioseg.faces import on_command_line

Register = Annotated[
    bool,
    typer.Option(
        "--register",
        help="Register modalities on different grids, rigidly, to a grid of 1 mm; the mask goes back to one of theirs.",
    ),
]
BrainExtract = Annotated[
    bool,
    typer.Option(
        "--brain-extract", help="Remove what is not brain, where a skull is found; needs a T1 and glioseg[brain]."
    ),
]
N4 = Annotated[bool, typer.Option("--n4", help="Correct the bias field of each modality.")]
AtlasName = Annotated[
    str | None,
    typer.Option(
        "--atlas",
        metavar="NAME",
        help="Show the network the head in the space of an atlas: mni. The mask stays on the grid of the scan.",
    ),
]
MaskOn = Annotated[
    str | None,
    typer.Option(
        "--mask-on",
        metavar="MODALITY",
        help="On whose grid the mask lies after --register. [default: the network's first that was not reformatted]",
    ),
]
PrepareOnly = Annotated[
    bool,
    typer.Option(
        "--prepare-only",
        help="Write the registered scans on one grid of 1 mm, as BraTS names them, and predict nothing; no network is "
        "needed.",
    ),
]


def prepare(
    given: Sequence[Path],
    flags: DataFlags,
    files: Mapping[str, Path],
    folder: Path,
    asked: Mapping[str, Any],
    reporter: Reporter,
    as_json: bool,
) -> None:
    """``--prepare-only``: make scans ready, for the network that is named first, if one is."""
    from glioseg.api.ready import make_ready
    from glioseg.inference.bundle import read_info
    from glioseg.runs.propose import is_network

    network, inputs = (given[0], given[1:]) if given and is_network(given[0]) else (None, given)
    if not inputs and not files:
        raise OptionError("there is nothing to be made ready", expected="a folder, a file, or --modality NAME=FILE")
    result = make_ready(
        [flags.data(path) for path in inputs],
        folder,
        modalities=None if network is None else read_info(network).modalities,
        modality_files=files,
        max_voxels=flags.max_voxels,
        progress=reporter,
        **asked,
    )
    if as_json:
        failed = {case: on_command_line(error.text) for case, error in result.failed.items()}
        print_json({"cases": [dict(case.facts) for case in result.cases], "failed": failed})
    else:
        for case in result.cases:
            out(case.text)
    end_with(result.failed)
