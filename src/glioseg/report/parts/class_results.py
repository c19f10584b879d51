"""What a classifier reached: key figures, figures with their intervals, and those of the publication beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glioseg.evaluation.metrics import CLASS_METRICS
from glioseg.report.html import Block, Cell, Column, Prose, Section, Table, Tile, Tone
from glioseg.report.parts.run_results import warnings
from glioseg.report.parts.run_words import NOTHING, duration, interval_words, part_word, ratio, ratio_cell
from glioseg.report.parts.words import plural
from glioseg.report.run_facts import ClassificationFacts, RunFacts

_FIRST = ("accuracy", "balanced_accuracy", "auc", "average_precision", "recall", "specificity", "precision", "f1")
WORDS: Mapping[str, str] = {name: CLASS_METRICS[name].title for name in dict.fromkeys((*_FIRST, *CLASS_METRICS))}
_ON_TILES = ("balanced_accuracy", "accuracy", "auc", "ece")
_BY_CLASS = ("recall", "specificity", "precision", "f1", "auc", "average_precision")


def tiles(facts: ClassificationFacts) -> tuple[Tile, ...]:
    """The key figures."""
    found = []
    part = facts.headline
    if part is not None:
        evaluation = facts.parts[part].evaluation
        for name in _ON_TILES:
            one = evaluation["metrics"][name]
            note = "" if one["ci95"] is None else f"95\u00a0%: {interval_words(one['ci95'])}"
            tone: Tone = "good" if CLASS_METRICS[name].better == "higher" else ""
            found.append(Tile(f"{WORDS[name]}, {part_word(part)}", ratio(one["value"]), note, tone))
    if facts.best_epoch is not None:
        found.append(Tile("Epoch that was kept", f"{facts.best_epoch + 1}", f"of {len(facts.log)} trained"))
    if facts.timing.training_s is not None:
        found.append(Tile("Training time", duration(facts.timing.training_s)))
    total = sum(sum(counts.values()) for counts in facts.counts.values())
    note = ", ".join(f"{sum(counts.values()):,} {part_word(name)}" for name, counts in facts.counts.items())
    found.append(Tile(f"{_unit(facts).capitalize()}s", f"{total:,}", note))
    return tuple(found)


def results(facts: RunFacts) -> Section:
    """Figures by part, each with its interval; then class by class."""
    blocks: list[Block] = list(warnings(facts))
    for part in facts.ordered_parts:
        evaluation, title = facts.parts[part].evaluation, f"{part_word(part).capitalize()} part"
        blocks.append(_figures(evaluation, title, str(evaluation["protocol"]["unit"])))
        if "by_case" in evaluation:
            blocks.append(_figures(evaluation["by_case"], f"{title}, by case", "case"))
    blocks += [_by_class(facts.parts[part].evaluation, part) for part in facts.ordered_parts]
    intro = ""
    if facts.headline is not None:
        protocol = facts.parts[facts.headline].evaluation["protocol"]
        intro = f"Said: {protocol['words'].get('decided', '')}. True class: {protocol['words'].get('reference', '')}. "
        intro += f"Precision, recall, specificity, F1 and areas: {protocol['average']}."
    return Section("results", "Results", intro, tuple(blocks))


def _figures(figures: Mapping[str, Any], title: str, unit: str) -> Table:
    rows = tuple(
        (
            Cell(words),
            ratio_cell(figures["metrics"][name]["value"]),
            _interval(figures["metrics"][name]["ci95"]),
        )
        for name, words in WORDS.items()
        if name in figures["metrics"]
    )
    columns = (Column("Figure"), Column("Value", numeric=True), Column("95 % interval", numeric=True))
    n_items, n_units = int(figures["n_items"]), int(figures["n_units"])
    apart = f", {n_units:,} without copies" if unit == "picture" else f" of {plural(n_units, 'patient')}"
    caption = f"{title}: {plural(n_items, unit)}{apart if n_units < n_items else ''}. "
    caption += "Intervals: bootstrap of whole patients, or of groups of copies where patients are not known."
    return Table(columns, rows, caption, page_size=20, half=True)


def _interval(interval: object) -> Cell:
    words = interval_words(interval)
    return NOTHING if not isinstance(interval, list | tuple) else Cell(words, float(interval[0]))


def _by_class(evaluation: Mapping[str, Any], part: str) -> Table:
    rows = tuple(
        (Cell(name), Cell(f"{int(values['n']):,}", int(values["n"])), *(ratio_cell(values[one]) for one in _BY_CLASS))
        for name, values in evaluation["per_class"].items()
    )
    titles = ("Items", *(WORDS[one] for one in _BY_CLASS))
    columns = (Column("Class"), *(Column(title, numeric=True) for title in titles))
    caption = f"{part_word(part).capitalize()} part, each class against all others; a dash is 0/0."
    return Table(columns, rows, caption, half=False)


def published(facts: RunFacts) -> Section:
    """The publication's figures and those obtained, side by side."""
    blocks: list[Block] = []
    for part in facts.ordered_parts:
        block = facts.parts[part].evaluation.get("as_published")
        if not block:
            continue
        why = block["not_comparable"]
        if why:
            blocks.append(Prose(f"Not comparable on the {part_word(part)} part: {'; '.join(why)}.", "warning"))
        verdict = Cell("not comparable", 1.0, "warning") if why else Cell("comparable", 0.0, "good")
        rows = tuple(
            (
                Cell(WORDS[one["metric"]]),
                Cell(one["where"]),
                Cell(f"{one['published']:.4f}", one["published"]),
                NOTHING if one["obtained"] is None else Cell(f"{one['obtained']:.4f}", one["obtained"]),
                verdict,
            )
            for one in block["figures"]
        )
        titles = (Column("Figure"), Column("Published where", wide=True), Column("Published", numeric=True))
        caption = f"{part_word(part).capitalize()} part, {block['n_items']:,} {_unit(facts)}s. Published: "
        caption += f"{block['protocol']['source']}, on {block['protocol']['data']}."
        blocks.append(Table((*titles, Column("Obtained", numeric=True), Column("Verdict")), rows, caption))
    return Section("published", "Published and obtained", "", tuple(blocks))


def _unit(facts: RunFacts) -> str:
    if facts.headline is None:
        return "picture"
    return str(facts.parts[facts.headline].evaluation["protocol"]["unit"])
