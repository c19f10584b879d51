"""What exists for every task: evaluate, report, export, compare, ensembles, predict. One set, run once per task."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from glioseg.config import write_recipe
from glioseg.errors import OptionError
from glioseg.evaluation import Evaluation
from glioseg.evaluation.class_protocol import ClassEvaluation
from glioseg.inference.bundle import read_info
from glioseg.runs.under import Under
from glioseg.tasks.choose import TASKS
from tests.cli.command import Ran, glioseg
from tests.runs.conftest import TinyRun

_SECTIONS = {
    "segment": ("results", "gallery", "training", "cases", "network", "recipe"),
    "classify": ("results", "outcomes", "pictures", "training", "cases", "network", "recipe"),
}
_SECTIONS_ON_OTHER = {
    "segment": ("results", "gallery", "cases", "data", "conventions"),
    "classify": ("results", "outcomes", "pictures", "cases", "data", "conventions"),
}
_NETWORK = {"segment": "U-Net", "classify": "Contracting path of a U-Net"}


@pytest.fixture(scope="module")
def second(tiny_runs: Callable[[Any], TinyRun], tmp_path_factory: pytest.TempPathFactory) -> Callable[[TinyRun], Path]:
    """Task -> a run of the same recipe and split with another seed; trained once for this module."""
    runs: dict[str, Path] = {}

    def second_of(tiny_run: TinyRun) -> Path:
        if tiny_run.task not in runs:
            folder = tmp_path_factory.mktemp("second") / tiny_run.task
            places = ["--data", tiny_run.data, "--cache", tiny_run.cache, "--out", folder]
            ran = glioseg("train", tiny_run.recipe_file, *places, "--set", "train.seed=7", "--device", "cpu", "--quiet")
            assert ran.code == 0, ran.err
            runs[tiny_run.task] = folder
        return runs[tiny_run.task]

    return second_of


def _evaluate(tiny_run: TinyRun, *arguments: object) -> Ran:
    ran = glioseg("evaluate", tiny_run.run, "--cache", tiny_run.cache, "--quiet", *arguments)
    assert ran.code == 0, ran.err
    return ran


def test_evaluate_gives_the_figures_of_the_training(tiny_run: TinyRun, tmp_path: Path) -> None:
    again = _evaluate(tiny_run, "--out", tmp_path, "--json").json
    assert again == tiny_run.ran.json["test"]
    assert json.loads((tmp_path / "evaluation-test.json").read_text(encoding="utf-8")) == again
    table = (tmp_path / "cases-test.csv").read_text(encoding="utf-8")
    assert table == (tiny_run.run / "cases-test.csv").read_text(encoding="utf-8")


def test_other_data_has_figures_of_its_own_name(tiny_run: TinyRun, tmp_path: Path) -> None:
    figures = _evaluate(tiny_run, "--data", tiny_run.data, "--out", tmp_path, "--json").json
    (written,) = tmp_path.glob("evaluation-on-*.json")
    assert json.loads(written.read_text(encoding="utf-8")) == figures
    assert figures["n_cases"] == sum(len(part) for part in _split(tiny_run).values())


def test_other_data_has_a_page_and_people_are_told_where(tiny_run: TinyRun, tmp_path: Path) -> None:
    name = tiny_run.data.name
    said = _evaluate(tiny_run, "--data", tiny_run.data, "--out", tmp_path).out.splitlines()
    page = tmp_path / f"report-on-{name}.html"
    assert said[-1] == f"Page: {page}"
    text = page.read_text(encoding="utf-8")
    places = [text.find(f'id="{section}"') for section in _SECTIONS_ON_OTHER[tiny_run.task]]
    assert -1 not in places
    assert places == sorted(places)
    assert f"on {name}</h1>" in text
    assert ("18 pictures." if tiny_run.task == "classify" else "3 patients<") in text
    assert 'id="recipe"' not in text
    assert "Nothing was learnt or chosen on this data" in text
    assert "There is no test part" not in text
    assert f"{name} part" not in text  # it is no part of anything
    shown = set(re.findall(r'id="figure-([a-z0-9-]+)"', text))
    assert {path.stem for path in (tmp_path / "figures" / f"on-{name}").glob("*.png")} == shown


def _split(tiny_run: TinyRun) -> dict[str, list[str]]:
    split = json.loads((tiny_run.run / "split.json").read_text(encoding="utf-8"))
    return {name: split[name] for name in ("train", "val", "test")}


def test_people_read_the_part_first(tiny_run: TinyRun, tmp_path: Path) -> None:
    lines = _evaluate(tiny_run, "--part", "val", "--out", tmp_path).out.splitlines()
    assert lines[0].startswith("val: ")
    assert len(lines) > 1


def test_the_report_has_the_sections_of_its_task_and_names_the_network(tiny_run: TinyRun) -> None:
    page = (tiny_run.run / "report.html").read_text(encoding="utf-8")
    places = [page.find(f'id="{name}"') for name in _SECTIONS[tiny_run.task]]
    assert -1 not in places
    assert places == sorted(places)
    assert f">{_NETWORK[tiny_run.task]}<" in page
    assert "Residual" not in page


def test_the_report_is_written_again_the_same(tiny_run: TinyRun) -> None:
    before = (tiny_run.run / "report.html").read_text(encoding="utf-8")
    ran = glioseg("report", tiny_run.run, "--cache", tiny_run.cache, "--quiet")
    assert ran.code == 0, ran.err
    assert (tiny_run.run / "report.html").read_text(encoding="utf-8") == before


def test_the_network_is_exported_and_checked(tiny_run: TinyRun, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    ran = glioseg("export", tiny_run.run, "--out", tmp_path / "model.onnx", "--json", "--quiet")
    assert ran.code == 0, ran.err
    assert ran.json["difference"] < 1e-4
    assert (tmp_path / "model.onnx").stat().st_size == ran.json["bytes"]


def test_two_runs_are_compared_and_have_a_page(
    tiny_run: TinyRun, second: Callable[[TinyRun], Path], tmp_path: Path
) -> None:
    ran = glioseg("compare", tiny_run.run, second(tiny_run), "--part", "test", "--out", tmp_path, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["n_cases"] == tiny_run.ran.json["test"]["n_cases"]
    assert {result["metric"] for result in ran.json["results"]} == (
        {"dice"} if tiny_run.task == "segment" else {"accuracy", "log_loss"}
    )
    assert len(ran.json["results"][0]["pairs"]) == 1
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "2 runs side by side" in page
    assert len(list((tmp_path / "figures").glob("*.png"))) == 2 * len(ran.json["results"])
    assert "mean difference" in glioseg("compare", tiny_run.run, second(tiny_run)).out


def test_runs_of_different_tasks_are_not_compared(tiny_runs: Callable[[Any], TinyRun]) -> None:
    ran = glioseg("compare", tiny_runs("segment").run, tiny_runs("classify").run, "--part", "test")
    assert ran.code == 1
    assert "are of different tasks" in ran.err


def test_an_ensemble_is_scored_beside_its_members(
    tiny_run: TinyRun, second: Callable[[TinyRun], Path], tmp_path: Path
) -> None:
    prepared = {path.name for path in tiny_run.cache.iterdir()}
    text = _evaluate(tiny_run, "--with", second(tiny_run), "--out", tmp_path).out
    assert {path.name for path in tiny_run.cache.iterdir()} == prepared  # what the trainings prepared serves again
    assert text.count("  alone   ") == 2
    page = tmp_path / "report-test-ensemble.html"
    assert text.splitlines()[-1] == f"Page: {page}"
    figures = json.loads((tmp_path / "evaluation-test-ensemble.json").read_text(encoding="utf-8"))
    assert len(figures["ensemble"]["members"]) == 2
    alone = {"segment": lambda block: block["dice"]["WT"], "classify": lambda block: block["metrics"]["log_loss"]}
    expected = {
        "segment": lambda block: block["regions"]["WT"]["dice"]["case_mean"],
        "classify": lambda block: block["metrics"]["log_loss"]["value"],
    }
    html = page.read_text(encoding="utf-8")
    assert "scored with the mean of 2 networks, trained on" in html
    compared = re.search(r'id="networks".*?</table>', html, re.DOTALL)
    assert compared is not None
    assert [compared.group().count(member["model_id"]) for member in figures["ensemble"]["members"]] == [1, 1]
    assert "Network 2." in html
    shown = set(re.findall(r'id="figure-([a-z0-9-]+)"', html))
    assert {path.stem for path in (tmp_path / "figures" / "test-ensemble").glob("*.png")} == shown != set()
    first = figures["ensemble"]["members"][0]
    whole = tiny_run.ran.json["test"]
    assert alone[tiny_run.task](first) == pytest.approx(expected[tiny_run.task](whole), abs=1e-6)


def test_a_damaged_case_of_other_data_is_left_out(
    tiny_run: TinyRun, second: Callable[[TinyRun], Path], tmp_path: Path
) -> None:
    """Of one network and of several, which prepare the data each."""
    shutil.copytree(tiny_run.data, tmp_path / "data")
    scans = sorted(path for path in (tmp_path / "data").rglob("*") if path.suffix in (".png", ".gz"))
    scans[0].write_bytes(scans[0].read_bytes()[:60])
    for others in ([], ["--with", second(tiny_run)]):
        places = ["--data", tmp_path / "data", "--out", tmp_path / "out", "--cache", tmp_path / "cache"]
        ran = glioseg("evaluate", tiny_run.run, *others, *places, "--json", "--quiet")
        assert (ran.code, ran.out != "") == (1, True), ran.err
        ((case, why),) = ran.json["left_out"].items()
        assert str(scans[0]) in why
        assert f"case {case} was left out" in ran.err
        assert ran.json["n_cases"] == {"segment": 4, "classify": 29}[tiny_run.task]


def test_an_ensemble_of_different_tasks_is_refused(tiny_runs: Callable[[Any], TinyRun]) -> None:
    for first, other in (("segment", "classify"), ("classify", "segment")):
        ran = glioseg("evaluate", tiny_runs(first).run, "--with", tiny_runs(other).run, "--quiet")
        assert ran.code == 2
        assert "Traceback" not in ran.err


def test_one_case_is_predicted_with_its_file_row_and_facts(tiny_run: TinyRun, tmp_path: Path) -> None:
    case = next(path for path in sorted(tiny_run.data.iterdir()) if path.is_dir())
    source = case if tiny_run.task == "segment" else next(iter(sorted(case.iterdir())))
    ran = glioseg("predict", tiny_run.run, source, "--out", tmp_path, "--json", "--quiet")
    assert ran.code == 0, ran.err
    (written,) = ran.json["cases"]
    assert Path(written["mask" if tiny_run.task == "segment" else "picture"]).exists()
    facts = json.loads((tmp_path / f"{written['case']}.json").read_text(encoding="utf-8"))
    assert facts["use"] == "For research use only; not a medical device."
    assert (tmp_path / "summary.csv").read_text(encoding="utf-8").splitlines()[1].startswith(written["case"])


def test_what_modalities_contributed_is_scored(tiny_run: TinyRun, tmp_path: Path) -> None:
    """In text and JSON, as the file is read back, and nothing else changes."""
    ran = glioseg("evaluate", tiny_run.run, "--contributions", "--cache", tiny_run.cache, "--out", tmp_path, "--quiet")
    assert ran.code == 0, ran.err
    figures = json.loads((tmp_path / "evaluation-test.json").read_text(encoding="utf-8"))
    names = read_info(tiny_run.run / "bundle").modalities
    if tiny_run.task == "segment":
        before, rows = figures["regions"]["WT"]["dice"]["case_mean"], figures["contributions"]["WT"]
        read, metric = Evaluation.from_json(figures).to_json(), "dice"
        assert f"WT Dice with {names[0]} removed" in ran.out
    else:
        before, rows = figures["metrics"]["accuracy"]["value"], figures["contributions"]
        read, metric = ClassEvaluation.from_json(figures).to_json(), "accuracy"
        assert f"accuracy with {names[0]} removed" in ran.out
    assert read["contributions"] == figures["contributions"]
    assert [(row["modality"], row["change"]) for row in rows] == list(product(names, ("removed", "permuted")))
    for row in rows:
        assert row[metric] == pytest.approx(before + row[f"{metric}_change"])
    without = json.loads((tiny_run.run / "evaluation-test.json").read_text(encoding="utf-8"))
    assert {name: figures[name] for name in without} == without
    own: dict[str, list[object]] = {
        "--detect": [tiny_run.run],
        "--with": [tiny_run.run, tiny_run.run],
        "--verify": [tiny_run.run / "manifest.json"],
    }
    for option, more in own.items():
        refused = glioseg("evaluate", *more[1:], option, *more[:1], "--contributions")
        assert (refused.code, option in refused.err) == (2, True)


def test_one_modality_cannot_be_left_out() -> None:
    with pytest.raises(OptionError, match="the network sees one modality: none can be left out"):
        Under(contributions=True).require(TASKS["segment"], ["flair"])
    with pytest.raises(OptionError, match="what modalities contributed is told of masks and classes"):
        Under(contributions=True).require(TASKS["segment"], ["t1c", "flair"], detect=True)


def test_a_recipe_is_of_one_task(tiny_run: TinyRun, tmp_path: Path) -> None:
    other = "cross-entropy" if tiny_run.task == "segment" else "bce+dice"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(write_recipe(tiny_run.recipe), encoding="utf-8")
    places = ["--data", tiny_run.data, "--out", tmp_path / "run", "--set", f"loss.kind={other}"]
    ran = glioseg("train", recipe, *places, "--quiet")
    assert ran.code == 2
    assert f"loss.kind = {other} does not" in ran.err


def test_a_case_is_predicted_with_how_far_it_can_be_trusted(tiny_run: TinyRun, tmp_path: Path) -> None:
    """The answer is the same with and without; a second call that asks for less leaves nothing stale behind."""
    case = next(path for path in sorted(tiny_run.data.iterdir()) if path.is_dir())
    source = case if tiny_run.task == "segment" else next(iter(sorted(case.iterdir())))
    places = [tiny_run.run, source, "--device", "cpu", "--quiet"]
    assert glioseg("predict", *places, "--out", tmp_path / "plain").code == 0
    ran = glioseg("predict", *places, "--out", tmp_path / "asked", "--uncertainty", "--json")
    assert ran.code == 0, ran.err
    (written,) = ran.json["cases"]
    files = [tmp_path / folder / f"{written['case']}.json" for folder in ("plain", "asked")]
    plain, asked = (json.loads(path.read_text(encoding="utf-8")) for path in files)
    said = asked.pop("uncertainty")
    for facts in (plain, asked):
        facts.pop("warnings")
    assert plain == asked
    assert len(said["samples"]) >= 4
    assert said["confidence"] is None or 0 <= said["confidence"] <= 1
    for name in said.get("maps", {}).values():
        assert (tmp_path / "asked" / name).exists()
    assert "How sure" in (tmp_path / "asked" / "predictions.html").read_text(encoding="utf-8")
    assert glioseg("predict", *places, "--out", tmp_path / "asked").code == 0
    there = {path.name for path in (tmp_path / "asked").iterdir()}
    assert there == {path.name for path in (tmp_path / "plain").iterdir()}


def test_done_cases_are_predicted_again_where_more_is_asked(tiny_run: TinyRun, tmp_path: Path) -> None:
    case = next(path for path in sorted(tiny_run.data.iterdir()) if path.is_dir())
    source = case if tiny_run.task == "segment" else next(iter(sorted(case.iterdir())))
    places = [tiny_run.run, source, "--out", tmp_path, "--device", "cpu", "--quiet"]
    assert glioseg("predict", *places).code == 0
    assert glioseg("predict", *places, "--skip-done", "--uncertainty").code == 0
    (sidecar,) = tmp_path.glob("*.json")
    assert "uncertainty" in json.loads(sidecar.read_text(encoding="utf-8"))
    before = sidecar.stat().st_mtime_ns
    assert glioseg("predict", *places, "--skip-done", "--uncertainty").code == 0
    assert sidecar.stat().st_mtime_ns == before


def test_a_case_is_explained(tiny_run: TinyRun, tmp_path: Path) -> None:
    """Of a mask maps and a picture for each region that is drawn; of either what each modality contributed."""
    case = next(path for path in sorted(tiny_run.data.iterdir()) if path.is_dir())
    source = case if tiny_run.task == "segment" else next(iter(sorted(case.iterdir())))
    places = [tiny_run.run, source, "--out", tmp_path, "--device", "cpu", "--quiet"]
    ran = glioseg("predict", *places, "--explain")
    assert ran.code == 0, ran.err
    (sidecar,) = tmp_path.glob("*.json")
    facts = json.loads(sidecar.read_text(encoding="utf-8"))["explanation"]
    written = [*facts.get("maps", {}).values(), *facts.get("figures", {}).values()]
    assert all((tmp_path / name).exists() for name in written)
    assert facts["without"].keys() == facts["permuted"].keys()
    assert "What the network looked at" in (tmp_path / "predictions.html").read_text(encoding="utf-8")
    assert glioseg("predict", *places).code == 0
    assert not any((tmp_path / name).exists() for name in written)
