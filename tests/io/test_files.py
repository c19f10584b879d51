"""What is said of files that cannot be read or written."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from glioseg.errors import FileError
from glioseg.io.files import TEMPORARY, cannot_read, names_apart, replacing, sweep, write_json, write_text
from glioseg.io.text import read_json


def message_for(path: Path) -> str:
    """Of a file that is opened and read."""
    try:
        path.read_bytes()
    except OSError as error:
        return str(cannot_read(path, error))
    return str(cannot_read(path, ValueError(f"{path} has no header")))


def test_a_missing_file(tmp_path: Path) -> None:
    assert message_for(tmp_path / "a.png").endswith("a.png: there is no such file. Check the path for a typing error.")


@pytest.mark.parametrize("target", ["a.png", "nowhere.png"])
def test_links_that_lead_nowhere(tmp_path: Path, target: str) -> None:
    (tmp_path / "a.png").symlink_to(target)
    assert f"a.png: the link leads nowhere; found a link to {target}. Restore" in message_for(tmp_path / "a.png")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "found an empty file (0 bytes). Download or copy it again." in message_for(tmp_path / "a.png")


def test_the_path_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("x")
    text = message_for(tmp_path / "a.png")
    assert text.count(str(tmp_path)) == 1
    assert "another format than its name says; found a.png has no header. Download" in text


def test_permission_denied(tmp_path: Path) -> None:
    text = str(cannot_read(tmp_path / "a.png", PermissionError(13, "Permission denied")))
    assert text.endswith("a.png: the file may not be read; found Permission denied. Check its permissions.")


@pytest.mark.parametrize(("error", "words"), [(KeyError("size"), "KeyError: 'size'"), (OSError(), "OSError")])
def test_errors_that_say_little_are_named(tmp_path: Path, error: Exception, words: str) -> None:
    (tmp_path / "a.png").write_text("x")
    assert f"; found {words}." in str(cannot_read(tmp_path / "a.png", error))


def test_half_a_file_is_never_left(tmp_path: Path) -> None:
    def interrupted() -> None:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("ne")
            assert temporary.name.startswith(TEMPORARY)
            raise KeyboardInterrupt

    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "mine")
    with pytest.raises(FileError, match="cannot be written"):
        write_text(tmp_path / "a" / "b.txt", "more")


def test_json_comes_back_and_nan_does_not_go(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ä": [1, None]})
    assert read_json(tmp_path / "a.json") == {"ä": [1, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json") == {"ä": [1, None]}


def test_what_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(FileError, match="not a JSON file"):
        read_json(tmp_path / "a.json")


def test_what_killed_writers_left_goes_after_a_day(tmp_path: Path) -> None:
    """What is younger may be under way, and what only looks alike is somebody's."""
    (tmp_path / "below").mkdir()
    (tmp_path / f"{TEMPORARY}folder").mkdir()
    (tmp_path / f"{TEMPORARY}folder" / "scan").touch()
    old = [
        tmp_path / f"{TEMPORARY}a.json",
        tmp_path / "below" / f"{TEMPORARY}b.nii.gz",
        tmp_path / f"{TEMPORARY}folder",
    ]
    kept = [tmp_path / f"{TEMPORARY}young", tmp_path / "writing-a.json", tmp_path / "below" / "b.nii.gz"]
    for path in [*old[:2], *kept]:
        path.touch()
    for path in [*old, *kept[1:]]:
        os.utime(path, (time.time() - 90_000,) * 2)
    sweep(tmp_path)
    assert [path.exists() for path in old] == [False] * 3
    assert [path.exists() for path in kept] == [True] * 3
    sweep(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("a.csv/masks/p1.json", "A file stands where a folder is needed: name another folder"),
        ("a.csv/p1.json", "A file stands where a folder is needed: name another folder"),
        ("folder", "Name a file that lies in it"),
    ],
)
def test_what_stands_in_the_way_is_told_from_a_full_disk(tmp_path: Path, place: str, remedy: str) -> None:
    (tmp_path / "a.csv").write_text("case,age", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match="cannot be written") as caught:
        write_text(tmp_path / place, "x")
    assert caught.value.remedy == remedy
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "case,age"


def test_names_that_make_one_file_are_numbered() -> None:
    as_file = {"WT": "WT", "wt": "wt", "腫瘍": "unnamed", "浮腫": "unnamed", "b": "unnamed2"}
    assert names_apart(as_file, as_file.__getitem__) == ("WT", "wt2", "unnamed", "unnamed2", "unnamed22")
