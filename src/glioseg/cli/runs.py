"""The commands that train networks and use them; ``app.py`` holds the application."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glioseg.cli.options import (
    NO_FLAGS,
    Cache,
    Convention,
    DataFlags,
    Device,
    Json,
    On,
    Pixels,
    Quiet,
    Settings,
    With,
    end_as_stopped,
    end_with,
    numbers,
    other_data,
    print_json,
    takes_data_flags,
)
from glioseg.cli.predict import predict
from glioseg.console import Reporter, out
from glioseg.errors import OptionError
from glioseg.faces import command
from glioseg.machine.loading import loading

if TYPE_CHECKING:
    from glioseg.runs.manifest import Verification
    from glioseg.runs.train import TrainResult

app = typer.Typer()

RunOrScoredBundle = Annotated[
    Path | None, typer.Argument(metavar="RUN_OR_BUNDLE", help="A run folder, or a bundle with --data.")
]
Manifest = Annotated[
    Path | None,
    typer.Option(
        "--verify",
        metavar="MANIFEST",
        help="Recompute the figures of a run, and compare them, and everything they depend on, with its manifest.json.",
    ),
]
OtherData = Annotated[Path | None, typer.Option("--data", help="Scans with masks. [default: those of the run]")]
PartOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="train, val, test or all. [default: test, else val]")
]
Detect = Annotated[
    bool,
    typer.Option("--detect", help="Score a segmentation network as a detector: whether slices and cases show tumour."),
]
Contributions = Annotated[
    bool,
    typer.Option("--contributions", help="Also score with each modality removed, and permuted: what it contributed."),
]
Only = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="Use these modalities only, as if no others had been acquired: such as t2f,t1c."
    ),
]
FiguresFolder = Annotated[Path | None, typer.Option("--out", help="Where the scores go. [default: the run folder]")]


def _recipes_that_begin_with(incomplete: str) -> list[str]:
    """The shipped recipes, for the shell's completion."""
    from glioseg.config.files import shipped_recipes

    return [name for name in shipped_recipes() if name.startswith(incomplete)]


RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="Name of a shipped recipe, or a TOML file.",
        autocompletion=_recipes_that_begin_with,
    ),
]
DataFolder = Annotated[Path, typer.Option("--data", help="The data set's folder, as downloaded.")]
NewRun = Annotated[Path, typer.Option("--out", help="The run folder; an interrupted run in it is continued.")]
SplitFile = Annotated[
    Path | None,
    typer.Option(help="Which patient is in which part: a JSON file of glioseg split, or nnU-Net's splits_final.json."),
]
Fold = Annotated[
    int | None, typer.Option(min=0, help="Which fold of a cross-validation, from 0; split.n_folds sets how many.")
]
Devices = Annotated[int, typer.Option(min=1, help="Processes that train together on this machine.")]
Restart = Annotated[bool, typer.Option("--restart", help="Delete the run in the folder and start over.")]
NoEvaluate = Annotated[bool, typer.Option("--no-evaluate", help="Stop after the training.")]
StartFrom = Annotated[
    Path | None,
    typer.Option(
        "--start-from",
        metavar="RUN_OR_BUNDLE",
        help="Start from the weights of a trained network, which may see more modalities than the data have.",
    ),
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Also write the log for TensorBoard, into OUT/tensorboard.")
]


