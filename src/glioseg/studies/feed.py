"""Which data feeds which row of a study, before hours are spent on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glioseg.config import Recipe
from glioseg.console import QUIET, Reporter
from glioseg.core import Cohort
from glioseg.errors import GliosegError, OptionError, listed
from glioseg.preparation.identity import plan_cohort
from glioseg.runs.read import Data, read
from glioseg.studies.guard import one_line
from glioseg.studies.options import StudyRow
from glioseg.tasks.choose import task_named
from glioseg.tasks.data import with_modalities


@dataclass(frozen=True)
class Feed:
    """What a row is trained on.

    Args:
        data: the folder.
        cohort: its name.
        key: hash of what is prepared of it.
    """

    data: Data
    cohort: str
    key: str


@dataclass(frozen=True)
class Feeds:
    """Row -> what it is trained on; row -> why no data can feed it; the names of all cohorts."""

    of_rows: Mapping[str, Feed]
    skipped: Mapping[str, str]
    cohorts: tuple[str, ...]


def feeds_of(rows: Sequence[StudyRow], folders: Mapping[str, Data], cache: Path, reporter: Reporter) -> Feeds:
    """Read all folders and give each row the one that it asks for by name, or the first that can feed it.

    Args:
        rows: of a study; those with a fault are left out.
        folders: name -> data.
        cache: where it is kept what files hold.
        reporter: shows progress.

    Raises:
        OptionError: no data feeds any row.
    """
    cohorts = {name: read(data, reporter) for name, data in folders.items()}
    fed: dict[str, Feed] = {}
    skipped: dict[str, str] = {}
    for row in rows:
        if row.recipe is None:
            continue
        reasons = {}
        for name, cohort in cohorts.items():
            if row.data in cohorts and row.data != name:
                continue
            reason, key = cannot_feed(row.recipe, cohort, cache)
            if reason is None:
                fed[row.name] = Feed(folders[name], cohort.name, key)
                break
            reasons[name] = reason
        else:
            words = (f"{name}: {reason}" if len(cohorts) > 1 else reason for name, reason in reasons.items())
            skipped[row.name] = "; ".join(words)
    names = tuple(cohort.name for cohort in cohorts.values())
    if not fed:
        raise OptionError(f"{listed(names)} cannot feed any row of the study: {next(iter(skipped.values()))}")
    return Feeds(fed, skipped, names)


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
