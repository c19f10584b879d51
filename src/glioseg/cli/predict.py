"""``glioseg predict``: its options, and what is meant by them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glioseg.cli.options import (
    NO_FLAGS,
    Backend,
    DataFlags,
    Device,
    Json,
    KeepIds,
    On,
    Quiet,
    With,
    end_with,
    print_json,
    takes_scan_flags,
)
from glioseg.cli.ready import N4, AtlasName, BrainExtract, MaskOn, PrepareOnly, Register, prepare
from glioseg.console import Reporter, out
from glioseg.errors import OptionError
from glioseg.faces import on_command_line
from glioseg.machine.loading import loading

if TYPE_CHECKING:
    from glioseg.core import Cohort
    from glioseg.runs.read import Data

_SERIES = re.compile(r"\d+(?:\.\d+)?")
"""How a DICOM series is named: its number, with that of the volume where it holds several."""

NetworkAndInputs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[NETWORK] INPUT...",
        help="A run folder, a bundle or model:NAME (see glioseg models); then folders of cases, volumes or pictures.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="If no network is named, take the shipped one that fits.")]
PredictionsFolder = Annotated[Path, typer.Option("--out", help="Where masks, figures and tables go.")]
ModalityFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--modality",
        metavar="NAME=FILE",
        help="One case, file by file, such as t2f=scan.nii.gz; or, for a DICOM study, the number of the series to use, "
        "such as t1c=5. Repeated for each modality.",
    ),
]
SkipDone = Annotated[
    bool,
    typer.Option("--skip-done", help="Skip cases that this network has already predicted here from the same files."),
]

Write = Annotated[
    str,
    typer.Option(
        metavar="FORMS",
        help="What to write for each case, with commas: nifti (the mask), report (HTML and PDF), probabilities, "
        "uncertainty, seg (DICOM), stl (surfaces), bids.",
    ),
]
Deidentify = Annotated[
    bool,
    typer.Option("--deidentify", help="Replace patient, dates and UIDs in DICOM segmentations by digests."),
]
Uncertainty = Annotated[
    bool,
    typer.Option("--uncertainty", help="Short for adding uncertainty to --write: how far each mask can be trusted."),
]

Explain = Annotated[
    bool,
    typer.Option("--explain", help="Also show what the network looked at, and what each modality contributed."),
]


@takes_scan_flags
def predict(
    given: NetworkAndInputs = None,
    folder: PredictionsFolder = Path("predictions"),
    modality: ModalityFiles = None,
    others: With = None,
    skip_done: SkipDone = False,
    uncertainty: Uncertainty = False,
    explain: Explain = False,
    write: Write = "nifti,report",
    deidentify: Deidentify = False,
    register: Register = False,
    brain_extract: BrainExtract = False,
    n4: N4 = False,
    atlas: AtlasName = None,
    mask_on: MaskOn = None,
    prepare_only: PrepareOnly = False,
    yes: Yes = False,
    keep_ids: KeepIds = False,
    device: Device = "auto",
    backend: Backend = "torch",
    on: On = None,
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Segment scans, or classify pictures, with a network.

    Writes for each case a mask on the scan's own grid, volumes and diameters, and a page as HTML and PDF; or its class
    with a confidence, and the picture captioned with both. Folders need no masks; the command says which file it takes
    for which modality. A case that cannot be predicted (because it lacks a modality, say) is named and left out, and
    the exit code is 1.
    Networks named by --with are averaged with the first (folds, planes), as are their thresholds; a second picture
    shows what each contributes. predictions.html shows all cases, those to look at first on top.
    --skip-done continues after an interruption; --on predicts cases in parallel.
    With --write nifti,report,uncertainty the networks are run several times (mirrored, scaled, with dropout): maps,
    intervals of volumes and a confidence; the mask stays the same.
    With --register, --brain-extract, --n4 and --atlas scans are prepared first; what was done is reported and shown in
    a picture. With --prepare-only that is all: the registered scans are written as OUT/CASE/CASE-t1n.nii.gz and so on.
    With --explain Grad-CAM and integrated gradients of each region are written beside the mask, and how it would change
    without each modality.
    """
    files, series = _files_and_series(modality or (), bool(given))
    if not given and not files:
        raise OptionError("there is nothing to predict", expected="a folder, a file, or --modality NAME=FILE")
    reporter = Reporter(quiet=quiet)
    if prepare_only:
        asked = {"brain_extract": brain_extract, "n4": n4, "atlas": atlas, "mask_on": mask_on}
        prepare(given or [], replace(flags, series=series, keep_ids=keep_ids), files, folder, asked, reporter, as_json)
        return
    reporter.say("Loading the network …")  # said before torch is imported, which takes seconds
    flags = replace(flags, series=series, keep_ids=keep_ids)
    with loading():
        from glioseg.api import models as api

        network, data = _network_and_data(given or [], flags, files, folder, yes, reporter)
        if not data and not files:
            raise OptionError(
                "there is nothing to predict",
                found=f"only a network, {network}",
                expected="a folder, a file, or --modality",
            )
        model = api.load(network, *(others or ()), device=device, backend=backend)
    result = model.predict_files(
        data,
        folder,
        modality_files=files,
        max_voxels=flags.max_voxels,
        skip_done=skip_done,
        uncertainty=uncertainty,
        explain=explain,
        write=[form.strip() for form in write.split(",") if form.strip()],
        deidentify=deidentify,
        register=register,
        brain_extract=brain_extract,
        n4=n4,
        atlas=atlas,
        mask_on=mask_on,
        on=on,
        progress=reporter,
    )
    if as_json:
        failed = {case: on_command_line(error.text) for case, error in result.failed.items()}
        print_json(
            {
                "cases": [dict(case.facts) for case in result.cases],
                "failed": failed,
                "page": None if result.page is None else str(result.page),
            }
        )
    else:
        for written_case in result.cases:
            out(written_case.text)
        if result.page is not None:
            out(f"Page: {result.page}")
    end_with(result.failed)


