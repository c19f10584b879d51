"""What a run reached: key figures, figures by region with their intervals, and those of the publication beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from glioseg.errors import plural
from glioseg.evaluation.protocol import Evaluation, Summary
from glioseg.evaluation.published import MEAN, AsPublished, ObtainedFigure
from glioseg.evaluation.score import EMPTY_RULES, EMPTY_WORDS
from glioseg.report.html import Block, Cell, Column, Prose, Section, Table, Tile, Tone
from glioseg.report.parts.metric_words import RESULT_METRICS, interval_cell, metric_named, value_cell
from glioseg.report.parts.run_words import (
    GRID_WORDS,
    METRIC_WORDS,
    NOTHING,
    SLICE_WORDS,
    UNIT_WORDS,
    duration,
    interval_words,
    is_other,
    part_phrase,
    part_title,
    part_word,
    ratio,
    ratio_cell,
    region_words,
)
from glioseg.report.run_facts import ScoredFacts, SegmentationFacts, SplitUnit

_FEW_PATIENTS = 20
_MATTER = ("dice", "hd95", "hd95_pixels", "recall", "precision", "iou")
_COLUMNS = (
    *(Column(title) for title in ("Region", "Metric")),
    *(
        Column(title, numeric=True)
        for title in ("Mean", "95 % interval", "Median", "Middle half", "Pooled", "Slice mean", "Cases")
    ),
)
_SLICE_LEAK = (
    "This split is by slice: neighbouring slices of one patient are in several parts. Such figures leak: they measure "
    "memory as well as skill, and say little about patients that were not seen."
)
_DRAWN: Mapping[SplitUnit, str] = {
    "patient": "Patients",
    "slice": "Slices as cases: leaks",
    "picture": "Pictures",
    "case": "Cases",
}
_OTHER_DATA = (
    "Nothing was learnt or chosen on this data: its figures are those of new patients, provided that none of them is "
    "among those that the network was trained on."
)
_UNKNOWN_PATIENTS = (
    "It is not known which {unit}s belong to the same patient: the split keeps copies together, but {unit}s of one "
    "patient may be in several parts, which makes figures better than they would be on new patients."
)


def tiles(facts: SegmentationFacts) -> tuple[Tile, ...]:
    """The key figures."""
    row: list[Tile] = []
    part = facts.headline
    if part is not None:
        row += score_tiles(facts, part)
    else:
        row += _tile_while_training(facts)
    if facts.baseline is not None:
        baseline = facts.baseline
        note = f"{baseline.name}, {part_word(baseline.part)}"
        row.append(Tile(f"Baseline, {baseline.region}", ratio(baseline.dice), note))
    if facts.best_epoch is not None:
        title = "Best epoch" if facts.keep == "best" else "Epoch that was kept"
        row.append(Tile(title, f"{facts.best_epoch + 1}", f"of {len(facts.log)} trained"))
    elif facts.log:
        row.append(Tile("Epochs", f"{len(facts.log)}", "no validation yet", "warning"))
    if facts.timing.training_s is not None:
        pace = facts.timing.images_per_s
        note = "" if pace is None else f"{pace:,.0f} images/s"
        row.append(Tile("Training time", duration(facts.timing.training_s), note))
    return (*row, _split_tile(facts))


def _split_tile(facts: SegmentationFacts) -> Tile:
    """How many patients, or pictures or slices where these were drawn, and in which part."""
    split = facts.split
    of_patients = split.unit == "patient"
    counts = {part_word(name): part.n_patients if of_patients else part.n_cases for name, part in split.parts.items()}
    words = _DRAWN[split.unit]
    tone: Tone = "error" if split.unit == "slice" else ""
    note = ", ".join(f"{n:,} {name}" for name, n in counts.items())
    return Tile(words, f"{sum(counts.values()):,}", note, tone)


def score_tiles(facts: SegmentationFacts, part: str) -> list[Tile]:
    """The mean Dice of each region of a part."""
    regions = facts.parts[part].evaluation.regions
    row = []
    for region, summaries in list(regions.items())[:4]:
        dice = summaries["dice"]
        note = f"mean of {plural(dice.n_cases, 'case')}"
        if dice.case_ci95 is not None:
            note += f", 95\u00a0%: {interval_words(dice.case_ci95)}"
        name = f"Dice {region}, {part_word(part)}" if len(regions) > 1 else f"Dice, {part_word(part)}"
        row.append(Tile(name, ratio(dice.case_mean), note))
    if len(regions) == 1:
        (dice,) = (summaries["dice"] for summaries in regions.values())
        quartiles = interval_words(dice.case_quartiles)
        row.append(Tile("Median Dice", ratio(dice.case_median), f"middle half {quartiles}"))
    return row


def _tile_while_training(facts: SegmentationFacts) -> list[Tile]:
    """The validation's Dice at the best epoch, or at the last that has one."""
    validated = [(row.epoch, dice) for row in facts.log if (dice := row.figure("val_dice")) is not None]
    best = [pair for pair in validated if pair[0] == facts.best_epoch] or validated[-1:]
    return [Tile("Dice, validation", ratio(dice), f"epoch {epoch + 1}, while training") for epoch, dice in best[:1]]


