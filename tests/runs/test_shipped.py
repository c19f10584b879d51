"""What is done with the shipped networks: predicted without naming one, listed, scored, started from, handed on."""

from __future__ import annotations

import hashlib
import json
import runpy
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glioseg as face
from glioseg.cohorts.phantom import PhantomOptions
from glioseg.errors import FileError, OptionError
from glioseg.inference.bundle import load_bundle, read_info
from glioseg.inference.card import Card
from glioseg.inference.shipped import SHIPPED
from glioseg.runs.card import read_card, with_digest
from glioseg.runs.phantom import phantom
from glioseg.runs.propose import is_network, proposed_model
from glioseg.runs.read import Data
from tests.cli.command import glioseg
from tests.fakes.pictures import grey, save
from tests.fakes.volumes import noise, save_volume
from tests.runs.conftest import TinyRun

REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "tests" / "data" / "brisc"


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Network -> what its card's last figures are of: one phantom patient in the layout that it takes, or pictures."""
    folder = tmp_path_factory.mktemp("phantom")
    options = PhantomOptions(n_patients=1, seed=4243, spacing_mm=2.0)
    phantom(folder / "check", options, "brats2023", folder / "tissue")
    phantom(folder / "lgg", options, "lgg", None)
    phantom(folder / "classes", options, "classes", None)
    one = folder / "check"
    return {
        "brats": one,
        "phantom": one,
        "t1c-pictures": SAMPLE,
        "lgg": folder / "lgg",
        "tissue": folder / "tissue",
        "tumour-or-none": folder / "classes",
    }


@pytest.fixture(scope="module")
def patient(checks: Mapping[str, Path]) -> Path:
    """One phantom patient as BraTS 2023 lays it out."""
    return checks["phantom"]


