"""Errors say what is wrong in sentences, and survive the way from another process."""

from __future__ import annotations

import ast
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import glioseg
from glioseg.errors import FileError, GliosegError, OptionError, listed, name_some, nameless, suggestion


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (GliosegError("it is broken"), "it is broken."),
        (GliosegError("it is broken."), "it is broken."),
        (FileError("it is broken", path="a.png", found=1, expected=2), "a.png: it is broken; found 1; expected 2."),
        (FileError("it is broken", remedy="Mend it."), "it is broken. Mend it."),
        (
            OptionError("no layout lgf", remedy="Did you mean lgg?"),
            "no layout lgf. Did you mean lgg?",
        ),
        (FileError("nothing fits", expected="one of\n  a\n  b", remedy="\nMend it"), None),
    ],
)
def test_sentences(error: GliosegError, text: str | None) -> None:
    assert str(error) == (text or "nothing fits; expected one of\n  a\n  b.\nMend it.")


def test_errors_cross_processes() -> None:
    error = FileError("it is broken", path="a.png", found=1, expected=2, remedy="Mend it")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is FileError
    assert vars(again) == vars(error)
    assert str(again) == str(error)


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), ("abcdef", "a, b, c, d, e, f"), ("abcdefgh", "a, b, c, d, e, f and 2 more")],
)
def test_names_for_a_message(names: list[object], text: str) -> None:
    assert name_some(names) == text


@pytest.mark.parametrize(
    ("names", "words"), [((), ""), (("t1n",), "t1n"), (("t1n", "t1c"), "t1n and t1c"), ("abc", "a, b and c")]
)
def test_all_names_in_a_sentence(names: Sequence[str], words: str) -> None:
    assert listed(names) == words
    assert listed(iter(names), "or") == words.replace("and", "or")


_ROOMS = ("cli", "runs", "tasks", "api")


def _unhelpful(path: Path) -> Iterator[str]:
    """Where a file raises an OptionError that says neither what would do nor how to go on."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "OptionError":
            said = {keyword.arg for keyword in node.keywords}
            wraps = any("explained(" in ast.unparse(argument) for argument in node.args)  # which ends in help itself
            if not said & {"remedy", "expected"} and not wraps:
                yield f"{path.name}:{node.lineno}"


def test_whoever_refuses_an_option_says_what_would_do() -> None:
    root = Path(glioseg.__file__).parent
    files = [file for room in _ROOMS for file in sorted((root / room).rglob("*.py"))]
    assert len(files) > 40
    assert [place for file in files for place in _unhelpful(file)] == []


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [
        ("/data/Jane_Doe.zip", "a link to /data/Jane_Doe.zip", "a link to …"),
        ("/data/Jane_Doe.zip", "Jane_Doe.zip, 9 bytes", "…, 9 bytes"),
        ("/data/a", "an archive of a", "an archive of …"),
        ("/data/DICOMDIR", "/data/DICOMDIR: the DICOMDIR", "…: the DICOMDIR"),
    ],
)
def test_a_name_can_be_left_out(name: str, found: str, expected: str) -> None:
    error = FileError("cannot be read", path=name, found=found, remedy="Copy it again")
    said = nameless(error, Path(name))
    assert (type(said), said.path, said.found) == (FileError, None, expected)
    assert said.text == f"cannot be read; found {expected}. Copy it again."


def test_a_name_that_is_not_known_is_answered_with_the_nearest() -> None:
    known = ("train", "val", "test")
    assert suggestion("trian", known) == "Did you mean train?"
    assert suggestion("vla", known, "`--part {}`") == "Did you mean `--part val`?"
    assert suggestion("everything", known) is None
