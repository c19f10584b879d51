"""The page of ``glioseg calibrate``: whether the confidence foretells the Dice, and whether promises are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from glioseg.core.case import Counted
from glioseg.errors import plural
from glioseg.evaluation.confidence import CheckRecord, RiskCoverage
from glioseg.evaluation.conformal import share_words
from glioseg.report import style
from glioseg.report.html import Block, Cell, Column, Page, Prose, Section, Table, Tile, replace_page, saved_picture
from glioseg.report.parts.run_further import of_no_use
from glioseg.report.parts.words import MOST_ROWS, left_out


@dataclass(frozen=True)
class Promised:
    """What a confidence was fitted on and promises.

    Args:
        fitted_on: cohort and part, in words.
        counted: what their cases are counted in.
        risk: expected share of a region that the cautious mask may miss.
        level: of the intervals of volumes.
    """

    fitted_on: str
    counted: Counted
    risk: float
    level: float


@dataclass(frozen=True)
class ConfidenceCheck:
    """How well a confidence foretells the Dice of cases that it was not fitted on, case by case.

    Args:
        record: the figures.
        cases: ids, and for each of them
        confidence: what was foretold,
        dice: and what came.
        curve: risk over coverage.
    """

    record: CheckRecord
    cases: tuple[str, ...]
    confidence: tuple[float, ...]
    dice: tuple[float, ...]
    curve: RiskCoverage

    def to_json(self) -> dict[str, Any]:
        """As ``calibration.json`` holds it."""
        record = self.record
        return {
            "checked_on": record.on,
            "n_cases": record.n_cases,
            "n_patients": record.n_patients,
            "rank_correlation": record.rank_correlation,
            "rank_correlation_ci95": record.ci95,
            "risk_coverage_area": record.area,
            "risk_coverage_area_best": record.area_best,
            "risk_coverage_area_chance": record.area_chance,
            "cases": [
                {"case": case, "confidence": confidence, "dice": dice}
                for case, confidence, dice in zip(self.cases, self.confidence, self.dice, strict=True)
            ],
        }


def write_calibration(
    name: str,
    promised: Promised,
    checks: Sequence[ConfidenceCheck],
    regions: Mapping[str, Mapping[str, Any]],
    file: Path,
    figures: Path,
) -> Path:
    """Write the page; figures of an earlier one that this one does not show are removed.

    Args:
        name: of the network.
        promised: on what, and how much.
        checks: of the confidence, the one that counts first.
        regions: name -> figures, as ``calibration.json`` has them.
        file: of the page.
        figures: folder of its pictures.

    Raises:
        FileError: the folder cannot be written to.
    """
    sections = (
        *(_confidence(check, promised.counted, number, figures) for number, check in enumerate(checks, 1)),
        _promises(regions, promised),
        _temperatures(regions),
    )
    tiles = [Tile("Rank correlation", _two(check.record.rank_correlation), check.record.on) for check in checks[:1]]
    tiles += [
        Tile("Area of risk over coverage", f"{check.curve.area:.3f}", f"no order {check.curve.area_chance:.3f}")
        for check in checks[:1]
    ]
    summary = f"Confidence of {name}, fitted on {promised.fitted_on}."
    page = Page("glioseg calibrate", f"How far {name} can be trusted", summary, tuple(tiles), sections)
    return replace_page(page, file, figures)


def foretold(confidence: Sequence[float], dice: Sequence[float]) -> Figure:
    """Dice over the confidence of each case; on the diagonal both agree."""
    figure = style.new_figure(style.HALF_WIDTH, 4.2)
    axes = style.style_axes(figure.add_subplot(), x="confidence (expected Dice)", y="Dice", grid="both")
    axes.plot((0, 1), (0, 1), color=style.NEUTRAL, linewidth=1, zorder=1)
    axes.plot(confidence, dice, "o", color=style.ACCENT, markersize=5, alpha=0.7)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    return figure


def kept(curve: RiskCoverage) -> Figure:
    """The mean of 1 − Dice over the share of cases that is kept, those of highest confidence first."""
    figure = style.new_figure(style.HALF_WIDTH, 4.2)
    axes = style.style_axes(
        figure.add_subplot(), x="share of the cases that is kept", y="mean of 1 − Dice", grid="both"
    )
    axes.axhline(curve.area_chance, color=style.NEUTRAL, linewidth=1, label="no order")
    axes.plot(curve.coverage, curve.risk, color=style.ACCENT, linewidth=1.8, label="by confidence")
    axes.set(xlim=(0, 1.02), ylim=(0, None))
    style.style_legend(axes)
    return figure


def _confidence(check: ConfidenceCheck, counted: str, number: int, figures: Path) -> Section:
    blocks: tuple[Block, ...] = (
        saved_picture(
            figures,
            f"foretold-{number}",
            foretold(check.confidence, check.dice),
            "chart",
            title="Confidence and Dice",
            caption=f"Each point is a case. Rank correlation {check.record.correlation_words}.",
            half=True,
        ),
        saved_picture(
            figures,
            f"kept-{number}",
            kept(check.curve),
            "chart",
            title="Risk over coverage",
            caption=f"Area {check.curve.area:.3f}; best possible order {check.curve.area_best:.3f}, no order "
            f"{check.curve.area_chance:.3f}.",
            half=True,
        ),
        *of_no_use(check.record),
        _cases(check),
    )
    whose = plural(check.record.n_patients, counted)
    intro = f"{plural(len(check.cases), 'case')} of {whose}. Dice: mean over the regions that have one."
    return Section(f"confidence-{number}", f"Confidence, {check.record.on}", intro, blocks)


def _cases(check: ConfidenceCheck) -> Table:
    order = sorted(range(len(check.cases)), key=lambda row: check.confidence[row])
    rows = tuple(
        (
            Cell(check.cases[row]),
            Cell(f"{check.confidence[row]:.3f}", check.confidence[row]),
            Cell(f"{check.dice[row]:.3f}", check.dice[row]),
        )
        for row in order[:MOST_ROWS]
    )
    columns = (Column("Case"), Column("Confidence", numeric=True), Column("Dice", numeric=True))
    caption = f"Least sure first. {left_out(len(order), 'calibration.json has all of them.')}"
    return Table(columns, rows, caption.strip(), page_size=10)


def _promises(regions: Mapping[str, Mapping[str, Any]], promised: Promised) -> Section:
    them, too_few = f"{promised.counted}s", Cell(f"too few {promised.counted}s", -1.0)
    columns = (
        Column("Region"),
        Column("Cautious threshold", numeric=True),
        Column(f"Missed, unseen {them}", numeric=True),
        Column(f"Volumes held, unseen {them}", numeric=True),
        Column("Halves"),
    )
    rows = tuple(
        (
            Cell(name),
            _threshold(figures["risk_threshold"]) or too_few,
            _split_cell(figures["missed_over_splits"]) or too_few,
            _split_cell(figures["covered_over_splits"]) or too_few,
            Cell(_halves(figures["missed_over_splits"] or figures["covered_over_splits"], them)),
        )
        for name, figures in regions.items()
    )
    caption = (
        f"Means over random halves of all {them} with references (5th to 95th percentile): one half makes the "
        f"promise, the other checks it. A promise holds on average over {them}, not for each."
    )
    intro = (
        f"At the cautious threshold at most {share_words(promised.risk)} of a region is missed on average; volume "
        f"intervals hold the true volume in {share_words(promised.level)} of {promised.counted}s."
    )
    return Section("promises", "Promises", intro, (Table(columns, rows, caption),))


def _temperatures(regions: Mapping[str, Mapping[str, Any]]) -> Section:
    columns = (
        Column("Region"),
        Column("Temperature", numeric=True),
        Column("ECE before", numeric=True),
        Column("after", numeric=True),
        Column("Brier before", numeric=True),
        Column("after", numeric=True),
    )
    rows = tuple(
        (
            Cell(name),
            Cell(f"{figures['temperature']:.2f}", figures["temperature"]),
            *(Cell(f"{value:.4f}", value) for value in (*figures["ece"], *figures["brier"])),
        )
        for name, figures in regions.items()
    )
    note = Prose(
        "Above 1 the network is too sure. The temperature changes the probabilities that are written, not the mask."
    )
    return Section("temperature", "Temperature", "Over all voxels, background included.", (Table(columns, rows), note))


def _split_cell(check: Mapping[str, Any] | None) -> Cell | None:
    if check is None:
        return None
    return Cell(f"{check['mean']:.1%} ({check['low']:.1%} to {check['high']:.1%})", check["mean"])


def _halves(check: Mapping[str, Any] | None, them: str) -> str:
    return "" if check is None else f"{check['n_splits']}, of {check['n_fitted']} and {check['n_checked']} {them}"


def _threshold(value: float | None) -> Cell | None:
    return None if value is None else Cell(f"{value:.3g}", value)


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
