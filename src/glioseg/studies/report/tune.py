"""The page of a search for settings: its best trial, all others, and how the score follows each setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from glioseg.report.html import (
    FIGURES,
    Block,
    Cell,
    Column,
    Page,
    Prose,
    Section,
    Table,
    Tile,
    replace_page,
    saved_picture,
    written,
)
from glioseg.report.parts.metric_words import METRIC_WORDS, NOTHING
from glioseg.report.parts.run_words import duration, ratio, ratio_cell
from glioseg.studies.report import tune_charts as charts

Choice = bool | int | float | str
TrialState = Literal["running", "complete", "pruned", "failed"]
_STATES: Mapping[str, Cell] = {
    "complete": Cell("trained to the end", 0.0, "good"),
    "pruned": Cell("pruned", 1.0, "note"),
    "running": Cell("not at its end", 2.0, "warning"),
    "failed": Cell("failed", 3.0, "error"),
}


@dataclass(frozen=True)
class TrialFact:
    """One trial.

    Args:
        number: from 0.
        state: how it ended.
        settings: that were tried.
        scores: epoch, from 0 -> validation score.
        value: the best of them, once it has ended.
        error: why it failed.
        ended: what stopped it before the recipe did.
        training_s: time of its training.
    """

    number: int
    state: TrialState
    settings: Mapping[str, Choice]
    scores: Mapping[int, float] = field(default_factory=dict)
    value: float | None = None
    error: str | None = None
    ended: str | None = None
    training_s: float | None = None


@dataclass(frozen=True)
class TuningFacts:
    """A search as far as it has come.

    Args:
        recipe: its name.
        score: what was maximised, on validation.
        ranges: setting -> low, high, log, step or choices.
        trials: by number.
    """

    recipe: str
    score: str
    ranges: Mapping[str, Mapping[str, object]]
    trials: tuple[TrialFact, ...]

    @property
    def best(self) -> TrialFact | None:
        """The trial with the highest score of those that were trained to the end."""
        ended = [trial for trial in self.trials if trial.state == "complete" and trial.value is not None]
        return max(ended, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)

    def to_json(self) -> dict[str, object]:
        """What ``tune.json`` holds."""
        return {
            "recipe": self.recipe,
            "score": f"{self.score} on validation, best epoch of a trial",
            "ranges": {name: dict(values) for name, values in self.ranges.items()},
            "best": None if self.best is None else self.best.number,
            "trials": [
                {
                    "trial": trial.number,
                    "state": trial.state,
                    "settings": dict(trial.settings),
                    "score": trial.value,
                    "scores": {str(epoch): score for epoch, score in trial.scores.items()},
                    "error": trial.error,
                    "ended": trial.ended,
                    "training_s": trial.training_s,
                }
                for trial in self.trials
            ],
        }


def write_tuning_report(facts: TuningFacts, page: Path, *, written_on: date | None = None) -> Path:
    """Write the page and its figures, beside it in ``figures/``; those that it no longer shows are removed.

    Args:
        facts: the search as far as it has come.
        page: the file to write.
        written_on: the date at the foot of the page; today unless given.

    Raises:
        FileError: the folder cannot be written to.
    """
    folder = page.parent / FIGURES
    summary = f"Validation {METRIC_WORDS.get(facts.score, facts.score)} of {len(facts.trials)} trials."
    sections = (_best(facts), _charts(facts, folder), _trials(facts))
    return replace_page(
        Page("glioseg tune", f"Settings for {facts.recipe}", summary, _tiles(facts), sections, written(written_on)),
        page,
        folder,
    )


def _tiles(facts: TuningFacts) -> tuple[Tile, ...]:
    counts = {state: sum(trial.state == state for trial in facts.trials) for state in _STATES}
    note = ", ".join(f"{n} {_STATES[state].text}" for state, n in counts.items() if n)
    row = [Tile("Trials", f"{len(facts.trials)}", note)]
    if facts.best is not None:
        row.append(Tile("Best score", ratio(facts.best.value), f"trial {facts.best.number + 1}"))
    times = [trial.training_s for trial in facts.trials if trial.training_s is not None]
    if times:
        row.append(Tile("Training time", duration(sum(times)), "all trials together"))
    return tuple(row)


def _best(facts: TuningFacts) -> Section:
    words = (
        "Trials were judged on the validation part alone, and the best of many scores is flattering. What the settings "
    )
    words += "are worth is measured on the test part, which no trial has seen."
    if facts.best is None:
        return Section("best", "Best settings", "", (Prose("No trial has been trained to its end yet.", "warning"),))
    rows = tuple(
        (Cell(name), _value_cell(facts.best.settings.get(name)), Cell(_range_words(values)))
        for name, values in facts.ranges.items()
    )
    columns = (Column("Setting"), Column("Best", numeric=True), Column("Searched"))
    blocks: tuple[Block, ...] = (Prose(words, "note"), Table(columns, rows, "The recipe with them is best.toml."))
    return Section("best", "Best settings", "", blocks)


def _range_words(values: Mapping[str, object]) -> str:
    choices = values.get("choices")
    if isinstance(choices, list):
        return ", ".join(map(str, choices))
    step = f" in steps of {values['step']}" if "step" in values else ""
    return f"{values['low']} to {values['high']}{step}{', by ratios' if values.get('log') else ''}"


def _value_cell(value: Choice | None) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(f"{value:.4g}", float(value))
    return NOTHING if value is None else Cell(str(value))


def _charts(facts: TuningFacts, folder: Path) -> Section:
    trials = [
        charts.Trial(trial.number, trial.state == "pruned", max(trial.scores.values()), trial.scores, trial.settings)
        for trial in facts.trials
        if trial.scores and trial.state in ("complete", "pruned")
    ]
    if not trials:
        return Section("charts", "Scores", "", ())
    drawn = f" The {charts.MOST_CURVES} best of {len(trials)} trials." if len(trials) > charts.MOST_CURVES else ""
    y = f"validation {METRIC_WORDS.get(facts.score, facts.score)}"
    figures = (
        ("by-trial", charts.by_trial(trials, y=y), "Score by trial", "Hollow: pruned.", True),
        (
            "by-epoch",
            charts.by_epoch(trials, y=y),
            "Score by epoch",
            f"Black: the best trial; grey: pruned trials.{drawn}",
            True,
        ),
        (
            "by-setting",
            charts.by_setting(trials, {name: _scale(values) for name, values in facts.ranges.items()}, y=y),
            "Score by setting",
            "One dot for each trial, hollow where it was pruned.",
            False,
        ),
    )
    blocks = tuple(
        saved_picture(folder, name, figure, "chart", title=title, caption=caption, half=half)
        for name, figure, title, caption, half in figures
    )
    return Section("charts", "Scores", "", blocks)


def _scale(values: Mapping[str, object]) -> charts.Scale:
    return "choices" if "choices" in values else "log" if values.get("log") else "linear"


def _trials(facts: TuningFacts) -> Section:
    columns = (
        Column("Trial", numeric=True),
        Column("State"),
        Column("Score", numeric=True),
        Column("Epochs scored", numeric=True),
        Column("Training time", numeric=True),
        *(Column(name, numeric=True) for name in facts.ranges),
        Column("Remark", wide=True),
    )
    rows = tuple(
        (
            Cell(f"{trial.number + 1}", trial.number),
            _STATES[trial.state],
            ratio_cell(trial.value),
            Cell(f"{len(trial.scores)}", len(trial.scores)),
            NOTHING if trial.training_s is None else Cell(duration(trial.training_s), trial.training_s),
            *(_value_cell(trial.settings.get(name)) for name in facts.ranges),
            Cell(trial.error or (f"stopped by {trial.ended}" if trial.ended else "")),
        )
        for trial in facts.trials
    )
    return Section("trials", "Trials", "", (Table(columns, rows, page_size=40),))
