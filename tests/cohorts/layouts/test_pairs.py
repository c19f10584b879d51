"""Pictures and masks find each other whatever the folders and names are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.layouts import pairs
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import list_folder
from glioseg.cohorts.reading.naming import unique_ids
from glioseg.core import Cohort, scheme_named
from glioseg.errors import LayoutError, OptionError
from glioseg.io import load_image, load_labels
from tests.fakes.damage import as_empty, as_text
from tests.fakes.pictures import colour, grey, save, square, write_pairs


def read(root: Path, options: ReadOptions | None = None) -> Cohort:
    return pairs.read(list_folder(root), options or ReadOptions())


def masks(cohort: Cohort, root: Path) -> dict[str, tuple[str, str | None]]:
    """Case id -> picture and mask below the root."""
    return {
        case.id: (
            next(iter(case.images.values())).paths[0].relative_to(root).as_posix(),
            case.labels.paths[0].relative_to(root).as_posix() if case.labels else None,
        )
        for case in cohort.cases
    }


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{}.png", "masks/{}.png"),
        ("image/{}.jpg", "mask/{}.png"),
        ("imgs/{}.png", "labels/{}.png"),
        ("img/{}.tif", "annotations/{}.tif"),
        ("Images/{}.bmp", "Ground Truth/{}.bmp"),
        ("images/{}.png", "masks/{}_mask.png"),
        ("images/img_{}.png", "masks/mask_{}.png"),
        ("{}.png", "{}_mask.png"),
        ("{}.png", "{}-seg.png"),
        ("{}.png", "{}_label.png"),
        ("{}.PNG", "{}_MASK.PNG"),
        ("image_{}.png", "label_{}.png"),
        ("{}.png", "masks/{}.png"),
        ("train_images/{}.png", "train_masks/{}.png"),
        ("images/{}.png", "tumor_masks/{}.png"),
        ("images/train/{}.png", "masks/train/{}.png"),
        ("train/images/{}.png", "train/masks/{}.png"),
        ("p1/images/{}.png", "p1/masks/{}.png"),
        ("lgg-mri-segmentation/images/{}.png", "lgg-mri-segmentation/masks/{}.png"),
        ("Brain Tumor Segmentation/{}.png", "Brain Tumor Segmentation/{}_mask.png"),
    ],
)
def test_names(tmp_path: Path, image: str, mask: str) -> None:
    write_pairs(tmp_path, ["1", "2", "10"], image=image, mask=mask)
    reason = pairs.match(list_folder(tmp_path))
    assert reason is not None
    assert reason.startswith("3 of 3 pictures have a mask")
    mask_names = masks(read(tmp_path), tmp_path)
    assert list(mask_names.values()) == [(image.format(name), mask.format(name)) for name in ("1", "2", "10")]


def test_a_level_above_gives_the_same_ids(tmp_path: Path) -> None:
    write_pairs(tmp_path / "a" / "b", ["1", "2"])
    for root in (tmp_path, tmp_path / "a", tmp_path / "a" / "b"):
        assert [case.id for case in read(root).cases] == ["1", "2"]


def test_parts_are_facts_and_keep_ids_apart(tmp_path: Path) -> None:
    for part in ("train", "Testing"):
        write_pairs(tmp_path, ["1", "2"], image=f"{part}/images/{{}}.png", mask=f"{part}/masks/{{}}.png")
    cohort = read(tmp_path)
    assert {case.id: case.facts["part"] for case in cohort.cases} == {
        "train_1": "train",
        "train_2": "train",
        "Testing_1": "test",
        "Testing_2": "test",
    }


def test_grey_pictures(tmp_path: Path) -> None:
    cohort = read(write_pairs(tmp_path, ["1"]))
    assert cohort.modalities == ("grey",)
    assert cohort.scheme == scheme_named("binary")
    (case,) = cohort.cases
    image = load_image(case)
    np.testing.assert_array_equal(image.array[0, :, :, 0], grey(0).T)
    np.testing.assert_array_equal(load_labels(case, scheme_named("binary")).array[:, :, 0], square(value=1).T)


def test_colours(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1"], colours=True)
    write_pairs(tmp_path, ["2"])  # a grey one among them shows the same in all three channels
    cohort = read(tmp_path)
    assert cohort.modalities == ("red", "green", "blue")
    np.testing.assert_array_equal(load_image(cohort.cases[0]).array[:, :, :, 0], colour(0).transpose(2, 1, 0))
    np.testing.assert_array_equal(load_image(cohort.cases[1]).array[:, :, :, 0], np.stack([grey(0).T] * 3))


def test_names_for_the_channels(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1"])
    assert read(tmp_path, ReadOptions(modalities=("flair",))).modalities == ("flair",)
    with pytest.raises(OptionError, match="one name for each channel"):
        read(tmp_path, ReadOptions(modalities=("t1n", "t1c")))


def test_patients_are_unknown(tmp_path: Path) -> None:
    cohort = read(write_pairs(tmp_path, ["1", "2"]))
    assert [case.patient for case in cohort.cases] == ["1", "2"]
    assert [(finding.severity, finding.kind) for finding in cohort.findings] == [("note", "unknown-patients")]


def test_a_table_says_the_patients(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1", "2", "3"])
    (tmp_path / "facts.csv").write_text("case,patient,age\n1,anna,40\n2,anna,\n9,otto,7\n")
    cohort = read(tmp_path)
    assert [case.patient for case in cohort.cases] == ["anna", "anna", "3"]
    assert [dict(case.facts) for case in cohort.cases] == [{"age": 40}, {}, {}]
    messages = {finding.kind: finding.message for finding in cohort.findings}
    assert "1 of the 3 pictures" in messages["unknown-patients"]
    assert messages["unknown-case"].endswith("not here: 9")


def test_picture_without_mask_and_mask_without_picture(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1", "2", "3"])
    (tmp_path / "masks" / "2.png").unlink()
    (tmp_path / "images" / "3.png").unlink()
    cohort = read(tmp_path)
    assert masks(cohort, tmp_path) == {"1": ("images/1.png", "masks/1.png"), "2": ("images/2.png", None)}
    findings = [(finding.severity, finding.kind, finding.case) for finding in cohort.findings[1:]]
    assert findings == [("warning", "missing-mask", "2"), ("warning", "mask-without-image", None)]
    assert "masks/3.png" in cohort.findings[-1].message


def test_mask_of_another_size(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1", "2"])
    save(tmp_path / "masks" / "2.png", square(rows=20))
    (finding,) = read(tmp_path).findings[1:]
    assert (finding.severity, finding.kind, finding.case) == ("error", "mask-size", "2")
    assert finding.message == "2.png has 16x12 pixels, its mask 2.png 16x20"


def test_several_masks(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1"])
    save(tmp_path / "masks" / "1_mask.png", square())
    cohort = read(tmp_path)
    assert cohort.cases[0].labels is None
    (finding,) = cohort.findings[1:]
    assert (finding.severity, finding.kind, finding.case) == ("error", "several-masks", "1")


def test_a_mask_of_several_pictures(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1"])
    save(tmp_path / "images" / "1.jpg", grey(7))
    cohort = read(tmp_path)
    assert [case.id for case in cohort.cases] == ["1_jpg", "1_png"]
    assert [(finding.severity, finding.kind) for finding in cohort.findings[1:]] == [("warning", "shared-mask")]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1", "2", "3"])
    as_text(tmp_path / "images" / "1.png")
    as_empty(tmp_path / "masks" / "3.png")
    cohort = read(tmp_path)
    findings = [(finding.severity, finding.kind, finding.case) for finding in cohort.findings[1:]]
    assert findings == [("error", "unreadable-file", "1"), ("error", "unreadable-file", "3")]
    assert str(tmp_path / "masks" / "3.png") in cohort.findings[-1].message


def test_masks_alone(tmp_path: Path) -> None:
    save(tmp_path / "1_mask.png", square())
    listing = list_folder(tmp_path)
    assert pairs.match(listing) is None
    with pytest.raises(LayoutError, match="no pictures to go with masks"):
        pairs.read(listing, ReadOptions())


def test_pictures_alone_are_for_prediction(tmp_path: Path) -> None:
    save(tmp_path / "images" / "1.png", grey(0))
    assert pairs.match(list_folder(tmp_path)) is None
    assert pairs.match_images(list_folder(tmp_path)) == "1 picture without masks, such as images/1.png"
    cohort = read(tmp_path)
    assert cohort.scheme is None
    assert [(finding.severity, finding.kind) for finding in cohort.findings if finding.kind == "missing-mask"] == [
        ("note", "missing-mask")
    ]


@pytest.mark.parametrize(
    ("picture", "mask"), [("{}.png", "{}_m.png"), ("a/{}.png", "a/{}-tumor.png"), ("{}.png", "m_{}.png")]
)
def test_short_words_for_a_mask_beside_its_picture(tmp_path: Path, picture: str, mask: str) -> None:
    write_pairs(tmp_path, ["1", "2", "13"], image=picture, mask=mask)
    masks = {case.id: case.labels for case in read(tmp_path).cases}
    assert {name: labels.paths[0].name for name, labels in masks.items() if labels} == {
        name: Path(mask.format(name)).name for name in ("1", "2", "13")
    }


def test_a_short_word_that_most_pictures_lack_is_no_mask(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "4", "1_t"):
        save(tmp_path / f"{name}.png", grey(len(name)))
    assert pairs.match(list_folder(tmp_path)) is None


def test_names_that_fall_together_are_numbered(tmp_path: Path) -> None:
    """Folders and names that are the same once they are joined."""
    for name in ("a/b_2.png", "a_b/2.png", "a/b_3.png"):
        save(tmp_path / name, grey(len(name)))
    cohort = read(tmp_path)
    assert [case.id for case in cohort.cases] == ["a_b_2_png_1", "a_b_2_png_2", "a_b_3"]
    assert len({case.images["grey"].paths for case in cohort.cases}) == 3


def test_no_name_is_made_twice() -> None:
    """``1.png`` beside ``1.PNG``, where ``1_png`` and ``1_png_1`` are there."""
    paths = [Path(name) for name in ("1.png", "1.PNG", "1_png.bmp", "1_png_1.bmp", "2.png", "2.jpg")]
    ids = unique_ids([path.stem for path in paths], paths)
    assert ids == ["1_png_2", "1_png_3", "1_png_4", "1_png_1", "2_png", "2_jpg"]
