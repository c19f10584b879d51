"""A folder that cannot be written to is refused by every command before any work, under the name that was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from glioseg.errors import FileError
from glioseg.io.files import TEMPORARY, require_folder, require_place
from glioseg.io.lock import locked
from tests.cli.command import glioseg

_VERBS: dict[str, tuple[str, ...]] = {
    "inspect": ("DATA",),
    "split": ("DATA",),
    "split of nnunet": ("DATA", "--nnunet", "--set", "split.n_folds=3"),
    "convert": ("DATA",),
    "cache": ("DATA",),
    "plan": ("DATA",),
    "train": ("demo", "--data", "DATA"),
    "study": ("architectures", "--data", "DATA"),
    "tune": ("lgg", "--data", "DATA"),
    "evaluate": ("DATA",),
    "evaluate with": ("DATA", "--with", "DATA"),
    "evaluate other data": ("DATA", "--data", "DATA"),
    "calibrate": ("DATA",),
    "compare": ("DATA", "OTHER"),
    "score": ("--reference", "DATA", "--prediction", "OTHER"),
    "timeline": ("DATA",),
    "export": ("DATA",),
    "export of monai": ("DATA", "--format", "monai"),
    "predict of": ("model:phantom", "DATA"),
    "predict": ("--prepare-only", "DATA"),
}
"""Command, and more words to tell it from others -> arguments. Nothing of what they name is there."""


def _refuse(path: Path, *args: object, **kwargs: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize("verb", _VERBS)
def test_before_anything_is_read(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions do not stop the superuser, who may run these tests; so the refusal is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "touch", _refuse)
    option = () if verb == "convert" else ("--out",)
    ran = glioseg(verb.split()[0], *_VERBS[verb], *option, "new/place")
    assert ran.code == 1, ran.err
    named = "new" if verb in ("split", "split of nnunet", "plan", "export") else "new/place"
    assert f"{named}: cannot be written; found Permission denied." in ran.err
    assert not list(tmp_path.iterdir())


def test_a_report_of_a_run_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipe.toml").write_text("", encoding="utf-8")
    monkeypatch.setattr(Path, "touch", _refuse)
    ran = glioseg("report", tmp_path)
    assert (ran.code, f"{tmp_path}: cannot be written; found Permission denied." in ran.err) == (1, True)


def test_a_lock_that_cannot_be_made_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glioseg.io.lock.os.open", _refuse)
    with pytest.raises(FileError) as caught, locked(tmp_path):
        pytest.fail("locked nothing")
    assert caught.value.path == str(tmp_path)


def test_what_can_be_written_to_is_left_as_it_was(tmp_path: Path) -> None:
    require_folder(tmp_path)
    require_folder(tmp_path / "new" / "place")
    require_place(tmp_path / "new" / "file.json")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_a_folder_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for out in (tmp_path / "file", tmp_path / "file" / "place"):
        with pytest.raises(FileError, match="file: a folder is needed; found a file"):
            require_folder(out)
    with pytest.raises(FileError, match=r"cannot be written; found Is a directory\. Name a file that lies in it"):
        require_place(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(TEMPORARY)] == []
