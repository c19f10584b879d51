"""``glioseg tune``: a search over a recipe's declared ranges, judged by validation alone.

    OUT/tuning.toml              the recipe with its ranges
    OUT/trials/trial-NNN/        a run of each trial, never evaluated
    OUT/trials/trial-NNN.json    its settings, its scores by epoch and how it ended
    OUT/best.toml                the recipe with the best trial's settings
    OUT/tune.json  trials.csv  tune.html  figures/

The settings of trial n follow from the seed, n and the trials before it, all of which stand in these files: Optuna's
sampler and pruner are made anew from them for each trial. So a search that was interrupted goes on as if it had not
been, needs no database and pickles nothing; the trial that was interrupted goes on from its checkpoint. Trials that are
to be trained at the same time are chosen without knowing of each other (``at_once``).
"""

from __future__ import annotations

import html
import io
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.config import Recipe, differences, read_recipe, without_none, write_recipe
from glioseg.console import QUIET, Reporter
from glioseg.errors import FileError, OptionError
from glioseg.io.files import own_entries, require_folder, write_json, write_text
from glioseg.io.lock import locked
from glioseg.io.text import csv_text, read_json
from glioseg.machine.device import pick_device
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data, read
from glioseg.studies.feed import cannot_feed
from glioseg.studies.guard import one_line
from glioseg.studies.report.tune import TrialFact, TuningFacts, write_tuning_report
from glioseg.studies.trials import (
    TIME_IS_UP,
    ChosenTrial,
    Search,
    TrialRecord,
    optuna_module,
    settings_text,
    with_settings_of,
)
from glioseg.workers.where import HERE, Lost, Stopped, Where, require_seen

if TYPE_CHECKING:
    import pandas as pd

TUNING = "tuning.toml"
DATA_KEY = "data.json"
TRIALS = "trials"
BEST = "best.toml"
TABLE = "tune.json"
CSV = "trials.csv"
PAGE = "tune.html"


@dataclass(frozen=True)
class TuneResult:
    """How far a search has come.

    Args:
        facts: its trials.
        best: the recipe that was written; None where no trial has ended well.
        page: the page.
        interrupted: what stopped it, to be continued; None where it went to its end.
    """

    facts: TuningFacts
    best: Path | None
    page: Path
    interrupted: str | None

    def table(self) -> pd.DataFrame:
        """A row for each trial, as ``trials.csv`` has them: settings, validation score, seconds."""
        import pandas as pd

        return pd.read_csv(io.StringIO(_csv(self.facts)))

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return f"<b>{html.escape(self.facts.recipe)}</b>{self.table().to_html(index=False, na_rep='–')}"


def tune(
    recipe: Recipe,
    data: Data,
    out: Path,
    *,
    n_trials: int = 20,
    at_once: int = 1,
    minutes: float | None = None,
    device: str = "auto",
    cache: Path | None = None,
    where: Where = HERE,
    reporter: Reporter = QUIET,
) -> TuneResult:
    """Search until there are ``n_trials`` trials, those of earlier calls counted in, or the time is up.

    Args:
        recipe: with ranges in its part ``tune``.
        data: the scans; those of the test part are not looked at.
        out: the folder of the search.
        n_trials: trials in all.
        at_once: how many trials are chosen, and judged, without knowing of each other, so that they can be trained at
            the same time. What is found depends on it, and not on where they are trained.
        minutes: of this call; the trial at hand then stops as with Ctrl-C, and a later call continues it.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` in the folder.
        where: trials are trained.
        reporter: of messages and progress.

    Raises:
        OptionError: Optuna or the device is missing, the recipe has no ranges or unfitting ones, or the folder holds a
            search over another recipe, other ranges or other data.
        FileError: the folder holds other files, or cannot be written to.
    """
    optuna_module()
    _require_ranges(recipe)
    require_folder(out)
    if where is HERE:
        pick_device(device)  # one that is not there would fail every trial
    reason, key = cannot_feed(recipe, read(data, reporter), cache or out / "cache")
    if reason is not None:
        raise OptionError(f"this data cannot feed the recipe {recipe.name}: {reason}")
    options = RunOptions(out / TRIALS, cache or out / "cache", device=device, evaluate=False)
    until = None if minutes is None else time.time() + 60 * minutes
    make = partial(Search, recipe, data, options, n_trials, at_once, until)
    with locked(out):
        _begin(recipe, key, at_once, out)
        search = make(reporter)
        with where.session(reporter):
            interrupted = _search(search, make, range(0, n_trials, at_once), where, reporter)
        if interrupted is not None:
            reporter.say(f"Stopped ({interrupted}); the same command continues the search")
        return _write(recipe, search.trials(), out, interrupted)


