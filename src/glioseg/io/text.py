"""Text from outside, JSON, TOML and tables: read within bounds, whatever is in it; an error names the file.

Only regular files are read, of a size that such files have: a named pipe or a device never ends. What a parser accepts
and nothing else here could hold is refused with it: values nested beyond any use, numbers of more than 64 bits, and
strings with half a character.
"""

from __future__ import annotations

import csv
import io
import json
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glioseg.errors import FileError
from glioseg.io.files import cannot_read

_MOST_BYTES = 1 << 26
_MOST_LEVELS = 64
_MOST_INTEGER = 1 << 63
_FORMULA = ("=", "+", "-", "@", "\t")
_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r"sep=(?P<separator>.)")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


def file_size(path: Path) -> int:
    """The bytes of a regular file.

    Raises:
        FileError: there is none, or it is a folder, a named pipe, a device or a socket.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from error
    if stat.S_ISREG(status.st_mode):
        return status.st_size
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
    raise FileError("a file is needed", path=path, found=kind, remedy="Copy what it gives into a file first")


def read_text(path: Path) -> str:
    """The UTF-8 text in a file, with or without a byte order mark.

    Raises:
        FileError: missing, not a regular file, larger than 64 MiB, or not UTF-8.
    """
    if file_size(path) > _MOST_BYTES:
        raise FileError("the text is too long", path=path, found=f"{file_size(path)} bytes", expected="at most 64 MiB")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from error


def read_json(path: Path) -> object:
    """The value in a JSON file.

    Raises:
        FileError: missing, unreadable or not JSON.
    """
    return parse_json(read_text(path), path)


def read_json_object(path: Path) -> dict[str, Any]:
    """The names and values in a JSON file.

    Raises:
        FileError: missing, unreadable, or JSON of something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise FileError("not a JSON object", path=path, found=type(value).__name__)
    return value


def parse_json(text: str, path: Path) -> object:
    """The value that a text of a file is as JSON; a FileError where it is none."""
    try:
        value = json.loads(text)
        _require_sound(value)
    except (ValueError, RecursionError) as error:
        raise FileError("not a JSON file", path=path, found=_in_words(error)) from error
    return value


def read_toml(path: Path) -> dict[str, Any]:
    """The values in a TOML file.

    Raises:
        FileError: no such file, or not TOML.
    """
    try:
        values = tomllib.loads(read_text(path))
        _require_sound(values)
    except (ValueError, RecursionError) as error:
        raise FileError("not a TOML file", path=path, found=_in_words(error)) from error
    return values


def _require_sound(value: object) -> None:
    """Refuse, as a ValueError, what no field of ours can hold."""
    waiting = [(value, 0)]
    while waiting:
        part, level = waiting.pop()
        if isinstance(part, dict):
            waiting += [(inner, level + 1) for pair in part.items() for inner in pair]
        elif isinstance(part, list):
            waiting += [(inner, level + 1) for inner in part]
        elif isinstance(part, str):
            part.encode()  # a UnicodeEncodeError, which is a ValueError
        elif isinstance(part, int) and not -_MOST_INTEGER <= part < _MOST_INTEGER:
            raise ValueError(f"a whole number of {part.bit_length()} bits")
        if level > _MOST_LEVELS:
            raise RecursionError


def _in_words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"values nested more than {_MOST_LEVELS} deep"
    if isinstance(error, UnicodeEncodeError):
        return "half a character (a lone surrogate)"
    too_long = re.search(r"value has (\d+) digits", str(error))  # Python's own words name a switch of Python
    return f"a whole number of {int(too_long[1]):,} digits" if too_long else str(error)


# --- tables -----------------------------------------------------------------------------------------------------------


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a header; None is an empty cell.

    A text that a spreadsheet would take for a formula (``=…``, ``@…``; ``+…`` and ``-…`` unless they are numbers) has a
    ``'`` before it, which spreadsheets do not show and ``csv_rows`` takes away.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_written(cell) for cell in row] for row in (columns, *rows))
    return text.getvalue()


def csv_rows(text: str) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and the rows of a table of ours, column -> cell.

    Raises:
        ValueError: not CSV, or a row that has not one cell for each column; the message names it.
    """
    try:
        lines = [[_as_meant(cell) for cell in cells] for cells in csv.reader(io.StringIO(text)) if cells]
    except csv.Error as error:
        raise ValueError(str(error)) from error
    columns = lines[0] if lines else []
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(columns):
            raise ValueError(f"row {number} has {len(cells)} cells for {len(columns)} columns")
    return columns, [dict(zip(columns, cells, strict=True)) for cells in lines[1:]]


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table that somebody's program wrote, column -> text without blanks around it.

    UTF-8, UTF-16 (Excel's "Unicode text") or, where it is neither, Windows' Latin-1; cells between commas, semicolons,
    tabulators or bars, whichever the first line has most of; numbers with a decimal comma get a point where commas do
    not separate the cells. Rows may lack cells or have more.

    Raises:
        FileError: missing, not a regular file, larger than 64 MiB, or no text.
    """
    text = _decoded(path)
    first, _, rest = text.partition("\n")
    said = _SEPARATOR_LINE.fullmatch(first.strip())  # Excel's own way to say it
    separator = said["separator"] if said else max(_SEPARATORS, key=first.count)
    lines = csv.reader(io.StringIO(rest if said else text), delimiter=separator)
    try:
        rows = [[_as_meant(cell.strip()) for cell in cells] for cells in lines if cells]
    except csv.Error as error:
        raise FileError("the table cannot be read", path=path, found=str(error)) from error
    if separator != ",":
        rows = [[cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in row] for row in rows]
    return [{column: cell for column, cell in zip(rows[0], row, strict=False) if column} for row in rows[1:]]


def _decoded(path: Path) -> str:
    if file_size(path) > _MOST_BYTES:
        raise FileError("the text is too long", path=path, found=f"{file_size(path)} bytes", expected="at most 64 MiB")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from error
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
        except ValueError:
            continue
        if "\0" not in text:
            return text
    raise FileError("the table is no text", path=path, expected="CSV", remedy="Save it as CSV in UTF-8")


def table_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """``csv_text`` of rows that name their cells; those that a row lacks stay empty."""
    return csv_text(columns, ([row.get(column) for column in columns] for row in rows))


def _written(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r", " ")  # which csv does not quote where lines end in \n
    return f"'{text}" if _as_meant(text) != text or (text.startswith(_FORMULA) and not _is_number(text)) else text


def _as_meant(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith((*_FORMULA, "'")) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
