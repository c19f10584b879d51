"""The page that compares with other programs says what was measured, of equal conditions."""

from __future__ import annotations

import json
import runpy
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[1]


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return runpy.run_path(str(_ROOT / "docs" / "make_peers_page.py"))


def run(tool: str, seed: int, dice: float, prepare_s: float = 5.0) -> dict[str, Any]:
    """What `benchmarks/peers/run.py` keeps of a training, of two moments."""
    moments = [
        {
            "mark": mark,
            "training_s": 90 * mark,
            "n_steps": int(200 * mark),
            "predict_s_per_case": 2.25,
            "predict_peak_mb": 600,
            "as_default": mark == 1 or not tool.startswith("nnunet"),
            "dice": {"WT": {"mean": dice * mark, "median": dice * mark, "ci95": [0.25, 1.0]}},
        }
        for mark in (0.5, 1)
    ]
    return {
        **{"set": "phantom", "tool": tool, "seed": seed, "budget_s": 90, "version": "9.1", "torch": "2.13.0"},
        **{"processor": "a processor", "n_train": 32, "n_test": 8, "moments": moments},
        "prepare": {"processor_s": prepare_s, "peak_mb": 500},
        "train": {"processor_s": 100.4, "peak_mb": 1234},
        "plan": {"batch_size": 28, "patch_size": [64, 48]} if tool.startswith("nnunet") else {},
    }


def test_the_page_says_what_was_measured(maker: dict[str, Any]) -> None:
    runs = [run("glioseg", 0, 0.5, 4.0), run("glioseg", 1, 0.9, 8.0), run("glioseg", 2, 0.6), run("monai", 0, 0.75)]
    lines = maker["page"](runs).splitlines()
    assert "| glioseg (9.1) | 3 | 200 (200–200) | 0.600 (0.500–0.900) |" in lines
    assert "| MONAI, a script (9.1) | 1 | 200 | 0.750 (0.250–1.000) |" in lines
    assert "| glioseg | 5 (4–8) | 100 (100–100) | 2.2 (2.2–2.2) | 500 | 1,234 | 600 |" in lines
    assert "![Mean Dice of the test patients over the seconds of training](images/peers-phantom.svg)" in lines
    assert "Highest: WT MONAI, a script." in lines
    assert any(line.startswith("| MONAI, a script | 2 | ") for line in lines)
    assert not any("nnU-Net, " in line for line in lines if line.startswith("|"))  # it was not measured here
    assert any("in a row is 1," in line for line in lines)
    (limits,) = (line for line in lines if "Not measured: " in line)
    sets, tools = "LGG, three sequences; 29 patients of BraTS, four modalities", "as it plans; nnU-Net, planned small"
    assert f"Not measured: {sets}; nnU-Net, {tools}. " in limits


def test_a_cheaper_prediction_on_the_way_is_no_cost_of_the_default(maker: dict[str, Any]) -> None:
    peer = run("nnunet-small", 0, 0.5)
    peer["moments"][0]["predict_s_per_case"] = 0.5
    peer["moments"][0]["predict_peak_mb"] = 1
    peer["prepare"]["peak_mb"] = 0  # a part of the training
    lines = maker["page"]([peer]).splitlines()
    assert "| nnU-Net, planned small | 5 | 100 | 2.2 | – | 1,234 | 600 |" in lines
    assert any("planned for 0.2 GB, slices of 64 × 48 in batches of 28." in line for line in lines)
    assert any(line.startswith("One training of each") for line in lines)
    assert any(line.startswith("Hollow marks: ") for line in lines)
    hollow = maker["curves"]([peer]).axes[0].collections[0].get_offsets().tolist()
    assert hollow == [[45.0, 0.25]]


def test_curves_hold_every_run_and_the_medians(maker: dict[str, Any]) -> None:
    figure = maker["curves"]([run("glioseg", 0, 0.5), run("glioseg", 1, 0.9), run("glioseg", 2, 0.6)])
    lines = [line.get_xydata().tolist() for line in figure.axes[0].get_lines()]
    assert lines[-1] == [[45.0, 0.3], [90.0, 0.6]]
    assert len(lines) == 4


def test_the_page_is_made_from_the_results_that_there_are(maker: dict[str, Any]) -> None:
    found, written = maker["results"](), _ROOT / "docs" / "peers.md"
    assert written.exists() == bool(found)
    assert not found or written.read_text(encoding="utf-8") == maker["page"](found), "python docs/make_peers_page.py"


def test_tools_of_a_set_had_the_same_patients_and_time(maker: dict[str, Any]) -> None:
    conditions = defaultdict(set)
    for each in maker["results"]():
        conditions[each["set"]].add((each["n_train"], each["n_test"], each["budget_s"], each["torch"]))
        # a step may end after the budget, but none begins there
        assert each["budget_s"] <= each["moments"][-1]["training_s"] < 1.2 * each["budget_s"], each["tool"]
        assert (_ROOT / "docs" / "images" / f"peers-{each['set']}.svg").stat().st_size > 1000
    assert all(len(each) == 1 for each in conditions.values()), conditions


def test_lines_of_a_script_are_those_that_hold_code(maker: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        '"""Two\nlines."""\n\nimport os\n\n\ndef f():\n    """One."""\n    # why\n    return (\n        os\n    )\n'
    )
    tool = maker["TOOLS"]["monai"]
    assert maker["_n_lines"](type(tool)(**{**vars(tool), "script": script})) == 5


@pytest.mark.slow
def test_the_files_of_a_set_are_divided_once(maker: dict[str, Any], tmp_path: Path) -> None:
    import sets  # type: ignore[import-not-found]  # its folder is on the path while the maker is

    folder = sets.ready(sets.SETS["tiny"], tmp_path)
    ids = {part: {file.name for file in (folder / part / "labelsTr").iterdir()} for part in ("whole", "train", "test")}
    assert {part: len(names) for part, names in ids.items()} == {"whole": 6, "train": 5, "test": 1}
    assert ids["train"] | ids["test"] == ids["whole"]
    (fold,) = json.loads((folder / "splits_final.json").read_text(encoding="utf-8"))
    assert {f"{name}.nii.gz" for name in fold["train"] + fold["val"]} == ids["train"]
    for part in ("train", "test"):
        assert json.loads((folder / part / "dataset.json").read_text(encoding="utf-8"))["numTraining"] == len(ids[part])
        assert len(list((folder / part / "imagesTr").iterdir())) == 4 * len(ids[part])
    with pytest.raises(SystemExit, match="the set lgg needs --lgg, its folder of scans"):
        sets.ready(sets.SETS["lgg"], tmp_path)
