"""The commands that train many networks: studies and searches; ``app.py`` holds the application."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glioseg.cli.options import (
    NO_FLAGS,
    DataFlags,
    Device,
    Folder,
    Json,
    On,
    Quiet,
    Settings,
    end_as_stopped,
    named_folder,
    print_json,
    takes_data_flags,
)
from glioseg.console import Reporter, out
from glioseg.errors import OptionError
from glioseg.faces import command

if TYPE_CHECKING:
    from glioseg.api.studies import StudyPlan
    from glioseg.runs.read import Data
    from glioseg.studies.run import StudyResult
    from glioseg.studies.table import RunRecord
    from glioseg.studies.tune import TuneResult

app = typer.Typer()

RangedRecipe = Annotated[
    str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe, or a TOML file; it declares the ranges.")
]
SearchData = Annotated[Path, typer.Option("--data", help="The data set's folder, as downloaded.")]
SearchFolder = Annotated[Path, typer.Option("--out", help="The search's folder; a search in it is continued.")]
Trials = Annotated[int, typer.Option(min=1, help="Trials in total, including those of earlier calls.")]
AtOnce = Annotated[
    int,
    typer.Option(
        min=1,
        help="Trials that are chosen together, none knowing the others' results, so that --on can train them in "
        "parallel. The result depends on it.",
    ),
]
Minutes = Annotated[float | None, typer.Option(min=0.0, help="Stop after that time; the same command continues.")]
StudyName = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="A shipped study, or a TOML file. Without it the shipped ones are listed."),
]
StudyData = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="[NAME=]PATH",
        help="The data set's folder, as downloaded; several with names, such as lgg=kaggle_3m, if rows need different "
        "ones.",
    ),
]
StudyFolder = Annotated[Path | None, typer.Option("--out", help="The study's folder; a study in it is continued.")]
ShowStudy = Annotated[bool, typer.Option("--show", help="Print the study's file, for editing, and stop.")]
StudyRecipe = Annotated[
    str | None, typer.Option(metavar="NAME", help="A recipe in place of the study's: a name or a TOML file.")
]
Folds = Annotated[int | None, typer.Option(min=2, help="Folds of a cross-validation. [default: the study's]")]
Seeds = Annotated[
    str | None, typer.Option(metavar="N,N", help="Seeds of the trainings, such as 0,1,2. [default: the study's]")
]
RestartRuns = Annotated[bool, typer.Option("--restart", help="Retrain runs whose settings or data have changed.")]
Plan = Annotated[
    bool,
    typer.Option("--plan", help="Print a command for each unfinished run, for a job array, say, and stop."),
]
OneRun = Annotated[
    str | None, typer.Option("--run", metavar="NAME", help="Train only this run, as --plan names it; no table.")
]
SharedCache = Annotated[Path | None, typer.Option(help="Folder of prepared data. [default: cache, in the folder]")]


@app.command(epilog="Example: glioseg recipes tum-lgg > my-recipe.toml")
def recipes(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show this recipe's file; with --settings, the part to list."),
    ] = None,
    changes: Settings = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="List every setting, or those of a part such as loss or train.optimiser.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the shipped recipes, or show one.

    A recipe is shown as its file, with comments; with --set, all of its settings are written out. With --settings:
    type, default, range, unit and meaning of each setting, and which recipes set it to what.
    """
    if changes and (settings or name is None):
        raise OptionError(
            "--set changes one recipe",
            found="--settings" if settings else "no NAME",
            remedy="Name it: glioseg recipes lgg",
        )
    from glioseg.api import recipes as api

    if settings:
        from glioseg.cli.settings_text import settings_text

        listed = api.settings(name or "")
        if as_json:
            print_json({"settings": [setting.to_json() for setting in listed]})
        else:
            out(settings_text(listed))
        return
    if as_json:
        raise OptionError("--json lists settings", found="glioseg recipes --json", remedy="Add --settings")
    if name is not None:
        out(api.recipe_text(name, changes or ()).rstrip())
        return
    shipped = {key: api.recipe(key) for key in api.recipe_names()}
    width = max(map(len, shipped))
    for key, recipe in shipped.items():
        out(f"{key:<{width}}  {recipe.about}{f' (after {recipe.after})' if recipe.after else ''}")


