"""A folder of scans, and what the user says of it -> the cohort in it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.recognise import read_cohort
from glioseg.console import QUIET, Reporter
from glioseg.core import SCHEMES, Cohort, LabelScheme
from glioseg.core.modalities import our_names
from glioseg.errors import FileError, OptionError


@dataclass(frozen=True)
class Data:
    """A folder of scans and what the user says of it.

    Args:
        path: the folder, at whatever level.
        layout: name of the reader, or one of your own; None recognises it.
        scheme: name of the label scheme; None lets the reader decide.
        modalities: names of the channels in file order, older ones as good as ours, for layouts that do not state them.
    """

    path: Path
    layout: str | Layout | None = None
    scheme: str | None = None
    modalities: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """As ``data.json`` of a run folder holds it: the path is absolute."""
        return {
            "path": str(self.path.absolute()),
            "layout": self.layout.name if isinstance(self.layout, Layout) else self.layout,
            "scheme": self.scheme,
            "modalities": None if self.modalities is None else list(self.modalities),
        }

    @classmethod
    def from_json(cls, values: object, path: Path) -> Self:
        """What ``to_json`` gave.

        Args:
            values: the JSON.
            path: its file, for messages.

        Raises:
            FileError: another JSON.
        """
        if not isinstance(values, dict) or "path" not in values:
            raise FileError("not the description of a run's data", path=path)
        names = values.get("modalities")
        modalities = None if names is None else tuple(names)
        return cls(Path(values["path"]), values.get("layout"), values.get("scheme"), modalities)


def read(data: Data, reporter: Reporter = QUIET) -> Cohort:
    """The cohort in a folder: paths, no pixels.

    Raises:
        OptionError: no layout or label scheme of that name, or names of modalities that the data has no place for.
        FileError, LayoutError: no such folder, or none that can be read; see ``read_cohort``.
    """
    names = None if data.modalities is None else our_names(data.modalities)
    options = ReadOptions(scheme=_scheme(data.scheme), modalities=names)
    with reporter.progress("Listing files") as step:
        return read_cohort(data.path, layout=data.layout, options=options, progress=lambda n: step(n, 0))


def _scheme(name: str | None) -> LabelScheme | None:
    if name is None or name in SCHEMES:
        return None if name is None else SCHEMES[name]
    near = difflib.get_close_matches(name, SCHEMES, 1)
    raise OptionError(
        f"there is no label scheme {name}",
        expected=f"one of {', '.join(SCHEMES)}",
        remedy=f"Did you mean {near[0]}?" if near else None,
    )
