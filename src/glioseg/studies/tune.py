"""``glioseg tune``: a search over a recipe's declared ranges, judged by validation alone.

    OUT/tuning.toml              the recipe with its ranges
    OUT/trials/trial-NNN/        a run of each trial, never evaluated
    OUT/trials/trial-NNN.json    its settings, its scores by epoch and how it ended
    OUT/best.toml                the recipe with the best trial's settings
    OUT/tune.json  trials.csv  tune.html  figures/

The settings of trial n follow from the seed, n and the trials before it, all of which stand in these files: Optuna's
sampler and pruner are made anew from them for each trial. So a search that was interrupted goes on as if it had not
been, needs no database and pickles nothing; the trial that was interrupted goes on from its checkpoint.
"""

from __future__ import annotations

import html
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glioseg.config import (
    Recipe,
    changed_recipe,
    differences,
    read_recipe,
    require_effect,
    without_none,
    write_recipe,
)
from glioseg.console import QUIET, Reporter
from glioseg.errors import FileError, OptionError
from glioseg.io.files import own_entries, write_json, write_text
from glioseg.io.lock import locked
from glioseg.io.text import csv_text, read_json
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data, read
from glioseg.runs.train import TrainResult, train
from glioseg.studies.feed import cannot_feed
from glioseg.studies.guard import guarded
from glioseg.studies.report.tune import TrialFact, TuningFacts, write_tuning_report
from glioseg.training.checkpoint import LATEST, load_checkpoint
from glioseg.training.log import LogRow, log_of
from glioseg.training.progress import Outcome
from glioseg.training.randomness import DrawKey, torch_seed
from glioseg.training.ranges import Choice, Range

if TYPE_CHECKING:
    import pandas as pd

TUNING = "tuning.toml"
DATA_KEY = "data.json"
TRIALS = "trials"
BEST = "best.toml"
TABLE = "tune.json"
CSV = "trials.csv"
PAGE = "tune.html"
PRUNED = "pruned"
TIME_IS_UP = "the minutes given to the search are over"
_STARTUP_TRIALS = 5
_TRIALS_BEFORE_PRUNING = 3