@app.command(epilog="Example: glioseg plan BraTS2021 --out my-recipe.toml")
@takes_data_flags
def plan(
    data: Folder,
    recipe: Annotated[Path, typer.Option("--out", metavar="RECIPE", help="The TOML file to write.")],
    memory: Annotated[
        float | None, typer.Option(min=0.1, metavar="GB", help="Memory to plan for. [default: what is free]")
    ] = None,
    device: Device = "auto",
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Propose a recipe for a data set and the available memory.

    The file gives the reason for each setting; read it, change it, and train it.
    """
    from glioseg.api import recipes as api
    from glioseg.io.remote.address import as_given

    result = api.plan(flags.data(data), recipe, memory_gb=memory, device=device, progress=Reporter(quiet=quiet))
    if as_json:
        print_json(result.to_json())
        return
    size = " x ".join(map(str, result.proposal.size))
    out(
        f"{result.proposal.network.dims}-D, {'patches' if result.proposal.network.dims == 3 else 'slices'} of {size}, "
        f"{result.proposal.batch_size} at a time: about {result.proposal.n_bytes / 1e9:.1f} GB"
    )
    out(as_given(recipe))


@app.command(epilog="Example: glioseg study tum-losses --data kaggle_3m --out study --set train.max_minutes=5")
@takes_data_flags
def study(
    name: StudyName = None,
    data: StudyData = None,
    folder: StudyFolder = None,
    show: ShowStudy = False,
    recipe: StudyRecipe = None,
    folds: Folds = None,
    seeds: Seeds = None,
    changes: Settings = None,
    device: Device = "auto",
    restart: RestartRuns = False,
    plan: Plan = False,
    run: OneRun = None,
    on: On = None,
    cache: SharedCache = None,
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train the variations of a recipe, and compare them.

    Trains what is missing, so that the same command continues an interrupted study. A run that fails is reported, the
    others go on, and the exit code is 1. Without a name, lists the shipped studies. With --plan each run is a command
    of its own, for a queue; the same command without it then makes the table.
    """
    if name is None or show:
        _show_studies(name)
        return
    if not data or folder is None:
        from glioseg.studies.options import read_study

        read_study(name)  # an unknown name is reported first
        raise OptionError(
            "a study needs scans and a folder of its own",
            found=command("study", name),
            expected=command("study", name, "--data", "DATA", "--out", "FOLDER"),
        )
    if sum((plan, run is not None, on is not None)) > 1:
        raise OptionError(
            "--plan, --run and --on each say in their own way where runs are trained",
            expected="one of them",
            remedy="Leave the others out",
        )
    from glioseg.api import studies as api

    reporter, trained_on = Reporter(quiet=quiet), _study_data(data, flags)
    how: dict[str, Any] = {
        "recipe": recipe,
        "folds": folds,
        "seeds": _seeds(seeds),
        "changes": changes or (),
        "device": device,
    }
    if plan or run is not None:
        planned = api.plan_study(name, trained_on, folder, **how, cache=cache, progress=reporter)
        if run is None:
            _print_plan(planned, as_json)
        else:
            _print_record(run, planned.train(run, restart=restart, progress=reporter), as_json)
        return
    result = api.study(name, trained_on, folder, **how, cache=cache, restart=restart, on=on, progress=reporter)
    _print_study(result, as_json)


def _print_plan(plan: StudyPlan, as_json: bool) -> None:
    """The command at hand for each run that is missing, with the run in the place of --plan."""
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--plan", "--json")]
    commands = {run: command(*arguments, "--run", run) for run in plan.missing}
    if as_json:
        print_json({"runs": [{"name": name, "command": line} for name, line in commands.items()]})
        return
    for line in commands.values():
        out(line)


def _print_record(run: str, record: RunRecord, as_json: bool) -> None:
    """How a run went, and the exit code that says it."""
    if as_json:
        print_json({"name": run, **record.model_dump(mode="json")})
    elif record.state == "running":
        out(f"{run}: stopped ({record.ended}); the same command continues it")
    else:
        out(f"{run}: {record.state}{'' if record.error is None else f': {record.error}'}")
    end_as_stopped(record.ended if record.state == "running" else None)
    if record.state == "failed":
        raise typer.Exit(1)


def _study_data(given: Sequence[str], flags: DataFlags) -> Data | dict[str, Data]:
    """``[NAME=]PATH`` as data, or several by name; without a name one is called after its folder."""
    by_name: dict[str, Data] = {}
    for text in given:
        name, path = named_folder("--data", text)
        if name in by_name:
            raise OptionError("two data sets have one name", found=name, remedy="Say --data NAME=PATH with other names")
        by_name[name] = flags.data(path)
    if len(by_name) == 1:
        return next(iter(by_name.values()))
    if flags != NO_FLAGS:
        raise OptionError(
            "--layout, --scheme, --modalities and --mask-pattern are said of one data set",
            found=f"{len(by_name)} of them, {', '.join(by_name)}",
            remedy="Leave the options out, or run a study on each set alone",
        )
    return by_name


def _show_studies(name: str | None) -> None:
    """All studies that come with glioseg, or the file of one."""
    from glioseg.cli.study_texts import studies_text
    from glioseg.studies.options import study_source

    out(studies_text() if name is None else study_source(name))


def _print_study(result: StudyResult, as_json: bool) -> None:
    """The table, and the exit code that says how the study ended."""
    from glioseg.cli.study_texts import study_text

    if as_json:
        print_json(result.facts.to_json())
    else:
        out(study_text(result.facts))
        out(f"\n{result.page}")
    end_as_stopped(result.interrupted)
    if result.facts.has_failures:
        raise typer.Exit(1)


@app.command(epilog="Example: glioseg tune lgg --data kaggle_3m --out search --trials 20 --set train.max_minutes=3")
@takes_data_flags
def tune(
    recipe: RangedRecipe,
    data: SearchData,
    folder: SearchFolder,
    trials: Trials = 20,
    at_once: AtOnce = 1,
    minutes: Minutes = None,
    changes: Settings = None,
    device: Device = "auto",
    on: On = None,
    cache: SharedCache = None,
    flags: DataFlags = NO_FLAGS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search for better settings of a recipe.

    Searches the ranges that the recipe declares. Trials are judged on validation only, and stopped early if others were
    better. Ends with the best settings as a recipe, best.toml. Needs the extra tune.
    """
    from glioseg.api import studies as api
    from glioseg.studies.trials import TIME_IS_UP

    result = api.tune(
        recipe,
        flags.data(data),
        folder,
        trials=trials,
        at_once=at_once,
        minutes=minutes,
        changes=changes or (),
        device=device,
        cache=cache,
        on=on,
        progress=Reporter(quiet=quiet),
    )
    _print_search(result, as_json)
    end_as_stopped(None if result.interrupted == TIME_IS_UP else result.interrupted)
    if any(trial.error for trial in result.facts.trials):
        raise typer.Exit(1)


def _print_search(result: TuneResult, as_json: bool) -> None:
    from glioseg.cli.study_texts import tuning_text

    if as_json:
        print_json(result.facts.to_json())
        return
    out(tuning_text(result.facts))
    out(f"\n{result.page}")
    if result.best is not None:
        out(f"{result.best}")


def _seeds(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise OptionError("--seeds needs whole numbers", found=text, expected="such as 0,1,2") from error
