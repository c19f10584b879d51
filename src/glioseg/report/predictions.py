"""The page of ``predict``: what was found in each case, on which files, by which network, and what to distrust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glioseg.errors import plural
from glioseg.report.html import Block, Cell, Column, Page, Prose, Section, Table, Tile, write_page
from glioseg.report.parts.words import MOST_ROWS


@dataclass(frozen=True)
class PredictedCase:
    """A case as its files tell of it.

    Args:
        name: what it is called.
        facts: what its JSON file says.
        picture: the PNG file that goes with it.
    """

    name: str
    facts: Mapping[str, Any]
    picture: Path

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why it should be looked at before it is believed."""
        return tuple(map(str, self.facts.get("warnings", ())))

    @property
    def inputs(self) -> Mapping[str, Mapping[str, Any]]:
        """Modality -> its files and channel; empty where arrays were given."""
        inputs: Mapping[str, Mapping[str, Any]] = self.facts.get("inputs", {})
        return inputs


@dataclass(frozen=True)
class NetworkCard:
    """What a page says of a network.

    Args:
        name: of its recipe,
        model_id: and of its weights.
        facts: names and values: what it sees, what it was trained on, how well it did.
        cautions: what follows from them, in sentences.
    """

    name: str
    model_id: str
    facts: tuple[tuple[str, str], ...]
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PredictionsPage:
    """What a task shows of its predictions: key figures and sections, in reading order."""

    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    summary: str


def write_predictions(
    page: PredictionsPage,
    names: Sequence[str],
    failed: Mapping[str, str],
    file: Path,
) -> Path:
    """Write the page of cases that were predicted, and of those that were left out.

    Args:
        page: what the task shows.
        names: of the cases that were predicted.
        failed: case -> why it was left out.
        file: of the page.

    Raises:
        FileError: the folder cannot be written to.
    """
    left_out = left_out_section(failed)
    tiles = (*page.tiles, *left_out_tile(failed))
    title = names[0] if len(names) == 1 else plural(len(names), "predicted case")
    return write_page(Page("glioseg predict", title, page.summary, tiles, (*left_out, *page.sections)), file)


def left_out_tile(failed: Mapping[str, str]) -> tuple[Tile, ...]:
    """How many cases are not in the page's figures; nothing where all are."""
    return (Tile("Left out", f"{len(failed):,}", "could not be read", "error"),) if failed else ()


def left_out_section(failed: Mapping[str, str], verb: str = "predicted") -> tuple[Section, ...]:
    """Which they are, and why; nothing where there are none."""
    if not failed:
        return ()
    rows = tuple((Cell(case), Cell(why)) for case, why in list(failed.items())[:MOST_ROWS])
    table = Table((Column("Case"), Column("Why", wide=True)), rows, page_size=12)
    blocks: tuple[Block, ...] = (Prose(f"{plural(len(failed), 'case')} could not be {verb}.", "error"), table)
    return (Section("left-out", "Left out", "", blocks),)