def _search(
    search: Search, make: Callable[[Reporter], Search], firsts: Iterable[int], where: Where, reporter: Reporter
) -> str | None:
    """Train what is missing, those that are chosen at once before the next are chosen; what interrupted it."""
    for first in firsts:
        if search.is_over:
            return TIME_IS_UP
        chosen = search.chosen(first)
        interrupted = None
        for number, end in where.spread(partial(_trier, make), chosen, reporter):
            if isinstance(end, Stopped):
                interrupted = end.reason
            elif isinstance(end, Lost):
                reporter.say(f"Trial {chosen[number].record.number + 1}: {end.error.text}")
                record = chosen[number].record.model_copy(update={"state": "failed", "error": one_line(end.error)})
                search.keep(record)
        if interrupted is not None:
            return interrupted
    return None


def _trier(make: Callable[[Reporter], Search], reporter: Reporter) -> Callable[[ChosenTrial], TrialRecord | Stopped]:
    """What trains trials, in a process that must see the search's folder."""
    search = make(reporter)
    require_seen(search.folder.parent / TUNING)
    return search.run


def _require_ranges(recipe: Recipe) -> None:
    """Every end of every range must make a valid recipe, before hours are spent on the others."""
    if not recipe.tune:
        raise OptionError(
            f"the recipe {recipe.name} declares no ranges to search over",
            remedy='Add them to a recipe file, such as: [tune] "train.lr" = { low = 1e-4, high = 1e-2, log = true }',
        )
    for name, values in recipe.tune.items():
        for value in values.choices or (values.low, values.high):
            try:
                with_settings_of(recipe, {name: value})
            except OptionError as error:
                raise OptionError(f"tune.{name}: {value} does not fit the recipe: {error.text}") from error


def _begin(recipe: Recipe, key: str, at_once: int, out: Path) -> None:
    if not (out / TUNING).exists():
        if out.is_dir() and any(
            path.name not in (DATA_KEY, "cache") for path in own_entries(out)
        ):  # written first, see below
            raise FileError(
                "the folder holds files that are not a search's", path=out, remedy="Name a new one (`--out`)"
            )
        write_json(out / DATA_KEY, {"key": key, "at_once": at_once})
        write_text(out / TUNING, write_recipe(recipe))
        return
    begun = read_recipe(str(out / TUNING))
    changed = [name for name in differences(begun, recipe) if name not in ("train.max_minutes", "train.max_steps")]
    changed += ["split"] if begun.split != recipe.split else []
    changed += ["tune"] if begun.tune != recipe.tune else []
    kept = read_json(out / DATA_KEY)
    said: dict[str, object] = {"at_once": 1}  # which searches did not say always
    said.update(kept if isinstance(kept, dict) else {})
    changed += ["the data"] if said.get("key") != key else []
    changed += ["`--at-once`"] if said.get("at_once") != at_once else []
    if changed:
        raise OptionError(
            "the search in this folder was begun with other settings",
            path=out,
            found=f"a difference in {', '.join(changed)}",
            remedy="Go on with the old settings, or name a new folder with `--out`",
        )


# -- what comes out ----------------------------------------------------------------------------------------------------


def best_recipe(recipe: Recipe, trials: Sequence[TrialRecord]) -> Recipe | None:
    """The recipe with the settings of the trial that scored highest among those that were not stopped early.

    It is no shipped recipe any more and follows no publication, and says where its settings come from.
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    if not complete:
        return None
    best = max(complete, key=lambda trial: (trial.value or 0.0, -trial.number))
    note = (
        f"Settings found by glioseg tune in {len(trials)} trials, from {recipe.name}: {settings_text(best.settings)}."
    )
    note += f" Validation score {best.value:.4f} (train.score = {recipe.train.score}), which the search has flattered."
    changed = with_settings_of(recipe, best.settings)
    return changed.model_copy(
        update={"name": f"{recipe.name}-tuned", "notes": (*recipe.notes, note), "published": None}
    )


def _write(recipe: Recipe, trials: Sequence[TrialRecord], out: Path, interrupted: str | None) -> TuneResult:
    best = best_recipe(recipe, trials)
    if best is not None:
        write_text(out / BEST, write_recipe(best))
    facts = TuningFacts(
        recipe=recipe.name,
        score=recipe.train.score,
        ranges={name: without_none(values.model_dump(mode="json")) for name, values in (recipe.tune or {}).items()},
        trials=tuple(TrialFact(**trial.model_dump(exclude={"format", "state"}), state=trial.state) for trial in trials),
    )
    write_json(out / TABLE, facts.to_json())
    write_text(out / CSV, _csv(facts))
    return TuneResult(facts, None if best is None else out / BEST, write_tuning_report(facts, out / PAGE), interrupted)


def _csv(facts: TuningFacts) -> str:
    rows: list[tuple[object, ...]] = []
    for trial in facts.trials:
        settings = [trial.settings.get(name) for name in facts.ranges]
        head = (trial.number, trial.state, trial.value, len(trial.scores), trial.training_s)
        rows.append((*head, *settings, trial.error))
    return csv_text(("trial", "state", "score", "epochs_scored", "training_s", *facts.ranges, "error"), rows)
