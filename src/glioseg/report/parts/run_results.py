"""What a run reached: key figures, figures by region with their intervals, and those of the publication beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glioseg.report.html import Block, Cell, Column, Prose, Section, Table, Tile, Tone
from glioseg.report.parts.metric_words import RESULT_METRICS, interval_cell, metric_named, value_cell
from glioseg.report.parts.run_words import (
    METRIC_WORDS,
    NOTHING,
    UNIT_WORDS,
    duration,
    interval_words,
    part_word,
    ratio,
    ratio_cell,
    region_words,
    summary_of,
)
from glioseg.report.parts.words import plural
from glioseg.report.run_facts import RunFacts

_FEW_PATIENTS = 20
_EMPTY_WORDS = {
    "skip": "0/0 left out",
    "both_empty_1": "both empty = 1",
    "zero": "0/0 = 0",
    "skip_reference_empty": "no reference: left out",
}
_SLICE_LEAK = (
    "This split is by slice: neighbouring slices of one patient are in several parts. Such figures leak: they measure "
    "memory as well as skill, and say little about patients that were not seen."
)
_UNKNOWN_PATIENTS = (
    "It is not known which pictures are of one patient: the split keeps copies together, but pictures of one patient "
    "may be in several parts, which makes figures better than they would be on new patients."
)


def tiles(facts: RunFacts) -> tuple[Tile, ...]:
    """The key figures."""
    found: list[Tile] = []
    part = facts.headline
    if part is not None:
        found += _score_tiles(facts, part)
    elif (dice := _last_dice(facts)) is not None:
        found.append(Tile("Dice, validation", ratio(dice[1]), f"epoch {dice[0]}, while training"))
    if facts.baseline is not None:
        one = facts.baseline
        found.append(Tile(f"Baseline, {one.region}", ratio(one.dice), f"{one.name}, {part_word(one.part)}"))
    if facts.best_epoch is not None:
        found.append(Tile("Best epoch", f"{facts.best_epoch + 1}", f"of {len(facts.log)} trained"))
    elif facts.log:
        found.append(Tile("Epochs", f"{len(facts.log)}", "no validation yet", "warning"))
    if facts.timing.training_s is not None:
        pace = facts.timing.images_per_s
        found.append(
            Tile("Training time", duration(facts.timing.training_s), "" if pace is None else f"{pace:,.0f} images/s")
        )
    whole = facts.split.unit == "patient"
    counts = {part_word(name): one.n_patients if whole else one.n_cases for name, one in facts.split.parts.items()}
    words = {"patient": "Patients", "slice": "Slices as cases: leaks", "picture": "Pictures"}[facts.split.unit]
    tone: Tone = "error" if facts.split.unit == "slice" else ""
    note = ", ".join(f"{n:,} {name}" for name, n in counts.items())
    found.append(Tile(words, f"{sum(counts.values()):,}", note, tone))
    return tuple(found)


def _score_tiles(facts: RunFacts, part: str) -> list[Tile]:
    regions = list(facts.parts[part].evaluation.get("regions", {}))
    found = []
    for region in regions[:4]:
        dice = summary_of(facts, part, region, "dice")
        note = f"mean of {plural(int(dice.get('n_cases') or 0), 'case')}"
        if dice.get("case_ci95") is not None:
            note += f", 95\u00a0%: {interval_words(dice['case_ci95'])}"
        name = f"Dice {region}, {part_word(part)}" if len(regions) > 1 else f"Dice, {part_word(part)}"
        found.append(Tile(name, ratio(dice.get("case_mean")), note, "good"))
    if len(regions) == 1:
        dice = summary_of(facts, part, regions[0], "dice")
        quartiles = interval_words(dice.get("case_quartiles"))
        found.append(Tile("Median Dice", ratio(dice.get("case_median")), f"middle half {quartiles}", "good"))
    return found


def _last_dice(facts: RunFacts) -> tuple[int, float] | None:
    known = [row for row in facts.log if row.get("val_dice") is not None]
    best = [row for row in known if row["epoch"] == facts.best_epoch] or known[-1:]
    return (int(best[0]["epoch"]) + 1, float(best[0]["val_dice"])) if best else None


def warnings(facts: RunFacts) -> tuple[Block, ...]:
    """What a reader must know before any figure."""
    found: list[Block] = []
    if facts.split.unit == "slice":
        found.append(Prose(_SLICE_LEAK, "error"))
    if facts.split.unit == "picture":
        found.append(Prose(_UNKNOWN_PATIENTS, "warning"))
    if facts.n_epochs is not None and len(facts.log) < facts.n_epochs and facts.headline is None:
        words = f"This training has not ended: {len(facts.log)} of {plural(facts.n_epochs, 'epoch')} so far."
        found.append(Prose(words, "warning"))
    part = facts.headline
    if part is None:
        words = "No part has been evaluated yet"
        words += "; the curves below come from the training's log." if facts.log else ", and no epoch has ended."
        found.append(Prose(words, "note"))
        return tuple(found)
    n_patients = int(facts.parts[part].evaluation.get("n_patients", 0))
    if part != "test":
        known = "The test part has not been evaluated." if "test" in facts.split.parts else "There is no test part."
        if part == "val" and facts.keep == "last":
            words = "The last epoch was kept, so that the validation part has picked none."
            found.append(Prose(f"{known} {words}", "note"))
        else:
            words = "best epoch was chosen" if part == "val" else "network was trained"
            words = f"The {words} on the {part_word(part)} part, so that its figures are better than new patients'"
            found.append(Prose(f"{known} {words} would be.", "warning"))
    if n_patients < _FEW_PATIENTS and facts.split.unit == "patient":
        words = f"The {part_word(part)} part has {plural(n_patients, 'patient')}: "
        words += "one patient more or less moves these figures, and intervals from so few are too narrow."
        found.append(Prose(words, "note"))
    return tuple(found)


def results(facts: RunFacts) -> Section:
    """Figures by part and region, each with its interval."""
    blocks = list(warnings(facts))
    for number, part in enumerate(facts.ordered_parts):
        blocks.append(_part_table(facts, part, detailed=number == 0))
    intro = ""
    if facts.headline is not None:
        protocol = facts.parts[facts.headline].evaluation.get("protocol", {})
        intro = f"On the {protocol.get('grid', 'native')} grid, {protocol.get('slices', 'all')} slices, averaged over "
        intro += f"{protocol.get('unit', 'case')}s. Where masks are empty: {protocol.get('empty_meaning', '')}."
    return Section("results", "Results", intro, tuple(blocks))


def _part_table(facts: RunFacts, part: str, *, detailed: bool) -> Table:
    """One row per region and metric: all overlap metrics for the headline's part, the main ones for the others."""
    evaluation = facts.parts[part].evaluation
    regions = evaluation.get("regions", {})
    wanted = [*RESULT_METRICS] if detailed else ["dice", "precision", "recall"]
    rows = [
        _row(region, METRIC_WORDS[metric], summaries[metric], metric)
        for region, summaries in regions.items()
        for metric in wanted
        if metric in summaries and not (metric == "f1" and _equal(summaries, "f1", "dice"))
    ]
    accuracy = evaluation.get("label_map", {}).get("pixel_accuracy")
    if accuracy and detailed:
        rows.append(_row("label map", "Pixel accuracy", accuracy, "accuracy"))
    titles = ("Mean", "95 % interval", "Median", "Middle half", "Pooled", "Slice mean", "Cases")
    columns = (Column("Region"), Column("Metric"), *(Column(title, numeric=True) for title in titles))
    counted = [plural(int(evaluation.get(f"n_{one}s", 0)), one) for one in ("case", "patient", "slice")]
    caption = f"{part_word(part).capitalize()} part: {counted[0]} of {counted[1]}, {counted[2]}. "
    if detailed:
        caption += "Mean, median and middle half (25th to 75th percentile) over cases; the interval is of the mean, by "
        caption += "bootstrap of whole patients; pooled: from the voxels of all cases together. F1 is the same as Dice."
        members = [words for region in regions if (words := region_words(facts, region)) != region]
        caption += f" {'; '.join(members)}." if members else ""
    return Table(columns, tuple(rows), caption, page_size=40)


