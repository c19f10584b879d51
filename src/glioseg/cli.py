"""The command line: names, help and printing. What the commands do is in ``workflows``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glioseg import __version__
from glioseg.console import Reporter, out
from glioseg.errors import GliosegError, OptionError

if TYPE_CHECKING:
    from glioseg.workflows.cohorts import Data

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

Folder = Annotated[Path, typer.Argument(metavar="DATA", help="The data set's folder, as downloaded.")]
# The tables of these names load numpy, which help does without; a test holds the lines to them.
_LAYOUTS = "brats, brats-h5, classes, lgg, msd, nnunet, pairs or volumes"
_SCHEMES = "brats2015, brats2021, brats2023, brats2024, msd, nnunet137, whole-tumour, lgg, binary or ibsr"
_WRITTEN_LAYOUTS = "brats2021, brats2023, brats-h5, lgg, msd, nnunet, pairs, classes or volumes"
Layout = Annotated[
    str | None, typer.Option(metavar="NAME", help=f"How the data set is laid out, if not recognised: {_LAYOUTS}.")
]
Scheme = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"What the integers in the masks mean, if the files do not say: {_SCHEMES}."),
]
Modalities = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="What the channels are, in file order, if the files do not say: such as t1n,t1c,t2w,t2f."
    ),
]
NewFolder = Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write; it must not exist, or be empty.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change a setting, such as train.epochs=20; may be repeated."),
]


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
def inspect(
    data: Folder,
    report: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for report.html, figures and inspect.json. [default: NAME-report]"),
    ] = None,
    layout: Layout = None,
    scheme: Scheme = None,
    modalities: Modalities = None,
    as_json: Json = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Print only; write no files.")] = False,
    quiet: Quiet = False,
) -> None:
    """Recognise, check and describe a folder of scans.

    The exit code is 1 where a finding is an error; warnings and notes leave it at 0.
    """
    from glioseg.workflows import cohorts
    from glioseg.workflows.texts import inspection_text

    wanted = _data(data, layout, scheme, modalities)
    name = Path(os.path.abspath(data)).name or "cohort"  # noqa: PTH100 - resolve() fails on a link to itself
    folder = None if no_report else report or Path(f"{name}-report")
    found = cohorts.inspect(wanted, folder, Reporter(quiet=quiet))
    if as_json:
        _print_json(found.description.to_json() | {"report": None if found.report is None else str(found.report)})
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
        str, typer.Option(metavar="NAME", help=f"How to lay the files out: {_WRITTEN_LAYOUTS}.")
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
    quiet: Quiet = False,
) -> None:
    """Write synthetic patients as the files of a data set.

    Brains with tumours, made from the ICBM 2009 maps: four modalities, masks, ages and survival. The same seed gives
    the same files.
    """
    from glioseg.cohorts.phantom import PhantomOptions
    from glioseg.workflows import cohorts

    options = PhantomOptions(n_patients=patients, spacing_mm=spacing, seed=seed)
    cohorts.phantom(folder, options, layout, tissues, Reporter(quiet=quiet))
    out(f"{patients} phantom patients: {folder}")
    if tissues is not None:
        out(f"Their tissues: {tissues}")


@app.command(epilog="Example: glioseg convert BraTS2021 Dataset001_Glioma --to nnunet")
def convert(
    data: Folder,
    folder: NewFolder,
    to: Annotated[
        str, typer.Option("--to", metavar="NAME", help=f"How to lay the files out: {_WRITTEN_LAYOUTS}.")
    ] = "nnunet",
    layout: Layout = None,
    scheme: Scheme = None,
    modalities: Modalities = None,
    quiet: Quiet = False,
) -> None:
    """Write a data set again in another layout.

    Labels are translated by their meaning: 4 of BraTS 2021 becomes 3 of BraTS 2023, both enhancing tumour.
    """
    from glioseg.workflows import cohorts

    cohort = cohorts.convert(_data(data, layout, scheme, modalities), folder, to, Reporter(quiet=quiet))
    out(f"{len(cohort.cases)} cases as {to}: {folder}")


@app.command(epilog="Example: glioseg split kaggle_3m --out split.json --set split.n_folds=5")
def split(
    data: Folder,
    file: Annotated[Path, typer.Option("--out", help="JSON file to write.")] = Path("split.json"),
    nnunet: Annotated[
        bool, typer.Option("--nnunet", help="Write all folds in the form of nnU-Net's splits_final.json.")
    ] = False,
    changes: Settings = None,
    layout: Layout = None,
    scheme: Scheme = None,
    modalities: Modalities = None,
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
        folds = splitting.write_nnunet_folds(
            _data(data, layout, scheme, modalities), options, file, Reporter(quiet=quiet)
        )
        out(f"{len(folds)} folds of {len(folds[0][0]) + len(folds[0][1])} cases: {file}")
        return
    cohort, drawn = splitting.write_split(_data(data, layout, scheme, modalities), options, file, Reporter(quiet=quiet))
    parts = {name: getattr(drawn, name) for name in ("train", "val", "test")}
    if as_json:
        _print_json({"unit": drawn.unit, "sha256": drawn.sha256, **{name: list(ids) for name, ids in parts.items()}})
        return
    for name, patients in parts.items():
        n_cases = sum(case.patient in set(patients) for case in cohort.cases)
        out(f"{name:<5}  {len(patients)} patients, {n_cases} cases")
    out(f"unit: {drawn.unit}; saved as {file}")


@app.command(epilog="Example: glioseg prepare kaggle_3m --out cache --set prepare.size=128")
def prepare(
    data: Folder,
    folder: Annotated[Path, typer.Option("--out", help="Where prepared data is kept.")] = Path("cache"),
    recipe: Annotated[str | None, typer.Option(help="Prepare as this recipe does.")] = None,
    changes: Settings = None,
    layout: Layout = None,
    scheme: Scheme = None,
    modalities: Modalities = None,
    quiet: Quiet = False,
) -> None:
    """Turn a data set into the arrays that networks are trained on.

    Scans are turned, cropped, normalised and resized. The command train does this by itself.
    """
    from glioseg.config import build_recipe, read_recipe
    from glioseg.workflows import cohorts

    chosen = build_recipe({}, changes or ()) if recipe is None else read_recipe(recipe, changes or ())
    wanted = _data(data, layout, scheme, modalities)
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


Device = Annotated[str, typer.Option(metavar="NAME", help="Where to compute: auto, cpu, cuda, cuda:N or mps.")]
Cache = Annotated[Path | None, typer.Option(help="Where prepared data is kept. [default: cache, beside the run]")]


@app.command(epilog="Example: glioseg train lgg --data ~/Downloads/kaggle_3m --out runs/lgg")
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe, or a TOML file.")],
    data: Annotated[Path, typer.Option("--data", help="The data set's folder, as downloaded.")],
    run: Annotated[Path, typer.Option("--out", help="The run folder; an interrupted run in it is continued.")],
    changes: Settings = None,
    split: Annotated[
        Path | None,
        typer.Option(help="Who is in which part: a JSON file of glioseg split, or nnU-Net's splits_final.json."),
    ] = None,
    fold: Annotated[
        int | None, typer.Option(min=0, help="Which fold of a cross-validation, from 0; split.n_folds sets how many.")
    ] = None,
    device: Device = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Processes that train together.")] = 1,
    restart: Annotated[bool, typer.Option("--restart", help="Delete the run in the folder and begin anew.")] = False,
    no_evaluate: Annotated[bool, typer.Option("--no-evaluate", help="Stop after the training.")] = False,
    initial: Annotated[
        Path | None,
        typer.Option("--start-from", metavar="RUN_OR_BUNDLE", help="Start from the weights of a trained network."),
    ] = None,
    cache: Cache = None,
    layout: Layout = None,
    scheme: Scheme = None,
    modalities: Modalities = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network, evaluate it and write a report.

    The same command continues a run that was interrupted.
    """
    from glioseg.config import read_recipe
    from glioseg.workflows import material, training

    drawn = [f"split.fold={fold}"] if fold is not None and split is None else []
    settings = [*(changes or ()), *drawn]
    of_file = fold if split is not None else None
    where = material.Where(run, cache, split, of_file, device, devices, restart, not no_evaluate, initial)
    ended = training.train(
        read_recipe(recipe, settings), _data(data, layout, scheme, modalities), where, Reporter(quiet=quiet)
    )
    _show_evaluations({name: part.evaluation.to_json() for name, part in ended.evaluated.items()}, as_json)
    if not as_json:
        for name in ("best_model.pth", "latest_checkpoint.pth", "bundle", "report.html"):
            if (run / name).exists():
                out(f"{run / name}")


