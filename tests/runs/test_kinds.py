"""One outline of one of several kinds: what evaluate and predict say of it, with a network that was never trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.config import read_recipe
from glioseg.core import scheme_named
from glioseg.errors import LabelError
from glioseg.evaluation.protocol import Evaluation
from glioseg.inference.bundle import save_bundle
from glioseg.inference.options import PredictOptions
from glioseg.networks.build import build_model
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.records import SchemeRecord
from glioseg.preparation.slices import SliceOptions
from glioseg.runs.evaluate import evaluate
from glioseg.runs.predict import predict
from glioseg.runs.read import Data, read
from glioseg.tasks.choose import task_named
from tests.fakes.pictures import write_brisc

KINDS = ("glioma", "meningioma", "pituitary")
REGIONS = ("tumour", *KINDS)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network that paints everything, since its threshold is 0."""
    recipe = read_recipe("demo", ["model.width=2", "model.depth=1"])
    fields = {
        "name": "t1c-pictures",
        "modalities": ("grey",),
        "regions": REGIONS,
        "scheme": SchemeRecord.of(scheme_named("brisc")),
        "model": recipe.model,
        "prepare": PrepareOptions(brain_only=False, regions=REGIONS),
        "slices": SliceOptions(),
        "predict": PredictOptions(threshold=0.0, kinds=KINDS),
    }
    folder = tmp_path_factory.mktemp("bundle")
    save_bundle(folder, fields, build_model(recipe.model, 1, 4, seed=0).state_dict())
    return folder


def test_a_picture_has_one_kind(bundle: Path, tmp_path: Path) -> None:
    data = write_brisc(tmp_path / "data", {"gl_ax": 1})
    picture = next(data.rglob("images/*.jpg"))
    predict(bundle, [Data(picture)], tmp_path / "out")
    facts = json.loads((tmp_path / "out" / f"{picture.stem}.json").read_text())
    mask = np.asarray(Pillow.open(tmp_path / "out" / f"{picture.stem}_mask.png"))
    assert set(facts["kind_shares"]) == set(KINDS)
    assert facts["kind"] == max(KINDS, key=lambda kind: facts["kind_shares"][kind])
    assert sum(facts["kind_shares"].values()) == pytest.approx(1, abs=1e-3)
    assert set(np.unique(mask)) == {scheme_named("brisc").labels[facts["kind"]]}


def test_the_evaluation_counts_kinds(bundle: Path, tmp_path: Path) -> None:
    data = write_brisc(tmp_path / "data", {"gl_ax": 2, "me_co": 1, "pi_sa": 1, "no_ax": 1})
    scores = evaluate(bundle, Data(data), "all", tmp_path / "out")
    assert isinstance(scores.figures, Evaluation)
    assert scores.figures.kinds is not None
    np.testing.assert_array_equal(scores.figures.kinds.confusion.sum(axis=1), [1, 2, 1, 1])
    assert "kind    right in" in scores.text


def test_kinds_that_the_masks_do_not_know_are_refused_before_training(tmp_path: Path) -> None:
    recipe = read_recipe("t1c-pictures", ['predict.kinds=["glioma"]'])
    cohort = read(Data(write_brisc(tmp_path, {"gl_ax": 2})))
    with pytest.raises(LabelError, match="not kinds of one other region"):
        task_named(recipe.task).check(recipe, cohort)