def warnings(facts: ScoredFacts[Any], n_patients: int) -> tuple[Block, ...]:
    """What a reader must know before any figure; ``n_patients`` are those of the part on top."""
    blocks: list[Block] = []
    if facts.split.unit == "slice":
        blocks.append(Prose(_SLICE_LEAK, "error"))
    part = facts.headline
    if facts.split.unit in ("picture", "case") and (part is None or not is_other(part)):
        blocks.append(Prose(_UNKNOWN_PATIENTS.format(unit=facts.split.unit), "warning"))
    if part is None:
        return (*blocks, *_unscored(facts))
    if is_other(part):
        blocks.append(Prose(_OTHER_DATA, "note"))
    elif part != "test":
        blocks.append(_instead_of_test(facts, part))
    if facts.split.unit == "patient":
        blocks += few_patients(part_phrase(part), n_patients)
    return tuple(blocks)


def few_patients(what: str, n_patients: int) -> list[Block]:
    """A note where intervals are of little use; ``what`` has the patients, such as ``the test part``."""
    if n_patients >= _FEW_PATIENTS:
        return []
    if n_patients == 1:
        words = "one patient, so there is no interval, and nothing can be said of others."
    else:
        words = f"{plural(n_patients, 'patient')}: one patient more or less moves these figures, and intervals from so "
        words += "few are too narrow."
    return [Prose(f"{what[0].upper()}{what[1:]} has {words}", "note")]


def _unscored(facts: ScoredFacts[Any]) -> list[Block]:
    """That nothing was evaluated yet, and how far the training is."""
    blocks: list[Block] = []
    if facts.n_epochs is not None and len(facts.log) < facts.n_epochs:
        words = f"This training has not ended: {len(facts.log)} of {plural(facts.n_epochs, 'epoch')} so far."
        blocks.append(Prose(words, "warning"))
    words = "No part has been evaluated yet"
    words += "; the curves below come from the training's log." if facts.log else ", and no epoch has ended."
    return [*blocks, Prose(words, "note")]


def _instead_of_test(facts: ScoredFacts[Any], part: str) -> Prose:
    """What the figures of a part that the training has seen are worth."""
    why = "The test part has not been evaluated." if "test" in facts.split.parts else "There is no test part."
    if part == "val" and facts.keep == "last":
        return Prose(f"{why} The last epoch was kept, so the validation part has picked none.", "note")
    words = "best epoch was chosen" if part == "val" else "network was trained"
    words = f"The {words} on {part_phrase(part)}, so its figures are better than those of new patients would be."
    return Prose(f"{why} {words}", "warning")


def results(facts: SegmentationFacts) -> Section:
    """Figures by part and region, each with its interval."""
    headline = None if facts.headline is None else facts.parts[facts.headline].evaluation
    blocks = list(warnings(facts, 0 if headline is None else headline.n_patients))
    for number, part in enumerate(facts.ordered_parts):
        blocks += part_tables(facts, part, detailed=number == 0)
    intro = ""
    if headline is not None:
        intro = "On the native grid, all slices, averaged over cases. "
        intro += f"Where masks are empty: {EMPTY_RULES[headline.options.empty]}."
    return Section("results", "Results", intro, tuple(blocks))


def part_tables(facts: SegmentationFacts, part: str, *, detailed: bool) -> tuple[Table, ...]:
    """The three metrics that matter of each region; of the headline's part all of them too, folded."""
    evaluation = facts.parts[part].evaluation
    regions = evaluation.regions
    caption = f"{part_title(part)}: {_counts(facts, part, evaluation)}."
    rows = _rows(evaluation, that_matter(evaluation))
    if not detailed:
        means = ", ".join(f"{region} {ratio(summaries['dice'].case_mean)}" for region, summaries in regions.items())
        return (Table(_COLUMNS, rows, caption, fold=f"{part_title(part)}: Dice {means}"),)
    caption += " Mean, median and middle half (25th to 75th percentile) over cases; the interval is of the mean, by "
    caption += "bootstrap of whole patients; pooled: from the voxels of all cases together."
    members = [words for region in regions if (words := region_words(facts, region)) != region]
    caption += f" {'; '.join(members)}." if members else ""
    every = _rows(evaluation, RESULT_METRICS)
    every = (*every, _row("label map", "Pixel accuracy", evaluation.pixel_accuracy, "accuracy"))
    fold = f"All {len(every)} figures of {part_phrase(part)}"
    return Table(_COLUMNS, rows, caption), Table(_COLUMNS, every, "F1 is the same as Dice.", page_size=40, fold=fold)


def that_matter(evaluation: Evaluation) -> tuple[str, ...]:
    """Overlap, the distance of borders, what is missed; where there is no distance, what is too much."""
    first = next(iter(evaluation.regions.values()), {})
    return tuple(name for name in _MATTER if name in first and first[name].n_cases)[:3]


