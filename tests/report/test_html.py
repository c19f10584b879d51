"""Pages are one file, escape what they are told, and leave nothing out."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from glioseg.report.figures import charts
from glioseg.report.html import (
    RESEARCH_ONLY,
    Cell,
    Code,
    Column,
    ContactSheet,
    Listed,
    Page,
    Picture,
    Prose,
    Section,
    Table,
    Thumbnail,
    Tile,
    first_sentence,
    render_page,
    saved_picture,
    table,
    write_page,
)

_NASTY = """<script>alert("x")</script> & 'co'"""


class _Reader(HTMLParser):
    """Tags with their attributes, and the words between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def _read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    return reader


def _page(*sections: Section) -> Page:
    return Page("glioseg inspect", "cohort", "ten cases", (Tile("Cases", "10", "of 9 patients"),), sections, "Written.")


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    figure = saved_picture(tmp_path, "bars", charts.bars({"a": 1.0}, x="cases"), "chart", title="Bars", caption="x")
    text = render_page(_page(Section("one", "One", "", (figure,))))
    for tag, attributes in _read(text).tags:
        assert tag not in ("link", "iframe", "object", "embed")
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("data:image/", "#")), f"{tag} loads {value[:60]}"
    assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttpRequest", re.sub(r"data:image/[^\"]+", "", text))
    assert "default-src 'none'" in text


def test_figures_are_in_the_page_and_in_the_folder(tmp_path: Path) -> None:
    figure = saved_picture(tmp_path, "bars", charts.bars({"a": 1.0}, x="cases"), "chart", title="Bars", caption="x")
    (image,) = [
        attributes
        for tag, attributes in _read(render_page(_page(Section("s", "S", "", (figure,))))).tags
        if tag == "img" and attributes.get("src")
    ]
    source = image["src"] or ""
    assert base64.b64decode(source.partition(",")[2]) == (tmp_path / "bars.png").read_bytes()
    assert image["alt"] == "Bars. x"


def test_text_is_escaped_everywhere() -> None:
    rows = ((Cell(_NASTY, _NASTY, "error"),),)
    blocks = (
        Table((Column(_NASTY),), rows, _NASTY),
        Prose(_NASTY, "warning"),
        Listed(((_NASTY, _NASTY),), _NASTY),
    )
    page = Page(
        _NASTY, _NASTY, _NASTY, (Tile(_NASTY, _NASTY, _NASTY),), (Section("s", _NASTY, _NASTY, blocks),), _NASTY
    )
    text = render_page(page)
    assert "<script>alert" not in text
    assert [tag for tag, _ in _read(text).tags].count("script") == 1
    # the title and the section's title stand twice, a sort key beside its cell
    assert text.count("&lt;script&gt;alert(&#34;x&#34;)") == 19


def test_sections_are_in_the_contents_in_order_and_empty_ones_are_left_out() -> None:
    full = [Section(name, name.upper(), "", (Prose("words"),)) for name in ("one", "two")]
    reader = _read(render_page(_page(full[0], Section("none", "NONE", "", ()), full[1])))
    links = [attributes["href"] for tag, attributes in reader.tags if tag == "a" and attributes.get("class") is None]
    assert links == ["#one", "#two"]
    assert [attributes["id"] for tag, attributes in reader.tags if attributes.get("class") == "part"] == ["one", "two"]
    assert "NONE" not in reader.words


def test_every_page_says_that_it_is_for_research() -> None:
    assert _read(render_page(_page())).words.count(RESEARCH_ONLY) == 2
    assert RESEARCH_ONLY == "For research use only; not a medical device."


def test_tables_carry_what_they_sort_by() -> None:
    shown = table(("case", "voxels"), (("b", 12345), ("a", 7)), caption="two")
    assert [column.numeric for column in shown.columns] == [False, True]
    text = render_page(_page(Section("s", "S", "", (shown,))))
    assert 'data-sort="12345.0">12,345</td>' in text
    assert text.index(">b</td>") < text.index(">a</td>")


def test_badges_show_the_tone_of_a_cell() -> None:
    shown = Table((Column("Severity"),), ((Cell("warning", 1, "warning"),),))
    text = render_page(_page(Section("s", "S", "", (shown,))))
    assert '<td data-sort="1"><span class="badge warning">warning</span></td>' in text


def test_rows_must_fit_their_columns() -> None:
    with pytest.raises(ValueError, match="one cell per column"):
        Table((Column("a"), Column("b")), ((Cell("1"),),))


def test_tags_are_balanced(tmp_path: Path) -> None:
    figure = saved_picture(tmp_path, "bars", charts.bars({"a": 1.0}, x="cases"), "chart", title="Bars", caption="x")
    blocks = (figure, Prose("p"), Listed((("a", "b"),)), table(("x",), ((1,),)))
    text = render_page(_page(Section("s", "S", "intro", blocks)))
    for tag in ("section", "figure", "div", "table", "tr", "td", "th", "dl", "main", "nav", "p", "button", "span"):
        assert len(re.findall(rf"<{tag}[ >]", text)) == text.count(f"</{tag}>"), tag


