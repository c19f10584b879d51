"""The page of scored masks: one method or several, one reference or several raters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from glioseg.console import Step
from glioseg.errors import name_some, plural
from glioseg.evaluation.case_table import CaseTable
from glioseg.evaluation.comparison import Comparison, MetricComparison
from glioseg.evaluation.metric import Metric
from glioseg.evaluation.protocol import Evaluation
from glioseg.evaluation.raters import Agreement, MethodAgreement
from glioseg.evaluation.scored_masks import RaterFigures, ScoreInputs
from glioseg.report import style
from glioseg.report.comparison import p_words, result_section, section_names
from glioseg.report.figures.outcomes import Strip, strips
from glioseg.report.html import (
    FIGURES,
    RESEARCH_ONLY,
    Block,
    Cell,
    Column,
    Listed,
    Page,
    Prose,
    Section,
    Table,
    Tile,
    replace_page,
    saved_picture,
)
from glioseg.report.parts import run_cases, run_further, run_masks, run_results
from glioseg.report.parts.metric_words import (
    NOTHING,
    change_text,
    interval_cell,
    interval_text,
    metric_named,
    value_cell,
    value_text,
)
from glioseg.report.parts.run_setup import protocol_items
from glioseg.report.run_facts import (
    CohortFacts,
    PartCounts,
    PartScores,
    RecipeFacts,
    SegmentationFacts,
    SplitFacts,
)

FILE = "score.html"
_PART = "on-"
_MOST_UNFOLDED = 18
_AGREED = "Over cases. The raters: each with each other; minus raters: over patients, with its 95 % interval."
_IN_DETAIL = ("dice", "hd95", "lesion_dice")


@dataclass(frozen=True, eq=False)
class ScoredMasks:
    """What the page is told.

    Args:
        data: the cohort that the references are of.
        methods: name -> figures and cases.
        inputs: name -> what they were made of.
        comparison: of several methods,
        tables: and what it was made of.
        raters: where there are several.
    """

    data: CohortFacts
    methods: Mapping[str, PartScores[Evaluation]]
    inputs: Mapping[str, ScoreInputs]
    comparison: Comparison | None = None
    tables: Mapping[str, CaseTable] = field(default_factory=dict)
    raters: RaterFigures | None = None

    @property
    def against(self) -> str:
        """What the figures on top are against, in words."""
        if self.raters is None:
            return "the reference"
        return f"the {self.raters.consensus} of {len(self.raters.names)} raters"

    @property
    def first(self) -> Evaluation:
        """The figures of the method that was named first; cases and patients are the same for all."""
        return next(iter(self.methods.values())).evaluation


def write_score_page(scored: ScoredMasks, out: Path, *, progress: Step | None = None) -> Path:
    """Write ``score.html`` and ``figures/*.png`` into ``out``; figures of an earlier page there are removed.

    Args:
        scored: the figures.
        out: a folder, made where it is absent.
        progress: told (sections done, sections in all).

    Raises:
        FileError: ``out`` cannot be written to.
    """
    folder, path, facts = out / FIGURES, out / FILE, _as_parts(scored)
    makers: tuple[Callable[[], Section], ...] = (
        partial(_results, scored, facts),
        partial(_raters, scored, folder),
        *_details(scored, folder),
        partial(run_cases.distributions, facts, folder),
        partial(run_masks.surfaces, facts, folder),
        partial(run_masks.lesions, facts, folder),
        partial(run_further.subgroups, facts, folder),
        partial(_side_by_side, scored),
        partial(_all_figures, scored),
        partial(run_cases.case_table, facts),
        partial(_conventions, scored),
    )
    sections = []
    for done, make in enumerate(makers, start=1):
        sections.append(make())
        if progress is not None:
            progress(done, len(makers))
    methods = list(scored.methods)
    counts = f"{plural(scored.first.n_cases, 'case')} of {plural(scored.first.n_patients, 'patient')}"
    page = Page(
        kicker="glioseg score",
        title=f"{methods[0]} on {scored.data.cohort}"
        if len(methods) == 1
        else f"{plural(len(methods), 'method')} on {scored.data.cohort}",
        summary=f"{name_some(methods)}: masks of {counts}, scored against {scored.against}.",
        tiles=_tiles(scored, facts),
        sections=tuple(sections),
    )
    return replace_page(page, path, folder)


def _as_parts(scored: ScoredMasks) -> SegmentationFacts:
    """The methods as the parts of a run's report, whose tables and charts they share."""
    evaluation = scored.first
    counts = PartCounts(evaluation.n_patients, evaluation.n_cases, evaluation.n_slices)
    return SegmentationFacts(
        recipe=RecipeFacts("", ""),
        data=scored.data,
        split=SplitFacts({f"{_PART}{name}": counts for name in scored.methods}),
        parts={f"{_PART}{name}": part for name, part in scored.methods.items()},
        parts_are="Method",
    )


def _tiles(scored: ScoredMasks, facts: SegmentationFacts) -> tuple[Tile, ...]:
    first = scored.first
    if len(scored.methods) == 1:
        tiles = run_results.score_tiles(facts, facts.ordered_parts[0])
    else:
        region, dice = next(iter(first.regions)), metric_named("dice")
        tiles = [
            Tile(
                f"Dice {region}, {name}",
                value_text(dice, (summary := part.evaluation.regions[region]["dice"]).case_mean),
                f"95 %: {interval_text(dice, summary.case_ci95)}",
            )
            for name, part in list(scored.methods.items())[:4]
        ]
    missing = {name: len(inputs.missing) for name, inputs in scored.inputs.items() if inputs.missing}
    if missing:
        words = ", ".join(f"{n} of {name}" for name, n in missing.items()) if len(scored.methods) > 1 else ""
        tiles.append(Tile("Missing masks", f"{sum(missing.values()):,}", words or "counted as missed", "warning"))
    return (*tiles, Tile("Patients", f"{first.n_patients:,}", plural(first.n_cases, "case")))


def _results(scored: ScoredMasks, facts: SegmentationFacts) -> Section:
    blocks: list[Block] = []
    for name, inputs in scored.inputs.items():
        if inputs.missing:
            words = (
                f"{name} has no mask of {plural(len(inputs.missing), 'case')} ({name_some(inputs.missing)}), counted "
            )
            blocks.append(Prose(f"{words}as if nothing had been found there.", "warning"))
        if inputs.resampled:
            words = f"Masks of {name} that lay on another grid were resampled to that of the reference (nearest "
            words += f"neighbour), which costs accuracy at borders: {name_some(inputs.resampled)}."
            blocks.append(Prose(words, "warning"))
    blocks += run_results.few_patients("this cohort", scored.first.n_patients)
    if scored.comparison is None:
        blocks += [
            table for part in facts.ordered_parts for table in run_results.part_tables(facts, part, detailed=True)
        ]
    else:
        matter = run_results.that_matter(scored.first)
        headline = [result for result in scored.comparison.results if result.metric.name in matter]
        blocks.append(_means(scored.comparison, headline))
    return Section("results", "Results", f"Against {scored.against}, on its own grid, all slices.", tuple(blocks))


def _side_by_side(scored: ScoredMasks) -> Section:
    """Every metric of every method, and every pair tested."""
    comparison = scored.comparison
    if comparison is None:
        return Section("methods", "Methods side by side", "", ())
    words = "Wilcoxon signed-rank tests over patients, adjusted by Holm for the pairs of methods within a metric; "
    words += "several metrics are tested, so that one small p among many may be chance."
    blocks = (_means(comparison, comparison.results), _pairs(comparison))
    return Section("methods", "Methods side by side", words, blocks)


def _means(comparison: Comparison, results: Sequence[MetricComparison]) -> Table:
    """A row for each region and metric, a column for each method."""
    means = tuple(
        (
            Cell(result.region),
            Cell(result.metric.title),
            *(
                Cell(
                    f"{value_text(result.metric, run.spread.mean)} ({interval_text(result.metric, run.ci95)})",
                    NOTHING.sort if run.spread.mean is None else run.spread.mean,
                )
                for run in result.runs
            ),
        )
        for result in results
    )
    columns = (Column("Region"), Column("Metric"), *(Column(name, numeric=True) for name in comparison.runs))
    caption = "Mean over cases with its 95 % interval, on the same cases for all methods. Where a mask is missing or "
    caption += "empty there is no distance: by the rule skip, such a case does not count in it."
    return Table(columns, means, caption, page_size=20, fold=_fold(means, "mean"))


def _fold(rows: Sequence[object], word: str) -> str:
    return f"All {plural(len(rows), word)}" if len(rows) > _MOST_UNFOLDED else ""


def _pairs(comparison: Comparison) -> Table:
    columns = (
        *(Column(title) for title in ("Region", "Metric", "First", "Second")),
        *(Column(title, numeric=True) for title in ("Patients", "Mean difference", "95 % interval", "p (Holm)")),
    )
    rows = tuple(
        (
            Cell(result.region),
            Cell(result.metric.title),
            Cell(pair.first),
            Cell(pair.second),
            Cell(f"{pair.test.n:,}", float(pair.test.n)),
            _change(result, pair.test.mean_difference),
            Cell("–" if pair.ci95 is None else " to ".join(change_text(result.metric, end) for end in pair.ci95)),
            NOTHING if pair.p_holm is None else Cell(p_words(pair.p_holm), float(pair.p_holm)),
        )
        for result in comparison.results
        for pair in result.pairs
    )
    return Table(columns, rows, "First minus second, over patients.", page_size=20, fold=_fold(rows, "pair"))


def _change(result: MetricComparison, difference: float | None) -> Cell:
    return NOTHING if difference is None else Cell(change_text(result.metric, difference), float(difference))


def _detailed(comparison: Comparison) -> list[MetricComparison]:
    """What is drawn patient by patient: overlap, surface and lesions of the first region."""
    first = comparison.results[0].region
    return [
        result
        for result in comparison.results
        if result.region == first and result.metric.name in _IN_DETAIL and any(run.spread.n for run in result.runs)
    ]


def _details(scored: ScoredMasks, folder: Path) -> Iterator[Callable[[], Section]]:
    """A section for each of them."""
    if scored.comparison is not None:
        results = _detailed(scored.comparison)
        for result, name in zip(results, section_names(results), strict=True):
            yield partial(result_section, scored.comparison, scored.tables, result, folder, name, of="Method")


def _raters(scored: ScoredMasks, folder: Path) -> Section:
    """How far the raters agree, and the methods with them."""
    raters = scored.raters
    if raters is None:
        return Section("raters", "Raters", "", ())
    intro = f"{name_some(raters.names)} drew every case. A method's figure here is its mean over the raters; beside it "
    intro += "stands the raters' own mean over each other: nobody can be expected to agree with them better than they "
    intro += "agree with each other. A consensus is smoother than any of them, so figures against it are higher."
    columns = (
        *(Column(title) for title in ("Region", "Metric", "Who")),
        *(Column(title, numeric=True) for title in ("Mean", "95 % interval", "Minus raters", "Cases")),
    )
    rows = tuple(row for each in raters.agreements for row in _agreement_rows(each))
    blocks: list[Block] = [
        _strips(raters, folder),
        Table(columns, rows, _AGREED, page_size=18, fold=_fold(rows, "figure")),
    ]
    return Section("raters", "Raters", intro, (*blocks, _by_reference(raters)))


def _agreement_rows(each: Agreement) -> list[tuple[Cell, ...]]:
    metric = each.metric
    rows: list[tuple[Cell, ...]] = [
        (
            Cell(each.region),
            Cell(metric.title),
            Cell("the raters"),
            value_cell(metric, each.raters.spread.mean),
            interval_cell(metric, each.raters.ci95),
            NOTHING,
            Cell(f"{each.raters.spread.n:,}", each.raters.spread.n),
        )
    ]
    for name, method in each.methods.items():
        figure = method.figure
        rows.append(
            (
                Cell(each.region),
                Cell(metric.title),
                Cell(name),
                value_cell(metric, figure.spread.mean),
                interval_cell(metric, figure.ci95),
                _minus_raters(metric, method),
                Cell(f"{figure.spread.n:,}", figure.spread.n),
            )
        )
    return rows


def _minus_raters(metric: Metric, method: MethodAgreement) -> Cell:
    """The mean difference with its interval, where there is one."""
    if method.difference is None:
        return NOTHING
    ends = method.difference_ci95
    interval = "" if ends is None else f" ({' to '.join(change_text(metric, end) for end in ends)})"
    return Cell(f"{change_text(metric, method.difference)}{interval}", method.difference)


def _strips(raters: RaterFigures, folder: Path) -> Block:
    """Dice by case: of the raters with each other, and of each method with them."""
    rows: list[Strip] = []
    regions = [each for each in raters.agreements if each.metric.name == "dice"]
    for number, each in enumerate(regions):
        prefix = f"{each.region}, " if len(regions) > 1 else ""
        who = [("raters with each other", each.raters, style.MUTED)]
        who += [(name, method.figure, style.region_ink(each.region, number)) for name, method in each.methods.items()]
        for name, figure, colour in who:
            finite = figure.values[~np.isnan(figure.values)]
            rows.append(Strip(f"{prefix}{name}", finite, figure.spread.mean, figure.ci95, colour))
    caption = "One dot per case: the mean Dice of the pairs of raters, and of a method with each rater. Below: a bar "
    caption += "over the middle half with the median, then the mean (diamond) with its 95 % interval."
    return saved_picture(folder, "raters", strips(rows), "chart", title="Agreement with the raters", caption=caption)


def _by_reference(raters: RaterFigures) -> Table:
    """Each method against each rater and each consensus: the mean Dice."""
    dice = metric_named("dice")
    first = next(iter(raters.by_reference.values()))
    columns = (Column("Method"), Column("Region"), *(Column(f"against {name}", numeric=True) for name in first))
    rows = tuple(
        (
            Cell(method),
            Cell(region),
            *(value_cell(dice, against[name].regions[region]["dice"].case_mean) for name in first),
        )
        for method, against in raters.by_reference.items()
        for region in next(iter(against.values())).regions
    )
    return Table(columns, rows, "Mean Dice over cases, against each rater and each consensus.", page_size=30)


def _all_figures(scored: ScoredMasks) -> Section:
    """Every metric, lesions and volumes in."""
    several = len(scored.methods) > 1
    rows = tuple(
        (
            *([Cell(name)] if several else []),
            Cell(region),
            Cell(metric_named(metric).title),
            value_cell(metric_named(metric), summary.case_mean),
            interval_cell(metric_named(metric), summary.case_ci95),
            value_cell(metric_named(metric), summary.case_median),
            interval_cell(metric_named(metric), summary.case_quartiles),
            Cell(f"{summary.n_cases:,}", summary.n_cases),
        )
        for name, part in scored.methods.items()
        for region, summaries in part.evaluation.regions.items()
        for metric, summary in summaries.items()
    )
    titles = ("Mean", "95 % interval", "Median", "Middle half", "Cases")
    columns = (
        *([Column("Method")] if several else []),
        Column("Region"),
        Column("Metric"),
        *(Column(title, numeric=True) for title in titles),
    )
    fold = _fold(rows, "figure")
    table = Table(columns, rows, "Over cases; what is undefined does not count.", page_size=20, fold=fold)
    return Section("figures", "All figures", "", (table,))


def _conventions(scored: ScoredMasks) -> Section:
    items = [("Use", RESEARCH_ONLY)]
    inputs = next(iter(scored.inputs.values()))
    items += [
        (f"Reference, {name}" if scored.raters else "Reference", path) for name, path in inputs.references.items()
    ]
    items.append(("Its labels", inputs.scheme))
    for name, each in scored.inputs.items():
        items.append((f"Masks of {name}", each.prediction))
        if each.prediction_scheme != inputs.scheme:
            items.append((f"Labels of {name}", each.prediction_scheme))
    if scored.raters is not None:
        items.append(("Consensus", str(scored.raters.to_json()["consensus_meaning"])))
    items += protocol_items(scored.first)
    items += [("Assumed", words) for words in scored.data.assumptions]
    return Section("conventions", "How to read this page", "", (Listed(tuple(items)),))
