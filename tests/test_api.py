"""The Python face, as its users call it."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image as Pillow

import glioseg
from glioseg.api.common import texts_of
from glioseg.config import parsed_change
from glioseg.core import scheme_named
from glioseg.errors import OptionError
from glioseg.io.nifti import read_nifti
from tests.runs.conftest import TinyRun, _one_thread, class_pictures, tiny, tiny_classifier, tiny_runs

__all__ = ["_one_thread", "class_pictures", "tiny", "tiny_classifier", "tiny_runs"]


def _first_case(data: Path) -> dict[str, Path]:
    return {name: source.paths[0] for name, source in glioseg.read(data).cases[0].images.items()}


# -- names -------------------------------------------------------------------------------------------------------------


def test_every_public_name_is_there_typed_and_documented() -> None:
    stub = Path(glioseg.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    for name in glioseg.__all__:
        thing = getattr(glioseg, name)
        assert f" as {name}\n" in stub
        assert thing.__doc__, name
        assert name in dir(glioseg)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        getattr(glioseg, "trian")  # noqa: B009


@pytest.mark.slow
def test_importing_takes_no_library_and_names_survive_every_submodule() -> None:
    code = """
        import sys, time
        begun = time.perf_counter()
        import glioseg
        assert not {"torch", "numpy", "rich"} & set(sys.modules)
        import importlib, pkgutil
        before = {name: getattr(glioseg, name) for name in glioseg.__all__}
        for module in pkgutil.walk_packages(glioseg.__path__, "glioseg."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        assert all(getattr(glioseg, name) is thing for name, thing in before.items())
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    subprocess.run([sys.executable, "-c", lines], check=True)


def test_rooms_and_functions_share_no_name() -> None:
    assert not {module.name for module in pkgutil.iter_modules(glioseg.__path__)} & set(glioseg.__all__)


# -- data --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_phantom_read_and_inspect(tmp_path: Path, turn: int) -> None:
    steps: list[tuple[str, int, int]] = []
    cohort = glioseg.phantom(
        tmp_path / f"ph{turn}", patients=2, spacing_mm=6.0, progress=lambda *step: steps.append(step)
    )
    assert ("Writing phantom patients", 2, 2) in steps
    assert isinstance(cohort, glioseg.Cohort)
    assert len(cohort.patients) == 2
    assert "2 of 2 patients" in cohort._repr_html_()
    found = cohort.inspect()
    assert found.report is None
    table = found.table()
    assert list(table["case"]) == [case.id for case in cohort.cases]
    assert (table["tumour_ml"] > 0).all()
    assert "<table" in found._repr_html_()


def test_a_recipe_from_everything_that_names_one(tiny: TinyRun) -> None:
    shipped = glioseg.recipe("lgg", {"train.epochs": 2})
    assert shipped.train.epochs == 2
    assert glioseg.recipe("lgg", ["train.epochs=2"]) == shipped
    assert glioseg.recipe(shipped, {"train.batch_size": 4}).train.epochs == 2
    assert glioseg.recipe(tiny.recipe_file) == tiny.recipe
    with pytest.raises(glioseg.GliosegError, match=r"did you mean train\.epochs"):
        glioseg.recipe("lgg", {"train.epoch": 2})


# -- runs --------------------------------------------------------------------------------------------------------------


def test_a_run_is_what_the_command_line_makes(tiny: TinyRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps: list[str] = []
    run = glioseg.train(
        tiny.recipe,
        tiny.data,
        tmp_path / "run",
        cache=tiny.cache,
        device="cpu",
        progress=lambda what, done, total: steps.append(what),
    )
    assert run.scores("test") == tiny.ran.json["test"]
    assert [row["epoch"] for row in run.log] == [0, 1]
    assert run.report.exists()
    assert run.recipe == tiny.recipe
    assert {"Training", "Evaluating test"} <= set(steps)
    assert capfd.readouterr() == ("", "")  # nothing prints
    again = glioseg.train(tiny.recipe, tiny.data, run.path, cache=tiny.cache, device="cpu")
    assert again.scores("test") == run.scores("test")
    with pytest.raises(glioseg.GliosegError, match=r"the part train was not evaluated.*found test, val"):
        run.scores("train")


@pytest.mark.parametrize("turn", [1, 2])
def test_evaluate_gives_tables(tiny: TinyRun, tmp_path: Path, turn: int) -> None:
    scores = glioseg.evaluate(tiny.run, part="test", out=tmp_path, cache=tiny.cache)
    assert scores.to_json() == tiny.ran.json["test"]
    table = scores.table()
    dice = table[(table.region == "WT") & (table.metric == "dice")].iloc[0]
    assert dice["mean"] == tiny.ran.json["test"]["regions"]["WT"]["dice"]["case_mean"]
    assert list(scores.cases()["case"]) == [row["case"] for row in scores.rows]
    assert "<table" in scores._repr_html_()


def test_a_classifiers_table(tiny_classifier: TinyRun, tmp_path: Path) -> None:
    scores = glioseg.evaluate(tiny_classifier.run, part="test", out=tmp_path, cache=tiny_classifier.cache)
    accuracy = scores.table().set_index("metric").loc["accuracy", "value"]
    assert accuracy == tiny_classifier.ran.json["test"]["metrics"]["accuracy"]["value"]


# -- predictions -------------------------------------------------------------------------------------------------------


def test_paths_images_and_arrays_are_predicted_alike_and_as_the_command_does(tiny: TinyRun, tmp_path: Path) -> None:
    model = glioseg.load(tiny.run)
    assert model.modalities == ("t2f", "t1c")
    paths = {name: path for name, path in _first_case(tiny.data).items() if name in model.modalities}
    case = glioseg.read(tiny.data).cases[0].id
    result = model.predict(paths, name=case)
    images = model.predict({name: nibabel.load(path) for name, path in paths.items()})
    arrays = model.predict({name: (_array(path), read_nifti(path)[1].affine) for name, path in paths.items()})
    for other in (images, arrays):
        np.testing.assert_array_equal(other.probabilities, result.probabilities)
        np.testing.assert_array_equal(other.label_map.array, result.label_map.array)
    assert result.probabilities.shape == (2, *result.label_map.grid.shape)
    first = glioseg.read(tiny.data).cases[0]
    of_case = model.predict(first)
    np.testing.assert_array_equal(of_case.label_map.array, result.label_map.array)
    assert (of_case.name, model.predict(first, name="mine").name) == (case, "mine")
    assert repr(model) == f"Model({tiny.recipe.name}: t2f, t1c)"
    assert result.volumes_ml == result.volumes
    assert repr(result).startswith("SegmentPrediction(")
    assert len(repr(result)) < 200  # arrays are no answer to somebody who prints it
    assert len(repr(result.label_map)) < 200
    written = result.save(tmp_path / "api")
    done = model.predict_files(tiny.data / case, tmp_path / "files")
    assert [one.case for one in done.cases] == [case]
    assert done.table()["case"].tolist() == [case]
    assert "<table" in done._repr_html_()
    for name in (f"{case}.nii.gz", f"{case}.png"):
        assert (tmp_path / "api" / name).read_bytes() == (tmp_path / "files" / name).read_bytes()
    of_images, of_files = (json.loads((tmp_path / out / f"{case}.json").read_text()) for out in ("api", "files"))
    assert set(of_files.pop("inputs")) == set(model.modalities)
    of_whom = {"patient": case.rpartition("-")[0], "day": None}  # arrays are nobody's
    assert of_images | of_whom == of_files | {"inputs": {}}
    assert written.file == tmp_path / "api" / f"{case}.nii.gz"
    assert 'src="data:image/png;base64,' in result._repr_html_()


def _array(path: Path) -> Any:
    return np.asarray(nibabel.load(path).dataobj)


def test_what_cannot_be_predicted_is_said(tiny: TinyRun) -> None:
    model = glioseg.load(tiny.run)
    paths = _first_case(tiny.data)
    case = glioseg.read(tiny.data).cases[0]
    without = glioseg.Case(case.id, case.patient, {"t2f": case.images["t2f"]}, None)
    with pytest.raises(glioseg.GliosegError, match=rf"case {case.id} lacks t1c.*Give it with \{{\"t1c\": FILE\}}"):
        model.predict(without)
    with pytest.raises(glioseg.GliosegError, match=r"a folder is not one scan.*use predict_files"):
        model.predict(tiny.data)
    with pytest.raises(glioseg.GliosegError, match=r"a folder is not one scan.*use predict_files"):
        model.predict({"t2f": tiny.data, "t1c": tiny.data})
    with pytest.raises(glioseg.GliosegError, match="lacks t1c"):
        model.predict({"t2f": paths["t2f"], "pet": paths["t1n"]})
    with pytest.raises(glioseg.GliosegError, match=r"the network needs several; expected t2f, t1c.*Give a dictionary"):
        model.predict(paths["t2f"])
    with pytest.raises(glioseg.GliosegError, match=r"t2f and t1c lie on different grids"):
        model.predict({"t2f": paths["t2f"], "t1c": (np.zeros((4, 4, 4)), np.eye(4))})
    with pytest.raises(glioseg.GliosegError, match=r"draws masks and says no class\. Call predict"):
        model.classify(paths["t2f"])
    with pytest.raises(glioseg.GliosegError, match="not a scan; found int"):
        model.predict({"t2f": 3, "t1c": paths["t1c"]})
    with pytest.raises(glioseg.GliosegError, match="neither a run with a bundle nor a bundle"):
        glioseg.load(tiny.data)


def test_a_picture_is_classified(tiny_classifier: TinyRun, tmp_path: Path) -> None:
    model = glioseg.load(tiny_classifier.run)
    rng = np.random.default_rng(0)
    picture = rng.integers(10, 120, (24, 20)).astype(np.uint8)
    result = model.classify(dict.fromkeys(("red", "green", "blue"), picture), name="mine")
    Pillow.fromarray(picture).save(tmp_path / "grey.png")
    Pillow.fromarray(np.dstack([picture] * 3)).save(tmp_path / "colours.png")
    alone = (picture, np.dstack([picture] * 3), tmp_path / "grey.png", tmp_path / "colours.png")
    assert all(model.classify(one).probabilities == result.probabilities for one in alone)
    with pytest.raises(glioseg.GliosegError, match=r"lacks red, green, blue.*Give it a picture: its colours are taken"):
        model.classify({"t2f": picture})
    with pytest.raises(glioseg.GliosegError, match=r"says classes and draws no mask\. Call classify"):
        model.predict(picture)
    assert result.decided in ("no", "yes")
    assert sum(result.probabilities.values()) == pytest.approx(1)
    assert result.save(tmp_path).file == tmp_path / "mine.png"
    assert json.loads((tmp_path / "mine.json").read_text(encoding="utf-8"))["class"] == result.decided


def test_several_networks_are_averaged(tiny: TinyRun, tiny_runs: Callable[[Any], TinyRun]) -> None:
    with pytest.raises(glioseg.GliosegError, match="an ensemble holds each network once"):
        glioseg.load(tiny.run, tiny.run / "bundle")
    with pytest.raises(glioseg.GliosegError):
        glioseg.load(tiny.run, tiny_runs("classify").run)


# -- any two masks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [1, 2])
def test_score_by_hand(turn: int) -> None:
    """4 of 6 reference voxels are met, 2 are false: Dice 8 / 12. A voxel of 2 x 2 x 1 mm is 0.004 ml."""
    reference, prediction = np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 2), np.uint8)
    reference[:3, :2, 0] = 1
    prediction[1:4, :2, 0] = 1
    affine = np.diag([2.0, 2.0, 1.0, 1.0])
    figures = glioseg.score((reference, affine), (prediction, affine)).to_json()["regions"]["tumour"]
    assert figures["dice"]["case_mean"] == pytest.approx(8 / 12)
    assert figures["volume_reference_ml"]["case_mean"] == pytest.approx(0.024)
    table = glioseg.score(reference, prediction).table().set_index("metric")
    assert table.loc["dice", "mean"] == pytest.approx(8 / 12)
    assert "volume_reference_voxels" in table.index  # no affine, no millilitres


