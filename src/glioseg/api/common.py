"""What the functions of the face have in common: paths, changes of settings, and who is told of progress."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from glioseg.console import CallbackReporter, OnProgress, Reporter
from glioseg.errors import OptionError

if TYPE_CHECKING:
    from glioseg.config import Recipe  # which knows networks, and so loads torch: where it is used alone

StrPath = str | PathLike[str]
Changes = Mapping[str, Any] | Sequence[str]
"""``{"train.epochs": 2}``, or ``["train.epochs=2"]`` as ``--set`` takes it."""
Progress = OnProgress | Reporter
AnyRecipe: TypeAlias = "str | PathLike[str] | Recipe"


def reporter_of(progress: Progress | None) -> Reporter:
    """Who is told: a reporter as it is; a function, or nobody, through one that shows nothing."""
    return progress if isinstance(progress, Reporter) else CallbackReporter(progress)


def require_kind(name: str, value: object, kinds: type | tuple[type, ...], expected: str) -> None:
    """Refuse an argument that is none of these, before it fails somewhere inside.

    Raises:
        OptionError: it is not.
    """
    if not isinstance(value, kinds):
        raise OptionError(
            f"{name}= is something else", found=f"{type(value).__name__} {value!r}"[:80], expected=expected
        )


def require_list(name: str, value: object, example: str) -> None:
    """Refuse a text where a list of texts is meant: it would be read letter by letter.

    Raises:
        OptionError: it is a text, or no sequence.
    """
    if value is not None and (isinstance(value, str) or not isinstance(value, Sequence)):
        raise OptionError(f"{name}= is a list", found=repr(value), expected=f"such as {example}")


def require_from(name: str, value: int, smallest: int) -> None:
    """Refuse a number that is too small.

    Raises:
        OptionError: it is.
    """
    if value < smallest:
        raise OptionError(f"{name}= is too small", found=value, expected=f"at least {smallest}")


def optional_path(path: StrPath | None) -> Path | None:
    """A path, where there is one."""
    return None if path is None else Path(path)


def settings_of(changes: Changes) -> dict[str, Any]:
    """Name -> value of changed settings.

    Raises:
        OptionError: one that is not NAME=VALUE, or a text in place of a list of them.
    """
    from glioseg.config import parsed_change

    is_list = isinstance(changes, Sequence) and not isinstance(changes, str)
    texts = changes if isinstance(changes, Mapping) or is_list else [None]
    if not all(isinstance(text, str) for text in texts):  # of a dictionary these are the names
        raise OptionError(
            "changes are a dictionary, or a list of texts",
            found=repr(changes),
            expected='such as {"train.epochs": 2} or ["train.epochs=2"]',
        )
    return dict(changes) if isinstance(changes, Mapping) else dict(parsed_change(change) for change in changes)


def texts_of(changes: Changes) -> list[str]:
    """Changed settings as ``--set`` takes them; errors as ``settings_of``."""
    settings = settings_of(changes)
    if not isinstance(changes, Mapping):
        return list(changes)
    return [f"{name}={'none' if value is None else _as_toml(name, value)}" for name, value in settings.items()]


def _as_toml(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a setting is given
    """On one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(key)} = {_as_toml(name, inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_as_toml(name, inner) for inner in value)}]"
    if isinstance(value, float):
        return repr(float(value))  # inf and nan as TOML has them
    if not isinstance(value, str | int):
        raise OptionError(
            "a setting is changed to a value of TOML",
            found=f"{name}={value!r}",
            expected="a number, a text, True or False, or a list or table of these",
        )
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def resolved(source: AnyRecipe, changes: Changes) -> Recipe:
    """A recipe with settings changed; errors as ``glioseg.recipe``."""
    from glioseg.config import Recipe, build_recipe, recipe_values

    settings = settings_of(changes)
    if isinstance(source, Recipe):
        return build_recipe(source.model_dump(mode="json"), settings)
    require_kind("recipe", source, (str, PathLike), "the name of a recipe, a TOML file, or a Recipe")
    values, path = recipe_values(str(source))
    return build_recipe(values, settings, str(path))


def default_recipe(changes: Changes) -> Recipe:
    """What stands where no recipe is named, with settings changed."""
    from glioseg.config import build_recipe

    return build_recipe({}, settings_of(changes))
