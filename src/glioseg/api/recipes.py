"""Recipes from Python: named, changed, listed, proposed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.api.addresses import takes_addresses_and_writes_a_file
from glioseg.api.common import AnyRecipe, Changes, Progress, StrPath, reporter_of, resolved, settings_of
from glioseg.api.data import AnyData, source_of
from glioseg.config import Recipe, recipe_source, shipped_recipes, write_recipe

if TYPE_CHECKING:
    from glioseg.config.settings import Setting
    from glioseg.runs.plan import PlanResult


def recipe(source: AnyRecipe, changes: Changes = ()) -> Recipe:
    """A recipe, all its settings resolved.

    Args:
        source: name of a shipped recipe, a TOML file, or a recipe.
        changes: settings to be changed, such as ``{"train.epochs": 2}``.

    Raises:
        FileError: no such file, or not TOML.
        OptionError: unknown or unfitting settings; the message names the nearest known one.
    """
    return resolved(source, changes)


def recipe_names() -> tuple[str, ...]:
    """The recipes that come with glioseg; ``glioseg.recipe(name).about`` says what one is for."""
    return tuple(shipped_recipes())


def recipe_text(source: AnyRecipe, changes: Changes = ()) -> str:
    """A recipe as TOML, to be kept in a file: as its own file has it, with comments; of a changed one every setting.

    Args:
        source: as ``glioseg.recipe`` takes it.
        changes: likewise.

    Raises:
        FileError, OptionError: as ``glioseg.recipe``.
    """
    if isinstance(source, Recipe) or settings_of(changes):
        return write_recipe(resolved(source, changes))
    return recipe_source(str(source))


def settings(prefix: str = "") -> tuple[Setting, ...]:
    """Every setting of a recipe: type, default, range, unit, meaning, and which shipped recipes set it to what.

    Args:
        prefix: only those of a part, such as ``loss`` or ``train.optimiser``.

    Raises:
        OptionError: there is none of that name.
    """
    from glioseg.config.settings import list_settings

    return list_settings(prefix)


@takes_addresses_and_writes_a_file
def plan(
    data: AnyData,
    out: StrPath,
    *,
    memory_gb: float | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> PlanResult:
    """Propose a recipe from a data set and the memory at hand, and write it with a reason beside each setting.

    Args:
        data: a folder, or what ``glioseg.read`` gave; it needs masks.
        out: the recipe's TOML file; it must not be there yet.
        memory_gb: to plan for, in 10^9 bytes; None for what the device has free.
        device: to plan for: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        progress: told how far it is; up to 24 cases are looked at.

    Returns:
        ``.recipe``, the file; ``.proposal`` and ``.fingerprint``, what it was proposed from (lengths in mm).

    Raises:
        FileError: there is a file already, or it cannot be written; see also ``read``.
        OptionError: too little memory for any network.
        LabelError: no masks, or their meaning is not known.
    """
    from glioseg.runs import plan as planning

    return planning.plan(source_of(data), Path(out), memory_gb=memory_gb, device=device, reporter=reporter_of(progress))
