"""A bucket of Google's, read and written as S3's are; where ``gcsfs`` and ``gcp-storage-emulator`` are installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from glioseg.errors import FileError
from glioseg.io.remote.mirror import fetched
from tests.cli.command import glioseg
from tests.fakes.launched import free_port

_SHORT = (
    *("train.epochs=1", "model.width=4", "model.depth=2", "evaluate.n_resamples=50"),
    *("slices.choice=all", "slices.dark_below=none"),
)


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    """A file system with a bucket of the emulator's, which fsspec's own settings lead to."""
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it asks over gRPC, which the emulator has not
    pytest.importorskip("gcsfs")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    port = free_port()
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon", "endpoint_url": f"http://127.0.0.1:{port}"})
    with emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="brains"):
        system = fsspec.filesystem("gs", skip_instance_cache=True)
        yield system
        system.clear_instance_cache()


@pytest.mark.slow
def test_from_a_bucket_of_google_s_into_it(
    tmp_path: Path, mirror: Path, gs: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained, evaluated and predicted, the last on a machine that has nothing of it yet."""
    monkeypatch.chdir(tmp_path)
    made = glioseg("phantom", "kaggle_3m", "--patients", 6, "--layout", "lgg", "--spacing", 6, "--quiet")
    assert made.code == 0, made.err
    for path in Path("kaggle_3m").rglob("*.tif"):
        gs.put_file(str(path), f"brains/{path.as_posix()}")
    changes = [part for change in _SHORT for part in ("--set", change)]
    run, data = "gs://brains/runs/lgg", "gs://brains/kaggle_3m"
    trained = glioseg("train", "lgg", "--data", data, "--out", run, *changes, "--device", "cpu", "--quiet")
    assert trained.code == 0, trained.err
    assert f"glioseg predict {run} SCANS" in trained.out
    shutil.rmtree(mirror)
    (patient, *_) = sorted(path.name for path in Path("kaggle_3m").iterdir() if path.is_dir())
    masks = glioseg("predict", run, f"{data}/{patient}", "--out", "gs://brains/masks", "--device", "cpu", "--quiet")
    assert masks.code == 0, masks.err
    gs.invalidate_cache()
    assert gs.exists("brains/masks/summary.csv")
    assert not gs.exists("brains/masks/.uploading.json")
    for nothing in (f"{data}/nobody", "gs://no-such-bucket/lgg"):
        with pytest.raises(FileError, match=f"{nothing}: nothing is there"):
            fetched(Path(nothing))