def test_a_page_is_written_in_one_piece(tmp_path: Path) -> None:
    path = write_page(_page(), tmp_path / "deep" / "report.html")
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_tables_with_sentences_can_stack_and_name_their_cells() -> None:
    """Where there is no room for columns, each cell stands below the other with its column's name before it."""
    findings = Table((Column("Severity"), Column("Found", wide=True)), ((Cell("error"), Cell("cut short")),))
    figures = Table((Column("Case"), Column("Dice", numeric=True)), ((Cell("a"), Cell("0.9", 0.9)),))
    cells = [
        (attributes.get("data-title"), attributes.get("class"))
        for tag, attributes in _read(render_page(_page(Section("s", "S", "", (findings, figures))))).tags
        if tag == "td"
    ]
    assert cells == [("Severity", None), ("Found", "wide"), (None, None), (None, "number")]


def test_long_things_fold_and_are_printed_unless_they_are_very_long() -> None:
    rows = tuple((Cell(str(row)),) for row in range(61))
    blocks = (Table((Column("A"),), rows[:60], fold="60 <rows>"), Table((Column("A"),), rows, fold="61 rows"))
    text = render_page(_page(Section("s", "S", "", (*blocks, Code("x = 1", fold="a file"), Code("y = 2")))))
    folds = [attributes["class"] for tag, attributes in _read(text).tags if tag == "details"]
    assert folds == ["fold", "fold long", "fold"]
    assert re.findall("<summary>(.*?)</summary>", text) == ["60 &lt;rows&gt;", "61 rows", "a file"]
    assert 'addEventListener("beforeprint"' in text  # opens all but the long ones


def test_figures_keep_letters_that_can_be_read_on_a_narrow_screen(tmp_path: Path) -> None:
    """They scroll sideways there, at nine tenths of their size at least, and nothing of that is printed."""
    chart = saved_picture(tmp_path, "sizes", charts.sizes([1.0, 2.0], x="ml"), "chart", title="Sizes", caption="")
    text = render_page(_page(Section("s", "S", "", (chart,))))
    frame = next(attributes for _, attributes in _read(text).tags if attributes.get("class") == "pan")
    assert frame["style"] == f"--width: {chart.width}"
    narrow, printed = (text.index(start) for start in ("@media screen and (max-width: 640px)", "@media print"))
    assert ".pan { overflow-x: auto; }" in text[narrow:printed]
    assert "var(--width) * .9px" in text[narrow:printed]
    assert "--width" not in text[printed : text.index("</style>")]
    assert "@page { size: A4;" in text


def test_heads_of_long_tables_can_be_repeated_on_paper() -> None:
    """Browsers repeat a head on every page unless it holds the box of a button, or a box around it cannot break."""
    long = Table((Column("Case"),), tuple((Cell(str(row)),) for row in range(13)), half=True)
    short = Table((Column("Case"),), tuple((Cell(str(row)),) for row in range(12)), half=True)
    tags = _read(render_page(_page(Section("s", "S", "", (long, short))))).tags
    holders = [attributes["class"] for tag, attributes in tags if (attributes.get("class") or "").startswith("table")]
    assert holders == ["table half", "table half short"]

    style = re.search(r"@media print {(.*)</style>", render_page(_page()), re.DOTALL)
    assert style
    named = {selector.strip(): body for selector, body in re.findall(r"([^{}]+){([^{}]*)}", style[1])}
    assert "display: table-header-group" in named["thead"]
    assert "display: contents" in named["th button"]
    side_by_side = [selector for selector, body in named.items() if "inline-block" in body and ".half" in selector]
    assert side_by_side == [".blocks > .half:is(.picture, .short)"]


def test_thumbnails_say_what_is_seen_and_lead_to_their_files() -> None:
    thumb = Thumbnail("a", "yes, 97 %", "data:image/webp;base64,AA==", 4, 3, "a: yes", "warning", "a.png")
    tags = _read(render_page(_page(Section("s", "S", "", (ContactSheet((thumb,)),))))).tags
    assert ("a: yes", "4") in [(one.get("alt"), one.get("width")) for tag, one in tags if tag == "img"]
    assert "a.png" in [one.get("href") for tag, one in tags if tag == "a"]


@pytest.mark.parametrize(
    ("caption", "sentence"),
    [("Lines. Dots are cases.", "Lines."), ("1.5 ml. Next", "1.5 ml."), ("A, e.g. b", "A, e.g. b"), ("", "")],
)
def test_first_sentences(caption: str, sentence: str) -> None:
    assert first_sentence(caption) == sentence


def test_what_is_seen_is_the_name_of_what_is_touched() -> None:
    """Of a button a reader of the screen hears the name alone, and not the words of the image in it."""
    shown = Picture("a", "Dice", "By case.", 9, 9, "chart", "data:,", alt="Twelve dots between 0.7 and 0.9")
    thumb = Thumbnail("b", "yes", "data:,", 9, 9, alt="b: yes, 97 %")
    text = render_page(_page(Section("s", "S", "", (shown, ContactSheet((thumb,))))))
    names = [attributes.get("aria-label") for _, attributes in _read(text).tags if attributes.get("class") == "enlarge"]
    assert names == ["Enlarge: Twelve dots between 0.7 and 0.9", "Enlarge: b: yes, 97 %"]
