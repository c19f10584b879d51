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
from glioseg.errors import FileError, GliosegError, OptionError
from glioseg.preparation.records import SchemeRecord


@dataclass(frozen=True)
class Data:
    """A folder of scans and what the user says of it.

    Args:
        path: the folder, at whatever level.
        layout: name of the reader, or one of your own; None recognises it.
        scheme: the label scheme, by name or one of your own; None lets the reader decide.
        modalities: names of the channels in file order, older ones as good as ours, for layouts that do not state them.
    """

    path: Path
    layout: str | Layout | None = None
    scheme: str | LabelScheme | None = None
    modalities: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """As ``data.json`` of a run folder holds it: the path is absolute."""
        return {
            "path": str(self.path.absolute()),
            "layout": self.layout.name if isinstance(self.layout, Layout) else self.layout,
            "scheme": _scheme_json(self.scheme),
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
        return cls(Path(values["path"]), values.get("layout"), _scheme_from(values.get("scheme"), path), modalities)


def read(data: Data | Cohort, reporter: Reporter = QUIET) -> Cohort:
    """The cohort in a folder: paths, no pixels. One that was read already comes back as it is.

    Raises:
        OptionError: no layout or label scheme of that name, or names of modalities that the data has no place for.
        FileError, LayoutError: no such folder, or none that can be read; see ``read_cohort``.
    """
    if isinstance(data, Cohort):
        return data
    names = None if data.modalities is None else our_names(data.modalities)
    options = ReadOptions(scheme=_scheme(data.scheme), modalities=names)
    with reporter.progress("Listing files") as step:
        return read_cohort(data.path, layout=data.layout, options=options, progress=lambda n: step(n, 0))


def _scheme_json(scheme: str | LabelScheme | None) -> object:
    return SchemeRecord.of(scheme).model_dump(mode="json") if isinstance(scheme, LabelScheme) else scheme


def _scheme_from(value: object, path: Path) -> str | LabelScheme | None:
    if value is None or isinstance(value, str):
        return value
    try:
        return SchemeRecord.model_validate(value).scheme()
    except (ValueError, GliosegError) as error:
        raise FileError("not the description of a run's data", path=path, found=f"scheme {value}") from error


def _scheme(scheme: str | LabelScheme | None) -> LabelScheme | None:
    if scheme is None or isinstance(scheme, LabelScheme):
        return scheme
    name = scheme
    if name in SCHEMES:
        return SCHEMES[name]
    near = difflib.get_close_matches(name, SCHEMES, 1)
    raise OptionError(
        f"there is no label scheme {name}",
        expected=f"one of {', '.join(SCHEMES)}",
        remedy=f"Did you mean {near[0]}?" if near else None,
    )
