"""Whether a cohort can feed a recipe, before hours are spent on it."""

from __future__ import annotations

from pathlib import Path

from glioseg.config import Recipe
from glioseg.console import QUIET
from glioseg.core import Cohort
from glioseg.errors import GliosegError
from glioseg.preparation.identity import plan_cohort
from glioseg.studies.guard import one_line
from glioseg.tasks.choose import task_named
from glioseg.tasks.data import with_modalities


def cannot_feed(recipe: Recipe, cohort: Cohort, cache: Path) -> tuple[str | None, str]:
    """Why a recipe cannot be trained on a cohort, None if it can; and the key of what it would be trained on.

    ``cache`` is where it is kept what files hold.
    """
    try:
        usable = task_named(recipe.task).usable(cohort, recipe.data, QUIET)
        network_cohort = with_modalities(usable, recipe.data.of(usable.modalities))
        return None, plan_cohort(network_cohort, recipe.prepare, cache).key
    except GliosegError as error:
        return one_line(error), ""
