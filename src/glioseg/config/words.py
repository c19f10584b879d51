"""The names of settings, and what is wrong with some, in words."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

_UNIONS = (("model",), ("train", "optimiser"), ("train", "schedule"))
"""Settings that are one of several sets of options, whose kind pydantic puts into the place of a fault."""


def explained(error: ValidationError, options: type[BaseModel]) -> str:
    """What is wrong with the settings of a recipe, or of other options, in words; unknown ones with the nearest."""
    return "; ".join(_explain(dict(fault), options) for fault in error.errors())


def did_you_mean(name: str, options: type[BaseModel]) -> str:
    """The known name that is nearest to an unknown one, as the end of a sentence; empty where none is near."""
    near = difflib.get_close_matches(name, list(names_of(options)), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else ""


def names_of(options: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """All names, such as ``train.epochs``, of settings and of the parts that hold them."""
    for name, field in options.model_fields.items():
        yield prefix + name
        for part in models_in(field.annotation):
            yield from names_of(part, f"{prefix}{name}.")


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The options that a setting may be: one for most parts of a recipe, one for each network for ``model``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for member in typing.get_args(annotation):
        yield from models_in(member)


def _explain(fault: dict[str, Any], options: type[BaseModel]) -> str:
    location, message = fault["loc"], str(fault["msg"]).removeprefix("Value error, ")
    of_union = next((union for union in _UNIONS if location[: len(union)] == union), None)
    kind_at = None if of_union is None or len(location) == len(of_union) else len(of_union)
    place = [part for depth, part in enumerate(location) if depth != kind_at]
    name = ".".join(map(str, place))
    if fault["type"] == "without_effect":
        return message
    if fault["type"] == "union_tag_invalid":
        known = str(fault["ctx"]["expected_tags"]).replace("'", "")
        return f"{name}.kind: there is no {fault['ctx']['tag']}, but {known}"
    if fault["type"] != "extra_forbidden":
        return f"{name or options.__name__.removesuffix('Options').lower()}: {message}"
    without_places = ".".join(part for part in place if isinstance(part, str))  # of lists
    elsewhere = _of_another_kind(without_places, options) if kind_at is not None else None
    if elsewhere is not None:
        return f"{name} has no effect with {'.'.join(location[:kind_at])} = {location[kind_at]}; {elsewhere}"
    return f"there is no setting {name}{did_you_mean(without_places, options)}"


def _of_another_kind(name: str, options: type[BaseModel]) -> str | None:
    """With which kind a setting of a union would act; None where it is of none."""
    *parents, last = name.split(".")
    models: list[type[BaseModel]] = [options]
    for parent in parents:
        fields = [model.model_fields[parent] for model in models if parent in model.model_fields]
        models = [part for field in fields for part in models_in(field.annotation)]
    kinds = [str(model.model_fields["kind"].default) for model in models if last in model.model_fields]
    return f"it acts with {'.'.join(parents)}.kind={' or '.join(kinds)}" if kinds else None
