"""Self-contained pages: everything a page shows is inside its one file, and it loads nothing from anywhere.

A page is plain data (``Page``: tiles, sections, blocks) that one template renders; whoever writes a report builds the
data and never touches HTML. All text is escaped.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

import jinja2
from matplotlib.figure import Figure

from glioseg import __version__
from glioseg.io.files import write_bytes, write_text
from glioseg.report import style
from glioseg.report.figures.render import FigureKind, Rendered, render

FIGURES = "figures"
"""The folder beside a page that holds its figures as files."""
RESEARCH_ONLY = "For research use only; not a medical device."
Tone = Literal["", "good", "note", "warning", "error"]


@dataclass(frozen=True)
class Cell:
    """A table's cell: its text, and what it sorts by (the text unless given).

    A tone shows as a badge; a link leads to a file beside the page.
    """

    text: str
    sort: float | str | None = None
    tone: Tone = ""
    link: str = ""


@dataclass(frozen=True)
class Column:
    """A table's column; ``numeric`` ones are right-aligned, ``wide`` ones may break their lines."""

    title: str
    numeric: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """Rows that the reader can sort by any column, search, and leaf through ``page_size`` at a time.

    ``caption`` states what the columns count; rows that were left out are said in it. A table with a ``fold`` is shown
    once that line is touched; on paper too unless it is long.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    page_size: int = 25
    half: bool = False
    fold: str = ""
    kind: str = field(default="table", init=False)

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row of a table needs one cell per column")

    @property
    def stacks(self) -> bool:
        """Whether its cells stand one below the other where there is little room: a sentence is among them."""
        return any(column.wide for column in self.columns)


@dataclass(frozen=True)
class Prose:
    """A paragraph; with a tone it becomes a call-out."""

    text: str
    tone: Tone = ""
    kind: str = field(default="prose", init=False)


@dataclass(frozen=True)
class Picture:
    """A figure with its caption, which states the conventions that the figure follows.

    Args:
        name: file name in the figures folder, without ending.
        title: one line above.
        caption: what is seen, and by which convention.
        width: at which the image is shown where there is room, in CSS pixels.
        height: likewise.
        look: ``chart``, ``map`` or ``scan``.
        source: the image as a ``data:`` address.
        half: whether two such figures may stand side by side.
        notes: (name, words) that stand below the image.
        alt: what is seen, for those who do not see it; title and first sentence of the caption unless given.
    """

    name: str
    title: str
    caption: str
    width: int
    height: int
    look: FigureKind
    source: str
    half: bool = False
    notes: tuple[tuple[str, str], ...] = ()
    alt: str = ""
    kind: str = field(default="picture", init=False)

    @property
    def seen(self) -> str:
        """What is seen, in words."""
        return self.alt or f"{self.title}. {first_sentence(self.caption)}".strip()


@dataclass(frozen=True)
class Listed:
    """Names and values in two columns."""

    items: tuple[tuple[str, str], ...]
    caption: str = ""
    kind: str = field(default="listed", init=False)


@dataclass(frozen=True)
class Code:
    """A text file as it is, in letters of one width; long ones scroll. ``fold`` as in ``Table``."""

    text: str
    caption: str = ""
    fold: str = ""
    kind: str = field(default="code", init=False)


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a contact sheet.

    Args:
        title: what it is called.
        words: what is said of it.
        source: the image as a ``data:`` address.
        width: of it in pixels,
        height: and its height.
        alt: what is seen.
        tone: of what is said.
        link: to a file beside the page, such as the picture in full.
    """

    title: str
    words: str
    source: str
    width: int
    height: int
    alt: str
    tone: Tone = ""
    link: str = ""


@dataclass(frozen=True)
class ContactSheet:
    """Small pictures in as many columns as there is room for."""

    thumbnails: tuple[Thumbnail, ...]
    caption: str = ""
    kind: str = field(default="contact", init=False)


Block = Table | Prose | Picture | Listed | Code | ContactSheet


