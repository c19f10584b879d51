"""How often the kind of a tumour is said rightly, where a network draws one outline and says its kind."""

from __future__ import annotations

from pathlib import Path

from glioseg.report.figures.classes import confusion
from glioseg.report.html import Section, saved_picture
from glioseg.report.parts.run_words import part_phrase
from glioseg.report.run_facts import SegmentationFacts


def kinds(facts: SegmentationFacts, folder: Path) -> Section:
    """The confusion of kinds on the part on top; nothing for networks that say none."""
    part = facts.headline
    figures = None if part is None else facts.parts[part].evaluation.kinds
    if part is None or figures is None:
        return Section("kinds", "Kinds", "", ())
    interval = figures.accuracy_ci95
    spread = "" if interval is None else f" (95 % {100 * interval[0]:.1f} to {100 * interval[1]:.1f} %)"
    words = (
        f"Right in {100 * figures.accuracy:.1f} % of cases{spread}; mean over kinds "
        f"{100 * figures.balanced_accuracy:.1f} %. Rows are true kinds; a mask is of the kind of most of its voxels."
    )
    chart = confusion(figures.confusion, figures.kinds)
    block = saved_picture(folder, "kinds", chart, "chart", title="Confusion", caption=words, half=True)
    return Section("kinds", "Kinds", f"On {part_phrase(part)}.", (block,))
