"""The examples run; ``own_task.py`` is tested with the tasks, ``own_metric.py`` with metrics of one's own."""

from __future__ import annotations

import ast
import dataclasses
import json
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

import glioseg
from tests.fakes.volumes import save_volume
from tests.runs.conftest import TinyRun, _one_thread, class_pictures, plain_reports, tiny, tiny_runs

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


def _own_cases(folder: Path) -> Path:
    """Six patients of 24 x 24 x 6 voxels: patterns of their own with a block of each class, the brightest."""
    for number in range(6):
        rng = np.random.default_rng(number)
        image = np.kron(rng.integers(50, 300, (6, 6, 3)), np.ones((4, 4, 2))).astype(np.int16)
        mask = np.zeros((24, 24, 6), np.uint8)
        for label in (1, 2, 3):
            mask[5 * label : 5 * label + 4, 6 + number : 14 + number, 1:5] = label
        image[mask > 0] = 300 + 60 * mask[mask > 0].astype(np.int16)
        for name, array in (("flair", image), ("seg", mask)):
            save_volume(folder / f"p{number}" / f"p{number}_{name}.nii.gz", array)
    return folder


def test_data_of_ones_own(tmp_path: Path) -> None:
    example = _example("own_data.py")
    example["CHANGES"].update({"model.width": 4, "model.depth": 2, "train.epochs": 2})
    data = _own_cases(tmp_path / "scans")
    with plain_reports():
        result = example["main"](data, tmp_path / "out")
    assert result.label_map.scheme.labels == example["MEANING"].labels
    assert set(result.volumes_ml) == {"oedema", "core", "cavity"}
    assert (tmp_path / "out" / "prediction" / f"{result.name}.nii.gz").exists()
    run = glioseg.Run(tmp_path / "out" / "run")
    assert run.recipe.data.modalities == ("flair",)
    scored = glioseg.evaluate(run, part="val")  # the run knows the meaning of its labels by itself
    assert set(scored.to_json()["regions"]) == {"oedema", "core", "cavity"}


def test_a_run_on_a_layout_of_ones_own_is_evaluated_with_it(tmp_path: Path) -> None:
    layout = _example("own_layout.py")["VISITS"]
    for folder in sorted(_own_cases(tmp_path / "scans").iterdir()):
        visit = folder / "1"
        visit.mkdir()
        (folder / f"{folder.name}_flair.nii.gz").rename(visit / "flair.nii.gz")
        mask = nibabel.load(folder / f"{folder.name}_seg.nii.gz")
        save_volume(visit / "mask.nii.gz", (np.asarray(mask.dataobj) > 0).astype(np.uint8))
        (folder / f"{folder.name}_seg.nii.gz").unlink()
    cohort = glioseg.read(tmp_path / "scans", layout=layout)
    changes = {"data.modalities": ["t2f"], "prepare.regions": ["tumour"], "train.epochs": 1, "evaluate.n_resamples": 0}
    with plain_reports():
        run = glioseg.train("brats-2d", cohort, tmp_path / "run", changes={"prepare.size": 32, **changes})
    assert glioseg.evaluate(run, part="val", layout=layout).to_json() == run.scores("val")
    with pytest.raises(glioseg.GliosegError, match=r"read by a layout of your own, visits.*with layout=…"):
        glioseg.evaluate(run, part="val")
    other = dataclasses.replace(layout, name="others")
    with pytest.raises(glioseg.GliosegError, match=r"read by another layout; found others; expected visits"):
        glioseg.evaluate(run, part="val", layout=other)


@pytest.mark.slow
def test_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Its cells one after the other, in an empty folder; what a cell ends with shows itself."""
    notebook = json.loads((_ROOT / "examples" / "quick_start.ipynb").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            tree = ast.parse("".join(cell["source"]))
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "cell", "exec"), names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
                shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))
    assert len(shown) == 8
    assert sum("<table" in one for one in shown) == 4  # cohort, findings, scores, their table
    assert sum('src="data:image/png' in one for one in shown) == 1
    out, err = capfd.readouterr()
    assert out == ""
    # where coverage is measured, each process that is started says that what it forked from was measured already
    assert [line for line in err.splitlines() if "CoverageWarning" not in line and "self.warn(" not in line] == []


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
