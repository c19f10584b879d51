"""What a classifier reached: key figures, figures with their intervals, and those of the publication beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from glioseg.errors import plural
from glioseg.evaluation.class_protocol import ClassEvaluation
from glioseg.evaluation.classification import ClassFigures
from glioseg.evaluation.metrics import CLASS_METRICS
from glioseg.evaluation.published_classes import ClassesAsPublished
from glioseg.evaluation.score import Interval
from glioseg.report.html import Block, Cell, Column, Prose, Section, Table, Tile
from glioseg.report.parts.run_results import verdict_of, warnings, whose_verdict
from glioseg.report.parts.run_words import (
    NOTHING,
    duration,
    interval_words,
    part_phrase,
    part_title,
    part_word,
    ratio,
    ratio_cell,
)
from glioseg.report.run_facts import ClassificationFacts

_FIRST = ("accuracy", "balanced_accuracy", "auc", "average_precision", "recall", "specificity", "precision", "f1")
WORDS: Mapping[str, str] = {name: CLASS_METRICS[name].title for name in dict.fromkeys((*_FIRST, *CLASS_METRICS))}
_ON_TILES = ("balanced_accuracy", "accuracy", "auc", "ece")
_BY_CLASS = ("recall", "specificity", "precision", "f1", "auc", "average_precision")


def tiles(facts: ClassificationFacts) -> tuple[Tile, ...]:
    """The key figures."""
    row = []
    part = facts.headline
    if part is not None:
        row += _score_tiles(facts.parts[part].evaluation, part)
    if facts.best_epoch is not None:
        row.append(Tile("Epoch that was kept", f"{facts.best_epoch + 1}", f"of {len(facts.log)} trained"))
    if facts.timing.training_s is not None:
        row.append(Tile("Training time", duration(facts.timing.training_s)))
    total = sum(sum(counts.values()) for counts in facts.counts.values())
    note = ", ".join(f"{sum(counts.values()):,} {part_word(name)}" for name, counts in facts.counts.items())
    return (*row, Tile(f"{_unit(facts).capitalize()}s", f"{total:,}", note))


def _score_tiles(evaluation: ClassEvaluation, part: str) -> list[Tile]:
    row = []
    for name in _ON_TILES:
        estimate = evaluation.items.metrics[name]
        note = "" if estimate.ci95 is None else f"95\u00a0%: {interval_words(estimate.ci95)}"
        row.append(Tile(f"{WORDS[name]}, {part_word(part)}", ratio(estimate.value), note))
    return row


def results(facts: ClassificationFacts) -> Section:
    """Figures by part, each with its interval; then class by class."""
    headline = None if facts.headline is None else facts.parts[facts.headline].evaluation
    # where patients are known, they are what the bootstrap draws
    blocks: list[Block] = list(warnings(facts, 0 if headline is None else headline.items.n_units))
    tables = []
    for part in facts.ordered_parts:
        evaluation, title = facts.parts[part].evaluation, f"{part_title(part)}"
        tables.append(_figures(evaluation.items, title, evaluation.unit))
        if evaluation.cases is not None:
            tables.append(_figures(evaluation.cases, f"{title}, by case", "case"))
    blocks += [replace(table, half=len(tables) > 1) for table in tables]
    blocks += [_by_class(facts.parts[part].evaluation.items, part) for part in facts.ordered_parts]
    intro = ""
    if headline is not None:
        words = headline.words
        intro = f"Said: {words.get('decided', '')}. True class: {words.get('reference', '')}. "
        intro += f"Precision, recall, specificity, F1 and areas: {headline.average}."
    return Section("results", "Results", intro, tuple(blocks))


def _figures(figures: ClassFigures, title: str, unit: str) -> Table:
    rows = tuple(
        (Cell(words), ratio_cell(figures.metrics[name].value), _interval_cell(figures.metrics[name].ci95))
        for name, words in WORDS.items()
        if name in figures.metrics
    )
    columns = (Column("Figure"), Column("Value", numeric=True), Column("95 % interval", numeric=True))
    n_items, n_units = figures.n_items, figures.n_units
    apart = f", {n_units:,} without copies" if unit == "picture" else f" of {plural(n_units, 'patient')}"
    caption = f"{title}: {plural(n_items, unit)}{apart if n_units < n_items else ''}. "
    caption += "Intervals: bootstrap of whole patients, or of groups of copies where patients are not known."
    return Table(columns, rows, caption, page_size=20)


def _interval_cell(interval: Interval) -> Cell:
    return NOTHING if interval is None else Cell(interval_words(interval), interval[0])


def _by_class(figures: ClassFigures, part: str) -> Table:
    rows = tuple(
        (Cell(name), _count_cell(int(values["n"] or 0)), *(ratio_cell(values[metric]) for metric in _BY_CLASS))
        for name, values in figures.per_class.items()
    )
    titles = ("Items", *(WORDS[metric] for metric in _BY_CLASS))
    columns = (Column("Class"), *(Column(title, numeric=True) for title in titles))
    caption = f"{part_title(part)}, each class against all others; a dash is 0/0."
    return Table(columns, rows, caption)


def _count_cell(n: int) -> Cell:
    return Cell(f"{n:,}", n)


def published(facts: ClassificationFacts) -> Section:
    """The publication's figures and those obtained, side by side."""
    blocks: list[Block] = []
    for part in facts.ordered_parts:
        scored = facts.parts[part].evaluation.as_published
        if scored is not None:
            blocks += _published_part(part, scored, _unit(facts))
    return Section("published", "Published and obtained", "", tuple(blocks))


def _published_part(part: str, scored: ClassesAsPublished, unit: str) -> list[Block]:
    reasons = "; ".join(scored.not_comparable)
    rows = tuple(
        (
            Cell(WORDS[each.figure.metric]),
            Cell(each.figure.where),
            Cell(f"{each.figure.value:.4f}", each.figure.value),
            NOTHING if each.obtained is None else Cell(f"{each.obtained:.4f}", each.obtained),
            verdict_of(each),
        )
        for each in scored.figures
    )
    titles = (Column("Figure"), Column("Published where", wide=True), Column("Published", numeric=True))
    caption = f"{part_title(part)}, {scored.n_items:,} {unit}s. Published: {scored.source}, "
    table = Table((*titles, Column("Obtained", numeric=True), Column("Verdict")), rows, f"{caption}on {scored.data}.")
    if not reasons:
        return [table]
    return [Prose(f"{whose_verdict(scored.figures)} on {part_phrase(part)}: {reasons}.", "warning"), table]


def _unit(facts: ClassificationFacts) -> str:
    return "picture" if facts.headline is None else facts.parts[facts.headline].evaluation.unit