@dataclass(frozen=True)
class Section:
    """A part of the page with a place in the table of contents; ``id`` is its anchor."""

    id: str
    title: str
    intro: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Tile:
    """A key figure."""

    label: str
    value: str
    note: str = ""
    tone: Tone = ""


def written(day: date | None = None) -> str:
    """The foot of a page: which version wrote it, and on which day, today unless given."""
    return f"Written by glioseg {__version__} on {(day or date.today()).isoformat()}."


@dataclass(frozen=True)
class Page:
    """A whole report.

    Args:
        kicker: the command that wrote it, in small letters above the title.
        title: what it is about.
        summary: one or two sentences below the title.
        tiles: key figures.
        sections: in reading order; sections without blocks are left out.
        written: when and by which version, for the foot of the page.
    """

    kicker: str
    title: str
    summary: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    written: str = field(default_factory=written)


Notes = tuple[tuple[str, str], ...]


def picture(
    name: str, rendered: Rendered, *, title: str, caption: str, half: bool = False, notes: Notes = ()
) -> Picture:
    """A rendered figure as a block of a page; shown so that their letters are as large as the page's."""
    source = f"data:{rendered.web_type};base64,{base64.b64encode(rendered.web).decode('ascii')}"
    scale = 100 / style.DPI if rendered.kind != "scan" else 0.7
    width, height = round(rendered.width * scale), round(rendered.height * scale)
    return Picture(name, title, caption, width, height, rendered.kind, source, half, notes)


def saved_picture(
    folder: Path,
    name: str,
    figure: Figure,
    kind: FigureKind,
    *,
    title: str,
    caption: str,
    half: bool = False,
    notes: Notes = (),
) -> Picture:
    """Draw ``figure``, write ``folder/name.png``, and give it as a block of a page.

    Raises:
        FileError: the folder cannot be written to.
    """
    rendered = render(figure, kind)
    write_bytes(folder / f"{name}.png", rendered.png)
    return picture(name, rendered, title=title, caption=caption, half=half, notes=notes)


def render_page(page: Page) -> str:
    """The page as one HTML text that needs no other file and no network."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("glioseg.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [section for section in page.sections if section.blocks]
    return environment.get_template("page.html").render(page=page, sections=sections, research_only=RESEARCH_ONLY)


def first_sentence(text: str) -> str:
    """As far as the first full stop that ends a sentence."""
    return re.split(r"(?<=[^\s.]\.)\s+(?=[A-Z])", text, maxsplit=1)[0]


def write_page(page: Page, path: Path) -> Path:
    """Write the page in one piece or not at all.

    Raises:
        FileError: the folder cannot be written to.
    """
    write_text(path, render_page(page))
    return path


def replace_page(page: Page, path: Path, figures: Path) -> Path:
    """Write the page in the place of an earlier one, and remove the figures that only the earlier one showed.

    Args:
        page: the page, whose figures are already written.
        path: of the page.
        figures: the folder of its figures, named as the page names them.

    Raises:
        FileError: the folder cannot be written to.
    """
    earlier = figures_shown(path)
    write_page(page, path)
    for name in earlier - figures_shown(path):
        (figures / f"{name}.png").unlink(missing_ok=True)
    return path


def figures_shown(path: Path) -> frozenset[str]:
    """The names of the figures that a page written earlier shows; none where there is no page."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return frozenset(re.findall(r'id="figure-([a-z0-9-]+)"', text))


def table(
    titles: Sequence[str], rows: Sequence[Sequence[str | float]], *, caption: str = "", page_size: int = 25
) -> Table:
    """A table of plain values: numbers sort as numbers and are right-aligned, texts as texts."""
    numeric = [bool(rows) and all(isinstance(row[place], int | float) for row in rows) for place in range(len(titles))]
    columns = tuple(Column(title, is_number) for title, is_number in zip(titles, numeric, strict=True))
    cells = tuple(tuple(_cell(value) for value in row) for row in rows)
    return Table(columns, cells, caption, page_size)


def _cell(value: str | float) -> Cell:
    if isinstance(value, str):
        return Cell(value)
    return Cell(f"{value:,d}" if isinstance(value, int) else f"{value:,.4g}", float(value))
