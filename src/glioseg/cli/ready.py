"""Options of what is done to scans before a network sees them."""

from __future__ import annotations

from typing import Annotated

import typer

Register = Annotated[
    bool,
    typer.Option(
        "--register",
        help="Bring modalities on different grids to one of 1 mm, rigidly, and the mask back to one of theirs.",
    ),
]
BrainExtract = Annotated[
    bool,
    typer.Option(
        "--brain-extract", help="Remove what is not brain, where a skull is found; needs a T1 and glioseg[brain]."
    ),
]
N4 = Annotated[bool, typer.Option("--n4", help="Even out the shading of the coil in each modality.")]
AtlasName = Annotated[
    str | None,
    typer.Option(
        "--atlas",
        metavar="NAME",
        help="Show the network the head in the space of an atlas, mni; the mask lies where it would else.",
    ),
]
MaskOn = Annotated[
    str | None,
    typer.Option(
        "--mask-on",
        metavar="MODALITY",
        help="On whose grid the mask lies after --register. [default: the network's first that was acquired as it is]",
    ),
]
