"""Rows of a table that grows while it is looked at, never wider than a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WIDTH = 80
"""Columns of the narrowest terminal that people have."""
_GAP = "  "


class TableLines:
    """Rows as lines, with the heads again whenever another set of columns is shown.

    A column is shown once some row has had anything in it; where all together are wider than ``WIDTH``, those that can
    be done without are left out.

    Args:
        spare: titles that can be left out, those first that are missed least.
        least: title -> characters that its column takes at least.
    """

    def __init__(self, spare: Sequence[str], least: Mapping[str, int]) -> None:
        self._spare = tuple(spare)
        self._widths = dict(least)
        self._seen: set[str] = set()
        self._shown: tuple[str, ...] = ()

    def of(self, cells: Mapping[str, str]) -> list[str]:
        """The lines that a row takes: itself, and the heads before it where they have changed."""
        self._seen |= {title for title, cell in cells.items() if cell}
        for title, cell in cells.items():
            self._widths[title] = max(self._widths.get(title, 0), len(title), len(cell))
        shown = self._fitting([title for title in cells if title in self._seen])
        heads = [] if shown == self._shown else [self._line({title: title for title in shown}, shown)]
        self._shown = shown
        return [*heads, self._line(cells, shown)]

    def _fitting(self, titles: list[str]) -> tuple[str, ...]:
        for spare in (None, *self._spare):
            titles = [title for title in titles if title != spare]
            if sum(self._widths[title] + len(_GAP) for title in titles) - len(_GAP) <= WIDTH:
                break
        return tuple(titles)

    def _line(self, cells: Mapping[str, str], shown: tuple[str, ...]) -> str:
        return _GAP.join(f"{cells[title]:>{self._widths[title]}}" for title in shown)
