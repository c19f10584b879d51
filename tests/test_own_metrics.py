"""Metrics of one's own: passed as objects, in every figure and table, and compared."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

import glioseg
from glioseg.evaluation.class_items import WeightedItems
from tests.runs.conftest import TinyRun, _one_thread, class_pictures, plain_reports, tiny, tiny_classifier, tiny_runs

__all__ = ["_one_thread", "class_pictures", "tiny", "tiny_classifier", "tiny_runs"]

_EXAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "own_metric.py"))
CENTRE: Any = _EXAMPLE["CENTRE"]


def _block(first_row: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two rows of a mask from one on; voxels of 2 x 2 x 1 mm."""
    mask = np.zeros((6, 4, 2), np.uint8)
    mask[first_row : first_row + 2, :2, 0] = 1
    return mask, np.diag([2.0, 2.0, 1.0, 1.0])


def test_by_hand() -> None:
    """The same block three voxels of 2 mm along X: 6 mm."""
    scores = glioseg.score(_block(0), _block(3), metrics=[CENTRE])
    figures = scores.to_json()["regions"]["tumour"]["centre_distance"]
    assert figures["case_mean"] == pytest.approx(6.0)
    assert figures["unit"] == "mm"
    assert "pooled" not in figures
    assert scores.table().set_index("metric").loc["centre_distance", "mean"] == pytest.approx(6.0)
    assert scores.cases().loc[0, "tumour.centre_distance"] == pytest.approx(6.0)
    assert "Distance of centres (mm) 6.0" in scores.text
    without_mm = glioseg.score(_block(0)[0], _block(3)[0], metrics=[CENTRE])
    assert "centre_distance" not in without_mm.to_json()["regions"]["tumour"]


def test_the_example(tiny: TinyRun, tmp_path: Path) -> None:
    for name, row in (("one", 0), ("two", 3)):
        mask, affine = _block(row)
        nibabel.save(nibabel.Nifti1Image(mask, affine), tmp_path / f"{name}.nii.gz")
    of_run, of_masks = _EXAMPLE["main"](tiny.run, tmp_path / "one.nii.gz", tmp_path / "two.nii.gz")
    assert of_masks.table().set_index("metric").loc["centre_distance", "mean"] == pytest.approx(6.0)
    assert "centre_distance" in of_run.to_json()["regions"]["WT"]


def test_a_run_is_evaluated_and_compared_by_it(tiny: TinyRun, tmp_path: Path) -> None:
    for name in ("one", "two"):
        scores = glioseg.evaluate(tiny.run, part="val", out=tmp_path / name, cache=tiny.cache, metrics=[CENTRE])
    assert "WT.centre_distance" in scores.cases().columns
    folders = (tmp_path / "one", tmp_path / "two")
    compared = glioseg.compare(*folders, metrics=["dice", CENTRE], out=tmp_path / "page")
    assert set(compared.table()["metric"]) == {"dice", "centre_distance"}
    assert compared.page is not None
    assert "Distance of centres (mm)" in compared.page.read_text(encoding="utf-8")
    with pytest.raises(glioseg.GliosegError, match=r"has no metric centre_distance"):
        glioseg.compare(*folders, metrics=["centre_distance"])


def test_an_ensemble_and_other_data(tiny: TinyRun, tmp_path: Path) -> None:
    other = glioseg.evaluate(tiny.run / "bundle", tiny.data, out=tmp_path, cache=tiny.cache, metrics=[CENTRE])
    assert "centre_distance" in other.to_json()["regions"]["WT"]


def test_a_training_ends_with_it(tiny: TinyRun, tmp_path: Path) -> None:
    with plain_reports():
        changes = {"train.epochs": 1}
        run = glioseg.train(
            tiny.recipe, tiny.data, tmp_path / "run", changes=changes, cache=tiny.cache, metrics=[CENTRE]
        )
    assert "centre_distance" in run.scores("test")["regions"]["WT"]


def _share_of_first(items: WeightedItems) -> np.ndarray[Any, Any]:
    """(B,) share of the items that are said to be of the first class."""
    return np.asarray(items.weights @ (items.items.decided == 0) / items.total)


FIRST = glioseg.ClassMetric("first", "Said to be first", "share", better="neither", of_items=_share_of_first)


def test_of_classes(tiny_classifier: TinyRun, tmp_path: Path) -> None:
    scores = glioseg.evaluate(
        tiny_classifier.run, part="val", out=tmp_path, cache=tiny_classifier.cache, metrics=[FIRST]
    )
    said = scores.cases()["predicted"]
    assert scores.table().set_index("metric").loc["first", "value"] == pytest.approx((said == "no").mean())
    assert "first" in scores.text


def _of_masks(name: str, **more: Any) -> glioseg.RegionMetric:
    return glioseg.RegionMetric(name, "Mine", "", of_masks=lambda pair: 1.0, **more)


def test_refusals(tiny: TinyRun) -> None:
    with pytest.raises(glioseg.GliosegError, match=r"there is a metric dice already\. Give yours another name"):
        glioseg.score(_block(0), _block(0), metrics=[_of_masks("dice")])
    with pytest.raises(glioseg.GliosegError, match=r"the metric first is of another task; found ClassMetric"):
        glioseg.evaluate(tiny.run, part="val", cache=tiny.cache, metrics=[FIRST])
    with pytest.raises(glioseg.GliosegError, match=r"the metric centre_distance is of another task"):
        glioseg.evaluate(tiny.run, part="val", cache=tiny.cache, metrics=[CENTRE], detect=True)


def test_what_is_no_number() -> None:
    """A word is refused; what is not finite is undefined, as None is."""
    word = glioseg.RegionMetric("word", "Word", "", of_masks=lambda pair: "much")  # type: ignore[arg-type,return-value]
    with pytest.raises(glioseg.GliosegError, match=r"the metric word gave no number; found str 'much'"):
        glioseg.score(_block(0), _block(0), metrics=[word])
    none = glioseg.RegionMetric("none", "None", "", of_masks=lambda pair: float("nan"))
    assert (
        glioseg.score(_block(0), _block(0), metrics=[none]).to_json()["regions"]["tumour"]["none"]["case_mean"] is None
    )


def test_a_training_refuses_them_before_any_work(tiny: TinyRun, tmp_path: Path) -> None:
    for metric, said in (
        (_of_masks("dice"), "there is a metric dice already"),
        (FIRST, "the metric first is of another task"),
        (_of_masks("mine", picks_best=True), r"picks_best=True; expected train\.score, one of dice, iou"),
    ):
        with pytest.raises(glioseg.GliosegError, match=said):
            glioseg.train(tiny.recipe, tiny.data, tmp_path / "run", cache=tiny.cache, metrics=[metric])
    assert not (tmp_path / "run").exists()