@app.command(epilog="Example: glioseg evaluate runs/lgg --part test --json")
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN_OR_BUNDLE", help="A run folder, or a bundle with --data.")],
    data: Annotated[Path | None, typer.Option("--data", help="Scans with masks. [default: those of the run]")] = None,
    part: Annotated[
        str | None, typer.Option(metavar="NAME", help="train, val, test or all. [default: test, else val]")
    ] = None,
    detect: Annotated[
        bool,
        typer.Option("--detect", help="Score a network that segments by whether it finds tumour, per slice and case."),
    ] = False,
    folder: Annotated[Path | None, typer.Option("--out", help="Where figures go. [default: the run folder]")] = None,
    device: Device = "auto",
    cache: Cache = None,
    layout: Layout = None,
    scheme: Scheme = None,
    modalities: Modalities = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a trained network against the experts' masks or classes.

    On a part of the run's own data, or on other data.
    """
    from glioseg.workflows import evaluate as scoring

    other = None if data is None else _data(data, layout, scheme, modalities)
    name, found = scoring.evaluate(run, other, part, folder, device, cache, Reporter(quiet=quiet), detect=detect)
    figures = found.evaluation.to_json()
    if as_json:
        _print_json(figures)
    else:
        _show_evaluations({name: figures}, as_json=False)


@app.command(epilog="Example: glioseg predict runs/lgg patient-folder --out masks")
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN_OR_BUNDLE", help="A run folder, or the bundle in it.")],
    inputs: Annotated[
        list[Path] | None, typer.Argument(metavar="INPUT", help="Folders of cases, volumes or pictures.")
    ] = None,
    folder: Annotated[Path, typer.Option("--out", help="Where masks, figures and tables go.")] = Path("predictions"),
    modality: Annotated[
        list[str] | None,
        typer.Option(
            "--modality",
            metavar="NAME=FILE",
            help="One case file by file, such as t2f=scan.nii.gz; repeated for each modality.",
        ),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Segment scans, or classify pictures, with a trained network.

    For each case a mask on the scan's own grid, the volumes of its regions, and a picture; or its class, the confidence
    of that, and the picture captioned with them.
    """
    from glioseg.workflows import predicting

    files = {}
    for given in modality or ():
        name, equals, path = given.partition("=")
        if not equals:
            raise OptionError("--modality needs NAME=FILE", found=given, expected="such as t2f=scan.nii.gz")
        files[name] = Path(path)
    done = predicting.predict(
        run, inputs or [], folder, modality_files=files, device=device, reporter=Reporter(quiet=quiet)
    )
    if as_json:
        _print_json({"cases": [one.to_json() for one in done]})
        return
    for one in done:
        out(one.text)


