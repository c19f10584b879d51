"""A recipe: one TOML file with everything that decides a training, but paths."""

from __future__ import annotations

import difflib
import json
import tomllib
import typing
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Self

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from glioseg.cohorts.splits.split import SplitOptions
from glioseg.core.targets import TASK_WORDS, TaskName
from glioseg.errors import OptionError
from glioseg.evaluation.metrics import CLASS_SCORES, REGION_SCORES
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.evaluation.published import PublishedProtocol
from glioseg.evaluation.published_classes import PublishedClasses
from glioseg.inference.options import PredictOptions
from glioseg.io.files import cannot_read
from glioseg.networks.build import ModelOptions, dims_of, kind_of, needs_size, settings_for, task_of
from glioseg.networks.unet import UNetOptions
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions
from glioseg.preparation.slices import SliceOptions
from glioseg.training.augment import AugmentOptions
from glioseg.training.losses import DEFAULT_LOSS, LossOptions
from glioseg.training.options import TrainOptions
from glioseg.training.ranges import Range

_TUNABLE = ("prepare", "slices", "patches", "model", "loss", "augment", "train", "predict")
"""Parts that decide how a network is trained and used, not what it is trained on or how it is scored."""
PublishedOptions = PublishedProtocol | PublishedClasses
PICKING_SCORES: Mapping[TaskName, Sequence[str]] = {"segment": REGION_SCORES, "classify": CLASS_SCORES}
"""Task -> the scores by which its best model can be picked."""
_OF_NO_EFFECT = frozenset(
    {
        "data.max_patients",  # said apart, as are limits of time
        "train.max_minutes",
        "train.max_steps",
        "train.checkpoint_every",
        "train.deterministic",
        "train.precision",
        "train.seed",
    }
)


