"""Every setting of a recipe, from the options themselves: what it may be, and which shipped recipes say what of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from glioseg.config.changes import leaves, with_settings
from glioseg.config.files import recipe_values, shipped_recipes
from glioseg.config.recipe import TUNABLE, Recipe
from glioseg.errors import OptionError
from glioseg.evaluation.metrics import CLASS_SCORES, REGION_SCORES
from glioseg.networks.build import DEFAULT_KIND
from glioseg.options import choices_of, models_in, type_words

_PARTS = ("data", "split", *TUNABLE, "evaluate")
_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "prepare.size": "pixels",
        "prepare.spacing_mm": "mm",
        "prepare.clip_percentiles": "%",
        "patches.size": "voxels",
        "predict.min_voxels": "voxels",
        "predict.min_ml": "ml",
        "loss.weighted_bce.border.sigma": "voxels",
        "augment.rotation.range": "degrees",
        "augment.blur.range": "voxels",
        "augment.scale.range": "factor",
        "augment.low_resolution.range": "factor",
        "augment.contrast.range": "factor",
        "augment.gamma.range": "power",
        "augment.shift.range": "share of the axis",
        "augment.elastic.range": "share of the axis",
        "augment.brightness.range": "standard deviations",
        "augment.noise.range": "standard deviations",
        "train.max_minutes": "minutes",
        "train.max_steps": "steps",
        "train.checkpoint_every": "steps",
        "train.epochs": "epochs",
        "train.validate_every": "epochs",
        "train.early_stopping": "validations",
        "train.schedule.patience": "validations",
    }
)
"""Setting -> unit; what is not here is a number without one."""
_BOUNDS = (
    (annotated_types.Ge, "ge", "≥"),
    (annotated_types.Gt, "gt", ">"),
    (annotated_types.Le, "le", "≤"),
    (annotated_types.Lt, "lt", "<"),
)
_SCORES = ", ".join(dict.fromkeys((*REGION_SCORES, *CLASS_SCORES)))
_SHARED = ("probability", "range", "weight")
_ATTRIBUTE = re.compile(r"^ {8}(\w+): (.*?)(?=^ {8}\w+: |^ {0,4}\S|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Setting:
    """One setting.

    Args:
        name: as ``--set`` takes it, such as ``train.epochs``.
        kinds: of the network, optimiser or schedule that have it; empty where it does not depend on one.
        type: in words.
        default: its value where a recipe does not say; None for no value.
        range: which values are allowed, in words; empty for all of the type.
        unit: of numbers; empty where they have none.
        meaning: what it does.
        recipes: shipped recipe -> the value that its file gives it.
    """

    name: str
    kinds: tuple[str, ...]
    type: str
    default: Any
    range: str
    unit: str
    meaning: str
    recipes: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {
            "name": self.name,
            "kinds": list(self.kinds),
            "type": self.type,
            "default": self.default,
            "range": self.range,
            "unit": self.unit,
            "meaning": self.meaning,
            "recipes": dict(self.recipes),
        }


def list_settings(prefix: str = "") -> tuple[Setting, ...]:
    """The settings whose name is ``prefix`` or begins with it and a dot; all for none.

    Raises:
        OptionError: there is none.
    """
    wanted = tuple(
        setting for setting in _all() if not prefix or f"{setting.name}.".startswith(f"{prefix.rstrip('.')}.")
    )
    if not wanted:
        raise OptionError(f"there is no setting {prefix}", expected=f"one of the parts {', '.join(_PARTS)}, or in them")
    return wanted


@cache
def _all() -> tuple[Setting, ...]:
    given = {name: dict(leaves(_written_out(recipe_values(name)[0]))) for name in shipped_recipes()}
    merged: dict[tuple[str, ...], Setting] = {}
    for part in _PARTS:
        for setting in _of_part(part, Recipe.model_fields[part], (), given):
            same: tuple[str, ...] = (setting.name, setting.type, str(setting.default), setting.range, setting.meaning)
            before = merged.get(same)
            kinds = (*(before.kinds if before else ()), *setting.kinds)
            recipes = {**(before.recipes if before else {}), **setting.recipes}
            merged[same] = replace(setting, kinds=kinds, recipes=recipes)
    return tuple(merged.values())


def _written_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values with the words for kinds as tables."""
    train = values.get("train", {})
    words = [name for name in ("optimiser", "schedule") if isinstance(train.get(name), str)]
    return with_settings(values, {f"train.{name}.kind": train[name] for name in words})


