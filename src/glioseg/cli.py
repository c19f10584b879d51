"""The command line: names, help and printing. What the commands do is in ``workflows``.

Here are the application, its errors and the commands for data; those for runs are in ``cli_runs.py``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from glioseg import __version__, cli_runs, cli_studies
from glioseg.cli_options import (
    NOTHING_TOLD,
    WRITTEN_LAYOUTS,
    Device,
    Folder,
    Json,
    NewFolder,
    Quiet,
    Settings,
    Told,
    print_json,
    takes_told,
)
from glioseg.console import Reporter, out
from glioseg.errors import GliosegError, OptionError

app = typer.Typer(
    name="glioseg",
    help="Brain-tumour segmentation in MRI with the U-Net family: from a folder of scans as downloaded to a trained, "
    "honestly evaluated model. For research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

_INTERRUPTED = 130


def main() -> None:
    """Run the command line: 0 good, 1 the input has faults that were reported, 2 misuse, 130 interrupted (Ctrl-C)."""
    try:
        app()
    except OptionError as error:
        _fail(error, 2)
    except GliosegError as error:
        _fail(error, 1)
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # typer turns Ctrl-C into this code and says nothing
            sys.stderr.write("Interrupted.\n")
        raise


def _fail(error: GliosegError, code: int) -> None:
    sys.stderr.write(f"glioseg: {error}\n")
    sys.exit(code)


def _show_version(value: bool) -> None:
    if value:
        out(f"glioseg {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None: ...


@app.command(epilog="Example: glioseg inspect ~/Downloads/kaggle_3m --out lgg-report")
@takes_told
def inspect(
    data: Folder,
    report: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for report.html, figures and inspect.json. [default: NAME-report]"),
    ] = None,
    told: Told = NOTHING_TOLD,
    as_json: Json = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Print only; write no files.")] = False,
    quiet: Quiet = False,
) -> None:
    """Recognise, check and describe a folder of scans.

    The exit code is 1 where a finding is an error; warnings and notes leave it at 0.
    """
    from glioseg.workflows import cohorts
    from glioseg.workflows.texts import inspection_text

    wanted = told.data(data)
    name = Path(os.path.abspath(data)).name or "cohort"  # noqa: PTH100 - resolve() fails on a link to itself
    folder = None if no_report else report or Path(f"{name}-report")
    found = cohorts.inspect(wanted, folder, Reporter(quiet=quiet))
    if as_json:
        print_json(found.description.to_json() | {"report": None if found.report is None else str(found.report)})
    else:
        out(inspection_text(found.description))
        if found.report is not None:
            out(f"\nReport: {found.report}")
    if found.description.has_errors:
        raise typer.Exit(1)


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
    seed: Annotated[int, typer.Option(min=0, help="Number from which all patients follow.")] = 0,
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
            help="How many, the first, have contrasts, shapes and acquisition beyond what is usual, for training.",
        ),
    ] = 0,
    quiet: Quiet = False,
) -> None:
    """Write synthetic patients as the files of a data set.

    Brains with tumours, made from the ICBM 2009 maps: four modalities, masks, ages and survival. The same seed gives
    the same files.
    """
    from glioseg.cohorts.phantom import PhantomOptions
    from glioseg.workflows import cohorts

    options = PhantomOptions(n_patients=patients, spacing_mm=spacing, seed=seed, n_randomised=randomised)
    cohorts.phantom(folder, options, layout, tissues, Reporter(quiet=quiet))
    out(f"{patients} phantom patients: {folder}")
    if tissues is not None:
        out(f"Their tissues: {tissues}")


@app.command(epilog="Example: glioseg convert BraTS2021 Dataset001_Glioma --to nnunet")
@takes_told
def convert(
    data: Folder,
    folder: NewFolder,
    to: Annotated[
        str, typer.Option("--to", metavar="NAME", help=f"How to lay the files out: {WRITTEN_LAYOUTS}.")
    ] = "nnunet",
    told: Told = NOTHING_TOLD,
    quiet: Quiet = False,
) -> None:
    """Write a data set again in another layout.

    Labels are translated by their meaning: 4 of BraTS 2021 becomes 3 of BraTS 2023, both enhancing tumour.
    """
    from glioseg.workflows import cohorts

    cohort = cohorts.convert(told.data(data), folder, to, Reporter(quiet=quiet))
    out(f"{len(cohort.cases)} cases as {to}: {folder}")


@app.command(epilog="Example: glioseg split kaggle_3m --out split.json --set split.n_folds=5")
@takes_told
def split(
    data: Folder,
    file: Annotated[Path, typer.Option("--out", help="JSON file to write.")] = Path("split.json"),
    nnunet: Annotated[
        bool, typer.Option("--nnunet", help="Write all folds in the form of nnU-Net's splits_final.json.")
    ] = False,
    changes: Settings = None,
    told: Told = NOTHING_TOLD,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Divide the patients into training, validation and test part.

    All cases of a patient, and cases that show the same, stay in one part. Who is where is saved as JSON.
    """
    from glioseg.config import build_recipe
    from glioseg.workflows import splitting

    options = build_recipe({}, changes or ()).split
    if nnunet:
        folds = splitting.write_nnunet_folds(told.data(data), options, file, Reporter(quiet=quiet))
        out(f"{len(folds)} folds of {len(folds[0][0]) + len(folds[0][1])} cases: {file}")
        return
    cohort, drawn = splitting.write_split(told.data(data), options, file, Reporter(quiet=quiet))
    parts = {name: getattr(drawn, name) for name in ("train", "val", "test")}
    if as_json:
        print_json({"unit": drawn.unit, "sha256": drawn.sha256, **{name: list(ids) for name, ids in parts.items()}})
        return
    for name, patients in parts.items():
        n_cases = sum(case.patient in set(patients) for case in cohort.cases)
        out(f"{name:<5}  {len(patients)} patients, {n_cases} cases")
    out(f"unit: {drawn.unit}; saved as {file}")


