"""BRISC says outline and class of one picture in two trees: read as one cohort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.layouts import brisc
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import list_folder
from glioseg.cohorts.recognise import read_cohort
from glioseg.core import Cohort, scheme_named
from glioseg.errors import LayoutError, OptionError
from glioseg.io import load_labels
from tests.fakes.pictures import square, write_brisc, write_pairs

KINDS = {"gl_ax": 1, "me_co": 1, "pi_sa": 1, "no_ax": 1}


def read(root: Path, options: ReadOptions | None = None) -> Cohort:
    return brisc.read(list_folder(root), options or ReadOptions())


def test_outline_and_class_of_each_picture(tmp_path: Path) -> None:
    cohort = read(write_brisc(tmp_path, KINDS))
    assert [case.category for case in cohort.cases] == ["glioma", "meningioma", "pituitary", "no_tumor"]
    assert cohort.categories == ("no_tumor", "glioma", "meningioma", "pituitary")
    for case, value in zip(cohort.cases, (1, 2, 3, 0), strict=True):
        labels = load_labels(case, scheme_named("brisc"))
        np.testing.assert_array_equal(labels.array[:, :, 0], square(value=value).T)
    assert [dict(case.facts) for case in cohort.cases] == [
        {"part": "train", "plane": plane} for plane in ("axial", "coronal", "sagittal", "axial")
    ]


def test_a_picture_in_both_trees_is_one_case_and_nothing_is_left_over(tmp_path: Path) -> None:
    cohort = read_cohort(write_brisc(tmp_path, KINDS))
    assert cohort.layout == "brisc"
    assert len(cohort.cases) == 4
    assert [finding.kind for finding in cohort.findings] == ["unknown-patients"]
    paths = [next(iter(case.images.values())).paths[0] for case in cohort.cases]
    assert [path.parent.name for path in paths] == ["images", "images", "images", "no_tumor"]


@pytest.mark.parametrize(("folder", "layout"), [("segmentation_task", "brisc"), ("classification_task", "classes")])
def test_each_tree_is_read_alone_too(tmp_path: Path, folder: str, layout: str) -> None:
    assert read_cohort(write_brisc(tmp_path, KINDS) / folder).layout == layout


def test_masks_and_pictures_without_each_other(tmp_path: Path) -> None:
    write_brisc(tmp_path, {"gl_ax": 3})
    task = tmp_path / "segmentation_task" / "train"
    (task / "masks" / "brisc2025_train_00001_gl_ax_t1.png").unlink()
    (task / "images" / "brisc2025_train_00002_gl_ax_t1.jpg").unlink()
    (tmp_path / "classification_task" / "train" / "glioma" / "brisc2025_train_00002_gl_ax_t1.jpg").unlink()
    cohort = read(tmp_path)
    assert [case.labels is not None for case in cohort.cases] == [False, True]
    found = {finding.kind: finding for finding in cohort.findings}
    assert found["missing-mask"].case == "brisc2025_train_00001_gl_ax_t1"
    assert "brisc2025_train_00002_gl_ax_t1" in found["mask-without-image"].message


def test_among_other_pictures_it_is_one_of_several_data_sets(tmp_path: Path) -> None:
    write_brisc(tmp_path / "first", KINDS)
    write_pairs(tmp_path / "second", ["1", "2"])
    with pytest.raises(LayoutError, match="several data sets"):
        read_cohort(tmp_path)


def test_a_scheme_needs_the_classes(tmp_path: Path) -> None:
    write_brisc(tmp_path, KINDS)
    with pytest.raises(OptionError, match="no label for the class") as error:
        read(tmp_path, ReadOptions(scheme=scheme_named("binary")))
    assert 'glioseg.read(…, layout="pairs", scheme="binary")' in str(error.value)


def test_other_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="no pictures named as BRISC"):
        read(write_pairs(tmp_path, ["1"]))