class TrialRecord(BaseModel):
    """One trial as it is kept.

    Attributes:
        format: this version writes and reads 1.
        number: from 0.
        state: ``running`` until it has ended; such a trial is continued.
        settings: that were tried.
        scores: epoch, from 0 -> validation score.
        value: the best of them, once the trial has ended.
        error: why it failed, in one line.
        ended: what stopped it before the recipe did.
        training_s: time of its training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    number: int
    state: Literal["running", "complete", "pruned", "failed"] = "running"
    settings: dict[str, Choice]
    scores: dict[int, float] = Field(default_factory=dict)
    value: float | None = None
    error: str | None = None
    ended: str | None = None
    training_s: float | None = None


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
    minutes: float | None = None,
    device: str = "auto",
    cache: Path | None = None,
    reporter: Reporter = QUIET,
) -> TuneResult:
    """Search until there are ``n_trials`` trials, those of earlier calls counted in, or the time is up.

    Args:
        recipe: with ranges in its part ``tune``.
        data: the scans; those of the test part are not looked at.
        out: the folder of the search.
        n_trials: trials in all.
        minutes: of this call; the trial at hand then stops as with Ctrl-C, and a later call continues it.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` in the folder.
        reporter: of messages and progress.

    Raises:
        OptionError: Optuna is missing, the recipe has no ranges or unfitting ones, or the folder holds a search over
            another recipe, other ranges or other data.
        FileError: the folder holds other files, or cannot be written to.
    """
    optuna = _optuna()
    _require_ranges(recipe)
    reason, key = cannot_feed(recipe, read(data, reporter), cache or out / "cache")
    if reason is not None:
        raise OptionError(f"this data cannot feed the recipe {recipe.name}: {reason}")
    with locked(out):
        _begin(recipe, key, out)
        return _search(
            optuna,
            recipe,
            data,
            n_trials,
            minutes,
            RunOptions(out / TRIALS, cache or out / "cache", device=device, evaluate=False),
            reporter,
        )


def _search(
    optuna: ModuleType,
    recipe: Recipe,
    data: Data,
    n_trials: int,
    minutes: float | None,
    options: RunOptions,
    reporter: Reporter,
) -> TuneResult:
    """``tune`` in a folder that is this process's own."""
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    search = _Search(optuna, recipe, data, options, deadline, reporter)
    interrupted = None
    for number in range(n_trials):
        if deadline is not None and time.monotonic() >= deadline:
            interrupted = TIME_IS_UP
        if interrupted is None:
            interrupted = search.run(number, n_trials)
    if interrupted is not None:
        reporter.say(f"Stopped ({interrupted}); the same command continues the search")
    return _write(recipe, search.trials(), options.run.parent, interrupted)


def _optuna() -> ModuleType:
    try:
        import optuna  # an extra: only a search needs it
    except ImportError as error:
        raise OptionError(
            "a search needs Optuna, which is not installed",
            remedy="Install the extra: pip install 'glioseg[tune]'",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    module: ModuleType = optuna
    return module


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
                _with(recipe, {name: value})
            except OptionError as error:
                raise OptionError(f"tune.{name}: {value} does not fit the recipe: {error.text}") from error


def _with(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    changed = changed_recipe(recipe.model_dump(mode="json"), [settings])
    require_effect(changed, settings)
    return changed


def _begin(recipe: Recipe, key: str, out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise FileError(
            "a folder is needed for the search",
            path=out,
            found="a file",
            remedy="Name a new folder with `--out`",
        )
    if not (out / TUNING).exists():
        if out.is_dir() and any(
            path.name not in (DATA_KEY, "cache") for path in own_entries(out)
        ):  # written first, see below
            raise FileError(
                "the folder holds files that are not a search's", path=out, remedy="Name a new one (`--out`)"
            )
        write_json(out / DATA_KEY, {"key": key})
        write_text(out / TUNING, write_recipe(recipe))
        return
    begun = read_recipe(str(out / TUNING))
    changed = [name for name in differences(begun, recipe) if name not in ("train.max_minutes", "train.max_steps")]
    changed += ["split"] if begun.split != recipe.split else []
    changed += ["tune"] if begun.tune != recipe.tune else []
    changed += ["the data"] if read_json(out / DATA_KEY) != {"key": key} else []
    if changed:
        raise OptionError(
            "the search in this folder was begun with other settings",
            path=out,
            found=f"a difference in {', '.join(changed)}",
            remedy="Go on with the old settings, or name a new folder with `--out`",
        )


class _Search:
    """The trials of a folder, and how the next one is chosen, trained and judged."""

    def __init__(
        self,
        optuna: ModuleType,
        recipe: Recipe,
        data: Data,
        options: RunOptions,
        deadline: float | None,
        reporter: Reporter,
    ) -> None:
        self._optuna = optuna
        self._recipe = recipe
        self._data = data
        self._options = options
        self._deadline = deadline
        self._reporter = reporter
        self._distributions = {name: _distribution(optuna, values) for name, values in (recipe.tune or {}).items()}

    def trials(self) -> list[TrialRecord]:
        """All that were begun, by number."""
        return [_read_trial(path) for path in sorted(self._options.run.glob("trial-*.json"))]

    def run(self, number: int, n_trials: int) -> str | None:
        """Begin or go on with a trial, unless it has ended; what interrupted it, for the whole search to stop."""
        earlier = [trial for trial in self.trials() if trial.number < number]
        record = self._record(number, earlier)
        if record.state != "running":
            return None
        self._reporter.say(f"Trial {number + 1} of {n_trials}: {_settings_text(record.settings)}")
        folder = self._folder(number)
        watcher = TrialWatcher(self._live(number, earlier, record.settings), self._deadline, _scores(folder))
        trace = folder.with_name(f"{folder.name}-error.txt")
        result, error = guarded(lambda: self._train(record, folder, watcher), trace, self._reporter)
        record = self._keep(self._with_ending(record, result, error, watcher))
        if result is not None and record.state == "running":
            return result.outcome.reason
        self._reporter.say(f"Trial {number + 1}: {record.error or f'{record.state}, {record.value:.4f}'}")
        return None

    def _record(self, number: int, earlier: Sequence[TrialRecord]) -> TrialRecord:
        path = self._folder(number).with_suffix(".json")
        if path.exists():
            return _read_trial(path)
        settings = self._live(number, earlier, None).params
        return self._keep(TrialRecord(number=number, settings=settings))

    def _keep(self, record: TrialRecord) -> TrialRecord:
        write_json(self._folder(record.number).with_suffix(".json"), record.model_dump(mode="json"))
        return record

    def _folder(self, number: int) -> Path:
        return self._options.run / f"trial-{number:03d}"

    def _live(self, number: int, earlier: Sequence[TrialRecord], settings: Mapping[str, Choice] | None) -> Any:  # noqa: ANN401 - Optuna's trial
        """Optuna's trial in a study that knows the earlier ones; with ``settings``, or those that it suggests."""
        optuna = self._optuna
        seed = torch_seed(DrawKey(self._recipe.train.seed, "tune", number)) % 2**32
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(n_startup_trials=_STARTUP_TRIALS, seed=seed),
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=_TRIALS_BEFORE_PRUNING, n_warmup_steps=self._recipe.train.epochs // 4
            ),
        )
        states = optuna.trial.TrialState
        kinds = {"complete": states.COMPLETE, "pruned": states.PRUNED}
        study.add_trials(
            [
                optuna.trial.create_trial(
                    state=kinds[trial.state],
                    value=trial.value if trial.state == "complete" else None,
                    params=trial.settings,
                    distributions=self._distributions,
                    intermediate_values=trial.scores,
                )
                for trial in earlier
                if trial.state in kinds
            ]
        )
        if settings is not None:
            study.enqueue_trial(dict(settings))
        return study.ask(self._distributions)

    def _train(self, record: TrialRecord, folder: Path, watcher: TrialWatcher) -> TrainResult:
        recipe = _with(self._recipe, {**record.settings, "predict.tune": False})  # thresholds are for the best alone
        options = RunOptions(folder, self._options.cache_folder, device=self._options.device, evaluate=False)
        return train(recipe, self._data, options, self._reporter, watcher=watcher)

    def _with_ending(
        self, record: TrialRecord, result: TrainResult | None, error: str | None, watcher: TrialWatcher
    ) -> TrialRecord:
        """The record with how its training went; without a result there is an error."""
        facts: dict[str, Any] = {"scores": watcher.scores, "error": error, "state": "failed" if error else "running"}
        if result is not None:
            progress = load_checkpoint(self._folder(record.number) / LATEST)["progress"]
            facts |= {"training_s": progress["elapsed_s"], **_ending(result.outcome, watcher)}
        if facts["state"] in ("complete", "pruned"):
            facts["value"] = max(watcher.scores.values())
        return TrialRecord.model_validate(record.model_dump() | facts)


def _ending(outcome: Outcome, watcher: TrialWatcher) -> dict[str, Any]:
    """State, reason and error of a training that was not ended by an error; interrupted ones are still running."""
    facts: dict[str, Any] = {"ended": None if outcome.finished else outcome.reason}
    if outcome.reason == PRUNED:
        return facts | {"state": "pruned"}
    if not outcome.finished and not outcome.met_limit:
        return facts
    return facts | {"state": "complete"}


class TrialWatcher:
    """Reports the scores of a trial to Optuna and stops it where others were better at the same epoch.

    Args:
        trial: Optuna's.
        deadline: on the monotonic clock, after which the training stops; None for never.
        scores: epoch -> validation score, as far as the trial had come before.
    """

    def __init__(self, trial: Any, deadline: float | None, scores: Mapping[int, float]) -> None:  # noqa: ANN401
        self._trial = trial
        self._deadline = deadline
        self.scores = dict(scores)
        for epoch, score in sorted(scores.items()):
            trial.report(score, epoch)
        self._is_pruned = bool(scores) and bool(trial.should_prune())

    def on_step(self, n_done: int, n_total: int) -> str | None:
        """A step is done."""
        if self._is_pruned:
            return PRUNED
        return TIME_IS_UP if self._deadline is not None and time.monotonic() >= self._deadline else None

    def on_epoch(self, row: LogRow) -> str | None:
        """An epoch is done; only those with a validation are judged."""
        if row.val_score is not None:
            if row.epoch not in self.scores:  # one that was trained again after a crash gives the same score again
                self.scores[row.epoch] = row.val_score
                self._trial.report(row.val_score, row.epoch)
            self._is_pruned = bool(self._trial.should_prune())
        return PRUNED if self._is_pruned else None


def _distribution(optuna: ModuleType, values: Range) -> Any:  # noqa: ANN401 - Optuna's distribution
    kinds = optuna.distributions
    if values.low is None or values.high is None:  # a range has both, or choices
        return kinds.CategoricalDistribution(values.choices)
    if values.is_whole:
        return kinds.IntDistribution(int(values.low), int(values.high), log=values.log, step=int(values.step or 1))
    return kinds.FloatDistribution(float(values.low), float(values.high), log=values.log, step=values.step)


def _read_trial(path: Path) -> TrialRecord:
    try:
        return TrialRecord.model_validate(read_json(path))
    except ValidationError as error:
        raise FileError(
            "not a trial that this version reads", path=path, found=str(error.errors()[0]["msg"])
        ) from error


def _scores(run: Path) -> dict[int, float]:
    """What the log of a trial that goes on says."""
    rows = log_of(run)
    return {row.epoch: row.val_score for row in rows if row.val_score is not None}


def _settings_text(settings: Mapping[str, Choice]) -> str:
    words = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in settings.items()}
    return ", ".join(f"{name} = {value}" for name, value in words.items())


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
        f"Settings found by glioseg tune in {len(trials)} trials, from {recipe.name}: {_settings_text(best.settings)}."
    )
    note += f" Validation score {best.value:.4f} (train.score = {recipe.train.score}), which the search has flattered."
    changed = _with(recipe, best.settings)
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
