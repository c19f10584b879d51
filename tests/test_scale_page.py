"""What ``docs/scale.md`` tells to type works as it stands, with a Ray, a bucket and a web server of this machine."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import fsspec
import pytest

from tests.cli.command import glioseg
from tests.fakes.launched import environment, free_port, started
from tests.fakes.ray import FakeRay, ray_is
from tests.io.remote.conftest import endpoint, mirror, s3, web
from tests.runs.conftest import _one_thread, plain_reports
from tests.test_documents import commands_of

__all__ = ["_one_thread", "endpoint", "mirror", "s3", "web"]

_PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
_LIMIT_S = 600.0
"""Less than a minute on a machine of one's own; so many because the machine may do ten things more."""
_SHORT = (
    *("train.epochs=1", "model.width=4", "model.depth=2", "evaluate.n_resamples=50"),
    *("slices.choice=all", "slices.dark_below=none"),
)
"""What makes trainings short, and small phantoms enough; nothing else is changed, but that a search has two trials."""


def _write(folder: Path, served: Path, system: fsspec.AbstractFileSystem) -> None:
    """What the reader has: a cohort here and in a bucket, a study, and scans on the web."""
    for name, layout, n_patients in (("kaggle_3m", "lgg", 6), ("study", "brats2023", 2)):
        ran = glioseg("phantom", folder / name, "--patients", n_patients, "--layout", layout, "--spacing", 6, "--quiet")
        assert ran.code == 0, ran.err
    for path in (folder / "kaggle_3m").rglob("*"):
        if path.is_file():
            system.put_file(str(path), f"brains/kaggle_3m/{path.relative_to(folder / 'kaggle_3m').as_posix()}")
    shutil.copytree(folder / "kaggle_3m", served / "scans")


def _torchrun(page: str) -> list[str]:
    """What stands behind ``torchrun``."""
    (lines,) = re.findall(r"^torchrun ((?:.*\\\n)*.*)$", page, re.MULTILINE)
    return shlex.split(lines.replace("\\\n", " "))


@pytest.mark.slow
def test_torchrun_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On two machines that are this one, with one process in the place of four; two runs would refuse each other."""
    monkeypatch.chdir(tmp_path)
    ran = glioseg("phantom", "brats", "--patients", 5, "--layout", "brats2023", "--spacing", 6, "--quiet")
    assert ran.code == 0, ran.err
    told = _torchrun(_PAGE.read_text(encoding="utf-8"))
    here = {"FIRST_MACHINE:29500": f"127.0.0.1:{free_port()}", "4": "1"}
    short = [part for change in _SHORT[:4] for part in ("--set", change)]
    command = ["-m", "torch.distributed.run", *(here.get(word, word) for word in told), *short, "--device", "cpu"]
    with started(tmp_path, [command, command], [environment()] * 2) as machines:
        codes = [machine.process.wait(timeout=_LIMIT_S) for machine in machines]
        said = "".join(machine.said for machine in machines)
    assert codes == [0, 0], said
    assert (tmp_path / "runs" / "brats" / "report.html").exists()


@pytest.mark.slow
def test_the_page_as_it_stands(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    s3: fsspec.AbstractFileSystem,
    web: tuple[str, Path],
) -> None:
    monkeypatch.chdir(tmp_path)
    address, served = web
    _write(tmp_path, served, s3)
    with ray_is(FakeRay()) as fake, plain_reports():
        for arguments in commands_of(_PAGE):
            changes = _SHORT if arguments[0] in ("train", "study", "tune") else ()
            short = [part for change in changes for part in ("--set", change)]
            short += ["--trials", "2"] if arguments[0] == "tune" else []
            typed = [argument.replace("https://example.org", f"{address}/good") for argument in arguments]
            ran = glioseg(*typed, *short, "--quiet")
            assert ran.code == 0, (arguments, ran.err)
            assert "s3:/b" not in ran.out  # what can be done next can be typed as it stands
    assert fake.n_done > 0
    assert s3.exists("brains/runs/lgg/report.html")
    assert s3.exists("brains/masks/summary.csv")
