"""Options that users make, the names of settings, and what is wrong with some, in words."""

from __future__ import annotations

import difflib
import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ValidationError

from glioseg.errors import OptionError
from glioseg.frozen import Frozen

_BOUNDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "greater_than": ("gt", "above"),
        "greater_than_equal": ("ge", "of at least"),
        "less_than": ("lt", "below"),
        "less_than_equal": ("le", "of at most"),
    }
)
"""Fault of a number -> where the bound stands, and its words."""


class Options(Frozen):
    """Options that a user may make: ``StudyOptions(folds="five")`` says what is wrong with it as all else does.

    Validation from within (``model_validate``, or as a part of others) raises pydantic's own error, for whoever knows
    the file at fault.

    Raises:
        OptionError: unknown or unfitting settings; the message names the nearest known one.
    """

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - whatever a user gives
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise OptionError(explained(error, type(self))) from error

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # so that validation from within passes it by


def explained(error: ValidationError, options: type[BaseModel]) -> str:
    """What is wrong with the settings of a recipe, or of other options, in words; unknown ones with the nearest."""
    faults = error.errors()
    places = [fault["loc"] for fault in faults]
    inner = [
        fault
        for fault, place in zip(faults, places, strict=True)
        if not any(other != place and other[: len(place)] == place for other in places if place)
    ]
    return "; ".join(dict.fromkeys(_explain(dict(fault), options) for fault in inner))


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


def type_words(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    """What a setting may be, in words: ``list of words or none``."""
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return type_words(members[0])
    if origin is Literal:
        return "word"
    if origin in (UnionType, typing.Union):
        words = [type_words(member) for member in members if member is not type(None)]
        return " or ".join(dict.fromkeys(words)) + (" or none" if type(None) in members else "")
    if origin is tuple:
        inner = type_words(members[0])
        return f"list of {inner}s" if members[-1] is Ellipsis else f"{len(members)} {inner}s"
    if origin is not None and issubclass(origin, Mapping):
        return f"{type_words(members[1])} for each region"
    return {bool: "true or false", int: "whole number", float: "number", str: "word"}.get(annotation, "word")


def choices_of(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - any annotation
    """The words that a setting may be, where these are few."""
    if typing.get_origin(annotation) is Literal:
        yield from typing.get_args(annotation)
        return
    for member in typing.get_args(annotation):
        yield from choices_of(member)


def _explain(fault: dict[str, Any], options: type[BaseModel]) -> str:
    location, message = fault["loc"], str(fault["msg"]).removeprefix("Value error, ")
    kind_at = _kind_at(location, options)
    place = [part for depth, part in enumerate(location) if depth != kind_at and "[" not in str(part)]
    name = ".".join(map(str, place))
    if fault["type"] == "without_effect":
        return message
    if fault["type"] == "union_tag_invalid":
        tags = str(fault["ctx"]["expected_tags"]).replace("'", "")
        value = fault["input"].get("kind") if isinstance(fault["input"], Mapping) else fault["input"]
        return f"{name}.kind: found {_as_given(value)}, expected one of {tags}"
    without_places = ".".join(part for part in place if isinstance(part, str))  # of lists
    if fault["type"] not in ("extra_forbidden", "value_error"):
        kind = None if kind_at is None else str(location[kind_at])
        annotations = list(_annotations_at(without_places, options, kind))
        where = without_places if annotations else name  # an element is told with the list that it is in
        return f"{where}: found {_as_given(fault['input'])}, expected {_expected(fault, without_places, annotations)}"
    if fault["type"] != "extra_forbidden":
        return f"{name or options.__name__.removesuffix('Options').lower()}: {message}"
    elsewhere = _of_another_kind(without_places, options) if kind_at is not None else None
    if elsewhere is not None:
        return f"{name} has no effect with {'.'.join(location[:kind_at])} = {location[kind_at]}; {elsewhere}"
    return f"there is no setting {name}{did_you_mean(without_places, options)}"


def _kind_at(location: Sequence[int | str], options: type[BaseModel]) -> int | None:
    """Where pydantic puts the kind of one of several options into the place of a fault: 1 in ``model.unet.width``."""
    for depth in range(1, len(location)):
        models = _models_at([str(part) for part in location[:depth]], options)
        if len(models) > 1 and location[depth] in {_kind_of(model) for model in models}:
            return depth
    return None


def _kind_of(model: type[BaseModel]) -> Any:  # noqa: ANN401 - as pydantic has it
    return model.model_fields["kind"].default if "kind" in model.model_fields else None


def _as_given(value: object) -> str:
    """A value as it was given."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _expected(fault: dict[str, Any], name: str, annotations: Sequence[Any]) -> str:
    """What a setting may be, from the annotations that it has."""
    kind = fault["type"]
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"a number {words} {fault['ctx'][bound]:g}"
    parts = [part for annotation in annotations for part in models_in(annotation)]
    if parts:
        inside = list(dict.fromkeys(field for part in parts for field in part.model_fields if field != "kind"))
        return f"settings of its own, such as {name}.{inside[0]}" if inside else "one of its kinds"
    if not annotations:
        return str(fault["msg"])
    words, value = type_words(annotations[0]), fault["input"]
    choices = list(dict.fromkeys(str(choice) for annotation in annotations for choice in choices_of(annotation)))
    if choices and words in ("word", "word or none"):
        return f"one of {', '.join(choices)}"
    by_region = "for each region" in words
    if choices:
        words = re.sub(r"\bwords?\b", " or ".join(choices), words)
        if not by_region:
            return words
    is_one = isinstance(value, str | int | float) and len(fault["loc"]) == len(name.split("."))
    if words.startswith("list of") and is_one:
        return f"a {words}, such as [{json.dumps(value)}]"
    if by_region:
        return f"a {words}, such as {name}.WT=…"
    return words if words[0].isdigit() or words.startswith("true") else f"a {words}"


def _annotations_at(name: str, options: type[BaseModel], kind: str | None) -> Iterator[Any]:
    """What may stand at a setting: an annotation for each of the options that may hold it, or for those of a kind."""
    *parents, last = name.split(".")
    for model in _models_at(parents, options):
        model_kind = _kind_of(model) or kind
        if last in model.model_fields and kind in (None, model_kind):
            yield model.model_fields[last].annotation


def _models_at(parents: Sequence[str], options: type[BaseModel]) -> list[type[BaseModel]]:
    """The options that may stand at a part such as ``train.optimiser``: one for each of its kinds."""
    models: list[type[BaseModel]] = [options]
    for parent in parents:
        fields = [model.model_fields[parent] for model in models if parent in model.model_fields]
        models = [part for field in fields for part in models_in(field.annotation)]
    return models


def _of_another_kind(name: str, options: type[BaseModel]) -> str | None:
    """With which kind a setting of a union would act; None where it is of none."""
    *parents, last = name.split(".")
    models = _models_at(parents, options)
    kinds = [str(model.model_fields["kind"].default) for model in models if last in model.model_fields]
    return f"it acts with {'.'.join(parents)}.kind={' or '.join(kinds)}" if kinds else None
