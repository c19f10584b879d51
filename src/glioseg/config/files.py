"""Recipes as files: those that are shipped, and those that users and runs write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import ValidationError

from glioseg.config.changes import leaves, parsed_change, with_settings, without_none
from glioseg.config.effect import idle_settings, sentence
from glioseg.config.migration import drop, idle_values, migrated
from glioseg.config.recipe import TUNABLE, Recipe
from glioseg.errors import OptionError, suggestion
from glioseg.io.text import read_text, read_toml
from glioseg.options import explained

_TOLD_BY_KIND = ("loss.", "train.optimiser.", "train.schedule.")
"""Where options that only one of two recipes has are those of another kind, whose difference says it all."""
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
    """What stands in a recipe's file, not yet validated, and the file; errors as ``read_recipe``.

    A file of format 1 is translated; its notes say what was left out.
    """
    path = shipped_or_own("recipe", name_or_path, shipped_recipes())
    return migrated(read_toml(path)), path


def shipped_or_own(what: str, name_or_path: str, shipped: Mapping[str, Path]) -> Path:
    """The file of a shipped recipe or study, by its name, or of one of the user's.

    Raises:
        OptionError: neither a name of a shipped one nor a path.
    """
    path = shipped.get(name_or_path, Path(name_or_path))
    if path.suffix != ".toml" and not path.exists():
        raise OptionError(
            f"there is no {what} {name_or_path}",
            expected=f"one of {', '.join(shipped)}, or a TOML file",
            remedy=suggestion(name_or_path, shipped),
        )
    return path


def recipe_source(name_or_path: str) -> str:
    """The file of a recipe as text, with its comments, once it is certain to be valid; errors as ``read_recipe``."""
    values, path = recipe_values(name_or_path)
    build_recipe(values, path=str(path))
    return read_text(path)


def build_recipe(
    values: Mapping[str, Any], changes: Mapping[str, Any] | Sequence[str] = (), path: str | None = None
) -> Recipe:
    """Validate a recipe's values, of the format of now, with changes by name or as ``a.b=value``.

    Errors as ``read_recipe``.
    """
    settings = dict(changes) if isinstance(changes, Mapping) else dict(parsed_change(change) for change in changes)
    recipe = changed_recipe(values, [settings], path)
    require_effect(recipe, settings)
    return recipe


def changed_recipe(values: Mapping[str, Any], layers: Sequence[Mapping[str, Any]], path: str | None = None) -> Recipe:
    """A recipe with settings changed, layer after layer: those of a study, those of a row.

    What the changes leave without effect, such as the range of a change of images that is switched off, goes back to
    its default; what they ask for and do not get is refused.

    Args:
        values: of the recipe.
        layers: settings by name.
        path: of the recipe's file; messages name it where the fault is the file's, and not one of the changes.

    Raises:
        OptionError: unknown or unfitting settings, or one without effect.
    """
    changed, names = dict(values), tuple(name for layer in layers for name in layer)
    for layer in layers:
        changed = with_settings(changed, layer)
    asked_for = (*names, *idle_values(values))
    while droppable := [name for name in idle_values(changed) if not _concerns(name, asked_for)]:
        drop(changed, droppable)
    if names and not _concerns("tune", names):
        changed = _without_idle_ranges(changed)
    if names:
        try:
            return Recipe.model_validate(changed)
        except ValidationError as error:
            _validated(values, path)
            raise OptionError(explained(error, Recipe)) from error
    return _validated(values, path)


def _without_idle_ranges(values: dict[str, Any]) -> dict[str, Any]:
    """The values without ranges of a search over settings that are without effect by now."""
    ranges = values.get("tune")
    if not isinstance(ranges, Mapping):
        return values
    try:
        idle = idle_settings(Recipe.model_validate({**values, "tune": None}))
    except ValidationError:
        return values  # what is wrong is said by whoever validates them
    return {**values, "tune": {name: bounds for name, bounds in ranges.items() if name not in idle} or None}


def _validated(values: Mapping[str, Any], path: str | None) -> Recipe:
    """What stands in a file."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise OptionError(explained(error, Recipe), path=path) from error


def require_effect(recipe: Recipe, names: Iterable[str]) -> None:
    """Refuse settings that somebody wants to change and that act on nothing, whatever their value.

    Raises:
        OptionError: there is one; the message says what would let it act.
    """
    wanted = [f"{name}." for name in names]  # predict.thresholds.WT is one of predict.thresholds
    idle = idle_settings(recipe)
    idle = {name: why for name, why in idle.items() if any(dotted.startswith(f"{name}.") for dotted in wanted)}
    if idle:
        raise OptionError(sentence(idle))


def _concerns(name: str, others: Iterable[str]) -> bool:
    """Whether one of the others is the setting, a part of it, or the part that holds it."""
    return any(f"{other}.".startswith(f"{name}.") or f"{name}.".startswith(f"{other}.") for other in others)


def changes_to_shipped(recipe: Recipe) -> tuple[str, ...]:
    """The settings, as ``train.epochs``, in which a recipe differs from the shipped one of its name.

    What decides no figure does not count: the split and its seed, which are told apart, processors and checkpoints.
    Nor do settings by which the publication got the figures that the recipe names (``published.settings``). Nothing
    differs where no recipe of that name is shipped.
    """
    if recipe.name not in shipped_recipes():
        return ()
    settings = {} if recipe.published is None else recipe.published.settings
    shipped = changed_recipe(recipe_values(recipe.name)[0], [settings])
    return tuple(name for name in differences(shipped, recipe) if name not in _OF_NO_EFFECT)


def differences(one: Recipe, other: Recipe) -> tuple[str, ...]:
    """The settings in which two recipes differ, of the parts that decide what is trained and how it predicts.

    Those that act on nothing in one of them are left out: the setting that made it so is named.
    """
    first, second = _compared(one), _compared(other)
    names = (name for name in first | second if first.get(name) != second.get(name))
    alone, idle = first.keys() ^ second.keys(), {*idle_settings(one), *idle_settings(other)}
    return tuple(
        name for name in names if not (name in alone and name.startswith(_TOLD_BY_KIND)) and not _concerns(name, idle)
    )


def _compared(recipe: Recipe) -> dict[str, Any]:
    """Name -> value of the settings by which recipes are told apart; of a loss its terms in one word, and theirs."""
    values = recipe.model_dump(mode="json", include={"data", *TUNABLE})
    values["loss"] = {"kind": recipe.loss.kind} | without_none(values["loss"])
    return dict(leaves(values))


def write_recipe(recipe: Recipe) -> str:
    """The recipe as TOML, every setting written out; None, which TOML lacks, is left out."""
    return tomlkit.dumps(without_none(recipe.model_dump(mode="json")))
