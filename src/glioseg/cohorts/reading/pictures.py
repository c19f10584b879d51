"""What the readers of single pictures share: one case per picture, grey or in colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.core import Finding, Source
from glioseg.errors import FileError, OptionError
from glioseg.io.raster import COLOURS, read_picture_header


@dataclass(frozen=True)
class Header:
    """What the header of a picture says.

    Args:
        columns: pixels along X,
        rows: and along Y.
        has_colours: three channels rather than one.
    """

    columns: int
    rows: int
    has_colours: bool

    @property
    def size(self) -> str:
        """``256x240``: columns and rows."""
        return f"{self.columns}x{self.rows}"


def read_headers(paths: Iterable[Path]) -> dict[Path, Header | FileError]:
    """The header of each picture, or why it cannot be read."""
    headers: dict[Path, Header | FileError] = {}
    for path in paths:
        try:
            (columns, rows), has_colours = read_picture_header(path)
            headers[path] = Header(columns, rows, has_colours)
        except FileError as error:
            headers[path] = error
    return headers


def channels_of(headers: Mapping[Path, Header | FileError], options: ReadOptions) -> tuple[str, ...]:
    """The modalities of a cohort of pictures: ``grey`` where every one of them is, else red, green and blue.

    Raises:
        OptionError: the user names another number of channels than there are.
    """
    coloured = any(isinstance(header, Header) and header.has_colours for header in headers.values())
    names = COLOURS if coloured else ("grey",)
    if options.modalities is None:
        return names
    if len(options.modalities) != len(names):
        raise OptionError(
            "one name for each channel is needed", found=", ".join(options.modalities), expected=", ".join(names)
        )
    return options.modalities


def picture_sources(path: Path, channels: tuple[str, ...]) -> dict[str, Source]:
    """The source of each channel of a picture."""
    if len(channels) == 1:
        return {channels[0]: Source((path,), "raster")}
    return {name: Source((path,), "raster", channel) for channel, name in enumerate(channels)}


def unreadable(headers: Mapping[Path, Header | FileError], cases: Mapping[Path, str]) -> list[Finding]:
    """An error for every picture whose header cannot be read, with the case it belongs to."""
    return [
        Finding("error", "unreadable-file", str(header), cases.get(path))
        for path, header in headers.items()
        if isinstance(header, FileError)
    ]
