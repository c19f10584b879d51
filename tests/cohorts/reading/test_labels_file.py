"""A ``labels.toml`` beside the data says what the integers mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from glioseg.cohorts.reading.labels_file import read_labels_file
from glioseg.errors import FileError, GliosegError, LabelError


def test_labels_and_regions(tmp_path: Path) -> None:
    path = tmp_path / "labels.toml"
    path.write_text('[labels]\noedema = 1\ncore = 2\n[regions]\nWT = ["oedema", 2]\nTC = ["core"]\n', encoding="utf-8")
    scheme = read_labels_file(path)
    assert dict(scheme.labels) == {"oedema": 1, "core": 2}
    assert (scheme.default_regions, scheme.values_of("WT"), scheme.source) == (("WT", "TC"), (1, 2), "labels.toml")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("labels", FileError, "TOML"),
        ("", FileError, "found no labels; expected .labels. with lines such as oedema = 1"),
        ("[labels]\na = 'x'", FileError, "found other values"),
        ("[labels]\na = true", FileError, "found other values"),
        ("[labels]\na = 1\n[regions]\nWT = 1", FileError, "found other values"),
        ("[labels]\na = 1\n[regions]", FileError, "found other values"),
        ("[labels]\na = 1\n[colours]\na = 'red'", FileError, r"found \[colours\]"),
        ("[labels]\na = 1\nb = 1", LabelError, "distinct values"),
        ("[labels]\na = 1\n[regions]\nWT = ['c']", LabelError, "made of labels that do not exist; found c"),
    ],
)
def test_files_that_say_nothing(tmp_path: Path, text: str, kind: type[GliosegError], message: str) -> None:
    path = tmp_path / "labels.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(kind, match=message) as caught:
        read_labels_file(path)
    assert caught.value.path == str(path)
