"""A study: a recipe with its variations, folds and seeds, as one TOML file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from glioseg.config import (
    Recipe,
    changed_recipe,
    leaves,
    parsed_change,
    recipe_values,
    require_effect,
    with_settings,
)
from glioseg.config.files import shipped_or_own
from glioseg.core import PartName
from glioseg.errors import GliosegError, OptionError
from glioseg.evaluation.metrics import MetricName, OverlapMetricName
from glioseg.evaluation.published import PublishedFigure, PublishedProtocol
from glioseg.faces import on_command_line
from glioseg.frozen import Frozen
from glioseg.io.text import read_text, read_toml
from glioseg.networks.build import OPTIONS
from glioseg.options import Options, explained

_OWN_FILES = ("cache", "figures", "study.csv", "study.html", "study.json", "study.toml")
_LONGEST_NAME = 200
"""Of the folder of a row: file systems take 255 characters, and what is written beside it adds some."""
_OF_THE_STUDY = {"split.n_folds": "folds", "split.fold": "folds", "train.seed": "seeds"}
Settings = Mapping[str, Any]
"""Name such as ``train.epochs`` -> value; a TOML file may nest them as a recipe does."""


def _flat(value: object) -> object:
    return dict(leaves(value)) if isinstance(value, Mapping) else value


class RowOptions(Frozen):
    """One row of the table.

    Attributes:
        name: in the table; its folder is called after it.
        recipe: in place of the study's.
        set: settings that differ from the other rows'.
        data: name of the folder that it is trained on, where several are given and one has that name; else the first
            that can feed it.
        published: part -> metric -> region -> value that the publication reports for these settings, scored as the
            recipe's ``published`` part says.
    """

    name: str = Field(min_length=1)
    recipe: str | None = None
    set: Settings = Field(default_factory=dict)
    data: str | None = None
    published: Mapping[PartName, Mapping[OverlapMetricName, Mapping[str, float]]] = Field(default_factory=dict)

    _nested = field_validator("set", mode="before")(_flat)


class AxisOptions(Frozen):
    """Settings that vary together; several axes are crossed, the first varying slowest.

    Attributes:
        set: settings, each with a list of as many values.
        names: of the values, in the names of rows; else the values of the first setting.
    """

    set: Mapping[str, tuple[Any, ...]] = Field(min_length=1)
    names: tuple[str, ...] | None = None

    _nested = field_validator("set", mode="before")(_flat)

    @model_validator(mode="after")
    def _are_as_many(self) -> Self:
        counts = {name: len(values) for name, values in self.set.items()}
        counts |= {} if self.names is None else {"names": len(self.names)}
        if len(set(counts.values())) > 1 or 0 in counts.values():
            words = ", ".join(f"{name} has {n}" for name, n in counts.items())
            raise ValueError(f"settings that vary together need as many values each: {words}")
        return self

    def points(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and settings of each value."""
        first = next(iter(self.set.values()))
        names = self.names or tuple(str(value) for value in first)
        return [(name, {key: self.set[key][place] for key in self.set}) for place, name in enumerate(names)]


