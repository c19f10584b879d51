"""What a training shows of each epoch: our figures, or those of the publication that the recipe follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from glioseg.config import Recipe
from glioseg.evaluation.published import MEAN, PublishedProtocol, protocol_of_part
from glioseg.evaluation.score import EMPTY_WORDS
from glioseg.tasks.segment.validation import AS_PUBLISHED
from glioseg.tasks.task import LogColumns
from glioseg.training.log import LogRow

_TITLES: Mapping[str, str] = {"dice": "Dice", "precision": "prec.", "recall": "recall"}
"""Metric -> head of its column."""
_BY_REGION = "by region"


def followed_in_validation(recipe: Recipe) -> PublishedProtocol | None:
    """How the authors scored their validation part; None where the recipe follows nobody, or they did not."""
    published = recipe.published
    return protocol_of_part(published, "val") if isinstance(published, PublishedProtocol) else None


def log_cells(row: LogRow) -> tuple[str, ...]:
    """Dice, Dice by region, precision and recall of a row of the log."""
    regions = row.names("regions")

    def mean(metric: str) -> str:
        values = [value for name in regions if (value := row.figure("regions", name, metric)) is not None]
        return f"{sum(values) / len(values):.3f}" if values else "-"

    dice = {name: row.figure("regions", name, "dice") for name in regions}
    return mean("dice"), _by_region(dice), mean("precision"), mean("recall")


OWN_COLUMNS: LogColumns = LogColumns(
    ("Dice", _BY_REGION, "prec.", "recall"),
    log_cells,
    (5, 9, 5, 6),
    spare=("recall", "prec.", _BY_REGION),
)


def published_columns(protocol: PublishedProtocol) -> LogColumns:
    """Dice, Dice by region, precision and recall as the authors count them, as far as they do, and how that is."""
    names = {figure.metric: figure.name for figure in reversed(protocol.figures) if figure.metric in _TITLES}
    rules = [f"{figure.name} ({EMPTY_WORDS[figure.empty]})" for figure in protocol.figures]
    titles = [_TITLES[metric] for metric in _TITLES if metric in names]
    if "dice" in names:
        titles.insert(1, _BY_REGION)
    return LogColumns(
        tuple(titles),
        partial(_published_cells, [names[metric] for metric in _TITLES if metric in names], "dice" in names),
        tuple(max(len(title), 5) for title in titles),
        spare=tuple(title for title in reversed(titles) if title != "Dice"),
        words=f"Scores of epochs are counted as published by {protocol.source}: {', '.join(rules)}. "
        "glioseg's own are in log.jsonl and the report.",
    )


def _published_cells(names: Sequence[str], with_regions: bool, row: LogRow) -> tuple[str, ...]:
    means = [row.figure(AS_PUBLISHED, name, MEAN) for name in names]
    cells = ["-" if mean is None else f"{mean:.3f}" for mean in means]
    if with_regions:
        regions = [name for name in row.names(AS_PUBLISHED, names[0]) if name != MEAN]
        cells.insert(1, _by_region({name: row.figure(AS_PUBLISHED, names[0], name) for name in regions}))
    return tuple(cells)


def _by_region(values: Mapping[str, float | None]) -> str:
    """``WT .800 TC .750``; nothing where there is one region, whose value stands beside it."""
    short = {name: "-" if value is None else f"{value:.3f}".lstrip("0") for name, value in values.items()}
    return " ".join(f"{name} {words}" for name, words in short.items()) if len(values) > 1 else ""
