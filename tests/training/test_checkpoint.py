"""Checkpoints are written in one piece, read without running anything, and refused where they belong elsewhere."""

from __future__ import annotations

import pickle
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import torch

from glioseg.errors import FileError
from glioseg.training.checkpoint import (
    BEST,
    LATEST,
    Identity,
    ResumeError,
    load_checkpoint,
    require_same,
    save_checkpoint,
)
from glioseg.training.progress import Progress, progress_of

STATE: dict[str, Any] = {
    "model": {"weight": torch.arange(4000.0)},
    "progress": {"epoch": 3, "best_score": -float("inf")},
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "one.pth", STATE)
    found = load_checkpoint(tmp_path / "one.pth")
    assert found["progress"] == STATE["progress"]
    assert torch.equal(found["model"]["weight"], STATE["model"]["weight"])
    assert [path.name for path in tmp_path.iterdir()] == ["one.pth"]


def test_a_missing_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no\.pth: there is no such file"):
        load_checkpoint(tmp_path / "no.pth")


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped"])
def test_a_damaged_one_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "one.pth"
    save_checkpoint(path, STATE)
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "cut": whole[:middle],
        "empty": b"",
        "text": b"hello world",
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(FileError, match=r"one\.pth: the file is damaged.*begin anew with restart=True"):
        load_checkpoint(path)


class _Trap:
    def __init__(self, told: Path) -> None:
        self.told = told

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.told,))


def test_nothing_pickled_is_executed(tmp_path: Path) -> None:
    torch.save({"model": _Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(_Trap(tmp_path / "sprung")))
    for name in ("trap.pth", "plain.pth"):
        with pytest.raises(FileError):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_a_list_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(FileError, match="not a checkpoint of glioseg; found list"):
        load_checkpoint(tmp_path / "list.pth")


def test_the_difference_to_another_training_is_shown() -> None:
    stored = {"recipe": {"lr": 0.1, "epochs": 3}, "data": "d", "split": "abc"}
    require_same(Path("x.pth"), stored, Identity({"epochs": 3, "lr": 0.1}, "abc", "d"))
    with pytest.raises(ResumeError) as caught:
        require_same(Path("x.pth"), stored, Identity({"lr": 0.2, "epochs": 3}, "abd", "d"))
    lines = [line.strip() for line in str(caught.value).splitlines() if line.strip()[:1] in "+-"]
    assert [line.replace(" ", "") for line in lines[:2]] == ['-"lr":0.1', '+"lr":0.2']
    assert lines[2].replace(" ", "") == '-"split":"abc"'
    assert "epochs" not in str(caught.value)


def test_settings_of_another_format_are_refused_in_one_sentence() -> None:
    kept: dict[str, Any] = {"recipe": {"loss": {"kind": "dice"}}, "split": "abc"}
    with pytest.raises(ResumeError) as caught:
        require_same(Path("x.pth"), kept, Identity({"format": 2, "loss": {"dice": {}}}, "abc", "key"))
    assert str(caught.value).startswith(
        "x.pth: a training is continued only by the version that began it; found settings of format 1; expected"
    )
    assert "restart=True" in str(caught.value)


@pytest.mark.parametrize("name", [LATEST, BEST])
@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({"format": 2, "model": {}}, "format 2; expected format 1"),
        ({"state_dict": {}, "epoch": 3}, "among state_dict, epoch"),
        ({"identity": {}, "model": [], "progress": {}, "optimiser": {}, "epoch": 1, "score": 1.0}, "no model"),
        ({}, "no identity"),
    ],
)
def test_what_other_programs_and_newer_versions_write(
    tmp_path: Path, name: str, state: dict[str, object], found: str
) -> None:
    torch.save(state, tmp_path / name)
    with pytest.raises(FileError) as caught:
        load_checkpoint(tmp_path / name)
    assert found in str(caught.value).replace("format, ", "")


def test_checkpoints_of_earlier_versions_say_no_format(tmp_path: Path) -> None:
    state = {"identity": {}, "model": {}, "epoch": 3, "score": 0.5}
    torch.save(state, tmp_path / BEST)
    assert load_checkpoint(tmp_path / BEST) == state


@pytest.mark.parametrize("name", [each.name for each in fields(Progress) if each.name != "horizon"])
def test_a_progress_that_lacks_a_field_begins_nothing_anew(name: str) -> None:
    """Without its step, a training would see the first batches of an epoch twice, and end with other weights."""
    values = asdict(Progress())
    assert progress_of(values) == Progress()
    del values[name]
    with pytest.raises(ValueError, match=f"the progress lacks {name}"):
        progress_of(values)


def test_what_the_disk_says_is_told_and_not_what_torch_makes_of_it(tmp_path: Path) -> None:
    """A limit of the system in the place of a full disk; torch's own words are of places in a zip file."""
    resource = pytest.importorskip("resource")
    path = tmp_path / LATEST
    save_checkpoint(path, {"weights": torch.zeros(1)})
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(FileError, match="cannot be written; found File too large"):
            save_checkpoint(path, {"weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [LATEST]