def _equal(summaries: Mapping[str, Any], one: str, other: str) -> bool:
    return bool(summaries.get(one) == summaries.get(other))


def _row(region: str, words: str, found: Mapping[str, Any], name: str) -> tuple[Cell, ...]:
    metric = metric_named(name)
    return (
        Cell(region),
        Cell(words),
        value_cell(metric, found.get("case_mean")),
        interval_cell(metric, found.get("case_ci95")),
        value_cell(metric, found.get("case_median")),
        interval_cell(metric, found.get("case_quartiles")),
        value_cell(metric, found.get("pooled")),
        value_cell(metric, found.get("slice_mean")),
        Cell(f"{int(found.get('n_cases') or 0):,}", int(found.get("n_cases") or 0)),
    )


def published(facts: RunFacts) -> Section:
    """The publication's figures and those obtained by its own protocol, side by side."""
    blocks: list[Block] = []
    for part in facts.ordered_parts:
        block = facts.parts[part].evaluation.get("as_published")
        if block:
            blocks += _published_part(part, block)
    intro = (
        "The same predictions, scored as the publication scored: its grid, slices, unit and rule for empty masks. "
        "These figures, and only these, may stand beside the published ones."
    )
    return Section("published", "Published and obtained", intro, tuple(blocks))


def _published_part(part: str, block: Mapping[str, Any]) -> list[Block]:
    reasons: Sequence[str] = block.get("not_comparable", ())
    verdict = Cell("not comparable", 1.0, "warning") if reasons else Cell("comparable", 0.0, "good")
    rows = [
        (
            Cell(METRIC_WORDS.get(figure["metric"], figure["metric"])),
            Cell("mean over regions" if region == "mean" else region),
            ratio_cell(values.get("published")),
            ratio_cell(values.get("obtained")),
            _gap(values),
            verdict if values.get("published") is not None else Cell("not published", 2.0, "note"),
            Cell(UNIT_WORDS[figure["unit"]]),
            Cell(_EMPTY_WORDS.get(figure["empty"], figure["empty"])),
        )
        for figure in block["figures"]
        for region, values in figure["regions"].items()
        if _is_told(figure["regions"], region)
    ]
    protocol = block["protocol"]
    words = {"native": "the native grid", "working": "the network's grid"}.get(protocol["grid"], protocol["grid"])
    slices = {
        "all": "every slice",
        "tumour-bearing": "slices whose reference has tumour",
        "recipe": "the slices that the recipe keeps",
    }
    caption = f"{part_word(part).capitalize()} part, {plural(int(block['n_patients']), 'patient')}, "
    caption += f"{plural(int(block['n_slices']), 'slice')}; on {words}, {slices.get(protocol['slices'], '')}. "
    caption += f"Published: {protocol['source']}."
    meanings = dict.fromkeys(f"{_EMPTY_WORDS.get(one['empty'])}: {one['empty_meaning']}" for one in block["figures"])
    caption += f" Empty masks: {'; '.join(meanings)}."
    columns = (
        Column("Metric"),
        Column("Region"),
        Column("Published", numeric=True),
        Column("Obtained", numeric=True),
        Column("Difference", numeric=True),
        Column("Verdict"),
        Column("Unit"),
        Column("Empty masks"),
    )
    blocks: list[Block] = [Table(columns, tuple(rows), caption)]
    if reasons:
        blocks.insert(0, Prose(f"Not comparable on the {part_word(part)} part: {'; '.join(reasons)}.", "warning"))
    return blocks


def _is_told(regions: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    """Whether a row is worth its place: the mean only where it was published, one region not beside its own mean."""
    published_mean = regions.get("mean", {}).get("published") is not None
    if name == "mean":
        return published_mean
    return len(regions) > 2 or regions[name].get("published") is not None or not published_mean


def _gap(values: Mapping[str, Any]) -> Cell:
    one, other = values.get("obtained"), values.get("published")
    if one is None or other is None:
        return NOTHING
    return Cell(f"{one - other:+.3f}", float(one - other))
