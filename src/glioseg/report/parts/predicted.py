"""Parts that the pages of all predictions share: doubts, files, networks, and the pictures of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from PIL import Image as Pillow

from glioseg.errors import plural
from glioseg.report import style
from glioseg.report.figures.render import embedded, not_wider
from glioseg.report.html import (
    RESEARCH_ONLY,
    Block,
    Cell,
    Column,
    Listed,
    Prose,
    Section,
    Table,
    Tile,
)
from glioseg.report.parts.words import MOST_ROWS, left_out
from glioseg.report.predictions import NetworkCard, PredictedCase

ELSEWHERE = "the JSON files of the cases have all of them."
"""Where all is that a table of cases leaves out."""
MOST_PICTURES = 40
"""Cases whose pictures a page holds; the others' lie beside it."""
_MOST_LISTED = 3


def doubts_tile(cases: Sequence[PredictedCase]) -> Tile:
    """How many cases ask to be looked at."""
    n = sum(bool(case.warnings) for case in cases)
    if len(cases) == 1:
        n = len(cases[0].warnings)
        return Tile("Warnings", f"{n:,}", "see below" if n else "nothing noticed", "warning" if n else "good")
    note = f"of {len(cases):,}" if n else "nothing noticed"
    return Tile("To check first", f"{n:,}", note, "warning" if n else "good")


def doubts(cases: Sequence[PredictedCase], networks: Sequence[NetworkCard]) -> Section:
    """What speaks against single predictions, and what is to be borne in mind with all of them."""
    rows = [(case, doubt) for case in cases for doubt in case.warnings]
    blocks: list[Block] = []
    if len(cases) == 1:
        blocks += [Prose(f"{doubt}.", "warning") for _, doubt in rows]
    elif rows:
        cells = tuple((Cell(case.name), Cell(doubt)) for case, doubt in rows[:MOST_ROWS])
        caption = left_out(len(rows), ELSEWHERE)
        blocks.append(Table((Column("Case"), Column("What to check", wide=True)), cells, caption, page_size=12))
    cautions = dict.fromkeys(caution for network in networks for caution in network.cautions)
    blocks += [Prose(caution, "note") for caution in cautions]
    blocks.append(
        Prose(
            "No mask or class here has been reviewed by a physician, and the absence of a warning does not mean that "
            f"nothing is wrong: compare each picture with the scan. {RESEARCH_ONLY}",
            "note",
        )
    )
    return Section("doubts", "What to distrust", "", tuple(blocks))


def inputs(cases: Sequence[PredictedCase]) -> Section:
    """Which file was read as which modality, on which grid, and what stood in for what was missing."""
    if len(cases) == 1:
        return Section("inputs", "Which file was read as which modality", "", (Listed(_input_items(cases[0])),))
    names = list(dict.fromkeys(name for case in cases for name in (*case.inputs, *case.facts.get("filled_with", {}))))
    has_grids = any("grid" in case.facts for case in cases)
    columns = (Column("Case"), *(Column(style.modality_title(name)) for name in names))
    columns += (Column("Voxels"), Column("Spacing (mm)")) if has_grids else ()
    rows = tuple(
        (
            Cell(case.name),
            *(Cell(*_source_cell(case, name)) for name in names),
            *((Cell(text) for text in _grid_words(case.facts)) if has_grids else ()),
        )
        for case in cases[:MOST_ROWS]
    )
    caption = left_out(len(cases), ELSEWHERE)
    return Section("inputs", "Which file was read as which modality", "", (Table(columns, rows, caption),))


def networks(cards: Sequence[NetworkCard]) -> Section:
    """Which network, and what it was trained on."""
    intro = "" if len(cards) == 1 else f"The probabilities of {plural(len(cards), 'network')} are averaged."
    return Section("network", "The network", intro, tuple(Listed(card.facts) for card in cards))


def picture_source(file: Path, longest: int) -> tuple[str, int, int] | None:
    """A picture as a ``data:`` address, at most ``longest`` pixels wide, with its size; None without a file."""
    try:
        with Pillow.open(file) as opened:
            picture = opened.convert("RGB")
    except OSError:
        return None
    return embedded(not_wider(picture, longest), quality=80)


def beside_the_page(total: int, shown: int, of: str, *, what: str = "pictures", named: str = "") -> str:
    """What a section says where it shows ``shown`` pictures of ``total``; nothing where these are all.

    Args:
        total: pictures that there are.
        shown: those on the page.
        of: what each is of, in the singular: ``further case``.
        what: they are.
        named: how their files are called.
    """
    rest = total - shown
    return f"The {what} of {plural(rest, of)} lie beside this page{named and f', as {named}'}." if rest > 0 else ""


def not_shown(cases: Sequence[PredictedCase]) -> str:
    """The same of a page's pictures of its cases."""
    return beside_the_page(len(cases), MOST_PICTURES, "further case", named="CASE.png")


def link_to(path: PurePath) -> str:
    """The address of a file beside the page."""
    return quote(path.as_posix())


def _input_items(case: PredictedCase) -> tuple[tuple[str, str], ...]:
    items = [(style.modality_title(name), _source_words(source)) for name, source in case.inputs.items()]
    if not items:
        items.append(("Given", "as arrays, from Python"))
    items += [
        (style.modality_title(name), f"missing; filled with {_stand_in(stand_in)}")
        for name, stand_in in case.facts.get("filled_with", {}).items()
    ]
    shape, spacing = _grid_words(case.facts)
    if shape != "–":
        items.append(("Voxels", shape))
        items.append(("Spacing (mm)", spacing))
        items.append(("Orientation", case.facts["grid"]["orientation"] or "unknown: pictures have none"))
    folders = dict.fromkeys(str(PurePath(file).parent) for source in case.inputs.values() for file in source["files"])
    if folders:
        items.append(("From", ", ".join(list(folders)[:_MOST_LISTED])))
    return tuple(items)


def _source_cell(case: PredictedCase, name: str) -> tuple[str, None, Any]:
    stand_in = case.facts.get("filled_with", {}).get(name)
    if stand_in is not None:
        return f"missing: {_stand_in(stand_in)}", None, "warning"
    source = case.inputs.get(name)
    return ("" if source is None else _source_words(source)), None, ""


def _stand_in(name: str) -> str:
    return "zeros" if name == "zero" else style.modality_title(name)


def _source_words(source: Mapping[str, Any]) -> str:
    """``t2f.nii.gz``; ``scan_1.tif to scan_24.tif (24 files), channel 2``."""
    names = [PurePath(file).name for file in source["files"]]
    words = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names):,} files)"
    return words if source["channel"] is None else f"{words}, channel {source['channel'] + 1}"


def _grid_words(facts: Mapping[str, Any]) -> tuple[str, str]:
    grid = facts.get("grid")
    if grid is None:
        return "–", "–"
    spacing = grid["spacing_mm"]
    words = "unknown" if spacing is None else " × ".join(f"{step:.3g}" for step in spacing)
    return " × ".join(map(str, grid["shape"])), words