@app.command(epilog="Example: glioseg report runs/lgg")
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    device: Device = "auto",
    cache: Cache = None,
    quiet: Quiet = False,
) -> None:
    """Write a run's report.html again."""
    from glioseg.workflows import evaluate as scoring

    out(str(scoring.write_report(run, device, cache, Reporter(quiet=quiet))))


@app.command(epilog="Example: glioseg demo --out demo")
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where everything goes.")] = Path("demo"),
    quiet: Quiet = False,
) -> None:
    """See all of it on synthetic patients, in about four minutes.

    Writes a cohort, inspects it, trains a network, evaluates it, predicts a scan and writes reports.
    """
    from glioseg.workflows import demo as demonstration

    done = demonstration.demo(folder, Reporter(quiet=quiet))
    _show_evaluations({name: part.evaluation.to_json() for name, part in done.trained.evaluated.items()}, as_json=False)
    out(f"For comparison, the best FLAIR threshold on these patients: whole-tumour Dice {done.baseline.dice:.3f}")
    out(f"Cohort:      {done.data}")
    out(f"Its report:  {done.inspection.report}")
    out(f"Run:         {done.run}")
    out(f"Its report:  {done.trained.report or '-'}")
    out(f"Prediction:  {done.predicted.mask}")


@app.command(epilog="Example: glioseg doctor --json")
def doctor(device: Device = "auto", as_json: Json = False) -> None:
    """Print the device, precision, threads and versions in use."""
    from glioseg.train.environment import environment

    facts = environment(device)
    if as_json:
        _print_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        out(f"{name:<{width}}  {value}")


def _show_evaluations(parts: dict[str, Any], as_json: bool) -> None:
    from glioseg.workflows.texts import evaluation_text

    if as_json:
        _print_json(parts)
        return
    for part, figures in parts.items():
        out(evaluation_text(part, figures))


def _data(path: Path, layout: str | None, scheme: str | None, modalities: str | None) -> Data:
    from glioseg.workflows.cohorts import Data

    names = None if modalities is None else tuple(name.strip() for name in modalities.split(","))
    if names is not None and not all(names):
        raise OptionError("--modalities needs names", found=f'"{modalities}"', expected="such as t1n,t1c,t2w,t2f")
    return Data(path, layout, scheme, names)


def _print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    out(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))
