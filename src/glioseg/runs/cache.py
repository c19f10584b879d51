"""``glioseg cache``: a cohort prepared for training, kept on disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from glioseg.config import Recipe
from glioseg.console import QUIET, Reporter
from glioseg.core import Cohort
from glioseg.errors import OptionError
from glioseg.io.files import require_folder
from glioseg.preparation.cache import prepare
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.store import PreparedCohort
from glioseg.runs.gather import prepared_as
from glioseg.runs.read import Data, read
from glioseg.tasks.choose import task_named

_DECIDING = ("prepare.", "data.", "split.protocol", "slices.dark_below")
"""Settings that decide what is prepared for a recipe; without one there is but the preparation."""


def cache(
    data: Data | Cohort, how: PrepareOptions | Recipe, folder: Path, reporter: Reporter = QUIET
) -> PreparedCohort:
    """Read a cohort and prepare it into ``folder``, unless it is there already.

    Args:
        data: the cohort.
        how: all of it, or what a training by a recipe uses: cases with references, the modalities of the network.
        folder: where prepared data is kept.
        reporter: shows progress.

    Raises:
        FileError: the folder cannot be written to; see ``prepare`` for others.
    """
    require_folder(folder)
    cohort = read(data, reporter)
    if isinstance(how, Recipe):
        return prepared_as(task_named(how.task), how, cohort, folder, reporter).prepared
    with reporter.progress("Preparing") as step:
        return prepare(cohort, how, folder, progress=step)


def require_deciding(settings: Iterable[str], *, has_recipe: bool) -> None:
    """Refuse settings that decide nothing of what is prepared.

    Raises:
        OptionError: there is one.
    """
    deciding = _DECIDING if has_recipe else _DECIDING[:1]
    others = [name for name in settings if not name.startswith(deciding)]
    if others:
        raise OptionError(
            "these settings have no effect on what is prepared",
            found=", ".join(others),
            expected="settings such as prepare.size=128",
            remedy="Leave them out" if has_recipe else "Leave them out, or name the recipe that they belong to",
        )
