"""Commands for data: what a folder holds, who goes where, the same in other forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from glioseg.cli.options import (
    NO_FLAGS,
    WRITTEN_LAYOUTS,
    DataFlags,
    Folder,
    Json,
    KeepIds,
    NewFolder,
    Quiet,
    Settings,
    print_json,
    takes_data_flags,
)
from glioseg.console import Reporter, out
from glioseg.errors import OptionError, plural

app = typer.Typer()


@app.command(epilog="Example: glioseg inspect ~/Downloads/kaggle_3m --out lgg-report")
@takes_data_flags
def inspect(
    data: Folder,
    report: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for report.html, figures and inspect.json. [default: NAME-report]"),
    ] = None,
    keep_ids: KeepIds = False,
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Print only; write no files.")] = False,
    quiet: Quiet = False,
) -> None:
    """Recognise, check and describe a folder of scans.

    DICOM may also lie in a zip archive, or be named by its DICOMDIR; what each series was taken for is shown.
    The exit code is 1 where a finding is an error; warnings and notes leave it at 0.
    """
    from glioseg.api import data as api
    from glioseg.cli.texts import inspection_text
    from glioseg.runs.read import read

    reporter, given = Reporter(quiet=quiet), replace(flags, keep_ids=keep_ids).data(data)
    if no_report or report is not None:
        result = api.inspect(given, report, progress=reporter)
    else:
        cohort = read(given, reporter)  # which is called as its folder is, unless that may name a patient
        result = api.inspect(cohort, Path(f"{cohort.name}-report"), progress=reporter)
    if as_json:
        print_json(result.description.to_json() | {"report": None if result.report is None else str(result.report)})
    else:
        out(inspection_text(result.description))
        if result.report is not None:
            out(f"\nReport: {result.report}")
    if result.description.has_errors:
        raise typer.Exit(1)


@app.command(epilog="Example: glioseg split kaggle_3m --out split.json --set split.n_folds=5")
@takes_data_flags
def split(
    data: Folder,
    file: Annotated[Path, typer.Option("--out", help="JSON file to write.")] = Path("split.json"),
    nnunet: Annotated[
        bool, typer.Option("--nnunet", help="Write all folds in the form of nnU-Net's splits_final.json.")
    ] = False,
    changes: Settings = None,
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Divide the patients into training, validation and test parts.

    All cases of a patient, and duplicates, stay in one part. The split is saved as JSON.
    """
    from glioseg.api import data as api
    from glioseg.api.common import settings_of
    from glioseg.io.files import require_place
    from glioseg.io.remote.address import as_given
    from glioseg.runs.split import options_of

    reporter = Reporter(quiet=quiet)
    options_of(settings_of(changes or ()))  # a fault in them is said before any scan is looked at
    if nnunet:
        folds = api.split_folds(flags.data(data), file, changes=changes or (), progress=reporter)
        if as_json:
            print_json({"folds": [{"train": train, "val": val} for train, val in folds]})
            return
        out(f"{len(folds)} folds of {plural(len(folds[0][0]) + len(folds[0][1]), 'case')}: {as_given(file)}")
        return
    require_place(file)  # likewise; folds are asked of it by the function that writes them
    cohort = flags.read(data, reporter)
    new_split = api.split(cohort, file, changes=changes or (), progress=reporter)
    parts = new_split.parts
    if as_json:
        print_json(
            {"unit": new_split.unit, "sha256": new_split.sha256, **{name: list(ids) for name, ids in parts.items()}}
        )
        return
    for name, patients in parts.items():
        of_part = set(patients)
        n_cases = sum(case.patient in of_part for case in cohort.cases)
        out(f"{name:<5}  {plural(len(patients), 'patient')}, {plural(n_cases, 'case')}")
    out(f"unit: {new_split.unit}; saved as {as_given(file)}")