@app.command(epilog="Example: glioseg prepare kaggle_3m --out cache --set prepare.size=128")
@takes_told
def prepare(
    data: Folder,
    folder: Annotated[Path, typer.Option("--out", help="Where prepared data is kept.")] = Path("cache"),
    recipe: Annotated[str | None, typer.Option(help="Prepare as this recipe does.")] = None,
    changes: Settings = None,
    told: Told = NOTHING_TOLD,
    quiet: Quiet = False,
) -> None:
    """Turn a data set into the arrays that networks are trained on.

    Scans are turned, cropped, normalised and resized. The command train does this by itself.
    """
    from glioseg.config import build_recipe, read_recipe
    from glioseg.workflows import cohorts

    chosen = build_recipe({}, changes or ()) if recipe is None else read_recipe(recipe, changes or ())
    wanted = told.data(data)
    made = cohorts.prepare_data(wanted, chosen.prepare, folder, Reporter(quiet=quiet))
    regions = ", ".join(made.region_names) or "none"
    out(f"{len(made.cases)} cases, modalities {', '.join(made.modalities)}, regions {regions}: {made.folder}")


@app.command(epilog="Example: glioseg recipes tum-lgg > my-recipe.toml")
def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show this recipe, all settings written out.")
    ] = None,
    changes: Settings = None,
) -> None:
    """List the recipes that come with glioseg, or show one."""
    from glioseg.config import read_recipe, shipped_recipes, write_recipe

    if name is not None:
        out(write_recipe(read_recipe(name, changes or ())))
        return
    shipped = {key: read_recipe(key) for key in shipped_recipes()}
    width = max(map(len, shipped))
    for key, recipe in shipped.items():
        out(f"{key:<{width}}  {recipe.about}{f' (after {recipe.after})' if recipe.after else ''}")


@app.command(epilog="Example: glioseg plan BraTS2021 --out my-recipe.toml")
@takes_told
def plan(
    data: Folder,
    recipe: Annotated[Path, typer.Option("--out", metavar="RECIPE", help="The TOML file to write.")],
    memory: Annotated[
        float | None, typer.Option(min=0.1, metavar="GB", help="Memory to plan for. [default: what is free]")
    ] = None,
    device: Device = "auto",
    told: Told = NOTHING_TOLD,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Propose a recipe from a data set and the memory at hand.

    The file says why for each setting; read it, change it, and train it.
    """
    from glioseg.workflows import planning

    made = planning.plan(told.data(data), recipe, memory_gb=memory, device=device, reporter=Reporter(quiet=quiet))
    if as_json:
        print_json(made.to_json())
        return
    size = " x ".join(map(str, made.proposal.size))
    out(
        f"{made.proposal.network.dims}-D, {'patches' if made.proposal.network.dims == 3 else 'slices'} of {size}, "
        f"{made.proposal.batch_size} at a time: about {made.proposal.n_bytes / 1e9:.1f} GB"
    )
    out(f"{recipe}")


app.add_typer(cli_runs.app)
app.add_typer(cli_studies.app)