class StudyOptions(Options):
    """What is trained, and what of it is compared.

    Attributes:
        name: what ``glioseg study`` calls it.
        about: one sentence.
        after: the publication and which of its tables it follows, if any.
        notes: what a reader of the table must know.
        recipe: of the rows that name none.
        set: settings common to all rows.
        rows: the rows;
        axes: or what they are made of. With neither there is one row, the recipe.
        folds: cross-validation: every row is trained so many times, each fold once the validation part. The test part
            is held out first: for a cross-validation over everyone set ``split.test = 0``.
        seeds: every row is trained once for each; of weights, order and augmentation, not of the split.
        parts: to be scored.
        metrics: to be compared; the first is drawn. None: those that are usual for the task of each row.
        paired: whether rows are tested against the first, patient by patient.
    """

    name: str = "unnamed"
    about: str = ""
    after: str = ""
    notes: tuple[str, ...] = ()
    recipe: str | None = None
    set: Settings = Field(default_factory=dict)
    rows: tuple[RowOptions, ...] = ()
    axes: tuple[AxisOptions, ...] = ()
    folds: int | None = Field(None, ge=2)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    parts: tuple[PartName, ...] = Field(("test",), min_length=1)
    metrics: tuple[MetricName, ...] | None = Field(None, min_length=1)
    paired: bool = True

    _nested = field_validator("set", mode="before")(_flat)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.rows and self.axes:
            raise ValueError("a study has rows, or axes that make them, not both")
        used = {*self.set, *(name for row in self.rows for name in row.set)}
        used |= {name for axis in self.axes for name in axis.set}
        for name in sorted(_OF_THE_STUDY.keys() & used):
            raise ValueError(f"{name} is not a setting of rows: say {_OF_THE_STUDY[name]} of the study")
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds are different whole numbers from 0: {list(self.seeds)}")
        names = [row.name for row in self.listed_rows()]
        folders = [folder_of(name) for name in names]
        for name, folder in zip(names, folders, strict=True):
            if not folder or folders.count(folder) > 1:
                raise ValueError(f"the name {name!r} of a row cannot be told from others by its letters and digits")
            if folder in _OWN_FILES:
                raise ValueError(f"the name {name!r} of a row is that of a file or folder of the study")
            if len(folder) > _LONGEST_NAME:
                raise ValueError(f"the name {name[:40]!r}… of a row has more than {_LONGEST_NAME} characters")
        unnamed = [row.name for row in self.listed_rows() if (row.recipe or self.recipe) is None]
        if unnamed:
            raise ValueError(f"recipe: the study names none, nor does its row {unnamed[0]}")
        return self

    def listed_rows(self) -> tuple[RowOptions, ...]:
        """The rows, those of axes written out."""
        if self.rows or not self.axes:
            name = self.name if self.recipe is None else Path(self.recipe).stem
            return self.rows or (RowOptions(name=name),)
        rows = []
        for points in product(*(axis.points() for axis in self.axes)):
            settings = {key: value for _, point in points for key, value in point.items()}
            rows.append(RowOptions(name=", ".join(name for name, _ in points), set=settings))
        return tuple(rows)


@dataclass(frozen=True)
class StudyRow:
    """A row whose settings are resolved.

    Args:
        name: of the row.
        folder: what its folder is called.
        recipe: what is trained; None where its settings have a fault.
        fault: that fault in words.
        ignored: settings of the command line that its network does not have.
        data: name of the folder that it is trained on, where several are given.
    """

    name: str
    folder: str
    recipe: Recipe | None
    fault: str | None = None
    ignored: tuple[str, ...] = ()
    data: str | None = None

    def require_recipe(self) -> Recipe:
        """What is trained.

        Raises:
            OptionError: its settings have a fault.
        """
        if self.recipe is None:
            raise OptionError(f"the row {self.name} cannot be trained: {self.fault}")
        return self.recipe


