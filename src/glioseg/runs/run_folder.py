"""The run folder: what stands in it, and how it is begun, continued and read back."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from glioseg.cohorts.reading.layout import Layout
from glioseg.cohorts.recognise import LAYOUTS
from glioseg.config import Recipe, read_recipe, write_recipe
from glioseg.errors import FileError, OptionError
from glioseg.inference.shipped import is_model_name
from glioseg.io.files import LOCK, cannot_write, own_entries, require_folder, sweep, write_json, write_text
from glioseg.io.text import read_json
from glioseg.runs.changed import scan_changes, shortened, split_changes
from glioseg.runs.read import Data, here
from glioseg.runs.run_files import RECIPE as RECIPE
from glioseg.runs.run_files import REPORT as REPORT
from glioseg.runs.run_files import require_run as require_run
from glioseg.tasks.choose import task_named
from glioseg.tasks.data import TrainingData
from glioseg.tasks.task import AnyTask
from glioseg.training.checkpoint import LATEST, Identity, load_checkpoint, require_same

ENVIRONMENT = "environment.json"
SPLIT = "split.json"
DATA = "data.json"
SCANS = "scans.json"
BUNDLE = "bundle"
TIMING = "timing.json"
Fact = str | int | float | bool

_EXTENDABLE = ("constant", "plateau")
_NO_SETTINGS = {"name", "about", "after", "notes", "published", "evaluate", "tune"}
_NOT_IDENTITY = ("max_minutes", "max_steps", "checkpoint_every", "recompute", "patience_minutes", "start_from")


@dataclass(frozen=True)
class RunEnvironment:
    """What a run was made on.

    Args:
        facts: of the machine and the libraries, by name.
        task: name of its task; None in runs of versions that knew no others than the recipe's.
        started_from: the model whose weights it began with, in words.
    """

    facts: Mapping[str, Fact]
    task: str | None = None
    started_from: str | None = None

    def to_json(self) -> dict[str, Fact]:
        """As ``environment.json`` holds it."""
        extras = {"started_from": self.started_from, "task": self.task}
        return {**self.facts, **{name: value for name, value in extras.items() if value is not None}}

    @classmethod
    def from_json(cls, values: object) -> Self:
        """What ``to_json`` gave; nothing is known from another JSON."""
        facts = dict(values) if isinstance(values, dict) else {}
        return cls(task=facts.pop("task", None), started_from=facts.pop("started_from", None), facts=facts)


@dataclass(frozen=True)
class RunFolder:
    """A run on disk.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def recipe(self) -> Recipe:
        """As resolved when the run was begun."""
        return read_recipe(str(self.path / RECIPE))

    def task(self, own_task: AnyTask | None = None) -> AnyTask:
        """What the run's network is asked for: the recipe's task, or the one of your own that it was trained with.

        Raises:
            OptionError: it was trained with another task than ``own_task``.
        """
        name = self.environment.task if (self.path / ENVIRONMENT).exists() else None
        task = own_task or task_named(self.recipe.task)
        if name not in (None, task.name):
            raise OptionError(
                f"this run was trained for the task {name}",
                path=self.path,
                found=f"the task {task.name}",
                remedy="Call it from Python with task=…, as it was trained",
            )
        return task

    @property
    def data(self) -> Data:
        """Where the scans were read from, and how; those that are elsewhere are brought here."""
        return here(Data.from_json(read_json(self.path / DATA), self.path / DATA))

    def data_by(self, own_layout: Layout | None) -> Data:
        """``data`` with the reader of one's own by which it was read; None where it was one of ours.

        Raises:
            OptionError: it was read by another, or by one that is not given.
        """
        data = self.data
        if own_layout is None and data.layout not in (None, *(layout.name for layout in LAYOUTS)):
            raise OptionError(
                f"the run's data was read by a layout of your own, {data.layout}",
                path=self.path,
                remedy="Call it from Python with layout=…, as the data was read",
            )
        if own_layout is not None and data.layout != own_layout.name:
            raise OptionError(
                "the run's data was read by another layout",
                path=self.path,
                found=own_layout.name,
                expected=data.layout
                if isinstance(data.layout, str)
                else "the one that is recognised: leave layout out",
            )
        return data if own_layout is None else replace(data, layout=own_layout)

    @property
    def environment(self) -> RunEnvironment:
        """What it was made on."""
        return RunEnvironment.from_json(read_json(self.path / ENVIRONMENT))


