"""What the functions of the face have in common: paths, changes of settings, and who is told of progress."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from glioseg.config import Recipe, build_recipe, parsed_change, recipe_values
from glioseg.console import CallbackReporter, OnProgress, Reporter
from glioseg.errors import OptionError

StrPath = str | PathLike[str]
Changes = Mapping[str, Any] | Sequence[str]
"""``{"train.epochs": 2}``, or ``["train.epochs=2"]`` as ``--set`` takes it."""
Progress = OnProgress | Reporter
AnyRecipe = str | PathLike[str] | Recipe


def reporter_of(progress: Progress | None) -> Reporter:
    """Who is told: a reporter as it is; a function, or nobody, through one that shows nothing."""
    return progress if isinstance(progress, Reporter) else CallbackReporter(progress)


def optional_path(path: StrPath | None) -> Path | None:
    """A path, where there is one."""
    return None if path is None else Path(path)


def settings_of(changes: Changes) -> dict[str, Any]:
    """Name -> value of changed settings.

    Raises:
        OptionError: one that is not NAME=VALUE, or a text in place of a list of them.
    """
    if isinstance(changes, str):
        raise OptionError(
            "changes are a dictionary, or a list of texts",
            found=repr(changes),
            expected='such as {"train.epochs": 2} or ["train.epochs=2"]',
        )
    return dict(changes) if isinstance(changes, Mapping) else dict(parsed_change(change) for change in changes)


def texts_of(changes: Changes) -> list[str]:
    """Changed settings as ``--set`` takes them; errors as ``settings_of``."""
    if isinstance(changes, Mapping):
        return [f"{name}={'none' if value is None else json.dumps(value)}" for name, value in changes.items()]
    settings_of(changes)
    return list(changes)


def resolved(source: AnyRecipe, changes: Changes) -> Recipe:
    """A recipe with settings changed; errors as ``glioseg.recipe``."""
    settings = settings_of(changes)
    if isinstance(source, Recipe):
        return build_recipe(source.model_dump(mode="json"), settings)
    values, path = recipe_values(str(source))
    return build_recipe(values, settings, str(path))


def default_recipe(changes: Changes) -> Recipe:
    """What stands where no recipe is named, with settings changed."""
    return build_recipe({}, settings_of(changes))