class DataOptions(BaseModel):
    """What of a cohort a training uses.

    Attributes:
        modalities: channels of the network, in order; None takes all that the cohort has.
        max_patients: use only so many patients, the first by name; None for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    modalities: tuple[str, ...] | None = Field(None, min_length=1)
    max_patients: int | None = Field(None, ge=2)


class Recipe(BaseModel):
    """All settings of a training; each part is documented where it is used.

    Attributes:
        name: what ``glioseg train`` calls it.
        about: one sentence.
        after: the publication it follows, if any.
        notes: what was chosen where the publication is ambiguous; printed in the report.
        patches: what a 3-D network is trained on, in place of slices; networks of slices have none.
        published: how the publication scored, and its figures.
        tune: settings that ``glioseg tune`` searches over, by name, and where; they decide nothing
            else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "unnamed"
    about: str = ""
    after: str = ""
    notes: tuple[str, ...] = ()
    data: DataOptions = DataOptions()
    split: SplitOptions = SplitOptions()
    prepare: PrepareOptions = PrepareOptions()
    slices: SliceOptions = SliceOptions()
    patches: PatchOptions | None = None
    model: ModelOptions = UNetOptions()
    loss: LossOptions = LossOptions()
    augment: AugmentOptions = AugmentOptions()
    train: TrainOptions = TrainOptions()
    predict: PredictOptions = PredictOptions()
    evaluate: EvaluateOptions = EvaluateOptions()
    published: PublishedOptions | None = None
    tune: Mapping[str, Range] | None = None

    @model_validator(mode="after")
    def _ranges_are_of_settings(self) -> Self:
        for name in self.tune or ():
            if name.partition(".")[0] not in _TUNABLE:
                raise ValueError(f"tune.{name}: only settings of {', '.join(_TUNABLE)} can be searched over")
            if name not in set(_names(Recipe)):
                raise ValueError(f"tune: there is no setting {name}{_did_you_mean(name, Recipe)}")
        return self

    @model_validator(mode="after")
    def _loss_fits_activation(self) -> Self:
        if self.loss.activation != self.predict.activation:
            other = ("ce or ce+dice", "bce+dice")[self.predict.activation == "sigmoid"]
            raise ValueError(
                f"loss.kind = {self.loss.kind} is for {self.loss.activation} and predict.activation = "
                f"{self.predict.activation}; set loss.kind={other}, or predict.activation={self.loss.activation}"
            )
        return self

    @model_validator(mode="after")
    def _regions_are_those_of_the_network(self) -> Self:
        known = self.prepare.regions
        options = self.predict
        for name, named in {
            "thresholds": tuple(options.thresholds),
            "min_voxels": tuple(options.min_voxels),
            "largest_component": options.largest_component,
        }.items():
            unknown = [] if known is None else [region for region in named if region not in known]
            if known is not None and unknown:
                raise ValueError(f"predict.{name}: the network has no region {unknown[0]}, only {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _slices_or_patches(self) -> Self:
        """A setting that the network has no use for is refused, so that none is without effect."""
        if dims_of(self.model) == 2:
            if self.patches is not None:
                raise ValueError("patches belong to a 3-D network: leave the part [patches] out, or set model.dims = 3")
            return self
        if self.patches is None:
            raise ValueError("a 3-D network is trained on patches: add a part [patches] (--set patches.size=auto)")
        of_slices = {
            "slices": self.slices != SliceOptions(),
            "train.tumour_share": self.train.tumour_share is not None,
            "split.protocol = slice": self.split.protocol == "slice",
            f"loss.kind = {self.loss.kind} (its weight maps)": self.loss.needs_border,
        }
        for name, is_set in of_slices.items():
            if is_set:
                raise ValueError(f"{name} is for networks of slices, and model.dims is 3: leave it out")
        return self

    @model_validator(mode="after")
    def _parts_fit_one_task(self) -> Self:
        what = f"model.kind = {self.model.kind} {TASK_WORDS[self.task]}"
        if self.loss.task != self.task:
            raise ValueError(
                f"{what}, and loss.kind = {self.loss.kind} does not; set loss.kind={DEFAULT_LOSS[self.task]}"
            )
        scores = PICKING_SCORES[self.task]
        if self.train.score not in scores:
            raise ValueError(f"{what}: train.score is one of {', '.join(scores)}, not {self.train.score}")
        if self.predict.task not in (None, self.task):
            raise ValueError(f"{what}, and has no thresholds to choose; set predict.tune=false")
        if self.published is not None and self.published.task != self.task:
            raise ValueError(f"{what}, and the published figures are of the other kind")
        if needs_size(self.model) and self.prepare.size is None:
            raise ValueError(f"{what} by a dense layer, which needs pictures of one size; set prepare.size")
        return self

    @property
    def task(self) -> TaskName:
        """What the network is asked for."""
        return task_of(self.model)


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of the recipes that come with glioseg."""
    folder = Path(str(resources.files("glioseg") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_recipe(name_or_path: str, changes: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name, or one in a file, with ``--set a.b=value`` applied.

    Raises:
        FileError: no such file, or not TOML.
        OptionError: unknown or unfitting settings; the message names the nearest known one.
    """
    values, path = recipe_values(name_or_path)
    return build_recipe(values, changes, str(path))


def recipe_values(name_or_path: str) -> tuple[dict[str, Any], Path]:
    """What stands in a recipe's file, not yet validated, and the file; errors as ``read_recipe``."""
    shipped = shipped_recipes()
    path = shipped.get(name_or_path, Path(name_or_path))
    if path.suffix != ".toml" and not path.exists():
        near = difflib.get_close_matches(name_or_path, shipped, 1)
        raise OptionError(
            f"there is no recipe {name_or_path}",
            expected=f"one of {', '.join(shipped)}, or a TOML file",
            remedy=f"Did you mean {near[0]}?" if near else None,
        )
    return read_toml(path), path


def read_toml(path: Path) -> dict[str, Any]:
    """The values in a TOML file.

    Raises:
        FileError: no such file, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from error


def build_recipe(values: Mapping[str, Any], changes: Sequence[str] = (), path: str | None = None) -> Recipe:
    """Validate a recipe's values with ``a.b=value`` changes applied; errors as ``read_recipe``."""
    changed = with_settings(values, dict(parsed_change(change) for change in changes))
    try:
        return Recipe.model_validate(changed)
    except ValidationError as error:
        raise OptionError(explained(error, Recipe), path=path) from error


def with_settings(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a recipe's values with settings such as ``train.epochs`` -> 20 changed, one after the other.

    Raises:
        OptionError: a name that leads through a value, or a network that there is not.
    """
    changed: dict[str, Any] = json.loads(json.dumps(values))
    for name, value in settings.items():
        _apply(changed, name, value)
    return changed


def parsed_change(change: str) -> tuple[str, Any]:
    """``train.epochs=20`` -> its name and its value.

    Raises:
        OptionError: not of that form.
    """
    name, equals, text = change.partition("=")
    if not equals or not name.strip():
        raise OptionError("--set needs NAME=VALUE", found=change, expected="such as train.epochs=20")
    return name.strip(), _parsed(name.strip(), text.strip())


def changes_to_shipped(recipe: Recipe) -> tuple[str, ...]:
    """The settings, as ``train.epochs``, in which a recipe differs from the shipped one of its name.

    What decides no figure does not count: the split and its seed, which are told apart, processors and checkpoints.
    Nor do settings by which the publication got the figures that the recipe names (``published.settings``). Nothing
    differs where no recipe of that name is shipped.
    """
    if recipe.name not in shipped_recipes():
        return ()
    settings = {} if recipe.published is None else recipe.published.settings
    shipped = build_recipe(with_settings(recipe_values(recipe.name)[0], settings))
    return tuple(name for name in differences(shipped, recipe) if name not in _OF_NO_EFFECT)


def differences(one: Recipe, other: Recipe) -> tuple[str, ...]:
    """The settings in which two recipes differ, of the parts that decide what is trained and how it predicts."""
    parts = {"data", *_TUNABLE}
    first, second = (dict(leaves(each.model_dump(mode="json", include=parts))) for each in (one, other))
    return tuple(name for name in first | second if first.get(name) != second.get(name))


def write_recipe(recipe: Recipe) -> str:
    """The recipe as TOML, every setting written out; None, which TOML lacks, is left out."""
    return tomlkit.dumps(without_none(recipe.model_dump(mode="json")))


def _apply(values: dict[str, Any], name: str, value: object) -> None:
    *parents, last = name.split(".")
    place = values
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise OptionError(f"{parent} is not a part of a recipe", found=f"{name}={value}")
    if name == "model.kind" and value != kind_of(place):
        values["model"] = settings_for(str(value), place)  # settings that only the old network has leave with it
        return
    place[last] = value


def _parsed(name: str, text: str) -> object:
    """A TOML value; ``none`` for no value where the setting may have none; else a word, which needs no quotes."""
    if text.lower() == "none" and _may_be_none(name):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _may_be_none(name: str) -> bool:
    *parents, last = name.split(".")
    models: list[type[BaseModel]] = [Recipe]
    for parent in parents:
        fields = [model.model_fields[parent] for model in models if parent in model.model_fields]
        models = [found for field in fields for found in _models_in(field.annotation)]
    return any(
        type(None) in typing.get_args(model.model_fields[last].annotation)
        for model in models
        if last in model.model_fields
    )


def explained(error: ValidationError, options: type[BaseModel]) -> str:
    """What is wrong with the settings of a recipe, or of other options, in words; unknown ones with the nearest."""
    return "; ".join(_explain(fault["loc"], fault["type"], fault["msg"], options) for fault in error.errors())


def _explain(location: tuple[int | str, ...], kind: str, message: str, options: type[BaseModel]) -> str:
    place = [part for depth, part in enumerate(location) if not (depth == 1 and location[0] == "model")]  # not its kind
    name = ".".join(map(str, place))
    if kind != "extra_forbidden":
        return f"{name or options.__name__.removesuffix('Options').lower()}: {message.removeprefix('Value error, ')}"
    without_places = ".".join(part for part in place if isinstance(part, str))  # of lists
    return f"there is no setting {name}{_did_you_mean(without_places, options)}"


def _did_you_mean(name: str, options: type[BaseModel]) -> str:
    near = difflib.get_close_matches(name, list(_names(options)), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The options that a setting may be: one for most parts of a recipe, one for each network for ``model``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for member in typing.get_args(annotation):
        yield from _models_in(member)


def _names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for part in _models_in(field.annotation):
            yield from _names(part, f"{prefix}{name}.")


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values in nested tables under names such as ``train.epochs``."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def without_none(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """Plain values without those that are None, which TOML lacks."""
    if isinstance(value, dict):
        return {key: without_none(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [without_none(one) for one in value]
    return value