def shipped_studies() -> dict[str, Path]:
    """Name -> file of the studies that come with glioseg."""
    folder = Path(str(resources.files("glioseg") / "recipes" / "studies"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def study_source(name_or_path: str) -> str:
    """The file of a study as text, once it is certain that it is valid; errors as ``read_study``."""
    read_study(name_or_path)
    return read_text(shipped_studies().get(name_or_path, Path(name_or_path)))


def read_study(name_or_path: str, changes: Mapping[str, Any] | None = None) -> StudyOptions:
    """A shipped study by name, or one in a file.

    Args:
        name_or_path: of the study.
        changes: fields of ``StudyOptions`` to be replaced.

    Raises:
        FileError: no such file, or not TOML.
        OptionError: unknown or unfitting settings; the message names the nearest known one.
    """
    path = shipped_or_own("study", name_or_path, shipped_studies())
    values = read_toml(path)
    try:
        return StudyOptions.model_validate({"name": path.stem} | values | dict(changes or {}))
    except ValidationError as error:
        raise OptionError(explained(error, StudyOptions), path=path) from error


def study_of(study: str | StudyOptions, changes: Mapping[str, Any]) -> StudyOptions:
    """A study as ``read_study`` takes it, or one that is at hand, with fields of ``StudyOptions`` replaced."""
    if not isinstance(study, StudyOptions):
        return read_study(study, changes)
    try:
        return StudyOptions.model_validate(study.model_dump() | dict(changes))
    except ValidationError as error:
        raise OptionError(explained(error, StudyOptions), path=study.name) from error


def study_rows(study: StudyOptions, changes: Sequence[str] = ()) -> tuple[StudyRow, ...]:
    """The rows with their recipes; a row whose settings have a fault carries it, and the others go on.

    Settings are applied in the order recipe, study, row, ``changes`` of the command line. Where rows have different
    networks, a change of ``model`` is left out of those whose network has no such setting, and the row says so.

    Raises:
        OptionError: no row can be built, or a change fits none of them.
    """
    parsed = dict(parsed_change(change) for change in changes)
    for name in _OF_THE_STUDY.keys() & parsed.keys():
        raise OptionError(f"{name} is decided by the study", remedy=f"Use `--{_OF_THE_STUDY[name]}`")
    rows = tuple(_row(study, row, parsed) for row in study.listed_rows())
    faults = [row.fault for row in rows if row.recipe is None]
    if len(faults) == len(rows):
        raise OptionError(f"no row of the study {study.name} can be trained: {faults[0]}")
    for name in parsed:
        if all(name in row.ignored for row in rows if row.recipe is not None):
            raise OptionError(f"no row of the study {study.name} has a setting {name}")
    return rows


def run_recipe(row: StudyRow, study: StudyOptions, fold: int, seed: int) -> Recipe:
    """The recipe of one run of a row; an OptionError for a row whose settings have a fault."""
    recipe = row.require_recipe()
    split = recipe.split
    if study.folds is not None:
        split = split.model_copy(update={"n_folds": study.folds, "fold": fold})
    return recipe.model_copy(update={"split": split, "train": recipe.train.model_copy(update={"seed": seed})})


def folder_of(name: str) -> str:
    """What the folder of a row is called: its letters, digits and signs that every file system takes."""
    return re.sub(r"[^a-z0-9.+=_]+", "-", name.lower()).strip("-.")


def _row(study: StudyOptions, row: RowOptions, changes: Settings) -> StudyRow:
    try:
        values, path = recipe_values(row.recipe or study.recipe or "")
        ignored = _not_of_the_network(with_settings(with_settings(values, study.set), row.set), changes)
        row_changes = {name: value for name, value in changes.items() if name not in ignored}
        recipe = changed_recipe(values, [study.set, row.set, row_changes], str(path))
        require_effect(recipe, {**row.set, **row_changes})
        if row.published:
            recipe = recipe.model_copy(update={"published": _published(study, row, recipe)})
        for part in study.parts:
            if getattr(recipe.split, part) == 0 and not (part == "val" and study.folds is not None):
                raise OptionError(f"the split has no {part} part", remedy=f"Give split.{part} a share of the patients")
        return StudyRow(row.name, folder_of(row.name), recipe, None, ignored, row.data)
    except GliosegError as error:
        return StudyRow(row.name, folder_of(row.name), None, on_command_line(error.text))


def _not_of_the_network(values: Mapping[str, Any], changes: Settings) -> tuple[str, ...]:
    """Changes to settings that some network has, but not the row's own; one of ``model.kind`` is always meant."""
    kind = str(changes.get("model.kind", values.get("model", {}).get("kind", "unet")))
    if kind not in OPTIONS:
        return ()
    all_names = {name for options in OPTIONS.values() for name in options.model_fields}
    foreign = {f"model.{name}" for name in all_names - set(OPTIONS[kind].model_fields)}
    return tuple(name for name in changes if name in foreign)


def _published(study: StudyOptions, row: RowOptions, recipe: Recipe) -> PublishedProtocol:
    """The recipe's protocol with the row's figures in place of its own of the same metric."""
    protocol = recipe.published
    if not isinstance(protocol, PublishedProtocol):
        raise OptionError(f"the recipe {recipe.name} does not say how published figures were scored", found=row.name)
    figures: list[PublishedFigure] = []
    replaced = set()
    for part, metrics in row.published.items():
        for metric, values in metrics.items():
            like = next((figure for figure in protocol.figures if figure.metric == metric), None)
            if like is None:
                raise OptionError(f"the recipe {recipe.name} does not say how {metric} was scored", found=row.name)
            replaced.add(protocol.figures.index(like))
            figures.append(like.model_copy(update={"part": part, "values": dict(values)}))
    unchanged = [figure for place, figure in enumerate(protocol.figures) if place not in replaced]
    return protocol.model_copy(
        update={
            "source": f"{study.after or protocol.source}, {row.name}",
            "figures": (*figures, *unchanged),
            "settings": {**study.set, **row.set},
        }
    )