def home_of(path: Path) -> Path:
    """The run folder that a bundle lies in; of a shipped network a folder here, ``model-NAME``; else what was named."""
    if is_model_name(path):
        return Path(str(path).replace(":", "-"))
    inside = path.absolute().name == BUNDLE and (path.absolute().parent / RECIPE).exists()
    return path.absolute().parent if inside else path


def begin(path: Path) -> None:
    """Make sure that ``path`` can hold a run: new, empty, or a run to be continued.

    Raises:
        FileError: the folder holds other files, or cannot be written to.
    """
    require_folder(path)
    if path.is_dir() and own_entries(path) and not (path / RECIPE).exists():
        raise FileError(
            "the folder holds files that are not a run's", path=path, remedy="Name a new folder with `--out`"
        )
    sweep(path)


def holds_recipe(path: Path, recipe: Recipe) -> bool:
    """Whether the run in a folder was begun with this very recipe, what is only scored or said counted in."""
    try:
        return (path / RECIPE).read_text(encoding="utf-8") == write_recipe(recipe)
    except OSError:
        return False


def clear(path: Path) -> None:
    """Delete what an earlier run left in its folder; whoever does so holds its lock, which stays.

    Raises:
        FileError: it cannot be deleted.
    """
    try:
        for entry in path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != LOCK:
                entry.unlink()
    except OSError as error:
        raise cannot_write(path, error) from error


def drop_figures(path: Path) -> None:
    """Delete evaluations and report, which are of an earlier best model.

    Raises:
        FileError: one cannot be deleted.
    """
    for pattern in ("evaluation-*.json", "cases-*.csv", "froc-*.csv", REPORT, "report-*.html", "calibration.*", TIMING):
        for stale in path.glob(pattern):
            try:
                stale.unlink()
            except OSError as error:
                raise cannot_write(stale, error) from error


def identity_of(recipe: Recipe, data: TrainingData, task: str, started_from: str | None = None) -> Identity:
    """What a checkpoint must agree with: the settings that decide the weights, the split, the data.

    Args:
        recipe: of the run.
        data: that it works on.
        task: name of the task; one that is not the recipe's own counts too.
        started_from: id of the model whose weights it begins with.
    """
    return Identity(
        recipe=deciding_settings(recipe),
        split=data.split.sha256,
        data=data.prepared.key,
        task=None if task == recipe.task else task,
        started_from=started_from,
    )


def deciding_settings(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide the weights, as plain values: not names, limits, or what is only scored or searched."""
    settings = recipe.model_dump(mode="json", exclude=_NO_SETTINGS)
    for name in _NOT_IDENTITY:
        settings["train"].pop(name)
    if recipe.train.compile == "no":  # as it was before there was a choice
        settings["train"].pop("compile")
    if recipe.train.schedule.kind in _EXTENDABLE:
        settings["train"].pop("epochs")
    return settings


def write_head(
    path: Path, recipe: Recipe, environment: RunEnvironment, data: Data, identity: Identity, contents: TrainingData
) -> None:
    """Write what a run is made of, unless its checkpoint belongs to something else: then nothing is touched.

    Raises:
        ResumeError: the checkpoint in the folder belongs to another recipe, split or data set.
    """
    if (path / LATEST).exists():
        require_same(
            path / LATEST, load_checkpoint(path / LATEST)["identity"], identity, partial(_changes, path, contents)
        )
    write_text(path / RECIPE, write_recipe(recipe))
    write_json(path / ENVIRONMENT, environment.to_json())
    write_json(path / DATA, data.to_json())
    write_json(path / SCANS, shortened(contents.prepared.files))


def _changes(path: Path, contents: TrainingData) -> dict[str, str]:
    return {
        "data": scan_changes(path / SCANS, contents.prepared.files),
        "split": split_changes(path / SPLIT, contents.split),
    }