def test_masks_of_several_labels_need_their_scheme(tiny: TinyRun, tmp_path: Path) -> None:
    source = glioseg.read(tiny.data).cases[0].labels
    assert source is not None
    mask = source.paths[0]
    with pytest.raises(
        glioseg.GliosegError, match=r"the meaning of the integers in a mask is not known; found 1, 2, 3"
    ):
        glioseg.score(mask, mask)
    scores = glioseg.score(mask, nibabel.load(mask), scheme="brats2023")
    assert set(scores.table().query("metric == 'dice'")["mean"]) == {1.0}
    labels = glioseg.LabelMap(_array(mask), scheme_named("brats2023"), read_nifti(mask)[1])
    assert glioseg.score(labels, mask, scheme="brats2023").to_json() == scores.to_json()
    with pytest.raises(glioseg.GliosegError, match="grid"):
        glioseg.score(mask, np.zeros((4, 4, 4), np.uint8), scheme="brats2023")
    with pytest.raises(glioseg.GliosegError, match=r"not whole numbers; found 0\.5"):
        glioseg.score(np.full((2, 2, 2), 0.5), np.zeros((2, 2, 2)))


# -- from outside ------------------------------------------------------------------------------------------------------


def test_a_cohort_without_its_folder_cannot_be_trained_on(tiny: TinyRun, tmp_path: Path) -> None:
    cohort = glioseg.read(tiny.data)
    plain = glioseg.Cohort(cohort.name, cohort.layout, "", cohort.cases, cohort.modalities, cohort.scheme)
    with pytest.raises(glioseg.GliosegError, match=r"Read it with glioseg\.read"):
        glioseg.train(tiny.recipe, plain, tmp_path / "run")


