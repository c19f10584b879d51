"""The examples run; ``own_task.py`` is tested with the tasks."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glioseg
from tests.fakes.volumes import save_volume
from tests.runs.conftest import TinyRun, _one_thread, class_pictures, tiny, tiny_runs

__all__ = ["_one_thread", "class_pictures", "tiny", "tiny_runs"]

_ROOT = Path(__file__).parents[1]


def _example(name: str) -> Mapping[str, Any]:
    return runpy.run_path(str(_ROOT / "examples" / name))


def test_a_network_and_a_loss_of_ones_own(tiny: TinyRun, tmp_path: Path) -> None:
    model = _example("own_network.py")["main"](tiny.data, tmp_path / "run")
    assert model.modalities == ("t2f", "t1c")
    with pytest.raises(glioseg.GliosegError, match=r"network="):
        glioseg.load(tmp_path / "run")
    run = glioseg.Run(tmp_path / "run")
    network = _example("own_network.py")["new_network"]
    assert glioseg.evaluate(run, part="test", network=network()).to_json() == run.scores("test")
    elsewhere = glioseg.evaluate(run, tiny.data, network=network(), out=tmp_path / "elsewhere")
    assert elsewhere.to_json()["n_cases"] == len(glioseg.read(tiny.data).cases)


def test_a_layout_of_ones_own(tmp_path: Path) -> None:
    for patient, visit in (("anna", "1"), ("anna", "2"), ("ben", "1")):
        save_volume(tmp_path / patient / visit / "flair.nii.gz", np.ones((4, 5, 6), dtype=np.int16))
    save_volume(tmp_path / "ben" / "1" / "mask.nii.gz", np.ones((4, 5, 6), dtype=np.uint8))
    cohort = glioseg.read(tmp_path, layout=_example("own_layout.py")["VISITS"])
    assert [case.id for case in cohort.cases] == ["anna-1", "anna-2", "ben-1"]
    assert cohort.patients == ("anna", "ben")
    assert [case.labels is not None for case in cohort.cases] == [False, False, True]


@pytest.mark.slow
def test_the_quick_start(tmp_path: Path) -> None:
    scores = _example("quick_start.py")["main"](tmp_path)
    table = scores.table()
    assert set(table["region"]) == {"WT", "TC", "ET"}
    assert len(list((tmp_path / "prediction").glob("*.nii.gz"))) == 1


def test_the_readme_shows_the_quick_start() -> None:
    code = (_ROOT / "examples" / "quick_start.py").read_text(encoding="utf-8")
    begin, end = code.index("    cohort = "), code.index("    return scores")
    shown = "\n".join(line.removeprefix("    ") for line in code[begin:end].splitlines())
    assert shown in (_ROOT / "README.md").read_text(encoding="utf-8")
