"""What was done to scans before the networks saw them: registration, the removed skull, shading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glioseg.report.html import Block, Cell, Column, Picture, Prose, Section, Table
from glioseg.report.parts import predicted
from glioseg.report.parts.words import MOST_ROWS, left_out
from glioseg.report.predictions import PredictedCase

_WIDEST = 1640
_MOST_PICTURES = 12
_CAPTION = "Fields of the two scans alternate: where the scans are registered, borders continue from field to field."


def made_ready(cases: Sequence[PredictedCase]) -> Section:
    """The section; without blocks where nothing was done."""
    done = [case for case in cases if "ready" in case.facts]
    blocks: list[Block] = []
    if len(done) == 1:
        blocks += [Prose(f"{words}.") for words in _facts(done[0])["words"]]
    elif done:
        rows = [(case.name, words) for case in done for words in _facts(case)["words"]]
        cells = tuple((Cell(name), Cell(words)) for name, words in rows[:MOST_ROWS])
        caption = left_out(len(rows), predicted.ELSEWHERE)
        blocks.append(Table((Column("Case"), Column("What was done", wide=True)), cells, caption, page_size=12))
    drawn = [case for case in done if _facts(case).get("figure") is not None]
    shown = drawn[:_MOST_PICTURES]
    blocks += [picture for number, case in enumerate(shown, 1) if (picture := _picture(number, case)) is not None]
    if more := predicted.beside_the_page(len(drawn), len(shown), "further case"):
        blocks.append(Prose(more))
    return Section("ready", "What was done to the scans", "", tuple(blocks))


def _facts(case: PredictedCase) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = case.facts["ready"]
    return facts


def _picture(number: int, case: PredictedCase) -> Picture | None:
    shown = predicted.picture_source(case.picture.with_name(_facts(case)["figure"]), _WIDEST)
    if shown is None:
        return None
    source, width, height = shown
    alt = f"{case.name}: sections of the overlaid scans before and after, and of the brain"
    caption = _CAPTION if _facts(case)["registered"] else ""
    return Picture(f"ready-{number}", case.name, caption, width, height, "scan", source, alt=alt)
