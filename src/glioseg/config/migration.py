"""Recipes of format 1, in which every loss, optimiser and schedule had one flat set of options.

Each setting goes to the term or the kind on which it acted, so that such a recipe trains the same weights. What acted
on nothing is left out; where it was no default, a note of the recipe says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from glioseg.config.recipe import FORMAT, Recipe
from glioseg.errors import OptionError
from glioseg.training.options import kind_of
from glioseg.training.terms import DEFAULT_LOSS, LossOptions, terms_of

_LOSS: Mapping[str, tuple[Any, Mapping[str, str]]] = {
    "smoothing": (1.0, {"dice": "smoothing", "tversky": "smoothing"}),
    "dice_over": ("item", {"dice": "over", "tversky": "over"}),
    "dice_denominator": ("squares", {"dice": "denominator"}),
    "focal_gamma": (2.0, {"focal": "gamma"}),
    "focal_alpha": (None, {"focal": "alpha"}),
    "tversky_alpha": (0.3, {"tversky": "alpha"}),
    "tversky_beta": (0.7, {"tversky": "beta"}),
    "class_weights": ("balanced", {"weighted_bce": "class_weights", "cross_entropy": "class_weights"}),
    "ce_weights": (None, {"ce": "weights"}),
    "label_smoothing": (0.0, {"cross_entropy": "label_smoothing"}),
    "border": ({"w0": 10.0, "sigma": 5.0, "form": "tum"}, {"weighted_bce": "border"}),
}
"""Setting of a loss in format 1 -> its default, and the terms on which it acted, with its name there."""
_TRAIN: Mapping[str, tuple[Any, str, str, str]] = {
    "momentum": (0.9, "optimiser", "sgd", "momentum"),
    "plateau_factor": (0.5, "schedule", "plateau", "factor"),
    "plateau_patience": (3, "schedule", "plateau", "patience"),
}
"""Setting of the training in format 1 -> its default, and the kind on which it acted, with its name there."""

_LEFT_OUT = "Left out, for they had no effect (the recipe was written in format 1):"


def migrated(values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values in the format of now.

    Raises:
        OptionError: the format is none that this version reads.
    """
    version = values.get("format", 1)
    if version == FORMAT:
        return dict(values)
    if version != 1:
        raise OptionError(
            f"the recipe has the format {version}",
            expected=f"format = {FORMAT}, or none for 1",
            remedy="Use a newer version of glioseg",
        )
    changed: dict[str, Any] = deepcopy(dict(values)) | {"format": FORMAT}
    left_out = [*_migrate_loss(changed), *_migrate_training(changed), *_migrate_names(changed)]
    left_out += _drop_idle(changed)
    if left_out:
        note = f"{_LEFT_OUT} {', '.join(left_out)}."
        changed["notes"] = [*changed.get("notes", ()), note]
    return {"format": changed.pop("format"), **changed}


def notes_of_migration(recipe: Recipe) -> tuple[str, ...]:
    """What the notes of a recipe say of settings that were left out when it was read."""
    return tuple(note for note in recipe.notes if note.startswith(_LEFT_OUT))


def renamed(name: str, terms: Sequence[str] | None = None) -> str | None:
    """What a setting of format 1 is called now, of the ``terms`` where they are known; None for one that is as it was.

    Where several terms have it, they are joined by ``or``.
    """
    part, _, rest = name.partition(".")
    first, *more = rest.split(".")
    if part == "loss" and first in _LOSS:
        places = [(term, now) for term, now in _LOSS[first][1].items() if terms is None or term in terms]
        return " or ".join(".".join(("loss", term, now, *more)) for term, now in places) or None
    if part == "train" and rest in _TRAIN:
        _, union, kind, now = _TRAIN[rest]
        return f"train.{union}.{now}" + (f" (of train.{union}.kind={kind})" if terms is None else "")
    return None


def _migrate_loss(values: dict[str, Any]) -> list[str]:
    """Give the terms their settings; those that no term took."""
    loss = values.get("loss")
    if not isinstance(loss, dict) or not ({"kind", *_LOSS} & loss.keys()):
        return []
    terms = _terms(values)
    if terms is None:
        return []  # validation says that there is no such loss
    flat = {name: loss.pop(name) for name in _LOSS if name in loss}
    loss.pop("kind", None)
    for term in terms:
        loss.setdefault(term, {})
        loss[term] |= {_LOSS[old][1][term]: value for old, value in flat.items() if term in _LOSS[old][1]}
    return [f"loss.{name}" for name, value in flat.items() if _acts_on_none(name, terms) and value != _LOSS[name][0]]


def _acts_on_none(name: str, terms: Sequence[str]) -> bool:
    return not set(_LOSS[name][1]) & set(terms)


def _terms(values: Mapping[str, Any]) -> tuple[str, ...] | None:
    loss = values.get("loss")
    loss = loss if isinstance(loss, dict) else {}
    if "kind" not in loss and set(loss) & set(LossOptions.model_fields):
        return tuple(name for name in LossOptions.model_fields if name in loss)
    try:
        return terms_of(str(loss.get("kind", DEFAULT_LOSS["segment"])))
    except ValueError:
        return None


def _migrate_training(values: dict[str, Any]) -> list[str]:
    """Give optimiser and schedule their options; those that neither took."""
    train = values.get("train")
    left_out: list[str] = []
    if not isinstance(train, dict):
        return left_out
    for name, (default, union, kind, now) in _TRAIN.items():
        if name not in train:
            continue
        value = train.pop(name)
        if kind_of(train.get(union)) == kind:
            given = train[union]
            train[union] = ({"kind": given} if isinstance(given, str) else given) | {now: value}
        elif value != default:
            left_out.append(f"train.{name}")
    return left_out


def _migrate_names(values: dict[str, Any]) -> list[str]:
    """Rename what is searched over, and by what published figures came about; those that acted on nothing."""
    terms, left_out = _terms(values) or (), []
    for place in (values, values.get("published")):
        key = "tune" if place is values else "settings"
        if not isinstance(place, dict) or not isinstance(place.get(key), dict):
            continue
        names: dict[str, Any] = {}
        for name, value in place[key].items():
            now = renamed(name, terms)
            if now is None and renamed(name) is not None:
                left_out.append(f"{key} of {name}")
            else:
                names |= dict.fromkeys((now or name).split(" or "), value)
        place[key] = names
    return left_out


def _drop_idle(values: dict[str, Any]) -> list[str]:
    """Take away what validation finds to be without effect; other faults are left for validation to say."""
    left_out: list[str] = []
    while idle := idle_values(values):
        drop(values, idle)
        left_out += idle
    return left_out


def idle_values(values: Mapping[str, Any]) -> list[str]:
    """The settings that validation refuses for having no effect; none where something else is wrong."""
    try:
        Recipe.model_validate(values)
    except ValidationError as error:
        faults = [fault for fault in error.errors() if fault["type"] == "without_effect"]
        return [name for fault in faults for name in fault["ctx"]["settings"]]
    return []


def drop(values: dict[str, Any], names: Sequence[str]) -> None:
    """Take settings out of a recipe's values."""
    for name in names:
        *parents, last = name.split(".")
        place: Any = values
        for parent in parents:
            place = place[parent]
        del place[last]