@app.command(epilog="Example: glioseg convert BraTS2021 Dataset001_Glioma --to nnunet")
@takes_data_flags
def convert(
    data: Folder,
    folder: NewFolder,
    to: Annotated[
        str, typer.Option("--to", metavar="NAME", help=f"How to lay the files out: {WRITTEN_LAYOUTS}.")
    ] = "nnunet",
    spacing: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z",
            help="Millimetres between columns, rows and slices of pictures, whose files do not state it; they are then "
            "written as axial slices, columns towards the patient's left and rows towards the back.",
        ),
    ] = None,
    flags: DataFlags = NO_FLAGS,
    quiet: Quiet = False,
) -> None:
    """Write a data set in another layout.

    Labels are translated by their meaning: 4 of BraTS 2021 becomes 3 of BraTS 2023, both enhancing tumour.
    """
    from glioseg.api import data as api
    from glioseg.io.remote.address import as_given

    millimetres = None if spacing is None else _millimetres(spacing)
    cohort = api.convert(flags.data(data), folder, to, spacing_mm=millimetres, progress=Reporter(quiet=quiet))
    out(f"{plural(len(cohort.cases), 'case')} as {to}: {as_given(folder)}")


def _millimetres(text: str) -> tuple[float, float, float]:
    """``0.9,0.9,5`` -> (0.9, 0.9, 5.0)."""
    try:
        x, y, z = (float(number) for number in text.split(","))
    except ValueError as error:
        words = "--spacing needs three numbers with commas between them"
        raise OptionError(words, found=text, expected="such as --spacing 0.9,0.9,5") from error
    return x, y, z


@app.command(epilog="Example: glioseg phantom phantom --patients 20 --layout brats2023")
def phantom(
    folder: NewFolder,
    patients: Annotated[int, typer.Option(min=1, help="How many patients.")] = 20,
    layout: Annotated[
        str, typer.Option(metavar="NAME", help=f"How to lay the files out: {WRITTEN_LAYOUTS}.")
    ] = "brats2023",
    spacing: Annotated[
        float, typer.Option(min=1.0, max=6.0, help="Size of a voxel in mm; 1 gives volumes of 240x240x155.")
    ] = 2.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all patients.")] = 0,
    tissues: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Also write the T1 images of these brains here, with CSF, grey and white matter."
        ),
    ] = None,
    randomised: Annotated[
        int,
        typer.Option(
            min=0,
            help="How many of them, from the first on, get contrasts, shapes and acquisitions beyond the usual, for "
            "training.",
        ),
    ] = 0,
    quiet: Quiet = False,
) -> None:
    """Write synthetic patients as the files of a data set.

    Brains with tumours, made from the ICBM 2009 maps: four modalities, masks, ages and survival. The same seed gives
    the same files.
    """
    from glioseg.api import data as api
    from glioseg.io.remote.address import as_given

    api.phantom(
        folder,
        patients,
        layout=layout,
        spacing_mm=spacing,
        seed=seed,
        tissues=tissues,
        randomised=randomised,
        progress=Reporter(quiet=quiet),
    )
    out(f"{patients} phantom patients: {as_given(folder)}")
    if tissues is not None:
        out(f"Their tissues: {tissues}")


@app.command(epilog="Example: glioseg cache kaggle_3m --out cache --set prepare.size=128")
@takes_data_flags
def cache(
    data: Folder,
    folder: Annotated[Path, typer.Option("--out", help="Folder of prepared data.")] = Path("cache"),
    recipe: Annotated[str | None, typer.Option(help="Prepare the data as training this recipe would.")] = None,
    changes: Settings = None,
    flags: DataFlags = NO_FLAGS,
    quiet: Quiet = False,
) -> None:
    """Turn a data set into the arrays that networks are trained on.

    Scans are reoriented, cropped, normalised and resized. The command train does this by itself.
    """
    from glioseg.api import data as api

    prepared = api.cache(flags.data(data), folder, recipe=recipe, changes=changes or (), progress=Reporter(quiet=quiet))
    regions = ", ".join(prepared.region_names) or "none"
    modalities = ", ".join(prepared.modalities)
    out(f"{plural(len(prepared.cases), 'case')}, modalities {modalities}, regions {regions}: {prepared.folder}")
