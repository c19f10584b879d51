"""One walk that every reader shares: order, links, what is hidden, what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.cohorts.reading.listing import Listing, list_folder, natural_key
from glioseg.errors import FileError


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    return root


def names(listing: Listing) -> list[str]:
    return [listing.relative(path) for path in listing.files]


def test_natural_order(tmp_path: Path) -> None:
    make(tmp_path, "p_10/s_1.tif", "p_2/s_10.tif", "p_2/s_9.tif", "p_2/S_1.tif", "p_1.tif")
    assert names(list_folder(tmp_path)) == ["p_1.tif", "p_2/S_1.tif", "p_2/s_9.tif", "p_2/s_10.tif", "p_10/s_1.tif"]


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_numbers_in_names_sort_as_numbers(numbers: list[int]) -> None:
    names = sorted((f"slice_{number}.png" for number in numbers), key=natural_key)
    assert names == [f"slice_{number}.png" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=8)))
def test_any_name_can_be_sorted(texts: list[str]) -> None:
    assert sorted(sorted(texts, key=natural_key)) == sorted(texts)


def test_a_superscript_is_no_number() -> None:
    assert sorted(["1²10", "1²9"], key=natural_key) == ["1²9", "1²10"]


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    make(tmp_path, "a.png", ".DS_Store", "._a.png", ".git/b.png", "__MACOSX/a.png", "sub/.hidden/c.png", "sub/d.png")
    assert names(list_folder(tmp_path)) == ["a.png", "sub/d.png"]


def test_a_hidden_folder_that_the_user_names_is_read(tmp_path: Path) -> None:
    make(tmp_path, ".cache/data/a.png")
    assert names(list_folder(tmp_path / ".cache")) == ["data/a.png"]


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "data/a.png")
    monkeypatch.chdir(tmp_path)
    listing = list_folder(Path("data"))
    assert listing.root == tmp_path / "data"
    assert listing.files == (tmp_path / "data" / "a.png",)


def test_queries(tmp_path: Path) -> None:
    listing = list_folder(make(tmp_path, "x/Data.csv", "data.csv", "a.NII.GZ", "x/b.nii", "x/c.txt"))
    assert [listing.relative(path) for path in listing.named("data.csv")] == ["data.csv", "x/Data.csv"]
    assert [listing.relative(path) for path in listing.ending(".nii", ".nii.gz")] == ["a.NII.GZ", "x/b.nii"]
    assert {folder.name: len(files) for folder, files in listing.by_folder.items()} == {tmp_path.name: 2, "x": 3}


def test_progress(tmp_path: Path) -> None:
    counts: list[int] = []
    list_folder(make(tmp_path, "a/1", "a/2", "b/3"), counts.append)
    assert counts == [2, 3, 3]


def test_a_link_to_another_folder_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/a.png", "data/b.png")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    listing = list_folder(tmp_path / "data")
    assert names(listing) == ["b.png", "link/a.png"]
    assert listing.findings == ()


@pytest.mark.parametrize("target", ["..", "."])
def test_a_link_that_leads_back_is_reported(tmp_path: Path, target: str) -> None:
    make(tmp_path, "data/sub/a.png")
    (tmp_path / "data" / "sub" / "loop").symlink_to(target, target_is_directory=True)
    listing = list_folder(tmp_path / "data")
    assert names(listing) == ["sub/a.png"]
    (finding,) = listing.findings
    assert (finding.severity, finding.kind) == ("error", "link-loop")
    assert finding.message == "the link sub/loop leads back to a folder above it and was not followed; remove it"


def test_links_that_lead_to_each_other_end(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a")
    listing = list_folder(tmp_path)
    assert "a/to_b/2.png" in names(listing)
    assert {finding.kind for finding in listing.findings} == {"link-loop"}


def test_a_link_to_itself_and_a_link_to_nothing_are_files(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    listing = list_folder(tmp_path)
    assert names(listing) == ["gone.png", "self"]
    (finding,) = listing.findings
    assert (finding.severity, finding.kind) == ("error", "link-loop")
    assert finding.message == "the link self leads to itself; remove it"


def refusing(folder: Path) -> object:
    """``os.scandir`` that may not enter one folder (tests may run as root, whom no permission stops)."""
    scandir = os.scandir

    def scan(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    return scan


def test_a_folder_that_may_not_be_entered_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/1.png", "secret/2.png")
    monkeypatch.setattr(os, "scandir", refusing(tmp_path / "secret"))
    listing = list_folder(tmp_path)
    assert names(listing) == ["a/1.png"]
    (finding,) = listing.findings
    assert (finding.severity, finding.kind) == ("error", "unreadable-folder")
    assert finding.message == "secret cannot be read: Permission denied"


def test_a_root_that_may_not_be_entered_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", refusing(tmp_path))
    with pytest.raises(FileError, match="cannot be read; found Permission denied"):
        list_folder(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="no permission stops root")
def test_real_permissions(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "secret/2.png")
    (tmp_path / "secret").chmod(0)
    try:
        assert [finding.kind for finding in list_folder(tmp_path).findings] == ["unreadable-folder"]
    finally:
        (tmp_path / "secret").chmod(0o700)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"nowhere: there is no such file or folder\. Check the path"):
        list_folder(tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    with pytest.raises(FileError, match="a folder is needed; found a file"):
        list_folder(tmp_path / "a.png")


@pytest.mark.parametrize("name", [b"scan\xff.nii.gz", b"scan\x1b[31m.nii.gz", b"scan\n.nii.gz"])
def test_a_name_that_is_no_text(tmp_path: Path, name: bytes) -> None:
    """The others are listed; tables, JSON and terminals never meet it."""
    (tmp_path / "good.nii.gz").touch()
    Path(os.fsdecode(os.fsencode(tmp_path / "x")[:-1] + name)).touch()
    listing = list_folder(tmp_path)
    assert [path.name for path in listing.files] == ["good.nii.gz"]
    (finding,) = listing.findings
    assert (finding.severity, finding.kind) == ("error", "unprintable-name")
    assert finding.message.isprintable()


def test_a_folder_whose_own_name_is_no_text(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    with pytest.raises(FileError, match=r"not UTF-8.*Rename it"):
        list_folder(folder)


def test_a_named_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scan.nii.gz")
    (tmp_path / "good.nii.gz").touch()
    listing = list_folder(tmp_path)
    assert [path.name for path in listing.files] == ["good.nii.gz"]
    assert [(each.severity, each.kind) for each in listing.findings] == [("error", "special-file")]