@pytest.mark.parametrize("name", SHIPPED)
def test_it_scores_what_the_card_says(
    name: str, checks: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In fp32, which is the same on all processors but for the last digits."""
    monkeypatch.setattr("glioseg.machine.device.cpu_is_faster_in_bf16", lambda: False)
    checked_on = "BRISC 2025, twelve held-out pictures" if name == "t1c-pictures" else "glioseg phantom"
    data = checks[name]
    block = face.evaluate(f"model:{name}", data=data, out=tmp_path, cache=tmp_path / "cache").to_json()
    said = {figure.of: figure for figure in SHIPPED[name].card().figures if figure.data == checked_on}
    found = _figures_of(block)
    assert set(found) == set(said)
    for of, value in found.items():
        assert value == pytest.approx(said[of].value, abs=0 if of in ("", "kind") else 1e-3)


def _figures_of(block: Mapping[str, Any]) -> dict[str, float]:
    """Region -> its Dice, with the share of kinds that are right; or of a classifier the share of pictures."""
    if "metrics" in block:
        return {"": block["metrics"]["accuracy"]["value"]}
    kinds = {"kind": block["kinds"]["accuracy"]["value"]} if block.get("kinds") else {}
    return {region: metrics["dice"]["case_mean"] for region, metrics in block["regions"].items()} | kinds


@pytest.mark.parametrize("name", ["brats", "phantom"])
def test_the_network_that_fits_is_proposed_and_taken_on_request(
    name: str, patient: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that patients taught, where those on research terms are installed."""
    model, research = SHIPPED[name], SHIPPED["brats"].distribution
    known = tuple(each for each in SHIPPED.values() if name == "brats" or each.distribution != research)
    monkeypatch.setattr("glioseg.runs.propose.installed_models", lambda: known)
    asked = glioseg("predict", patient, "--out", tmp_path / "out")
    assert asked.code == 2
    assert f"model:{name} fits these scans: name it first, or add --yes" in asked.err
    assert not (tmp_path / "out").exists()
    taken = glioseg("predict", patient, "--yes", "--out", tmp_path / "out", "--json")
    assert taken.code == 0
    assert f"Taking model:{name}" in taken.err
    assert taken.err.count("Listing files …") == 1
    assert f"{name}: {model.card().licence}" in " ".join(taken.err.split())
    (case,) = json.loads(taken.out)["cases"]
    facts = json.loads((tmp_path / "out" / f"{case['case']}.json").read_text())
    assert facts["terms"] == [f"{name}: {model.card().licence}"]
    assert facts["model_id"] == read_info(model.folder).model_id
    page = (tmp_path / "out" / "predictions.html").read_text(encoding="utf-8")
    figure = next(each for each in model.card().figures if each.of == "WT")
    assert f"{figure.data}, {figure.part}: WT dice {figure.value:.2f} (95 % " in page
    assert model.card().limits[0] in page


def test_what_is_a_network(tiny: TinyRun, tmp_path: Path) -> None:
    assert is_network(tiny.run)
    assert is_network(tiny.run / "bundle")
    assert is_network(Path("model:phantom"))
    assert not is_network(tmp_path)


def test_none_fits(tmp_path: Path) -> None:
    save_volume(tmp_path / "p1" / "p1_t2.nii.gz", noise(0))
    with pytest.raises(OptionError, match="no shipped one fits") as caught:
        proposed_model([Data(tmp_path / "p1")], {})
    assert "t1n, t1c, t2w, t2f for model:phantom" in str(caught.value)
    with pytest.raises(FileError, match="there is no such run"):
        proposed_model([Data(tmp_path / "nothing")], {})


def test_a_network_and_nothing_to_predict() -> None:
    ran = glioseg("predict", "model:phantom")
    assert ran.code == 2
    assert "nothing to predict" in ran.err


def test_the_list_and_its_json() -> None:
    listed, as_json = glioseg("models"), glioseg("models", "--json")
    for name, model in SHIPPED.items():
        assert f"model:{name}" in listed.out
        assert json.loads(as_json.out)[name] == model.card().model_dump(mode="json")
    assert [model.name for model in face.models()] == list(SHIPPED)
    lengths = [len(block.splitlines()) for block in listed.out.split("\n\n")]
    assert max(lengths) <= 4, "a list, not a book"
    first = SHIPPED["brats"].card().figures[0]
    assert f"  dice     {first.of} {first.value:.2f}, TC " in listed.out


def test_one_network_and_all_that_is_known_of_it() -> None:
    card = SHIPPED["phantom"].card()
    shown = glioseg("models", "phantom").out
    assert shown == glioseg("models", "model:phantom").out
    assert [
        words for words in (card.about, *card.limits, *(each.name for each in card.data)) if words not in shown
    ] == []
    assert shown.count("\n  figure") == len(card.figures)
    assert glioseg("models", "phantom", "--json").json == card.model_dump(mode="json")
    unknown = glioseg("models", "nothing")
    assert unknown.code == 2
    assert "there is no shipped network nothing; expected one of model:brats" in unknown.err


def test_the_page_is_that_of_the_cards() -> None:
    script = runpy.run_path(str(REPOSITORY / "docs" / "make_models_page.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"]()


def _rounded(card: Card) -> object:
    """What it says, intervals without their last digits: those depend on how many threads add up a bootstrap."""
    return json.loads(card.model_dump_json(), parse_float=lambda digits: round(float(digits), 9))


def test_the_cards_are_those_of_the_files() -> None:
    for name, model in SHIPPED.items():
        written = read_card(REPOSITORY / "docs" / "models" / f"{name}.toml")
        info = read_info(model.folder)
        assert _rounded(with_digest(written.card, info)) == _rounded(model.card())
        assert info.skull is written.skull
        assert all(len(data.digest) == 64 for data in model.card().data if data.role == "training")


# -- handing on --------------------------------------------------------------------------------------------------------

CARD = """
name = "mine"
about = "a network of mine"
licence = "CC0"

[[data]]
name = "five phantom patients"
role = "training"

[[data]]
name = "others"
role = "test"

[[evaluations]]
file = "{file}"
data = "my patients"
"""


def test_a_small_bundle_with_a_card(tiny: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(CARD.format(file=tiny.run / "evaluation-test.json"))
    ran = glioseg(
        "export", tiny.run, "--format", "bundle", "--card", tmp_path / "card.toml", "--out", tmp_path / "small"
    )
    assert ran.code == 0
    whole, half = load_bundle(tiny.run), load_bundle(tmp_path / "small")
    assert (tmp_path / "small" / "model.safetensors").stat().st_size < 0.6 * (
        tiny.run / "bundle" / "model.safetensors"
    ).stat().st_size
    for name, weights in whole.model.state_dict().items():
        np.testing.assert_allclose(half.model.state_dict()[name].numpy(), weights.numpy(), rtol=1e-3, atol=1e-6)
    evaluation = json.loads((tiny.run / "evaluation-test.json").read_text())
    assert half.info.card is not None
    for figure in half.info.card.figures:
        assert figure.value == evaluation["regions"][figure.of]["dice"]["case_mean"]
        assert figure.data == "my patients"
    assert {figure.of for figure in half.info.card.figures} == set(evaluation["regions"])
    scans = json.dumps(json.loads((tiny.run / "scans.json").read_text()), sort_keys=True)
    assert half.info.card.data[0].digest == hashlib.sha256(scans.encode()).hexdigest()
    assert half.info.card.data[1].digest == ""


def test_figures_of_a_table_of_cases_are_those_of_its_evaluation(tiny: TinyRun, tmp_path: Path) -> None:
    for name, file in (("table", "cases-val.csv"), ("evaluation", "evaluation-val.json")):
        (tmp_path / f"{name}.toml").write_text(CARD.format(file=tiny.run / file))
    from_table, from_evaluation = (
        read_card(tmp_path / f"{name}.toml").card.figures for name in ("table", "evaluation")
    )
    assert [figure.value for figure in from_table] == pytest.approx([figure.value for figure in from_evaluation])
    assert [figure.model_copy(update={"value": 0}) for figure in from_table] == [
        figure.model_copy(update={"value": 0}) for figure in from_evaluation
    ]
    both = "\n".join(
        (tiny.run / f"cases-{part}.csv").read_text().split("\n", part == "test")[-1].strip() for part in ("val", "test")
    )
    (tmp_path / "folds.csv").write_text(both + "\n")
    (tmp_path / "card.toml").write_text(CARD.format(file="folds.csv"))
    for figure in read_card(tmp_path / "card.toml").card.figures:
        alone = (json.loads((tiny.run / f"evaluation-{part}.json").read_text()) for part in ("val", "test"))
        means = [block["regions"][figure.of]["dice"]["case_mean"] for block in alone]
        assert figure.value == pytest.approx(np.mean(means))
        assert figure.n_cases == 2
        assert figure.ci95 is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("about = 'no name'", "not a model card"),
        ("name = 'a'\nabout = 'b'\nlicense = 'c'", "not a model card"),
        ("name = 'a'\nabout = 'b'\nskull = 'no'", "not a model card"),
        ("name = 'a'\nabout = 'b'\n[[evaluations]]\nfile = 'nothing.json'\ndata = 'c'", "nothing.json"),
    ],
)
def test_what_is_no_card(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(FileError) as caught:
        read_card(tmp_path / "card.toml")
    assert said in str(caught.value)


@pytest.mark.parametrize("content", ["[]", "{}", '{"regions": null}'])
def test_a_file_that_is_no_evaluation_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content)
    (tmp_path / "card.toml").write_text(CARD.format(file="other.json"))
    with pytest.raises(FileError, match=r"other\.json: not an evaluation"):
        read_card(tmp_path / "card.toml")


def test_a_metric_that_the_evaluation_lacks(tiny: TinyRun, tmp_path: Path) -> None:
    text = CARD.format(file=tiny.run / "evaluation-test.json") + 'metric = "dyce"\n'
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(FileError, match="no metric dyce"):
        read_card(tmp_path / "card.toml")


def test_a_card_goes_with_a_bundle(tiny: TinyRun, tmp_path: Path) -> None:
    ran = glioseg("export", tiny.run, "--format", "bundle", "--size", "32x32", "--out", tmp_path / "small")
    assert (ran.code, "a bundle takes no size" in ran.err) == (2, True)
    ran = glioseg("export", tiny.run, "--card", tmp_path / "card.toml", "--out", tmp_path / "x.onnx")
    assert ran.code == 2
    assert "Add --format bundle" in ran.err


@pytest.mark.slow
def test_a_wheel_holds_them_and_predicts(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(REPOSITORY)], check=True)
    (wheel,) = tmp_path.glob("glioseg-*.whl")
    assert wheel.stat().st_size < 20_000_000
    names = zipfile.ZipFile(wheel).namelist()
    inside = [name for name, model in SHIPPED.items() if model.distribution == "glioseg"]
    assert all(f"glioseg/weights/{name}/model.safetensors" in names for name in inside)
    subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--target", str(tmp_path / "site"), str(wheel)], check=True
    )
    picture = save(tmp_path / "picture.png", grey(0, 64, 64))
    program = (
        "import sys, glioseg; assert glioseg.__file__.startswith(sys.argv[1]), glioseg.__file__; "
        "print(glioseg.load('model:t1c-pictures').predict_files(sys.argv[2], sys.argv[3]).cases[0].file)"
    )
    site = str(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c", program, site, str(picture), str(tmp_path / "masks")],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": site, "PATH": ""},
        cwd=tmp_path,
    )
    assert Path(done.stdout.strip()).exists()
