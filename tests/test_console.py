"""What reaches a terminal from names that others gave."""

from __future__ import annotations

import json

import pytest

from glioseg.console import out, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", r"a\u001b[31mb"),
        ("\x9b2J", r"\u009b2J"),
        ("bell\x07", r"bell\u0007"),
        ("M\udcfcller", r"M\udcfcller"),
        ("\u202etxt", r"\u202etxt"),
        ("line\nline\tä — µ 脳", "line\nline\tä — µ 脳"),
    ],
)
def test_what_acts_on_a_terminal_is_spelt_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    out(json.dumps({"name": "\x9b\x1b\udcff"}, ensure_ascii=False))
    assert json.loads(capsys.readouterr().out) == {"name": "\x9b\x1b\udcff"}
