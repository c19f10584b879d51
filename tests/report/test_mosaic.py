"""Sheets show their panels pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest

from glioseg.report import style
from glioseg.report.figures.mosaic import Group, Panel, mosaic, panel_size
from glioseg.report.figures.render import draw


def _panel(colour: tuple[int, int, int], rows: int = 30, columns: int = 40) -> Panel:
    return Panel(np.full((rows, columns, 3), colour, dtype=np.uint8))


def _count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == np.array(colour)).all(axis=2).sum())


def test_panels_are_drawn_one_to_one() -> None:
    colours = [(200, 10, 10), (10, 200, 10), (10, 10, 200), (200, 200, 10)]
    pixels = draw(mosaic([Group((_panel(a), _panel(b))) for a, b in (colours[:2], colours[2:])], columns=2))
    assert [_count(pixels, colour) for colour in colours] == [1200] * 4
    places = [np.argwhere((pixels == np.array(colour)).all(axis=2)).min(axis=0)[1] for colour in colours]
    assert places == sorted(places)


def test_the_order_is_row_by_row() -> None:
    colours = [(200, 10, 10), (10, 200, 10), (10, 10, 200)]
    pixels = draw(mosaic([Group((_panel(colour),)) for colour in colours], columns=2))
    first, second, third = (np.argwhere((pixels == np.array(colour)).all(axis=2)).min(axis=0) for colour in colours)
    assert first[0] == second[0] < third[0]
    assert first[1] == third[1] < second[1]


def test_smaller_panels_are_centred_and_not_stretched() -> None:
    pixels = draw(mosaic([Group((_panel((200, 10, 10)), _panel((10, 200, 10), 10, 20)))], columns=1))
    assert _count(pixels, (10, 200, 10)) == 200
    rows = np.argwhere((pixels == np.array((10, 200, 10))).all(axis=2))[:, 0]
    whole = np.argwhere((pixels == np.array((200, 10, 10))).all(axis=2))[:, 0]
    assert rows.min() - whole.min() == whole.max() - rows.max() == 10


def test_what_is_missing_leaves_its_cell_empty() -> None:
    figure = mosaic([Group((_panel((200, 10, 10), 60, 200), None))], columns=1)
    assert [text.get_text() for text in figure.axes[0].texts] == ["not acquired"]


def test_long_titles_are_shortened_to_their_group() -> None:
    name = "a-very-long-name-of-a-case-that-no-panel-has-room-for-0042"
    figure = mosaic([Group((_panel((9, 9, 9), 80, 120),), name)], columns=1)
    (shown,) = [text.get_text() for text in figure.axes[0].texts]
    assert len(shown) < 20
    assert shown.endswith("0042")


def test_what_is_said_of_a_slice_fits_above_a_single_picture() -> None:
    """372 pixels are what the page of one patient has; the note beside them ends in the Dice of the slice."""
    note = "mean Dice 0.213; slice 17/31: 0.543"
    words = [
        text.get_text()
        for text in mosaic([Group((_panel((90, 90, 90), 440, 372),), "case", note)], columns=1).axes[0].texts
    ]
    assert note in words


def test_letters_at_the_edges_are_where_they_belong() -> None:
    panel = Panel(np.zeros((100, 120, 3), dtype=np.uint8), ("R", "L", "A", "P"))
    figure = mosaic([Group((panel,))], columns=1)
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert places["R"][0] < places["A"][0] < places["L"][0]
    assert places["A"][1] < places["R"][1] < places["P"][1]


@pytest.mark.parametrize(("groups", "columns", "panels"), [(1, 2, 3), (6, 2, 3), (24, 6, 1), (3, 1, 6)])
def test_panels_fill_the_sheet_and_no_more(groups: int, columns: int, panels: int) -> None:
    side = panel_size(groups, columns, panels, most=10_000)
    figure = mosaic([Group((_panel((9, 9, 9), side, side),) * panels)] * groups, columns=columns)
    width = figure.get_size_inches()[0] * figure.dpi
    assert 1600 < width <= 1640.5
    assert panel_size(groups, columns, panels, most=100) == 100


def test_a_sheet_is_as_wide_as_its_legend() -> None:
    """A narrow picture, as of one sagittal slice, is narrower than the words for three colours."""
    legend = [(name, "#ffffff") for name in ("reference", "prediction", "both")]
    figure = mosaic([Group((_panel((9, 9, 9), 60, 80),))], columns=1, legend=legend)
    figure.draw_without_rendering()
    assert max(text.get_window_extent().x1 for text in figure.axes[0].texts) < figure.bbox.x1


@pytest.mark.parametrize("name", [r"$\frac$", r"$\undefined$", "a$b$", r"\$a$"])
def test_a_name_is_no_formula(name: str) -> None:
    """Matplotlib fails where it cannot set what stands between two dollar signs."""
    panel = Panel(np.zeros((60, 80, 3), dtype=np.uint8), (name,) * 4)
    figure = mosaic([Group((panel,), name, name)], columns=1, captions=[name], legend=[(name, "#ffffff")])
    style.style_axes(figure.add_subplot(), title=name, x=name, y=name)
    draw(figure)


def test_letters_lie_over_the_pictures() -> None:
    """A black panel on a dark sheet: whatever is light is a letter, and there are four on the panel and a title."""
    panel = Panel(np.zeros((100, 120, 3), dtype=np.uint8), ("R", "L", "A", "P"))
    light = draw(mosaic([Group((panel,), "case")], columns=1)).min(axis=2) > 150
    rows = np.flatnonzero(light.any(axis=1))
    assert rows.min() < 50  # the title, above the panel at rows 50 to 149
    inside = light[50:150, 20:140]
    assert all(part.any() for part in (inside[:, :24], inside[:, -24:], inside[:24], inside[-24:]))


def test_legends_of_many_regions_have_several_lines() -> None:
    """A sheet as wide as 300 names is more than a browser or a WebP file takes; no name is lost or lies on another."""
    legend = [(f"腫瘍 {number} {'long ' * 40}", "#ffffff") for number in range(300)]
    figure = mosaic([Group((_panel((9, 9, 9), 60, 80),))], columns=1, legend=legend)
    pixels = draw(figure)
    assert pixels.shape[1] <= 1640
    drawn = [text for text in figure.axes[0].texts if text.get_text().startswith("??")]
    assert len(drawn) == 300
    places = {tuple(text.get_position()) for text in drawn}
    assert len(places) == 300
    assert all(0 < y < pixels.shape[0] for _, y in places)
