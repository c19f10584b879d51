"""The trials of a search: how the settings of each are chosen, how it is trained, judged, stopped early and kept.

The settings of a trial follow from the seed, its number and the trials that it is chosen by, which are those that were
not chosen at once with it: so they are the same wherever, and whenever, trials are trained.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import Field, ValidationError

from glioseg.config import Recipe, changed_recipe, require_effect
from glioseg.console import Reporter
from glioseg.errors import FileError, OptionError
from glioseg.frozen import Frozen
from glioseg.io.files import write_json
from glioseg.io.text import read_json
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data
from glioseg.runs.train import TrainResult, train
from glioseg.studies.guard import guarded
from glioseg.training.checkpoint import LATEST, load_checkpoint
from glioseg.training.log import LogRow, log_of
from glioseg.training.progress import Outcome
from glioseg.training.randomness import DrawKey, torch_seed
from glioseg.training.ranges import Choice, Range
from glioseg.workers.where import Stopped

PRUNED = "pruned"
TIME_IS_UP = "the minutes given to the search are over"
_STARTUP_TRIALS = 5
_TRIALS_BEFORE_PRUNING = 3


class TrialRecord(Frozen):
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

    format: Literal[1] = 1
    number: int
    state: Literal["running", "complete", "pruned", "failed"] = "running"
    settings: dict[str, Choice]
    scores: dict[int, float] = Field(default_factory=dict)
    value: float | None = None
    error: str | None = None
    ended: str | None = None
    training_s: float | None = None


def optuna_module() -> ModuleType:
    """Optuna, which says nothing; an OptionError where it is not installed."""
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


def with_settings_of(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with the settings of a trial; an OptionError for those that do not fit."""
    changed = changed_recipe(recipe.model_dump(mode="json"), [settings])
    require_effect(changed, settings)
    return changed


@dataclass(frozen=True)
class ChosenTrial:
    """A trial to be trained or continued.

    Args:
        record: of it.
        by: the trials that it was chosen by, and is judged by.
    """

    record: TrialRecord
    by: tuple[TrialRecord, ...]


class Search:
    """The trials of a folder, and how the next ones are chosen, trained and judged.

    Args:
        recipe: with ranges.
        data: the scans.
        options: of every trial, but for its folder; ``run`` is the folder of them all.
        n_trials: in all.
        at_once: how many are chosen without knowing of each other.
        until: on the clock of the system, in s, when trials stop; None for never.
        reporter: of messages.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Data,
        options: RunOptions,
        n_trials: int,
        at_once: int,
        until: float | None,
        reporter: Reporter,
    ) -> None:
        self._optuna = optuna_module()
        self._recipe = recipe
        self._data = data
        self._options = options
        self._n_trials = n_trials
        self._at_once = at_once
        self._until = until
        self._reporter = reporter
        self._distributions = {
            name: _distribution(self._optuna, values) for name, values in (recipe.tune or {}).items()
        }

    def trials(self) -> list[TrialRecord]:
        """All that were begun, by number."""
        trials = (_read_trial(path) for path in self._options.run.glob("trial-*.json"))
        return sorted(trials, key=lambda trial: trial.number)

    @property
    def folder(self) -> Path:
        """Of all trials."""
        return self._options.run

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self._until is not None and time.time() >= self._until

    def chosen(self, first: int) -> list[ChosenTrial]:
        """The trials from ``first`` on that are chosen at once, with their settings kept; without those that ended."""
        earlier = tuple(trial for trial in self.trials() if trial.number < first)
        records = [self._record(number, earlier) for number in range(first, min(first + self._at_once, self._n_trials))]
        return [ChosenTrial(record, earlier) for record in records if record.state == "running"]

    def run(self, trial: ChosenTrial) -> TrialRecord | Stopped:
        """Train a trial, or go on with it, and keep how it went; or what interrupted it, which stops the search."""
        if self.is_over:
            return Stopped(TIME_IS_UP)
        record, number = trial.record, trial.record.number
        self._reporter.say(f"Trial {number + 1} of {self._n_trials}: {settings_text(record.settings)}")
        folder = self._folder(number)
        watcher = TrialWatcher(self._live(number, trial.by, record.settings), self._until, _scores(folder))
        trace = folder.with_name(f"{folder.name}-error.txt")
        result, error = guarded(lambda: self._train(record, folder, watcher), trace, self._reporter)
        record = self.keep(self._with_ending(record, result, error, watcher))
        if result is not None and result.outcome.reason is not None and record.state == "running":
            return Stopped(result.outcome.reason)
        self._reporter.say(f"Trial {number + 1}: {record.error or f'{record.state}, {record.value:.4f}'}")
        return record

    def _record(self, number: int, earlier: Sequence[TrialRecord]) -> TrialRecord:
        path = self._folder(number).with_suffix(".json")
        if path.exists():
            return _read_trial(path)
        settings = self._live(number, earlier, None).params
        return self.keep(TrialRecord(number=number, settings=settings))

    def keep(self, record: TrialRecord) -> TrialRecord:
        """Write the record of a trial."""
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
        recipe = with_settings_of(
            self._recipe, {**record.settings, "predict.tune": False}
        )  # thresholds are for the best alone
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
        until: on the clock of the system, in s, when the training stops; None for never.
        scores: epoch -> validation score, as far as the trial had come before.
    """

    def __init__(self, trial: Any, until: float | None, scores: Mapping[int, float]) -> None:  # noqa: ANN401
        self._trial = trial
        self._until = until
        self.scores = dict(scores)
        for epoch, score in sorted(scores.items()):
            trial.report(score, epoch)
        self._is_pruned = bool(scores) and bool(trial.should_prune())

    def on_step(self, n_done: int, n_total: int) -> str | None:
        """A step is done."""
        if self._is_pruned:
            return PRUNED
        return TIME_IS_UP if self._until is not None and time.time() >= self._until else None

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


def settings_text(settings: Mapping[str, Choice]) -> str:
    """``train.lr = 0.001, model.width = 4``."""
    words = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in settings.items()}
    return ", ".join(f"{name} = {value}" for name, value in words.items())
