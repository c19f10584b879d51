"""The figures of a part with its table of cases; they need no torch, as scoring masks needs none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from glioseg.errors import GliosegError, plural
from glioseg.evaluation.table import Row, rows_to_csv
from glioseg.faces import on_command_line
from glioseg.io.files import write_json, write_text

if TYPE_CHECKING:
    import pandas as pd


class Figures(Protocol):
    """The figures of a part."""

    def to_json(self) -> dict[str, Any]:
        """As ``evaluation-PART.json`` holds them: strict JSON, undefined figures are null."""

    def summary_rows(self) -> list[dict[str, Any]]:
        """A row for each figure, for tables."""


@dataclass(frozen=True, eq=False)
class Scores:
    """A part's figures, its table of cases, the figures in a few lines for people, and their page, if they have one.

    ``left_out`` are the cases that could not be scored, with what is wrong with each; None where none may be missing,
    as of a run's own parts. ``more`` are further tables by name, whose files are called as that of the cases is.
    """

    part: str
    figures: Figures
    rows: Sequence[Row]
    text: str
    page: Path | None = None
    left_out: Mapping[str, GliosegError] | None = None
    more: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    def __repr__(self) -> str:
        """In a line: ``table()`` and ``cases()`` have the figures."""
        return f"Scores({self.part}: {plural(len(self.rows), 'row')} of cases)"

    def to_json(self) -> dict[str, Any]:
        """The figures as ``evaluate --json`` prints them: strict JSON, undefined figures are null."""
        if self.left_out is None:
            return self.figures.to_json()
        return self.figures.to_json() | {
            "left_out": {case: on_command_line(error.text) for case, error in self.left_out.items()}
        }

    def table(self) -> pd.DataFrame:
        """The figures, a row for each region (or class figure) and metric; volumes in ml, distances in mm."""
        import pandas as pd

        return pd.DataFrame(self.figures.summary_rows())

    def cases(self) -> pd.DataFrame:
        """A row for each case, or for each picture or slice that was classified: ``cases-PART.csv``."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return f"<b>{self.part}</b>{self.table().to_html(index=False, float_format='{:.3f}'.format, na_rep='–')}"

    def write(self, folder: Path, suffix: str = "") -> None:
        """Write ``evaluation-PART.json``, ``cases-PART.csv`` and the like; ``suffix`` follows the part's name."""
        write_json(folder / f"evaluation-{self.part}{suffix}.json", self.to_json())
        write_text(folder / f"cases-{self.part}{suffix}.csv", rows_to_csv(self.rows))
        for name, rows in self.more.items():
            write_text(folder / f"{name}-{self.part}{suffix}.csv", rows_to_csv(rows))
