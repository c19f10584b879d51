"""What the command line prints for people, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glioseg.cohorts.description import CohortDescription
from glioseg.core import SeriesRow
from glioseg.errors import name_some, plural
from glioseg.faces import on_command_line
from glioseg.inference.card import Card

if TYPE_CHECKING:
    from glioseg.runs.score import ScoreResult

_SHOWN_FINDINGS = 20


def inspection_text(about: CohortDescription) -> str:
    """A cohort as a table of a few lines, and its findings."""
    rows = list(_rows(about))
    width = max(len(name) for name, _ in rows)
    lines = [about.name, *(f"  {name:<{width}}  {text}" for name, text in rows), ""]
    lines += [*series_lines(about.series), ""] if about.series else []
    for finding in about.findings[:_SHOWN_FINDINGS]:
        case = "" if finding.case is None else f" {finding.case}:"
        lines.append(f"  {finding.severity:<7} {finding.kind}:{case} {on_command_line(finding.message)}")
    if len(about.findings) > _SHOWN_FINDINGS:
        lines.append(f"  … and {len(about.findings) - _SHOWN_FINDINGS} more findings")
    if not about.findings:
        lines.append("  no findings")
    return "\n".join(lines)


def _rows(about: CohortDescription) -> Iterator[tuple[str, str]]:
    yield "layout", f"{about.layout} ({about.reason})"
    yield "cases", f"{len(about.cases)} of {plural(len(about.patients), 'patient')}"
    yield "modalities", ", ".join(about.modalities)
    if about.categories:
        yield "classes", ", ".join(f"{name} {n}" for name, n in about.categories.items())
    if any(case.n_slices > 1 for case in about.cases):
        is_known = about.diagnoses.positive_slices + about.diagnoses.negative_slices > 0
        noun = "tumour" if about.scheme is not None else "labels"
        yield "slices", f"{about.n_slices:,}" + (f", {about.n_tumour_slices:,} with {noun}" if is_known else "")
    if about.labels:
        scheme = about.scheme
        yield "labels", "their meaning is not known" if scheme is None else f"{scheme.name}: {scheme.describe()}"
        total = sum(case.n_voxels for case in about.cases if case.has_reference) or 1
        for name, n in about.labels.items():
            yield "", f"{name}: {n:,} voxels ({n / total:.2%})"
    if about.duplicates:
        yield "duplicates", f"{plural(len(about.duplicates), 'group')}"


def series_lines(series: Sequence[SeriesRow]) -> Iterator[str]:
    """What each series of DICOM studies was taken for, study by study; ``*`` marks those that are used."""
    head = ("series", "plane", "mm", "slices", "agent", "taken for", "sure", "why")
    cells = [(row, series_cells(row)) for row in series]
    widths = [max(map(len, column)) for column in zip(head, *(each for _, each in cells), strict=True)][:-1]
    case = None
    for row, each in cells:
        if row.case != case:
            case = row.case
            yield f"  {case}"
            yield f"    {_spaced(head, widths)}"
        yield f"  {'*' if row.is_used else ' '} {_spaced(each, widths)}"


def series_cells(row: SeriesRow) -> tuple[str, ...]:
    """A row of the table of series in words."""
    spacing = "" if row.spacing_mm is None else " × ".join(f"{mm:.3g}" for mm in row.spacing_mm)
    sure = f"{row.confidence:.0%}" if row.taken_for else ""
    return (row.label, row.plane, spacing, str(row.n_slices), row.agent, row.taken_for or "-", sure, row.reason)


def _spaced(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, cells[-1]]).rstrip()


def score_text(result: ScoreResult) -> str:
    """Scored masks: a few figures of each method, what is missing, the raters, and the methods' Dice compared."""
    lines = [result.text]
    for name, inputs in result.inputs.items():
        if inputs.missing:
            lines.append(f"  missing {name}: {name_some(inputs.missing)}; counted as missed")
        if inputs.resampled:
            lines.append(f"  resampled {name}: {name_some(inputs.resampled)}; by the nearest voxel")
    if result.raters is not None:
        lines.append(
            f"\nAgainst the {result.raters.consensus} of {', '.join(result.raters.names)}. Dice over the raters:"
        )
        for each in result.raters.agreements:
            if each.metric.name == "dice":
                lines.append(f"  {each.region:<7} raters with each other {_figure(each.raters.spread.mean)}")
                lines += [
                    f"  {each.region:<7} {name} {_figure(method.figure.spread.mean)}, minus raters "
                    f"{_figure(method.difference, '+')} (95 % {_interval(method.difference_ci95, '+')})"
                    for name, method in each.methods.items()
                ]
    if result.comparison is not None:
        figures = result.comparison.to_json()
        dice = [each.to_json() for each in result.comparison.results if each.metric.name == "dice"]
        lines.append("\n" + comparison_text({"part": "side by side", **figures, "results": dice}, "methods"))
        lines.append("The other metrics: --json, or the page of --out DIR")
    return "\n".join(lines)


