"""Pictures sorted by class: train, evaluate, predict, report, continue; and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor

from glioseg.config import DataOptions
from glioseg.console import QUIET
from glioseg.inference.bundle import load_bundle, read_info
from glioseg.runs.read import Data, read
from glioseg.tasks.choose import task_named
from glioseg.tasks.classify.cohort import in_colours
from glioseg.training.log import read_log
from tests.cli.command import Ran, glioseg
from tests.runs.conftest import TinyRun
from tests.runs.toy import TOY_CLASSIFIER, toy_picture, toy_pictures


def _table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def _train(recipe: str, data: Path, run: Path, *arguments: object, changes: tuple[str, ...] = ()) -> Ran:
    settings = [part for change in (*TOY_CLASSIFIER, *changes) for part in ("--set", change)]
    places = ["--data", data, "--out", run, "--device", "cpu"]
    return glioseg("train", recipe, *places, *settings, *arguments)


@pytest.fixture(scope="module")
def trained(tiny_classifier: TinyRun) -> TinyRun:
    """The tiny run that classifies."""
    return tiny_classifier


def test_figures_files_and_page(trained: TinyRun) -> None:
    figures = trained.ran.json["test"]
    assert figures["classes"] == ["no", "yes"]
    assert figures["n_cases"] == 6
    assert sum(map(sum, figures["confusion"])) == 6
    assert figures["protocol"]["unit"] == "picture"
    assert {"accuracy", "balanced_accuracy", "auc", "f1", "ece"} <= figures["metrics"].keys()
    assert json.loads((trained.run / "evaluation-test.json").read_text()) == figures
    rows = _table(trained.run / "cases-test.csv")
    assert {row["reference"] for row in rows} == {"no", "yes"}
    assert sum(row["right"] == "1" for row in rows) / 6 == pytest.approx(figures["metrics"]["accuracy"]["value"])
    log = read_log(trained.run / "log.jsonl")
    assert log[-1].figures["classes"]["recall"].keys() == {"no", "yes"}
    page = (trained.run / "report.html").read_text()
    for name in ("confusion", "roc", "precision-recall", "reliability", "losses", "scores", "architecture"):
        assert f'id="figure-{name}"' in page
        assert (trained.run / "figures" / f"{name}.png").stat().st_size > 1000
    assert "Grad-CAM" in page


def test_the_last_epoch_is_kept_and_its_temperature_found(trained: TinyRun) -> None:
    info = load_bundle(trained.run).info
    assert info.classes == ("no", "yes")
    assert info.provenance["best_epoch"] == 3
    assert info.temperature not in (0.0, 1.0)
    assert info.modalities == ("red", "green", "blue")


def test_one_picture_of_any_mode_gets_its_class_in_words_and_in_a_picture(trained: TinyRun, tmp_path: Path) -> None:
    pictures = [toy_picture(tmp_path / f"{mode.replace(';', '')}.png", 5, 250, mode) for mode in ("L", "RGB", "I;16")]
    ran = glioseg("predict", trained.run, *pictures, "--out", tmp_path / "out", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert ran.out.count("confidence") == 3
    kept = [json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in ("L", "RGB", "I16")]
    for one in kept:
        assert one["confidence"] == max(one["probabilities"].values())
        assert one["class"] == max(one["probabilities"], key=one["probabilities"].get)
        assert sum(one["probabilities"].values()) == pytest.approx(1)
        assert f"{one['class']}, confidence {100 * one['confidence']:.2f} %" in ran.out
    assert kept[0]["probabilities"] == pytest.approx(kept[1]["probabilities"])  # grey is three equal colours
    with Pillow.open(tmp_path / "out" / "L.png") as shown:
        assert shown.size[0] > 200
    rows = _table(tmp_path / "out" / "summary.csv")
    assert [row["case"] for row in rows] == ["L", "RGB", "I16"]


def test_a_folder_of_pictures_and_folders_of_classes(trained: TinyRun, tmp_path: Path) -> None:
    data = toy_pictures(tmp_path / "new", {"no": (1, 20), "yes": (2, 250)}, ("L",))
    ran = glioseg("predict", trained.run, data / "yes", "--out", tmp_path / "one", "--json", "--quiet")
    assert [one["case"] for one in ran.json["cases"]] == ["Y0", "Y1"]
    assert ran.json["cases"][0].keys() == {
        "case",
        "picture",
        "class",
        "confidence",
        "uncertain",
        "probabilities",
    }
    ran = glioseg("predict", trained.run, data, "--out", tmp_path / "all", "--json", "--quiet")
    assert [one["case"] for one in ran.json["cases"]] == ["no_N0", "yes_Y0", "yes_Y1"]


def test_a_black_picture_is_not_classified(trained: TinyRun, tmp_path: Path) -> None:
    Pillow.fromarray(np.zeros((20, 20), dtype=np.uint8)).save(tmp_path / "black.png")
    ran = glioseg("predict", trained.run, tmp_path / "black.png", "--out", tmp_path / "out")
    assert ran.code == 1
    assert "black.png: the picture is black all over" in ran.err
    assert not (tmp_path / "out" / "black.json").exists()


def test_other_pictures_can_be_scored_and_other_classes_are_refused(trained: TinyRun, tmp_path: Path) -> None:
    other = toy_pictures(tmp_path / "other", {"no": (3, 20), "yes": (2, 250)}, ("L",))
    ran = glioseg("evaluate", trained.run, "--data", other, "--out", tmp_path / "scored", "--json", "--quiet")
    assert ran.json["n_cases"] == 5
    assert (tmp_path / "scored" / "evaluation-on-other.json").exists()
    wrong = toy_pictures(tmp_path / "wrong", {"cat": (2, 20), "dog": (2, 250)}, ("L",))
    ran = glioseg("evaluate", trained.run, "--data", wrong, "--out", tmp_path / "scored", "--quiet")
    assert ran.code == 1
    assert "a class that the network does not know" in ran.err
    ran = glioseg("evaluate", trained.run, "--detect", "--quiet")
    assert ran.code == 2
    assert "a classifier says classes already" in ran.err


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if not str(key).endswith("_s") and key != "log_size"}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return (value.dtype, tuple(value.shape), value.numpy().tobytes()) if isinstance(value, Tensor) else value


def test_interrupted_at_several_steps_ends_bit_for_bit_the_same(trained: TinyRun, tmp_path: Path) -> None:
    """18 pictures in batches of 8 are 3 steps an epoch, 9 in all; augmentation, dropout and EMA are on."""
    pieces = tmp_path / "pieces"
    for n_steps in (2, 3, 7):
        _train("classifier", trained.data, pieces, "--no-evaluate", "--quiet", changes=(f"train.max_steps={n_steps}",))
        torch.manual_seed(n_steps)
    assert _train("classifier", trained.data, pieces, "--no-evaluate", "--quiet").code == 0
    for name in ("latest_checkpoint.pth", "best_model.pth"):
        one, other = (torch.load(run / name, weights_only=True) for run in (trained.run, pieces))
        assert _plain(one) == _plain(other), name
    for name in ("bundle/model.safetensors", "split.json"):
        assert (trained.run / name).read_bytes() == (pieces / name).read_bytes(), name
    whole, continued = (read_info(run).model_copy(update={"card": None}) for run in (trained.run, pieces))
    assert whole == continued  # the card is written with the report, which these pieces were not asked for


def test_four_classes_start_from_the_weights_of_two(trained: TinyRun, tmp_path: Path) -> None:
    classes = {"glioma": (8, 250), "meningioma": (8, 180), "notumor": (8, 20), "pituitary": (8, 110)}
    data = toy_pictures(tmp_path / "four", classes)
    start = ("--start-from", trained.run)
    changes = ("train.lr=1e-9", "train.ema=none", "train.epochs=1")
    ran = _train("classifier", data, tmp_path / "run", "--no-evaluate", *start, changes=changes)
    assert ran.code == 0, ran.err
    figures = glioseg("evaluate", tmp_path / "run", "--cache", tmp_path / "cache", "--json", "--quiet").json
    assert figures["classes"] == ["notumor", "glioma", "meningioma", "pituitary"]
    assert np.shape(figures["confusion"]) == (4, 4)
    assert figures["protocol"]["average"].startswith("mean over classes")
    before, after = (load_bundle(run).model.state_dict() for run in (trained.run, tmp_path / "run"))
    assert torch.allclose(before["features.0.first.weight"], after["features.0.first.weight"], atol=1e-6)
    facts = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert facts["started_from"] == f"weights of classifier (pictures), {load_bundle(trained.run).info.model_id}"
    ran = _train("classifier", data, tmp_path / "run", "--quiet", changes=changes)
    assert ran.code == 1
    assert "started_from" in ran.err
    ran = _train("classifier", data, tmp_path / "other", *start, changes=("model.width=8",))
    assert ran.code == 2
    assert "the weights to start from are of another network" in ran.err


def test_the_published_network_on_pictures_and_its_figures_beside(trained: TinyRun, tmp_path: Path) -> None:
    settings = [part for change in ("model.filters=4", *TOY_CLASSIFIER[2:]) for part in ("--set", change)]
    places = ["--data", trained.data, "--out", tmp_path / "run", "--cache", trained.cache, "--device", "cpu"]
    ran = glioseg("train", "sharma-cnn", *places, *settings, "--json")
    assert ran.code == 0, ran.err
    block = ran.json["test"]["as_published"]
    assert [one["published"] for one in block["figures"]] == [0.7605, 0.95, 0.96, 0.9997, 1.0]
    assert [one["obtained"] is None for one in block["figures"]] == [False, False, False, True, True]
    assert "it was claimed and not measured" in block["figures"][1]["not_comparable"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "0.7605" in page
    assert "0.9997" in page


def test_a_few_patients_are_of_every_class_and_grey_pictures_become_colours(tmp_path: Path) -> None:
    data = toy_pictures(tmp_path / "data", {"no": (4, 20), "yes": (3, 250)}, ("L",))
    cohort = read(Data(data))
    assert cohort.modalities == ("grey",)
    kept = task_named("classify").usable(cohort, DataOptions(modalities=("grey",), max_patients=4), QUIET)
    assert [case.id for case in kept.cases] == ["no_N0", "no_N1", "yes_Y0", "yes_Y1"]
    assert in_colours(cohort, None).modalities == ("red", "green", "blue")
    assert in_colours(cohort, ("grey",)) is cohort


# -- bad input ---------------------------------------------------------------------------------------------------------


def _refused(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert [word for word in words if word not in ran.err] == []


def test_a_class_folder_with_one_picture(tmp_path: Path) -> None:
    data = toy_pictures(tmp_path / "data", {"yes": (12, 250), "no": (1, 20)}, ("L",))
    ran = _train("classifier", data, tmp_path / "run")
    _refused(ran, 1, "part of the split has no picture of a class", "none of no", "Add pictures of that class")
    assert not (tmp_path / "run" / "latest_checkpoint.pth").exists()


def test_all_of_one_class(tmp_path: Path) -> None:
    data = toy_pictures(tmp_path / "data", {"yes": (12, 250)}, ("L",))
    ran = _train("classifier", data, tmp_path / "run")
    _refused(
        ran, 1, "data: the cases have neither classes nor masks", "the folder that holds the folders of all classes"
    )
    ran = _train("classifier", data, tmp_path / "run", "--layout", "classes")
    _refused(ran, 1, "pictures need two classes at least", "12 pictures in one folder")


def test_pictures_without_masks_where_masks_are_needed(trained: TinyRun, tmp_path: Path) -> None:
    ran = _train("nazir-unet", trained.data, tmp_path / "run")
    _refused(ran, 1, "no case has a reference", "Training and scoring need masks beside the images")


@pytest.mark.parametrize(
    ("recipe", "change", "words"),
    [
        ("classifier", "loss.kind=dice", "says classes: loss.kind = dice does not; set loss.kind=cross-entropy"),
        ("lgg", "loss.kind=cross-entropy", "draws regions: loss.kind = cross-entropy does not"),
        ("classifier", "train.score=dice", "train.score is one of accuracy, balanced_accuracy"),
        ("lgg", "train.score=auc", "train.score is one of dice"),
        ("classifier", "predict.tune=true", "there are no thresholds to choose; set predict.tune=false"),
        ("sharma-cnn", "prepare.size=none", "needs pictures of one size; set prepare.size"),
        ("classifier", "train.early_stopping=3", "keep = last keeps none"),
    ],
)
def test_settings_that_do_not_go_together(tmp_path: Path, recipe: str, change: str, words: str) -> None:
    ran = glioseg("train", recipe, "--data", tmp_path, "--out", tmp_path / "run", "--set", change)
    _refused(ran, 2, words)


# -- scans -------------------------------------------------------------------------------------------------------------


def test_slices_of_a_cohort_with_masks_are_classified(tiny: TinyRun, tmp_path: Path) -> None:
    changes = ["data.modalities=['t2f']", "augment.missing.zero=0", "train.epochs=1", "train.batch_size=32"]
    settings = [part for change in (*TOY_CLASSIFIER, *changes) for part in ("--set", change)]
    places = ["--data", tiny.data, "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--device", "cpu"]
    ran = glioseg("train", "classifier", *places, *settings, "--no-evaluate")
    assert ran.code == 0, ran.err
    figures = glioseg("evaluate", tmp_path / "run", "--cache", tmp_path / "cache", "--json", "--quiet").json
    assert figures["classes"] == ["no", "yes"]
    assert figures["protocol"]["unit"] == "slice"
    assert figures["n_items"] > figures["by_case"]["n_items"] == 1
    case = next(path for path in sorted(tiny.data.iterdir()) if path.is_dir())
    ran = glioseg("predict", tmp_path / "run", case, "--out", tmp_path / "out", "--json", "--quiet")
    assert ran.json["cases"][0]["class"] in ("no", "yes")
    kept = json.loads((tmp_path / "out" / f"{ran.json['cases'][0]['case']}.json").read_text())
    assert len(kept["slices"]) > 5
    assert kept["probabilities"]["no"] == pytest.approx(min(row[0] for row in kept["slices"]), abs=1e-5)


def test_a_network_that_segments_is_scored_as_a_detector(tiny: TinyRun, tmp_path: Path) -> None:
    ran = glioseg("evaluate", tiny.run, "--detect", "--cache", tiny.cache, "--out", tmp_path, "--json", "--quiet")
    assert ran.code == 0, ran.err
    figures = ran.json
    assert figures["classes"] == ["no", "yes"]
    assert "largest tumour probability" in figures["protocol"]["words"]["score"]
    assert figures["by_case"]["n_items"] == 1
    assert json.loads((tmp_path / "evaluation-detect-test.json").read_text()) == figures
    rows = _table(tmp_path / "cases-detect-test.csv")
    assert len(rows) == figures["n_items"]
    assert {row["reference"] for row in rows} == {"no", "yes"}


def test_an_exported_classifier_gives_the_calibrated_probabilities(trained: TinyRun, tmp_path: Path) -> None:
    import onnxruntime

    ran = glioseg("export", trained.run, "--out", tmp_path / "net.onnx", "--quiet")
    assert ran.code == 0, ran.err
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
    bundle = load_bundle(trained.run)
    with torch.inference_mode():
        expected = torch.softmax(bundle.model(torch.from_numpy(images)) / bundle.info.temperature, dim=1)
    np.testing.assert_allclose(session.run(None, {"images": images})[0], expected.numpy(), atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["no", "yes"]


def test_folds_of_a_classifier_are_averaged(trained: TinyRun, tmp_path: Path) -> None:
    other = tmp_path / "other"
    ran = _train("classifier", trained.data, other, "--no-evaluate", changes=("train.seed=1", "train.epochs=1"))
    assert ran.code == 0, ran.err
    picture = toy_picture(tmp_path / "a.png", 5, 250)

    def said(name: str, *networks: object) -> dict[str, Any]:
        ran = glioseg("predict", *networks, picture, "--out", tmp_path / name, "--quiet", "--device", "cpu")
        assert ran.code == 0, ran.err
        found: dict[str, Any] = json.loads((tmp_path / name / "a.json").read_text())
        return found

    one, two = said("one", trained.run), said("two", other)
    both = said("both", trained.run, "--with", other)
    for name in ("no", "yes"):
        mean = (one["probabilities"][name] + two["probabilities"][name]) / 2
        assert both["probabilities"][name] == pytest.approx(mean)
        assert both["ensemble"]["members"][1]["probabilities"][name] == pytest.approx(two["probabilities"][name])
    assert both["model_id"] == f"{one['model_id']}+{two['model_id']}"
    assert "ensemble" not in one


def test_only_what_is_alike_is_averaged(trained: TinyRun, tmp_path: Path) -> None:
    picture = toy_picture(tmp_path / "a.png", 5, 250)
    smaller = tmp_path / "smaller"
    ran = _train("classifier", trained.data, smaller, "--no-evaluate", changes=("prepare.size=24", "train.epochs=1"))
    assert ran.code == 0, ran.err
    for other, words in ((trained.run, "each network once"), (smaller, "prepare.size differs; found 24; expected 16")):
        ran = glioseg("predict", trained.run, picture, "--with", other, "--out", tmp_path / "out", "--quiet")
        assert ran.code == 2
        assert words in ran.err
        assert not (tmp_path / "out").exists()


def test_a_damaged_picture_does_not_stop_the_others(trained: TinyRun, tmp_path: Path) -> None:
    data = toy_pictures(tmp_path / "new", {"yes": (2, 250)}, ("L",))
    (data / "yes" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    ran = glioseg("predict", trained.run, data / "yes", "--out", tmp_path / "out", "--device", "cpu")
    assert ran.code == 1
    assert "broken was left out" in ran.err
    assert len(_table(tmp_path / "out" / "summary.csv")) == 2
