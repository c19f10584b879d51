"""A folder per class, at any level, and what is not a class."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.layouts import classes
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import list_folder
from glioseg.core import Cohort, scheme_named
from glioseg.errors import LayoutError, OptionError
from glioseg.io import load_image
from tests.fakes.damage import as_empty
from tests.fakes.pictures import colour, grey, save, square, write_classes, write_lgg, write_pairs


def read(root: Path) -> Cohort:
    return classes.read(list_folder(root), ReadOptions())


def by_class(cohort: Cohort) -> dict[str | None, list[str]]:
    categories: dict[str | None, list[str]] = {}
    for case in cohort.cases:
        categories.setdefault(case.category, []).append(case.id)
    return categories


def test_yes_and_no(tmp_path: Path) -> None:
    write_classes(tmp_path, {"yes": 3, "no": 2})
    assert classes.match(list_folder(tmp_path)) == "folders of pictures: no (2), yes (3)"
    cohort = read(tmp_path)
    assert cohort.categories == ("no", "yes")  # no is 0
    assert by_class(cohort) == {"no": ["no_N1", "no_N2"], "yes": ["yes_Y1", "yes_Y2", "yes_Y3"]}
    assert cohort.scheme is None
    assert all(case.labels is None and case.patient == case.id for case in cohort.cases)
    assert [(finding.severity, finding.kind) for finding in cohort.findings] == [("note", "unknown-patients")]
    assert load_image(cohort.cases[0]).array.shape == (1, 16, 12, 1)


@pytest.mark.parametrize(
    ("folders", "categories"),
    [
        (["pituitary", "notumor", "glioma", "meningioma"], ("notumor", "glioma", "meningioma", "pituitary")),
        (["Tumour", "Healthy"], ("Healthy", "Tumour")),
        (["glioma_tumor", "no_tumor"], ("no_tumor", "glioma_tumor")),
        (["Normal", "Abnormal"], ("Normal", "Abnormal")),
        (["10", "9", "0"], ("0", "9", "10")),
        (["november", "none"], ("none", "november")),
    ],
)
def test_order_of_classes(tmp_path: Path, folders: list[str], categories: tuple[str, ...]) -> None:
    write_classes(tmp_path, dict.fromkeys(folders, 1))
    assert read(tmp_path).categories == categories


@pytest.mark.parametrize("level", ["", "a", "a/b"])
def test_any_level(tmp_path: Path, level: str) -> None:
    write_classes(tmp_path / "a" / "b", {"yes": 1, "no": 1})
    assert [case.id for case in read(tmp_path / level).cases] == ["no_N1", "yes_Y1"]


def test_parts(tmp_path: Path) -> None:
    write_classes(tmp_path, {"Training/yes": 1, "Training/no": 1, "Testing/yes": 1, "Testing/no": 1})
    cohort = read(tmp_path)
    assert cohort.categories == ("no", "yes")
    assert {case.id: (case.category, case.facts["part"]) for case in cohort.cases} == {
        "Testing_no_N1": ("no", "test"),
        "Testing_yes_Y1": ("yes", "test"),
        "Training_no_N1": ("no", "train"),
        "Training_yes_Y1": ("yes", "train"),
    }
    assert read(tmp_path / "Training").categories == ("no", "yes")


def test_pictures_of_any_mode(tmp_path: Path) -> None:
    write_classes(tmp_path, {"yes": 1, "no": 1}, ending=".png")
    save(tmp_path / "yes" / "bits.bmp", square() > 0)
    save(tmp_path / "yes" / "colours.jpg", colour(0))
    cohort = read(tmp_path)
    assert cohort.modalities == ("red", "green", "blue")
    assert all(load_image(case).array.shape == (3, 16, 12, 1) for case in cohort.cases)


def test_the_same_name_with_two_endings(tmp_path: Path) -> None:
    write_classes(tmp_path, {"yes": 1, "no": 1})
    save(tmp_path / "yes" / "Y1.png", grey(9))
    assert by_class(read(tmp_path))["yes"] == ["yes_Y1_jpg", "yes_Y1_png"]


def test_an_archive_with_everything_twice(tmp_path: Path) -> None:
    write_classes(tmp_path, {"yes": 2, "no": 2})
    once = read(tmp_path)
    for name in ("yes", "no"):
        shutil.copytree(tmp_path / name, tmp_path / "brain_tumor_dataset" / name)
    save(tmp_path / "brain_tumor_dataset" / "yes" / "Y2.jpg", grey(77))  # another picture of the same name
    cohort = read(tmp_path)
    assert cohort.categories == ("no", "yes")
    assert by_class(cohort)["yes"] == ["brain_tumor_dataset_yes_Y2", "yes_Y1", "yes_Y2"]
    assert by_class(cohort)["no"] == by_class(once)["no"]
    (message,) = [finding.message for finding in cohort.findings if finding.kind == "repeated-file"]
    assert message.endswith("left aside: 2 in brain_tumor_dataset/no, 1 in brain_tumor_dataset/yes")


def test_the_same_name_in_folders_of_one_class_is_no_copy(tmp_path: Path) -> None:
    for folder in ("yes/anna", "yes/otto", "no/ada"):
        save(tmp_path / folder / "1.png", grey(0))
    cohort = read(tmp_path)
    assert by_class(cohort) == {"no": ["no_ada_1"], "yes": ["yes_anna_1", "yes_otto_1"]}
    (nested,) = [finding for finding in cohort.findings if finding.kind == "nested-folders"]
    assert nested.severity == "warning"
    assert nested.message.endswith("no/ada, yes/anna, yes/otto")


def test_damaged_picture(tmp_path: Path) -> None:
    write_classes(tmp_path, {"yes": 1, "no": 1})
    as_empty(tmp_path / "yes" / "Y1.jpg")
    findings = [(finding.severity, finding.kind, finding.case) for finding in read(tmp_path).findings]
    assert ("error", "unreadable-file", "yes_Y1") in findings


def test_one_folder_of_pictures(tmp_path: Path) -> None:
    write_classes(tmp_path, {"yes": 3})
    for root in (tmp_path, tmp_path / "yes"):
        assert classes.match(list_folder(root)) is None
        with pytest.raises(LayoutError, match=r"two classes.*3 pictures in one folder.*folders of all classes"):
            read(root)


def test_one_class_and_pictures_beside_it(tmp_path: Path) -> None:
    write_classes(tmp_path, {"yes": 3})
    save(tmp_path / "a.png", grey(0))
    with pytest.raises(LayoutError, match="only yes"):
        read(tmp_path)


def test_masks_and_patients_are_no_classes(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs", ["1", "2"], mask="masks/other_{}.png")  # names that do not fit: pairs, but damaged
    write_lgg(tmp_path / "lgg", {"TCGA_CS_4941_19960909": range(1, 3), "TCGA_CS_4942_19970222": range(1, 3)})
    for path in (tmp_path / "lgg").rglob("*.tif"):
        if "mask" not in path.name:
            path.unlink()
    for number in range(30):
        save(tmp_path / "patients" / f"patient_{number:03d}" / "1.png", grey(number))
    for name in ("pairs", "lgg", "patients"):
        assert classes.match(list_folder(tmp_path / name)) is None


@pytest.mark.realdata
def test_published_navoneel(real_data: Path) -> None:
    cohort = read(real_data / "navoneel")
    assert cohort.categories == ("no", "yes")
    assert {name: len(ids) for name, ids in by_class(cohort).items()} == {"no": 75, "yes": 125}
    assert all(np.isfinite(load_image(case).array).all() for case in cohort.cases[::20])


def test_a_label_scheme_means_nothing_without_masks(tmp_path: Path) -> None:
    write_classes(tmp_path, {"yes": 2, "no": 2})
    with pytest.raises(OptionError, match="have no masks"):
        classes.read(list_folder(tmp_path), ReadOptions(scheme=scheme_named("lgg")))
