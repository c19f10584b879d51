"""What each modality contributed to the figures of a run or of other data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glioseg.evaluation.contributions import CHANGES, CHANGES_ARE, Contribution
from glioseg.report import style
from glioseg.report.html import Block, Cell, Column, Section, Table
from glioseg.report.parts.metric_words import NOTHING
from glioseg.report.parts.run_words import part_phrase
from glioseg.report.run_facts import ClassificationFacts, SegmentationFacts


def contributions(facts: SegmentationFacts) -> Section:
    """By region and modality; nothing where nobody asked."""
    if facts.headline is None:
        return _section("", {})
    return _section(facts.headline, facts.parts[facts.headline].evaluation.further.contributions)


def class_contributions(facts: ClassificationFacts) -> Section:
    """By modality; nothing where nobody asked."""
    if facts.headline is None:
        return _section("", {})
    effects = facts.parts[facts.headline].evaluation.contributions
    return _section(facts.headline, {"all classes": effects} if effects else {})


def _section(part: str, by_region: Mapping[str, Sequence[Contribution]]) -> Section:
    title = "What each modality contributed"
    if not any(by_region.values()):
        return Section("contributions", title, "", ())
    intro = f"How the figures of {part_phrase(part)} change when a modality is left out: "
    intro += "below 0, they are worse without it."
    blocks: tuple[Block, ...] = (_table(by_region),)
    return Section("contributions", title, intro, blocks)


def _table(by_region: Mapping[str, Sequence[Contribution]]) -> Table:
    metric = next(effects[0].metric for effects in by_region.values() if effects)
    groups = [(f"{metric.capitalize()}, {change}", "95 % interval", f"Probability, {change}") for change in CHANGES]
    columns = (
        Column("Region" if metric == "dice" else "Of"),
        Column("Modality"),
        *(Column(title, numeric=True) for group in groups for title in group),
    )
    rows = tuple(
        (
            Cell(region),
            Cell(style.modality_title(name)),
            *(cell for change in CHANGES for cell in _cells(effects, name, change)),
        )
        for region, effects in by_region.items()
        for name in dict.fromkeys(each.modality for each in effects)
    )
    caption = "Changes, mean over cases. " + " ".join(
        f"{change.capitalize()}: {CHANGES_ARE[change]}." for change in CHANGES
    )
    inside = "inside the reference" if metric == "dice" else "of the true class"
    caption += f" Probability: of the mean probability {inside}."
    return Table(columns, rows, caption)


def _cells(effects: Sequence[Contribution], name: str, change: str) -> tuple[Cell, Cell, Cell]:
    effect = next((each for each in effects if (each.modality, each.change) == (name, change)), None)
    if effect is None:
        return NOTHING, NOTHING, NOTHING
    interval = (
        NOTHING if effect.ci95 is None else Cell(" to ".join(f"{end:+.3f}" for end in effect.ci95), effect.ci95[0])
    )
    return _signed(effect.difference), interval, _signed(effect.probability)


def _signed(value: float | None) -> Cell:
    return NOTHING if value is None else Cell(f"{value:+.3f}", value)
