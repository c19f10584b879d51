"""Subgroups, agreement of volumes and reliability of probabilities, of the part on top."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from glioseg.evaluation.confidence import CheckRecord
from glioseg.evaluation.further import DETECTABLE, UNTESTED, Further, Subgroup, power_words
from glioseg.report import style
from glioseg.report.figures.classes import reliability as reliability_chart
from glioseg.report.figures.outcomes import Strip, strips
from glioseg.report.html import Block, Cell, Column, Prose, Section, Table, saved_picture
from glioseg.report.parts.metric_words import NOTHING, interval_cell, metric_named, value_cell
from glioseg.report.parts.run_words import part_title
from glioseg.report.run_facts import SegmentationFacts

_DICE = metric_named("dice")
_MOST_STRIPS = 24


def subgroups(facts: SegmentationFacts, folder: Path) -> Section:
    """Where a network fails: Dice by size of the tumour and by what is known of the patients."""
    by_region = _further(facts).subgroups
    region = next(iter(by_region), None)
    if region is None:
        return Section("subgroups", "Subgroups", "", ())
    kinds = list(dict.fromkeys(each.fact for each in by_region[region]))
    rows = [_strip(each, kinds.index(each.fact)) for each in by_region[region][:_MOST_STRIPS]]
    caption = f"Dice of {region}: a dot per case; a bar over the middle half with the median; the mean (diamond) with "
    caption += "its 95 % interval. In brackets the number of patients."
    figure, title = strips(rows), f"Dice of {region} by subgroup"
    blocks: list[Block] = [saved_picture(folder, "subgroups", figure, "chart", title=title, caption=caption)]
    words = power_words(
        (each.fact, each.group, each.n_patients) for of_region in by_region.values() for each in of_region
    )
    if words:
        blocks.append(Prose(words, "warning"))
    return Section("subgroups", "Subgroups", UNTESTED, (*blocks, _table(facts)))


def _table(facts: SegmentationFacts) -> Table:
    titles = ("Patients", "Cases", "Mean Dice", "95 % interval", "Detectable")
    columns = (
        *(Column(title) for title in ("Region", "Fact", "Group")),
        *(Column(title, numeric=True) for title in titles),
    )
    rows = tuple(
        (
            Cell(region),
            Cell(each.fact),
            Cell(each.group),
            Cell(f"{each.n_patients:,}", each.n_patients),
            Cell(f"{each.n_cases:,}", each.n_cases),
            value_cell(_DICE, each.mean),
            interval_cell(_DICE, each.ci95),
            value_cell(_DICE, each.detectable),
        )
        for region, groups in _further(facts).subgroups.items()
        for each in groups
    )
    return Table(columns, rows, DETECTABLE, page_size=24)


def _strip(group: Subgroup, number: int) -> Strip:
    title = f"{group.fact}: {group.group} ({group.n_patients})"
    return Strip(title, np.array(group.values), group.mean, group.ci95, style.series_colour(number))


def volume_agreement(facts: SegmentationFacts) -> list[Block]:
    """Correlation, bias and limits of agreement, by region."""
    by_region = _further(facts).volumes
    if not by_region:
        return []
    unit = next(iter(by_region.values())).unit
    titles = ("Cases", "Pearson", "Concordance", f"Bias ({unit})", f"Limits of agreement ({unit})")
    columns = (Column("Region"), *(Column(title, numeric=True) for title in titles))
    rows = tuple(
        (
            Cell(region),
            Cell(f"{each.n_cases:,}", each.n_cases),
            value_cell(_DICE, each.pearson),
            value_cell(_DICE, each.concordance),
            Cell(style.number(each.bias), each.bias),
            NOTHING if each.limits is None else Cell(" to ".join(map(style.number, each.limits)), each.limits[0]),
        )
        for region, each in by_region.items()
    )
    caption = (
        "Volumes over cases, empty masks included. Concordance (Lin) is 1 only where prediction and reference are the "
    )
    caption += "same, a correlation also where one is a multiple of the other. Limits: bias ∓ 1.96 standard deviations."
    return [Table(columns, rows, caption)]


def reliability(facts: SegmentationFacts, folder: Path) -> Section:
    """Whether eight of ten voxels of probability 0.8 are inside."""
    blocks = tuple(
        saved_picture(
            folder,
            f"reliability-{number}",
            reliability_chart(bins, x="probability", y="share inside the reference", items="voxels"),
            "chart",
            title=f"{region}, {part_title(facts.headline or '')}",
            caption=f"ECE {bins.ece:.4f}. On the diagonal, a share p of the voxels of probability p is inside. Below: "
            "voxels by probability.",
            half=True,
        )
        for number, (region, bins) in enumerate(_further(facts).reliability.items(), start=1)
    )
    return Section("reliability", "Reliability of probabilities", "", blocks)


def confidence(facts: SegmentationFacts) -> Section:
    """How well the confidence that is kept in the bundle foretells the Dice; nothing where none was fitted."""
    title = "Confidence in a mask"
    if not facts.confidence_on:
        return Section("confidence", title, "", ())
    titles = ("Cases", "Patients", "Rank correlation with the Dice", "95 % interval", "Area of risk", "No order")
    columns = (Column("Checked on", wide=True), *(Column(title, numeric=True) for title in titles))
    rows = tuple(
        (
            Cell(check.on),
            Cell(f"{check.n_cases:,}", check.n_cases),
            Cell(f"{check.n_patients:,}", check.n_patients),
            value_cell(_DICE, check.rank_correlation),
            interval_cell(_DICE, check.ci95),
            value_cell(_DICE, check.area),
            value_cell(_DICE, check.area_chance),
        )
        for check in facts.confidence_checks
    )
    caption = "Area of risk over coverage: smaller is better; an order by chance has the area given for no order."
    intro = f"Predicts the Dice of a case that has no reference; fitted on {facts.confidence_on}. "
    intro += "calibration.html beside this page shows it case by case."
    blocks: list[Block] = [Table(columns, rows, caption)]
    blocks += [words for check in facts.confidence_checks for words in of_no_use(check)]
    return Section("confidence", title, intro, tuple(blocks))


def of_no_use(check: CheckRecord) -> tuple[Prose, ...]:
    """Where an order by confidence may be no better than any."""
    if check.rank_correlation is not None and check.ci95 is not None and check.ci95[0] > 0:
        return ()
    words = "These cases do not show that this confidence tells good masks from bad ones: its rank correlation "
    return (Prose(f"{words}with the Dice is {check.correlation_words}.", "warning"),)


def _further(facts: SegmentationFacts) -> Further:
    return Further() if facts.headline is None else facts.parts[facts.headline].evaluation.further
