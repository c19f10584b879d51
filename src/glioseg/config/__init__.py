"""A recipe: one TOML file with everything that decides a training, but paths.

``recipe`` says what it is, ``effect`` which settings act on nothing, ``changes`` how single ones are changed, ``files``
reads and writes, ``migration`` reads what earlier versions wrote, and ``settings`` lists every setting.
"""

from glioseg.config.changes import leaves, parsed_change, with_settings, without_none
from glioseg.config.files import (
    build_recipe,
    changed_recipe,
    changes_to_shipped,
    differences,
    read_recipe,
    recipe_source,
    recipe_values,
    require_effect,
    shipped_recipes,
    write_recipe,
)
from glioseg.config.migration import notes_of_migration
from glioseg.config.recipe import FORMAT, PICKING_SCORES, DataOptions, PublishedOptions, Recipe

__all__ = [
    "FORMAT",
    "PICKING_SCORES",
    "DataOptions",
    "PublishedOptions",
    "Recipe",
    "build_recipe",
    "changed_recipe",
    "changes_to_shipped",
    "differences",
    "leaves",
    "notes_of_migration",
    "parsed_change",
    "read_recipe",
    "recipe_source",
    "recipe_values",
    "require_effect",
    "shipped_recipes",
    "with_settings",
    "without_none",
    "write_recipe",
]