def test_arguments_are_refused_in_our_words(tiny: TinyRun, tmp_path: Path) -> None:
    with pytest.raises(
        glioseg.GliosegError,
        match=r"n_patients: found 0, expected a number of at least 1",
    ):
        glioseg.phantom(tmp_path / "ph", patients=0)
    with pytest.raises(glioseg.GliosegError, match=r"spacing_mm"):
        glioseg.phantom(tmp_path / "ph", spacing_mm=99)
    with pytest.raises(glioseg.GliosegError, match=r"found others= beside detect=True\. Leave one of them out"):
        glioseg.evaluate(tiny.run, others=[tiny.run], detect=True)
    with pytest.raises(glioseg.GliosegError, match=r"there is no such"):
        glioseg.evaluate(tmp_path / "nowhere")
    assert glioseg.Run(str(tiny.run)).log == glioseg.Run(tiny.run).log  # type: ignore[arg-type]


def test_a_text_is_no_list(tiny: TinyRun, tmp_path: Path) -> None:
    """It would be read letter by letter."""
    calls: dict[str, Callable[[], object]] = {
        "modalities": lambda: glioseg.make_ready(tiny.data, tmp_path / "ready", modalities="t1n"),
        "dates": lambda: glioseg.timeline("one", "two", dates="2024-01-31", out=tmp_path / "timeline"),
        "scans": lambda: glioseg.timeline("one", "two", scans="scans", out=tmp_path / "timeline"),
        "folds": lambda: glioseg.calibrate(tiny.run, folds=str(tiny.run)),
        "write": lambda: glioseg.load(tiny.run).predict_files(tiny.data, tmp_path / "masks", write="seg"),
        "size": lambda: glioseg.export(tiny.run, tmp_path / "model.onnx", size=64),  # type: ignore[arg-type]
    }
    for name, call in calls.items():
        with pytest.raises(OptionError, match=rf"{name}= is a list; found .*; expected such as \["):
            call()
    assert list(tmp_path.iterdir()) == []


