"""Folders that are written elsewhere: marked until all is there, gone on with from there, kept here when that fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.core import url_to_fs

from glioseg.errors import FileError, OptionError
from glioseg.io.remote import upload
from glioseg.io.remote.mirror import fetched, mirrored
from glioseg.io.remote.upload import uploaded, uploaded_file

_OUT = Path("s3://brains/runs/lgg")


def _there(s3: fsspec.AbstractFileSystem) -> dict[str, bytes]:
    s3.invalidate_cache()
    return {path.removeprefix("brains/runs/lgg/"): s3.cat_file(path) for path in s3.find("brains/runs/lgg")}


def _wait(s3: fsspec.AbstractFileSystem, name: str) -> None:
    """Until a file is there, which is some looks of the thread that sends."""
    import time

    for _ in range(200):
        s3.invalidate_cache()
        if s3.exists(f"brains/runs/lgg/{name}"):
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} was not sent")


def test_a_folder_is_sent_and_gone_on_with_elsewhere(
    s3: fsspec.AbstractFileSystem, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each checkpoint; the mark stands until the end, and readers are refused until then."""
    monkeypatch.setattr(upload, "_LOOK_S", 0.02)
    with uploaded(_OUT) as folder:
        (folder / "cache").mkdir()
        (folder / "cache" / "large").write_bytes(b"made again elsewhere")
        (folder / "log.jsonl").write_bytes(b"epoch 0")
        (folder / "latest_checkpoint.pth").write_bytes(b"state 0")
        _wait(s3, "latest_checkpoint.pth")
        assert set(_there(s3)) == {".uploading.json", "log.jsonl", "latest_checkpoint.pth"}
        (folder / "later.txt").write_bytes(b"later")
        (folder / "later.txt").unlink()
    assert _there(s3) == {"log.jsonl": b"epoch 0", "latest_checkpoint.pth": b"state 0"}
    assert fetched(_OUT).joinpath("log.jsonl").read_bytes() == b"epoch 0"
    shutil.rmtree(mirror)  # another machine
    with uploaded(_OUT) as folder:
        assert (folder / "latest_checkpoint.pth").read_bytes() == b"state 0"
        (folder / "latest_checkpoint.pth").write_bytes(b"state 1")
        (folder / "log.jsonl").unlink()
        with pytest.raises(FileError, match="its upload has not ended"):
            _read_elsewhere(monkeypatch, mirror)
    assert _there(s3) == {"latest_checkpoint.pth": b"state 1"}


def _read_elsewhere(monkeypatch: pytest.MonkeyPatch, mirror: Path) -> None:
    """The same address, read on a machine with a mirror of its own."""
    settings = mirror.parent / "other.toml"
    settings.write_text(f'folder = "{mirror.parent / "other"}"', encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr("glioseg.io.remote.mirror.options_file", lambda: settings)
        fetched(_OUT)


def test_what_speaks_for_others_is_never_newer_than_they_are(
    s3: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While files are sent, the training goes on: the checkpoint that arrives is one whose log had arrived before."""
    system = url_to_fs("s3://brains")[0]
    real = system.put_file
    with uploaded(_OUT) as folder:
        sending = []

        def put(path: str, at: str) -> object:
            sending.append(at.rsplit("/", 1)[-1])
            (folder / "log.jsonl").write_bytes(b"epochs 0 and 1")
            (folder / "latest_checkpoint.pth").write_bytes(b"state 1")
            return real(path, at)

        (folder / "log.jsonl").write_bytes(b"epoch 0")
        (folder / "latest_checkpoint.pth").write_bytes(b"state 0")
        with monkeypatch.context() as patch:
            patch.setattr(system, "put_file", put)
            upload._Sending(mirrored("s3://brains/runs/lgg"), "x").send()
        assert sending == ["log.jsonl", "latest_checkpoint.pth"]
        assert _there(s3)["latest_checkpoint.pth"] == b"state 0"
    assert _there(s3)["latest_checkpoint.pth"] == b"state 1"


def test_what_cannot_be_sent_is_kept_and_sent_by_the_next_call(
    s3: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*anything: object, **more: object) -> None:
        raise PermissionError("Access Denied")

    with monkeypatch.context() as patch:
        working = uploaded(_OUT)
        folder = working.__enter__()
        (folder / "report.html").write_bytes(b"figures")
        patch.setattr(url_to_fs("s3://brains")[0], "put_file", refuses)
        with pytest.raises(FileError, match=r"could not be sent, and are kept here.*access is not permitted"):
            working.__exit__(None, None, None)
    assert (folder / "report.html").read_bytes() == b"figures"
    assert set(_there(s3)) == {".uploading.json"}
    with uploaded(_OUT) as again:
        assert (again / "report.html").read_bytes() == b"figures"  # what is here is ahead of what is there
    assert _there(s3) == {"report.html": b"figures"}


def test_where_nothing_can_be_written(s3: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(OptionError, match="an address of the web is for reading"), uploaded(Path("https://a.b/c")):
        pass
    missing = uploaded(Path("s3://no-such-bucket/x"))
    with pytest.raises(FileError, match="s3://no-such-bucket/x: nothing is there, or no such bucket"), missing:
        pass


@pytest.mark.parametrize("sent", [uploaded, uploaded_file])
def test_paths_are_left_as_they_are(sent: Any, tmp_path: Path) -> None:
    with sent(tmp_path / "a") as path:
        assert path == tmp_path / "a"


def test_a_file_is_sent_with_what_was_written_beside_it(s3: fsspec.AbstractFileSystem) -> None:
    with uploaded_file(Path("s3://brains/models/lgg.onnx")) as file:
        assert file.name == "lgg.onnx"
        file.write_bytes(b"network")
        (file.parent / "lgg.json").write_bytes(b"facts")
        assert not s3.exists("brains/models")
    assert s3.cat_file("brains/models/lgg.onnx") == b"network"
    assert s3.cat_file("brains/models/lgg.json") == b"facts"


def test_the_mark_says_who_writes(s3: fsspec.AbstractFileSystem) -> None:
    with uploaded(_OUT):
        assert {"machine", "process", "since", "upload"} == set(json.loads(_there(s3)[".uploading.json"]))