def comparison_text(figures: Mapping[str, Any], what: str = "runs") -> str:
    """A comparison, as ``CompareResult.to_json`` gives it: for each metric a line per run and a line per pair."""
    lines = [
        f"{figures['part']}: {plural(figures['n_cases'], 'case')} of {plural(figures['n_patients'], 'patient')}, "
        f"the same for all {what}"
    ]
    lines += [
        f"  left out of {run}: {plural(len(cases), 'case')} that others lack"
        for run, cases in figures["left_out"].items()
        if cases
    ]
    width = max(map(len, figures["runs"]))
    for result in figures["results"]:
        unit = f" ({result['unit']})" if "unit" in result else ""
        lines.append(f"\n{result['region']} {result['metric']}{unit}   mean    95 %             median")
        for run, figure in result["runs"].items():
            lines.append(
                f"  {run:<{width}}  {_figure(figure['case_mean'])}   {_interval(figure['case_ci95']):<15}  "
                f"{_figure(figure['case_median'])}"
            )
        for pair in result["pairs"]:
            lines.append(
                f"  {pair['first']} - {pair['second']}: mean difference {_figure(pair['mean_difference'], '+')}"
                f" (95 % {_interval(pair['mean_difference_ci95'], '+')}), p {_probability(pair['p'])},"
                f" Holm {_probability(pair['p_holm'])}, {pair['n_patients']} patients"
            )
    return "\n".join(
        [*lines, "\nTest: Wilcoxon signed-rank over patients, two-sided; empty masks: " + figures["protocol"]["empty"]]
    )


def _interval(bounds: Sequence[float] | None, sign: str = "") -> str:
    return "-" if bounds is None else f"{_figure(bounds[0], sign)} to {_figure(bounds[1], sign)}"


def _probability(value: float | None) -> str:
    return "-" if value is None else "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _figure(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.3f}"


def models_text(cards: Mapping[str, Card]) -> str:
    """The shipped networks in short: what each is for, on which terms, and its first figures."""
    return "\n\n".join("\n".join(_card_in_short(name, card)) for name, card in cards.items())


def model_text(name: str, card: Card) -> str:
    """One of them, with all that its card says."""
    return "\n".join(_card_lines(name, card))


def _card_in_short(name: str, card: Card) -> Iterator[str]:
    yield f"model:{name}"
    yield f"  {card.about}"
    yield f"  licence  {card.licence}"
    if card.figures:
        first = card.figures[0]
        alike = [
            each
            for each in card.figures
            if (each.data, each.part, each.metric, each.only) == (first.data, first.part, first.metric, first.only)
        ]
        values = ", ".join(f"{each.of} {each.value:.2f}".strip() for each in alike)
        yield f"  {first.metric:<8} {values} on {first.data}, {first.part}"


def _card_lines(name: str, card: Card) -> Iterator[str]:
    yield f"model:{name}"
    yield f"  {card.about}"
    yield f"  licence  {card.licence}"
    for data in card.data:
        terms = f" ({data.licence})" if data.licence else ""
        yield f"  {data.role or 'data':<8} {data.name}{terms}"
    for figure in card.figures:
        interval = "" if figure.ci95 is None else f" (95 % {figure.ci95[0]:.3f} to {figure.ci95[1]:.3f})"
        what = f"{figure.of} {figure.metric}".strip()
        note = f" ({figure.note.partition(';')[0]})" if figure.note else ""
        yield f"  figure   {what} {figure.value:.3f}{interval} on {figure.data}, {figure.part}{note}"
    for limit in card.limits:
        yield f"  limit    {limit}"