def _network_and_data(
    given: Sequence[Path], flags: DataFlags, files: Mapping[str, Path], folder: Path, yes: bool, reporter: Reporter
) -> tuple[Path, Sequence[Data | Cohort]]:
    """The network that is named first, or the shipped one that fits and that the user agrees to; and the scans."""
    from glioseg.inference.shipped import PREFIX
    from glioseg.io.remote.mirror import fetched
    from glioseg.runs.inputs import without_results
    from glioseg.runs.propose import is_network, proposed_model

    given = [fetched(path, reporter) for path in given]
    if given and is_network(given[0]):
        return given[0], [flags.data(path) for path in given[1:]]
    proposal = proposed_model([without_results(flags.data(path), folder) for path in given], files, reporter)
    name = f"{PREFIX}{proposal.model.name}"
    if not yes:
        raise OptionError(
            "no network is named",
            found=f"{given[0]}, which holds neither a run nor a bundle" if given else "only --modality",
            expected="a run folder, a bundle or model:NAME before the scans",
            remedy=f"{name} fits these scans: name it first, or add --yes",
        )
    reporter.say(f"Taking {name}")
    return Path(name), proposal.inputs


def _files_and_series(options: Sequence[str], has_inputs: bool) -> tuple[dict[str, Path], dict[str, str]]:
    """``t2f=scan.nii.gz`` -> modality and file; ``t1c=5`` beside inputs -> modality and DICOM series."""
    files, series = {}, {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            expected = "such as t2f=scan.nii.gz, or t1c=5 for series 5 of a DICOM study"
            raise OptionError("--modality needs NAME=FILE", found=option, expected=expected)
        if has_inputs and _SERIES.fullmatch(value) and not Path(value).exists():
            series[name] = value
        else:
            files[name] = Path(value)
    return files, series
