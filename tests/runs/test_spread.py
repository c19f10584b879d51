"""Cases predicted and scored by workers: masks, pages, tables and figures are those of one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import glioseg as api
from glioseg.errors import OptionError
from glioseg.tasks.segment.predict import SegmentMembers
from tests.cli.command import Ran, glioseg
from tests.fakes.ray import FakeRay, ray_is
from tests.runs.conftest import TinyRun


def _contents(folder: Path) -> dict[str, bytes]:
    """File -> what it holds, the name of the folder left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().replace(str(folder).encode(), b"OUT")
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def _evaluate(run: TinyRun, out: Path, *more: object) -> Ran:
    places = ("--part", "val", "--out", out, "--cache", run.cache, "--device", "cpu", "--json", "--quiet")
    return glioseg("evaluate", run.run, *places, *more)


@pytest.mark.parametrize("kind", ["tiny", "tiny_classifier"])
def test_figures(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(kind)
    here = _evaluate(run, tmp_path / "here")
    with ray_is(FakeRay(deaths=1)):
        there = _evaluate(run, tmp_path / "there", "--on", "ray")
    assert (here.code, there.code) == (0, 0), there.err
    assert there.json == here.json
    assert _contents(tmp_path / "there") == _contents(tmp_path / "here")


def test_figures_on_other_data(tiny: TinyRun, tmp_path: Path) -> None:
    """Of a bundle, which each worker loads."""
    asked = ("evaluate", tiny.run / "bundle", "--data", tiny.data, "--cache", tiny.cache, "--device", "cpu", "--json")
    here = glioseg(*asked, "--out", tmp_path / "here", "--quiet")
    with ray_is(FakeRay()):
        there = glioseg(*asked, "--out", tmp_path / "there", "--quiet", "--on", "ray")
    assert (here.code, there.code) == (0, 0), there.err
    assert there.json == here.json


def test_masks(tiny: TinyRun, tmp_path: Path) -> None:
    asked = ("predict", tiny.run, tiny.data, "--device", "cpu", "--quiet")
    here = glioseg(*asked, "--out", tmp_path / "here")
    with ray_is(FakeRay(deaths=1)) as fake:
        there = glioseg(*asked, "--out", tmp_path / "there", "--on", "ray")
        assert fake.n_done == 6  # five cases, and the one whose worker died
        again = glioseg(*asked, "--out", tmp_path / "there", "--on", "ray", "--skip-done")
        assert fake.n_done == 6
    assert (here.code, there.code, again.code) == (0, 0, 0), there.err
    assert there.out.replace("/there", "/here") == here.out
    assert _contents(tmp_path / "there") == _contents(tmp_path / "here")


def test_a_full_disk_of_a_machine_costs_the_case(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named with what is wrong, and the others are there."""
    real = SegmentMembers.predict

    def full(members: SegmentMembers, case: api.Case, *more: object) -> object:
        if case.id.endswith("3-000"):
            raise api.GliosegError("cannot be written", path="/tmp/x", found="No space left on device")
        return real(members, case, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(SegmentMembers, "predict", full)
    with ray_is(FakeRay()):
        ran = glioseg("predict", tiny.run, tiny.data, "--out", tmp_path, "--device", "cpu", "--quiet", "--on", "ray")
    assert ran.code == 1
    assert "case BraTS-GLI-00003-000 was left out: /tmp/x: cannot be written; found No space left" in ran.err
    assert len(list(tmp_path.glob("*.nii.gz"))) == 4


def test_what_is_not_spread_is_refused(tiny: TinyRun, tmp_path: Path) -> None:
    for more in (("--detect",), ("--with", tiny.run)):
        ran = _evaluate(tiny, tmp_path, "--on", "ray", *more)
        assert (ran.code, "Leave --on out" in ran.err) == (2, True)
    ran = glioseg("evaluate", "--verify", tiny.run / "manifest.json", "--on", "ray")
    assert (ran.code, "--verify scores what the manifest names" in ran.err) == (2, True)
    with pytest.raises(OptionError, match="workers load networks themselves"):
        api.Model(api.load(tiny.run).members).predict_files(tiny.data, tmp_path, on="ray")


@pytest.mark.slow
def test_figures_by_ray_itself(tiny: TinyRun, tmp_path: Path) -> None:
    """In a process of its own, as a user has it; on a machine that is too busy for Ray to start nothing is known."""
    here = _evaluate(tiny, tmp_path / "here")
    places = ("--part", "val", "--out", tmp_path / "there", "--cache", tiny.cache, "--device", "cpu", "--json")
    command = [sys.executable, "-m", "glioseg", "evaluate", tiny.run, *places, "--on", "ray,memory=2"]
    ran = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    if "Ray could not be started on this machine" in ran.stderr:
        pytest.skip("Ray does not start on this machine now")
    assert ran.returncode == 0, ran.stderr
    assert Ran(0, ran.stdout, "").json == here.json
