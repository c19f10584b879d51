"""Words and figures that several parts of a run's report share."""

from __future__ import annotations

from collections.abc import Mapping

from glioseg.evaluation.protocol import Evaluation, Summary
from glioseg.evaluation.published import SliceChoice
from glioseg.evaluation.score import Interval
from glioseg.report.html import Cell
from glioseg.report.parts.metric_words import METRIC_WORDS as METRIC_WORDS
from glioseg.report.parts.metric_words import NOTHING as NOTHING
from glioseg.report.run_facts import RunFacts, ScoredFacts

PART_WORDS: Mapping[str, str] = {"train": "training", "val": "validation", "test": "test"}
_OTHER = "on-"
_ALL = "all"
GRID_WORDS = {"native": "the native grid", "working": "the network's grid"}
SLICE_WORDS: Mapping[SliceChoice, str] = {
    "all": "every slice",
    "tumour-bearing": "slices whose reference has tumour",
    "recipe": "the slices that the recipe keeps",
}
UNIT_WORDS: Mapping[str, str] = {
    "pooled": "pooled voxels",
    "case": "mean over cases",
    "slice": "mean over slices",
    "batch": "mean over batches",
    "picture": "mean over pictures",
}


def part_word(name: str) -> str:
    """``val`` -> ``validation``; other data is called by its own name."""
    return PART_WORDS.get(name, name.removeprefix(_OTHER))


def is_other(name: str) -> bool:
    """Whether a part is data that the network did not grow up with."""
    return name.startswith(_OTHER)


def part_phrase(name: str) -> str:
    """In a sentence: ``the validation part``; ``all cases``; ``brats29`` for other data."""
    if name == _ALL:
        return "all cases"
    return part_word(name) if is_other(name) else f"the {part_word(name)} part"


def part_title(name: str) -> str:
    """At its beginning: ``Validation part``; ``All cases``; ``brats29``."""
    return part_word(name) if is_other(name) else part_phrase(name).removeprefix("the ").capitalize()


def ratio(value: float | None, digits: int = 3) -> str:
    """A score as text: ``0.913``, or a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def ratio_cell(value: float | None) -> Cell:
    """A score as a cell; undefined ones sort below all others."""
    return NOTHING if value is None else Cell(ratio(value), float(value))


def interval_words(interval: Interval) -> str:
    """``0.88–0.94``; a dash where there is none."""
    return "–" if interval is None else f"{interval[0]:.3f}–{interval[1]:.3f}"


def duration(seconds: float | None) -> str:
    """``48 s``, ``12.4 min``, ``3.1 h``."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def duration_cell(seconds: float | None) -> Cell:
    """As ``duration``; unknown ones sort below all others."""
    return NOTHING if seconds is None else Cell(duration(seconds), seconds)


def summary_of(facts: ScoredFacts[Evaluation], part: str, region: str, metric: str) -> Summary | None:
    """One metric of one region in an evaluated part; None where the evaluation lacks it."""
    return facts.parts[part].evaluation.regions.get(region, {}).get(metric)


def region_words(facts: RunFacts, name: str) -> str:
    """``TC = NCR + ET``; the name alone where the region is one label of that name, or its labels are not known."""
    labels = facts.data.regions.get(name, ())
    is_one_label = [label.lower() for label in labels] == [name.lower()]
    return name if not labels or is_one_label else f"{name} = {' + '.join(labels)}"