@app.command(epilog="Example: glioseg train lgg --data ~/Downloads/kaggle_3m --out runs/lgg")
@takes_data_flags
def train(
    recipe: RecipeName,
    data: DataFolder,
    run: NewRun,
    changes: Settings = None,
    split: SplitFile = None,
    fold: Fold = None,
    device: Device = "auto",
    devices: Devices = 1,
    restart: Restart = False,
    no_evaluate: NoEvaluate = False,
    initial: StartFrom = None,
    tensorboard: TensorBoard = False,
    cache: Cache = None,
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network, evaluate it and write a report.

    The same command continues an interrupted run.
    Started by torchrun (`torchrun --nproc-per-node 4 -m glioseg train …`) or srun, all processes train together, also
    on several machines; docs/scale.md has the commands.
    """
    with loading():
        from glioseg.api import runs as api
        from glioseg.runs import train as _  # noqa: F401 - which is what takes seconds to be loaded

    trained = api.train(
        recipe,
        flags.data(data),
        run,
        changes=changes or (),
        split=split,
        fold=fold,
        device=device,
        devices=devices,
        restart=restart,
        evaluate=not no_evaluate,
        tensorboard=tensorboard,
        start_from=initial,
        cache=cache,
        progress=Reporter(quiet=quiet),
    )
    result = trained.training
    if result is not None:
        _print_training(result, run, as_json)
        end_as_stopped(None if result.outcome.met_limit else result.outcome.reason)


def _print_training(result: TrainResult, run: Path, as_json: bool) -> None:
    if not result.is_first:
        return
    if as_json:
        print_json(result.figures())
        return
    for scores in result.scores.values():
        out(scores.text)
    there = [run / name for name in ("best_model.pth", "latest_checkpoint.pth", "bundle", "report.html")]
    for path in filter(Path.exists, there):
        out(f"{path}")
    if result.report is not None:
        out(f"\nNext\n{_next_steps(run)}")


def _next_steps(run: Path) -> str:
    """What can be done with a run, as commands."""
    from glioseg.io.remote.address import as_given

    name = as_given(run)
    steps = {
        command("predict", name, "SCANS", "--out", "masks"): "predict scans that it has not seen",
        command("evaluate", name, "--data", "OTHER"): "score it on other data",
        command("compare", name, "RUN", "--out", "comparison"): "put it beside another run",
    }
    width = max(map(len, steps))
    return "\n".join(f"  {step:<{width}}  {words}" for step, words in steps.items())


@app.command(epilog="Example: glioseg evaluate runs/lgg --part test --json")
@takes_data_flags
def evaluate(
    run: RunOrScoredBundle = None,
    data: OtherData = None,
    part: PartOption = None,
    detect: Detect = False,
    only: Only = None,
    folder: FiguresFolder = None,
    others: With = None,
    manifest: Manifest = None,
    convention: Convention = None,
    pixels: Pixels = False,
    contributions: Contributions = False,
    device: Device = "auto",
    on: On = None,
    cache: Cache = None,
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a trained network against the experts' masks or classes.

    On a part of the run's own data, or on other data, whose scores are kept in evaluation-on-NAME.json and shown in
    report-on-NAME.html. Networks named by --with are scored as one ensemble, with a page report-PART-ensemble.html.
    With --verify one command checks the figures that a paper states; --data names the scans if they have moved since.
    A case of other data that is damaged or lacks a modality is named and left out, and the exit code is 1. Damage in
    the run's own data is an error: a part without one of its cases is another part.
    """
    with loading():
        from glioseg.api import runs as api
        from glioseg.runs import evaluate as _  # noqa: F401 - as above

    if manifest is not None:
        beside = (run, part, detect, only, folder, others, convention, pixels, contributions, on, flags != NO_FLAGS)
        _refuse_beside_verify(*beside)
        other = None if data is None else flags.data(data)
        verified = api.verify(manifest, other, device=device, cache=cache, progress=Reporter(quiet=quiet))
        _print_verification(verified, as_json)
        return
    if run is None:
        raise OptionError("no network is named", expected="a run folder, or a bundle with --data; or --verify MANIFEST")
    scores = api.evaluate(
        run,
        other_data(data, flags),
        part,
        out=folder,
        others=others or (),
        detect=detect,
        only=[name.strip() for name in only.split(",")] if only else (),
        convention=convention,
        pixels=pixels,
        contributions=contributions,
        device=device,
        cache=cache,
        on=on,
        progress=Reporter(quiet=quiet),
    )
    if as_json:
        print_json(scores.to_json())
    else:
        out(scores.text)
        if scores.page is not None:
            out(f"Page: {scores.page}")
    end_with(scores.left_out or {})


def _print_verification(verified: Verification, as_json: bool) -> None:
    """What was compared; exit with 1 where a figure is not that of the manifest."""
    if as_json:
        print_json(verified.to_json())
    else:
        out(verified.text)
    if not verified.holds:
        raise typer.Exit(1)


def _refuse_beside_verify(*others: object) -> None:
    """A manifest itself says what is scored."""
    if any(others):
        raise OptionError(
            "--verify scores what the manifest names",
            expected="nothing beside it but --data, --device and --cache",
            remedy="Say: glioseg evaluate --verify RUN/manifest.json",
        )


app.command(epilog="Example: glioseg predict model:phantom patient-folder --out masks")(predict)


@app.command(epilog="Example: glioseg models phantom")
def models(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show everything that is known about this one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the shipped networks, or show one.

    Of one network: what it was trained on, all its figures with intervals, and where it fails.
    """
    from glioseg.api import models as api
    from glioseg.cli.texts import model_text, models_text
    from glioseg.inference.shipped import PREFIX, shipped

    if name is not None:
        model = shipped(name.removeprefix(PREFIX))
        print_json(model.card().model_dump(mode="json")) if as_json else out(model_text(model.name, model.card()))
        return
    there = {model.name: model.card() if model.is_installed else None for model in api.models()}
    if as_json:
        print_json({name: None if card is None else card.model_dump(mode="json") for name, card in there.items()})
        return
    out(models_text({name: card for name, card in there.items() if card is not None}))
    for model in api.models():
        if not model.is_installed:
            out(f"\nmodel:{model.name}\n  not installed: {model.how_to_get}")
    out("\nglioseg models NAME: what it was trained on, all its figures, where it fails")


@app.command(epilog="Example: glioseg export runs/lgg --out lgg.onnx")
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN_OR_BUNDLE", help="A run folder, or the bundle in it.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="What to write: onnx, openvino, openvino-int8, torch, monai, or bundle (its weights in float16).",
        ),
    ] = "onnx",
    file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="What to write. [default: model.onnx, .xml or .pt2, model-int8.xml, monai-bundle or bundle-float16, in"
            " the folder]",
        ),
    ] = None,
    card: Annotated[
        Path | None, typer.Option("--card", metavar="FILE", help="A model card in TOML, to go with a bundle.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Size of the images, such as 128x128, for a network that takes a single size. [default: the recipe's]",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a network for other programs, or as a small bundle.

    Whatever is written is checked against the network itself.

    A file holds the probabilities' computation, the names of regions and modalities, and all settings of the bundle:
    onnx for onnxruntime, with a short program beside it that draws masks; openvino, an .xml and a .bin file;
    openvino-int8, the same in 8 bits, only where the Dice of the run's validation patients stays and it is faster;
    torch, a .pt2 file of torch.export; monai, a folder with which monai.bundle run draws masks. A bundle of float16 has
    half the bytes and, with --card, says what it is and how good.
    """
    from glioseg.api import models as api
    from glioseg.runs.export import export_text

    sizes = None if size is None else numbers("--size", size)
    result = api.export(run, file, form=form, card=card, size=sizes, progress=Reporter(quiet=quiet))
    if as_json:
        print_json(
            {
                "file": str(result.path),
                "bytes": result.n_bytes,
                "size": result.size,
                "step": result.step,
                "difference": result.difference,
                "notes": list(result.notes),
            }
        )
        return
    out(export_text(result))


@app.command(epilog="Example: glioseg compare runs/a runs/b --out comparison")
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders that were evaluated.")],
    part: Annotated[
        str | None, typer.Option(metavar="NAME", help="val, test, train or all. [default: test, else val]")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="Such as dice, iou, recall; may be repeated. [default: dice]"),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for comparison.json, comparison.html and figures.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare runs on the same patients.

    Means, medians and intervals of each run, and a paired Wilcoxon test of each pair of runs.
    """
    from glioseg.api import runs as api
    from glioseg.cli.texts import comparison_text

    result = api.compare(*runs, part=part, metrics=metric, out=folder)
    if as_json:
        print_json(result.to_json())
        return
    out(comparison_text(result.to_json()))
    if result.page is not None:
        out(f"\nPage: {result.page}")


@app.command(epilog="Example: glioseg report runs/lgg")
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    device: Device = "auto",
    cache: Cache = None,
    quiet: Quiet = False,
) -> None:
    """Write a run's report.html again."""
    from glioseg.api.runs import Run

    out(str(Run(run).write_report(device=device, cache=cache, progress=Reporter(quiet=quiet))))


@app.command(epilog="Example: glioseg demo --out demo")
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where everything goes.")] = Path("demo"),
    quiet: Quiet = False,
) -> None:
    """See the whole workflow on synthetic patients, in four minutes.

    Writes a cohort, inspects it, trains a network, evaluates it, predicts a scan and writes reports; then predicts
    another scan with a shipped network.
    """
    from glioseg.api import tools as api

    result = api.demo(folder, progress=Reporter(quiet=quiet))
    for scores in result.training.scores.values():
        out(scores.text)
    out(f"For comparison, the best FLAIR threshold on these patients: whole-tumour Dice {result.baseline.dice:.3f}")
    out(f"Cohort:      {result.data}")
    out(f"Its report:  {result.inspection.report}")
    out(f"Run:         {result.run}")
    out(f"Its report:  {result.training.report or '-'}")
    out(f"Prediction:  {result.prediction.file}")
    out(f"Without any training, by the shipped network: {result.shipped.file}")


@app.command(epilog="Example: glioseg doctor --backends")
def doctor(
    device: Device = "auto",
    backends: Annotated[
        bool,
        typer.Option("--backends", help="Measure the backends that can compute networks here, and say which to use."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print what this machine has, and how much of it is free.

    Device and precision, the processors that other programs leave free and the threads that predict will use, versions,
    what the extras lack, and which shipped networks are installed.
    """
    from glioseg.api import tools as api
    from glioseg.runs.doctor import doctor_text

    facts = api.doctor(device, backends=backends, progress=Reporter(quiet=quiet))
    if as_json:
        print_json(facts)
        return
    out(doctor_text(facts))
