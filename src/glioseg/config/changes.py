"""Changes of single settings: ``--set a.b=value``, rows of studies, trials of a search."""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel

from glioseg.config.migration import renamed
from glioseg.config.recipe import Recipe
from glioseg.errors import OptionError
from glioseg.networks import build
from glioseg.options import models_in
from glioseg.training import options
from glioseg.training.terms import DEFAULT_LOSS, LossOptions, terms_of, word_of

_SHARED_BY_TERMS = ("over", "smoothing")
"""What means the same in Dice and Tversky, and goes from one to the other."""
_KINDS = {"train.optimiser": options.OPTIMISERS, "train.schedule": options.SCHEDULES}


def with_settings(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a recipe's values with settings such as ``train.epochs`` -> 20 changed, one after the other.

    Where a setting says which network, loss, optimiser or schedule it is, settings that only the old one has leave. The
    word ``none`` is no value where the setting may have none: TOML, in which studies are written, has no other.

    Raises:
        OptionError: a name that leads through a value or is of an older format, a network or loss that there is not,
            or an option of a term that the loss does not have.
    """
    changed: dict[str, Any] = deepcopy(dict(values))
    for name, value in settings.items():
        now = renamed(name)
        if now is not None:
            raise OptionError(f"there is no setting {name} any more", remedy=f"Set {now}")
        _apply(changed, name, None if _is_none(name, value) else value)
    return changed


def parsed_change(change: str) -> tuple[str, Any]:
    """``train.epochs=20`` -> its name and its value.

    Raises:
        OptionError: not of that form.
    """
    name, equals, text = change.partition("=")
    if not equals or not name.strip():
        raise OptionError("a setting is changed by NAME=VALUE", found=change, expected="such as train.epochs=20")
    return name.strip(), _parsed(name.strip(), text.strip())


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
        return {key: without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_none(inner) for inner in value]
    return value


def _apply(values: dict[str, Any], name: str, value: object) -> None:
    *parents, last = name.split(".")
    if parents and parents[0] == "loss":
        _prepare_loss(values, name)
    for union, kinds in _KINDS.items():
        if name.startswith(f"{union}."):
            _prepare_union(values, union, kinds, name, value)
    place = values
    for parent in parents:
        place[parent] = {} if place.get(parent) is None else place[parent]
        place = place[parent]
        if not isinstance(place, dict):
            raise OptionError(f"{parent} is not a part of a recipe", found=f"{name}={value}")
    if name == "model.kind" and value != build.kind_of(place):
        values["model"] = build.settings_for(str(value), place)  # settings that only the old network has leave with it
    elif name == "loss.kind":
        values["loss"] = _with_terms(place, str(value))
    else:
        place[last] = value


# -- optimiser and schedule --------------------------------------------------------------------------------------------


def _prepare_union(values: dict[str, Any], union: str, kinds: Mapping[str, Any], name: str, value: object) -> None:
    """Write a word as its table; another kind begins with its own defaults."""
    part, last = union.split(".")
    train = values.setdefault(part, {})
    if not isinstance(train, dict):
        return
    default = options.kind_of(options.TrainOptions.model_fields[last].default)
    given = train.get(last, default)
    train[last] = {"kind": given} if isinstance(given, str) else given
    if name == f"{union}.kind" and options.kind_of(train[last]) != value:
        if value not in kinds:
            raise OptionError(f"there is no {last} {value}", expected=f"one of {', '.join(kinds)}")
        train[last] = {}


# -- the terms of a loss -----------------------------------------------------------------------------------------------


def _prepare_loss(values: dict[str, Any], name: str) -> None:
    """Write the terms out that ``kind`` or the default stands for, and see that the one that is changed is there."""
    given = values.setdefault("loss", {"kind": DEFAULT_LOSS["segment"]})
    if not isinstance(given, dict):
        return
    values["loss"] = given = {key: setting for key, setting in given.items() if setting is not None}
    if "kind" in given and name != "loss.kind":
        values["loss"] = given = _with_terms(
            {key: setting for key, setting in given.items() if key != "kind"}, given["kind"]
        )
    _, term, *option = name.split(".")
    if term not in LossOptions.model_fields or not option or option == ["weight"]:
        return
    present = [key for key in LossOptions.model_fields if given.get(key) is not None]
    if term not in present:
        raise OptionError(
            f"{name} has no effect: the loss is {' + '.join(present)}, without the term {term}",
            remedy=f"Set loss.{term}.weight=1 first, or loss.kind={'+'.join(map(word_of, (*present, term)))}",
        )


def _with_terms(given: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The terms that ``kind`` names; options of those that were there before stay."""
    try:
        names = terms_of(kind)
        before = terms_of(str(given["kind"])) if "kind" in given else ()
    except ValueError as error:
        raise OptionError(f"loss.kind: {error}") from error
    terms = {name: {} for name in before} | {key: setting for key, setting in given.items() if key != "kind"}
    unknown = {key: setting for key, setting in terms.items() if key not in LossOptions.model_fields}
    shared = {
        key: terms[old][key]
        for old in ("tversky", "dice")
        for key in _SHARED_BY_TERMS
        if isinstance(terms.get(old), dict) and key in terms[old]
    }
    fresh = {name: dict(shared) if name in ("dice", "tversky") else {} for name in names}
    return {name: terms[name] if terms.get(name) is not None else fresh[name] for name in names} | unknown


# -- values of the command line ----------------------------------------------------------------------------------------


def _parsed(name: str, text: str) -> object:
    """A TOML value; ``none`` for no value where the setting may have none; else a word, which needs no quotes."""
    if _is_none(name, text):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _is_none(name: str, value: object) -> bool:
    return isinstance(value, str) and value.lower() == "none" and _may_be_none(name)


def _may_be_none(name: str) -> bool:
    *parents, last = name.split(".")
    models: list[type[BaseModel]] = [Recipe]
    for parent in parents:
        fields = [model.model_fields[parent] for model in models if parent in model.model_fields]
        models = [part for field in fields for part in models_in(field.annotation)]
    return any(
        type(None) in typing.get_args(model.model_fields[last].annotation)
        for model in models
        if last in model.model_fields
    )