def _rows(evaluation: Evaluation, metrics: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        _row(region, METRIC_WORDS[metric], summaries[metric], metric)
        for region, summaries in evaluation.regions.items()
        for metric in metrics
        if metric in summaries and not (metric == "f1" and summaries["f1"] == summaries["dice"])
    )


def _counts(facts: SegmentationFacts, part: str, evaluation: Evaluation) -> str:
    """Cases, patients and slices; where slices were drawn, of how many patients; no patients that are not known."""
    cases, slices = plural(evaluation.n_cases, "case"), plural(evaluation.n_slices, "slice")
    if facts.split.unit == "patient":
        return f"{cases} of {plural(evaluation.n_patients, 'patient')}, {slices}"
    counted = facts.split.parts.get(part)
    if facts.split.unit == "slice":
        of = "" if counted is None else f" of {plural(counted.n_patients, 'patient')}"
        return f"{slices}{of}, each a case of its own"
    return f"{cases}, {slices}"


def _row(region: str, words: str, summary: Summary, name: str) -> tuple[Cell, ...]:
    metric = metric_named(name)
    return (
        Cell(region),
        Cell(words),
        value_cell(metric, summary.case_mean),
        interval_cell(metric, summary.case_ci95),
        value_cell(metric, summary.case_median),
        interval_cell(metric, summary.case_quartiles),
        value_cell(metric, summary.pooled),
        value_cell(metric, summary.slice_mean),
        Cell(f"{summary.n_cases:,}", summary.n_cases),
    )


def published(facts: SegmentationFacts) -> Section:
    """The publication's figures and those obtained by its own protocol, side by side."""
    blocks: list[Block] = []
    for part in facts.ordered_parts:
        scored = facts.parts[part].evaluation.as_published
        if scored is not None:
            blocks += _published_part(facts, part, scored)
    intro = (
        "The same predictions, scored as the publication scored: its grid, slices, unit and rule for empty masks. "
        "These figures, and only these, may stand beside the published ones."
    )
    return Section("published", "Published and obtained", intro, tuple(blocks))


def _published_part(facts: SegmentationFacts, part: str, scored: AsPublished) -> list[Block]:
    reasons = "; ".join(scored.not_comparable)
    rows = tuple(
        _published_row(result, region)
        for result in scored.results
        for region in result.obtained
        if _has_row(result, region)
    )
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
    table = Table(columns, rows, _published_caption(facts, part, scored))
    if not reasons:
        return [table]
    return [Prose(f"{whose_verdict(scored.results)} on {part_phrase(part)}: {reasons}.", "warning"), table]


class _Judged(Protocol):
    """A figure beside a published one."""

    @property
    def not_comparable(self) -> tuple[str, ...]: ...


def verdict_of(figure: _Judged) -> Cell:
    """Whether a figure may be read against the published one."""
    return Cell("not comparable", 1.0, "warning") if figure.not_comparable else Cell("comparable", 0.0, "good")


def whose_verdict(figures: Sequence[_Judged]) -> str:
    """How a sentence begins that says why figures are not comparable: all of them, or some."""
    return "Not comparable" if all(figure.not_comparable for figure in figures) else "Some are not comparable"


def _published_caption(facts: SegmentationFacts, part: str, scored: AsPublished) -> str:
    protocol, counts = scored.protocol, plural(scored.n_slices, "slice")
    if facts.split.unit == "patient":
        counts = f"{plural(scored.n_patients, 'patient')}, {counts}"
    rules = dict.fromkeys(result.figure.empty for result in scored.results)
    meanings = "; ".join(f"{EMPTY_WORDS[rule]}: {EMPTY_RULES[rule]}" for rule in rules)
    caption = f"{part_title(part)}, {counts}; on {GRID_WORDS[protocol.grid]}, "
    return f"{caption}{SLICE_WORDS[protocol.slices]}. Published: {protocol.source}. Empty masks: {meanings}."


def _published_row(result: ObtainedFigure, region: str) -> tuple[Cell, ...]:
    figure, obtained = result.figure, result.obtained[region]
    value = figure.values.get(region)
    difference = None if obtained is None or value is None else obtained - value
    return (
        Cell(METRIC_WORDS.get(figure.metric, figure.metric)),
        Cell("mean over regions" if region == MEAN else region),
        ratio_cell(value),
        ratio_cell(obtained),
        NOTHING if difference is None else Cell(f"{difference:+.3f}", difference),
        Cell("not published", 2.0, "note") if value is None else verdict_of(result),
        Cell(UNIT_WORDS[figure.unit]),
        Cell(EMPTY_WORDS[figure.empty]),
    )


def _has_row(result: ObtainedFigure, region: str) -> bool:
    """Whether a row is worth its place: the mean only where it was published, one region not beside its own mean."""
    values = result.figure.values
    if region == MEAN:
        return MEAN in values
    return len(result.obtained) > 2 or region in values or MEAN not in values
