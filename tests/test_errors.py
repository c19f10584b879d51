"""Errors say what is wrong in sentences, and survive the way from another process."""

from __future__ import annotations

import pickle

import pytest

from glioseg.errors import FileError, GliosegError, OptionError, name_some


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
