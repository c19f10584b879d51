"""Text from outside: whatever is in it, a value or an error that names the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.errors import FileError
from glioseg.io.files import write_json
from glioseg.io.text import csv_rows, csv_text, file_size, read_json, read_json_object, read_table, read_text, read_toml


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("[" * 100_000, "nested"),
        ("[" * 70 + "]" * 70, "nested more than 64 deep"),
        ('{"a": ' * 70 + "1" + "}" * 70, "nested more than 64 deep"),
        ('{"label": 1' + "0" * 30 + "}", "a whole number of 100 bits"),
        ('{"label": ' + "1" * 5000 + "}", "a whole number of 5,000 digits"),
        (r'{"name": "\ud800"}', "half a character"),
        (r'{"\udcff": 1}', "half a character"),
        ("{", "Expecting"),
        ("", "Expecting value"),
    ],
)
def test_json_that_nothing_here_can_hold(tmp_path: Path, content: str, found: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(FileError, match="not a JSON file") as caught:
        read_json(path)
    assert found in str(caught.value.found)
    assert caught.value.path == str(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("a = " + "[" * 50_000, "nested"),
        ("a = " + "[" * 70 + "]" * 70, "nested"),
        ("a = " + "1" * 5000, "a whole number of 5,000 digits"),
        ("a = 1" + "0" * 30, "100 bits"),
        ("a = [", ""),
    ],
)
def test_toml_that_nothing_here_can_hold(tmp_path: Path, content: str, found: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(content)
    with pytest.raises(FileError, match="not a TOML file") as caught:
        read_toml(path)
    assert found in str(caught.value.found)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    """Notepad writes one."""
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 64}')
    assert read_json(tmp_path / "a.json") == {"a": 64}


def test_64_levels_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 64 + "]" * 64)
    assert isinstance(read_json(tmp_path / "a.json"), list)


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"name = 'M\xfcller'")
    with pytest.raises(FileError, match="0xfc"):
        read_toml(tmp_path / "a.toml")


def test_text_that_is_too_long(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate((1 << 26) + 1)
    with pytest.raises(FileError, match="found 67108865 bytes; expected at most 64 MiB"):
        read_text(tmp_path / "a.json")


@pytest.mark.parametrize(("kind", "found"), [("pipe", "a named pipe"), ("folder", "a folder"), ("device", "a device")])
def test_what_is_no_file_is_not_opened(tmp_path: Path, kind: str, found: str) -> None:
    """A pipe that nobody writes to would be waited for without end, and /dev/zero has none."""
    path = Path("/dev/zero") if kind == "device" else tmp_path / "it"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    for read in (file_size, read_text, read_json, read_toml):
        with pytest.raises(FileError, match="a file is needed") as caught:
            read(path)
        assert caught.value.found == found


def test_half_a_character_is_spelt_out_where_it_is_written(tmp_path: Path) -> None:
    """It comes from a name that is not UTF-8; the JSON stays JSON, and UTF-8."""
    write_json(tmp_path / "a.json", {"name": "M\udcfcller"})
    assert r'"M\udcfcller"' in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(("text", "kind"), [("[1]", "list"), ("null", "NoneType"), ('"a"', "str")])
def test_json_of_something_else_is_no_object(text: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_json_object(path) == {"a": 1}
    path.write_text(text)
    with pytest.raises(FileError, match=rf"a\.json: not a JSON object; found {kind}"):
        read_json_object(path)


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "\t=1"])
def test_a_spreadsheet_gets_no_formula(cell: str) -> None:
    """OWASP: cells that begin with = + - @, a tab or a carriage return are run."""
    written = csv_text([cell], [[cell]])
    assert all(line.lstrip('"').startswith("'") for line in written.split("\n")[:2])
    assert csv_rows(written) == ([cell], [{cell: cell}])


@pytest.mark.parametrize("cell", ["-1.5", "+3", "-inf", "T1", "TCGA_CS_4941", "", "a=b", "-01"])
def test_numbers_and_names_are_written_as_they_are(cell: str) -> None:
    assert csv_text(["name", "more"], [[cell, 1]]) == f"name,more\n{cell},1\n"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=2, max_size=2))
def test_every_text_survives_a_table(cells: list[str]) -> None:
    assert csv_rows(csv_text(["a", "b"], [cells])) == (["a", "b"], [dict(zip("ab", cells, strict=True))])


def test_rows_of_another_length() -> None:
    with pytest.raises(ValueError, match="row 3 has 1 cells for 2 columns"):
        csv_rows("a,b\n1,2\n3\n")


_ROWS = [{"case": "Müller", "age": "61.5", "site": "a, b"}, {"case": "p2", "age": "7"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    "text",
    [
        'case,age,site\nMüller,61.5,"a, b"\np2,7\n',
        "case;age;site\r\nMüller;61,5;a, b\r\np2;7\r\n",
        "sep=;\ncase;age;site\nMüller;61,5;a, b\np2;7\n",
        "case\tage\tsite\nMüller\t61.5\ta, b\np2\t7\n",
        " case | age | site\nMüller | 61.5 | a, b\np2|7\n",
    ],
    ids=["commas", "semicolons", "said", "tabulators", "bars"],
)
def test_a_table_of_any_program(tmp_path: Path, encoding: str, text: str) -> None:
    (tmp_path / "facts.csv").write_bytes(text.encode(encoding))
    assert read_table(tmp_path / "facts.csv") == _ROWS


def test_a_workbook_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_bytes(b"PK\x03\x04\0\0\0\x08")
    with pytest.raises(FileError, match="the table is no text; expected CSV"):
        read_table(tmp_path / "facts.csv")