def test_results_that_nothing_sends_go_to_no_address(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a path an address would be a folder ``s3:`` of the one that one is in."""
    monkeypatch.chdir(tmp_path)
    url = "s3://brains/here"
    public = glioseg.public_sets()[0].name
    calls: tuple[Callable[[], object], ...] = (
        lambda: glioseg.demo(url),
        lambda: glioseg.download(public, url),
        lambda: glioseg.download(public, check=url),
        lambda: glioseg.plan_study("five-folds", tiny.data, tmp_path / "study", cache=url),
    )
    for call in calls:
        with pytest.raises(OptionError, match="s3://brains/here"):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss.dice", {"over": "batch", "smoothing": 0.5}),
        ("predict.thresholds", {"WT": 0.4, "ET": 1e-05}),
        ("about", 'a "b" \\ \x7f grüße 🧠\n'),
        ("augment.rotation", {"probability": 1, "range": (-10.0, 10)}),
        ("patches", {"size": "auto"}),
        ("prepare.crop_to_brain", True),
        ("train.max_minutes", None),
    ],
)
def test_changes_mean_the_same_to_a_study_and_to_a_training(name: str, value: object) -> None:
    ((told, given),) = (parsed_change(text) for text in texts_of({name: value}))
    assert told == name
    assert given == json.loads(json.dumps(value))


def test_what_is_no_value_of_toml_is_refused() -> None:
    with pytest.raises(OptionError, match=r"value of TOML; found train\.seed=\{1\}"):
        texts_of({"train.seed": {1}})


def test_cases_taken_out_of_a_cohort_are_not_scored_silently(tiny: TinyRun, tmp_path: Path) -> None:
    """A run remembers a folder, so that what is left of it would be scored as a whole."""
    cohort = glioseg.read(tiny.data)
    fewer = replace(cohort, cases=cohort.cases[1:])
    with pytest.raises(OptionError, match="no longer what was read from it") as caught:
        glioseg.evaluate(tiny.run, data=fewer, part="all", out=tmp_path, cache=tiny.cache)
    assert f"{len(fewer.cases)} of {len(cohort.cases)} cases" in str(caught.value)