def _of_part(
    name: str, field: FieldInfo, kinds: tuple[str, ...], given: Mapping[str, Mapping[str, Any]]
) -> Iterator[Setting]:
    models = list(models_in(field.annotation))
    if not models:
        raise AssertionError(f"{name} is a setting, not a part")
    for model in models:
        own_kinds = (str(model.model_fields["kind"].default),) if "kind" in model.model_fields else kinds
        for last, inner in model.model_fields.items():
            place = f"{name}.{last}"
            if list(models_in(inner.annotation)):
                yield from _of_part(place, inner, own_kinds, given)
            elif last == "kind" and len(models) > 1:
                if model is models[0]:
                    yield _kind_of_union(name, field, models, given)
            else:
                yield _setting(place, model, inner, own_kinds if len(models) > 1 else kinds, given)


def _setting(
    name: str, model: type[BaseModel], field: FieldInfo, kinds: tuple[str, ...], given: Mapping[str, Mapping[str, Any]]
) -> Setting:
    default = field.get_default(call_default_factory=True)
    return Setting(
        name=name,
        kinds=kinds,
        type=type_words(field.annotation),
        default=None if default is PydanticUndefined else _plain(default),
        range=_SCORES if name == "train.score" else _range_words(field, model, name.rpartition(".")[2]),
        unit=_UNITS.get(name, ""),
        meaning=_meaning(model, name.rpartition(".")[2], field),
        recipes=_values(name, given, kinds),
    )


def _kind_of_union(
    name: str, field: FieldInfo, models: Sequence[type[BaseModel]], given: Mapping[str, Mapping[str, Any]]
) -> Setting:
    """The setting that tells the members of a union apart."""
    words = {str(model.model_fields["kind"].default): _first_sentence(model) for model in models}
    return Setting(
        name=f"{name}.kind",
        kinds=(),
        type="word",
        default=field.default.kind,
        range=", ".join(words),
        unit="",
        meaning="; ".join(f"{kind}: {text}" for kind, text in words.items()),
        recipes=_values(f"{name}.kind", given),
    )


def _values(name: str, given: Mapping[str, Mapping[str, Any]], kinds: Sequence[str] = ()) -> dict[str, Any]:
    """Recipe -> what its file says of a setting, of those with one of the ``kinds`` where it has some."""
    union = f"{name.rpartition('.')[0]}.kind"
    return {
        recipe: _plain(values[name])
        for recipe, values in given.items()
        if name in values and (not kinds or values.get(union, DEFAULT_KIND) in kinds)
    }


# -- words -------------------------------------------------------------------------------------------------------------


def _meaning(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    """A field's own description, or what the docstring of its options says of it, or those of their parents.

    What all changes of images and all terms of losses have is told with what the change or the term is.
    """
    said = field.description or _from_docstring(model, name)
    return f"{_first_sentence(model)}: {said}" if name in _SHARED else said


def _from_docstring(model: type[BaseModel], name: str) -> str:
    for parent in model.__mro__:
        for attribute, text in _ATTRIBUTE.findall(parent.__doc__ or ""):
            if attribute == name:
                return _plain_text(text).rstrip(".,;")
    return ""


def _first_sentence(model: type[BaseModel]) -> str:
    line = _plain_text(inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0])
    return line.partition(". ")[0].rstrip(".")


def _plain_text(text: str) -> str:
    """A docstring's text on one line, without marks of code and numbers of references."""
    return re.sub(r" \[[\d, ]+\]", "", re.sub(r"\s+", " ", text)).replace("``", "").strip()


def _range_words(field: FieldInfo, model: type[BaseModel], name: str) -> str:
    if name == "range" and hasattr(model, "limits"):
        low, high = model.limits
        return f"{low:g} to {high:g}"
    bounds = [
        f"{sign} {getattr(bound, key):g}"
        for bound in field.metadata
        for kind, key, sign in _BOUNDS
        if isinstance(bound, kind)
    ]
    choices = [str(choice) for choice in choices_of(field.annotation)]
    return ", ".join([*choices, *bounds])


def _plain(value: Any) -> Any:  # noqa: ANN401 - of any setting
    """As JSON has it."""
    if isinstance(value, tuple | list):
        return [_plain(element) for element in value]
    return dict(value) if isinstance(value, Mapping) else value
