"""nnU-Net's raw data sets and folds, read and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glioseg.cohorts.layouts import nnunet
from glioseg.cohorts.layouts.nnunet import read_nnunet_folds, write_splits_final
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import list_folder
from glioseg.cohorts.write import WriteOptions, write_cohort
from glioseg.core import Cohort, Finding, LabelScheme, scheme_named
from glioseg.errors import FileError, LayoutError, OptionError, SplitError
from glioseg.io import load_image, load_labels
from tests.fakes.cases import MODALITIES, toy_case, toy_cases
from tests.fakes.damage import as_text
from tests.fakes.datasets import change_table
from tests.fakes.datasets import write_nnunet as write_fake
from tests.fakes.pictures import colour, grey, save, square


def read(root: Path, options: ReadOptions | None = None) -> Cohort:
    return nnunet.read(list_folder(root), options or ReadOptions())


def findings_of(cohort: Cohort, kind: str) -> list[Finding]:
    return [finding for finding in cohort.findings if finding.kind == kind]


@pytest.mark.parametrize("level", ["", "Dataset137_BraTS2021", "Dataset137_BraTS2021/imagesTr"])
def test_any_level(tmp_path: Path, level: str) -> None:
    write_fake(tmp_path / "Dataset137_BraTS2021")
    assert nnunet.match(list_folder(tmp_path / level)) is not None
    cohort = read(tmp_path / level)
    assert (cohort.name, cohort.layout, cohort.modalities) == ("Dataset137_BraTS2021", "nnunet", MODALITIES)
    assert cohort.scheme == scheme_named("nnunet137")
    assert [(case.id, case.facts["part"], case.labels is not None) for case in cohort.cases] == [
        ("toy-1", "train", True),
        ("toy-2", "train", True),
        ("toy-3", "test", False),
    ]
    assert not cohort.findings


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".mha", ".nrrd"])
def test_voxels_and_labels(tmp_path: Path, ending: Any) -> None:
    """Values 1, 2, 3 of BraTS 2023 are NCR, ED, ET; nnU-Net's Dataset137 has ED, NCR, ET."""
    write_cohort(toy_cases(2), tmp_path / "set", "nnunet", WriteOptions(volume_ending=ending))
    case = read(tmp_path).cases[1]
    image = load_image(case, MODALITIES)
    np.testing.assert_array_equal(image.array, toy_case(2).image.array)
    assert image.grid.difference(toy_case(2).image.grid) is None
    assert load_labels(case, scheme_named("nnunet137")).array[1:4, 2, 1].tolist() == [2, 1, 3]


def test_the_table_is_the_one_that_nnunet_ships_for_brats(tmp_path: Path) -> None:
    """Names, regions and order of nnU-Net's own Dataset137_BraTS21.py."""
    table = json.loads((write_fake(tmp_path / "set") / "dataset.json").read_text())
    assert table["channel_names"] == {"0": "T1", "1": "T1ce", "2": "T2", "3": "Flair"}
    assert table["labels"] == {
        "background": 0,
        "whole tumor": [1, 2, 3],
        "tumor core": [2, 3],
        "enhancing tumor": [3],
    }
    assert (table["regions_class_order"], table["numTraining"], table["file_ending"]) == ([1, 2, 3], 2, ".nii.gz")


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        ({"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}, "nnunet137"),
        ({"background": 0, "whole tumor": [1, 2, 3], "tumor core": [1, 3], "enhancing tumor": 3}, "brats2023"),
        ({"background": 0, "WT": [1, 2, 4], "TC": [1, 4], "ET": [4]}, "brats2021"),
        ({"background": 0, "WT": [1, 2, 3, 4], "TC": [1, 3, 4], "ET": [4]}, "brats2015"),
        ({"background": 0, "WT": [1, 2, 3], "TC": [1, 3], "ET": [3], "RC": [4]}, "brats2024"),
        ({"background": 0, "NCR": 1, "ED": 2, "ET": 3}, "brats2023"),
        ({"background": 0, "NETC": 1, "SNFH": 2, "ET": 3, "RC": 4}, "brats2024"),
        ({"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}, "msd"),
        ({"background": 0, "Edema": 1, "necrosis": 2, "enhancing": 3}, "nnunet137"),
        ({"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}, "msd"),
        ({"background": 0, "tumor": 1}, "binary"),
        ({"background": 0, "whole tumour": 1}, "whole-tumour"),
        ({"background": 0, "CSF": 1, "grey matter": 2, "WM": 3}, "ibsr"),
    ],
)
def test_schemes_that_we_know(tmp_path: Path, labels: dict[str, object], scheme: str) -> None:
    write_fake(tmp_path)
    change_table(tmp_path, lambda table: table.update(labels=labels))
    assert read(tmp_path).scheme == scheme_named(scheme)


def own_scheme(root: Path, labels: dict[str, object]) -> LabelScheme:
    write_fake(root)
    change_table(root, lambda table: table.update(labels=labels))
    scheme = read(root).scheme
    assert scheme is not None
    return scheme


def test_labels_in_an_order_of_their_own(tmp_path: Path) -> None:
    scheme = own_scheme(tmp_path / "Dataset501_Own", {"background": 0, "ET": 1, "NCR": 2, "ED": 3})
    assert (scheme.name, dict(scheme.labels)) == ("Dataset501_Own", {"ET": 1, "NCR": 2, "ED": 3})
    assert {region: set(scheme.values_of(region)) for region in ("WT", "TC", "ET")} == {
        **{"WT": {1, 2, 3}, "TC": {1, 2}, "ET": {1}},
    }


def test_regions_are_taken_as_given(tmp_path: Path) -> None:
    """KiTS: the kidney holds masses, of which tumours are some; 3 is the rest of the masses, cysts."""
    scheme = own_scheme(tmp_path / "KiTS", {"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumor": 2})
    assert scheme.default_regions == ("kidney", "masses", "tumor")
    assert {region: set(scheme.values_of(region)) for region in scheme.regions} == {
        **{"kidney": {1, 2, 3}, "masses": {2, 3}, "tumor": {2}},
    }
    assert dict(scheme.labels) == {"kidney": 1, "tumor": 2, "masses": 3}


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (([1, 2, 3], [2, 3], [3]), {"ED": 1, "NCR": 2, "ET": 3}),
        (([1, 2, 3], [1, 3], [3]), {"NCR": 1, "ED": 2, "ET": 3}),
        (([1, 2, 4], [1, 4], [4]), {"NCR": 1, "ED": 2, "ET": 4}),
    ],
)
def test_regions_of_other_names_are_ours_by_what_they_hold(
    tmp_path: Path, values: tuple[list[int], ...], labels: dict[str, int]
) -> None:
    """They keep their names, and answer to ours too."""
    names = ("lesion", "inner part", "active")
    scheme = own_scheme(tmp_path / "set", {"background": 0, **dict(zip(names, values, strict=True))})
    assert (scheme.default_regions, dict(scheme.labels)) == (names, labels)
    for name, ours, region in zip(names, ("WT", "TC", "ET"), values, strict=True):
        assert set(scheme.values_of(name)) == set(scheme.values_of(ours)) == set(region)


def test_whole_tumor_and_the_like_are_ours(tmp_path: Path) -> None:
    labels: dict[str, object] = {"whole_tumor": [1, 2, 3], "tumor_core": [2, 3], "enhancing_tumor": 3}
    assert own_scheme(tmp_path, {"background": 0, **labels}) == scheme_named("nnunet137")


def test_labels_that_no_region_tells_apart_keep_their_number(tmp_path: Path) -> None:
    scheme = own_scheme(tmp_path / "set", {"background": 0, "organ": [1, 2], "lesion": [3]})
    assert dict(scheme.labels) == {"organ-1": 1, "organ-2": 2, "lesion": 3}


def test_ignore_is_a_label_of_no_region(tmp_path: Path) -> None:
    labels: dict[str, object] = {"background": 0, "lesion": 1, "ignore": 2}
    scheme = own_scheme(tmp_path / "set", labels)
    assert (dict(scheme.labels), scheme.default_regions) == ({"lesion": 1, "ignore": 2}, ("lesion",))
    assert findings_of(read(tmp_path / "set"), "ignore-label")[0].severity == "warning"


def test_a_table_without_labels(tmp_path: Path) -> None:
    write_fake(tmp_path)
    change_table(tmp_path, lambda table: table.pop("labels"))
    cohort = read(tmp_path)
    assert cohort.scheme is None
    assert findings_of(cohort, "unknown-scheme")[0].severity == "warning"
    assert read(tmp_path, ReadOptions(scheme=scheme_named("nnunet137"))).scheme == scheme_named("nnunet137")


# --- files ----------------------------------------------------------------------------------------------------------


def as_version_1(table: dict[str, Any]) -> None:
    table["modality"] = table.pop("channel_names")
    table["labels"] = {"0": "background", "1": "edema", "2": "necrosis", "3": "enhancing"}
    table.pop("file_ending")
    table["training"] = [{"image": f"./imagesTr/toy-{i}.nii.gz", "label": f"./labelsTr/toy-{i}.nii.gz"} for i in (1, 2)]


def test_version_1(tmp_path: Path) -> None:
    """Its table lists pairs as the Decathlon's does, of images that are not there."""
    change_table(write_fake(tmp_path / "Task500_Own"), as_version_1)
    assert nnunet.match(list_folder(tmp_path)) is not None
    cohort = read(tmp_path)
    assert (len(cohort.cases), cohort.modalities, cohort.scheme) == (3, MODALITIES, scheme_named("nnunet137"))


def test_channels_that_are_no_modality_of_ours_keep_their_names(tmp_path: Path) -> None:
    write_fake(tmp_path)
    change_table(tmp_path, lambda table: table.update(channel_names={"0": "CT", "1": "PET", "2": "T2", "3": "T2w"}))
    assert read(tmp_path).modalities == ("CT", "PET", "T2", "T2w")


def test_the_user_names_the_channels(tmp_path: Path) -> None:
    write_fake(tmp_path)
    assert read(tmp_path, ReadOptions(modalities=("a", "b", "c", "FLAIR"))).modalities == ("a", "b", "c", "t2f")
    with pytest.raises(OptionError, match="4 different names"):
        read(tmp_path, ReadOptions(modalities=("a",)))


def test_missing_channel_and_missing_mask(tmp_path: Path) -> None:
    write_fake(tmp_path)
    (tmp_path / "imagesTr" / "toy-1_0001.nii.gz").unlink()
    (tmp_path / "labelsTr" / "toy-2.nii.gz").unlink()
    cohort = read(tmp_path)
    assert tuple(cohort.cases[0].images) == ("t1n", "t2w", "t2f")
    assert [(finding.severity, finding.kind, finding.case) for finding in cohort.findings] == [
        ("warning", "missing-modality", "toy-1"),
        ("warning", "missing-mask", "toy-2"),
    ]


def test_test_cases_with_labels(tmp_path: Path) -> None:
    write_fake(tmp_path)
    (tmp_path / "labelsTs").mkdir()
    (tmp_path / "labelsTr" / "toy-2.nii.gz").rename(tmp_path / "labelsTs" / "toy-3.nii.gz")
    assert read(tmp_path).cases[2].labels is not None


def test_grey_pictures_with_several_labels(tmp_path: Path) -> None:
    mask = np.zeros((8, 6), dtype=np.uint8)
    mask[1:4, 2] = (1, 2, 3)
    save(tmp_path / "imagesTr" / "a_0000.png", grey(1))
    save(tmp_path / "labelsTr" / "a.png", mask)
    table = {"channel_names": {"0": "FLAIR"}, "labels": {"background": 0, "NCR": 1, "ED": 2, "ET": 3}}
    (tmp_path / "dataset.json").write_text(json.dumps({**table, "file_ending": ".png"}))
    cohort = read(tmp_path)
    assert cohort.scheme is not None
    array = load_labels(cohort.cases[0], cohort.scheme).array
    assert sorted(np.unique(array)) == [0, 1, 2, 3]
    assert load_image(cohort.cases[0]).array.shape[0] == 1


def test_colours_are_channels_of_one_file(tmp_path: Path) -> None:
    save(tmp_path / "imagesTr" / "a_0000.png", colour(1))
    save(tmp_path / "labelsTr" / "a.png", square())
    table = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": {"background": 0, "tumor": 1}}
    (tmp_path / "dataset.json").write_text(json.dumps({**table, "file_ending": ".png"}))
    image = load_image(read(tmp_path).cases[0])
    assert image.modalities == ("R", "G", "B")
    assert len({channel.tobytes() for channel in image.array}) == 3


def test_an_ending_that_is_not_read(tmp_path: Path) -> None:
    write_fake(tmp_path)
    change_table(tmp_path, lambda table: table.update(file_ending=".npz"))
    with pytest.raises(LayoutError, match="npz"):
        read(tmp_path)


def test_more_channels_than_names(tmp_path: Path) -> None:
    write_fake(tmp_path)
    change_table(tmp_path, lambda table: table.update(channel_names={"0": "T1"}))
    with pytest.raises(LayoutError, match="more channels"):
        read(tmp_path)


def test_no_images(tmp_path: Path) -> None:
    write_fake(tmp_path)
    for path in tmp_path.rglob("images*/*.gz"):
        path.rename(path.with_name(f"{path.name[:5]}.nii.gz"))
    with pytest.raises(LayoutError, match="hold no images"):
        read(tmp_path)


def test_a_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    as_text(write_fake(tmp_path / "set") / "dataset.json")
    assert nnunet.match(list_folder(tmp_path)) is not None
    with pytest.raises(FileError, match=r"dataset\.json"):
        read(tmp_path)


def test_copies_of_the_table_are_no_data_sets(tmp_path: Path) -> None:
    write_fake(tmp_path / "nnUNet_raw" / "Dataset137_BraTS2021")
    copy = tmp_path / "nnUNet_preprocessed" / "Dataset137_BraTS2021" / "dataset.json"
    copy.parent.mkdir(parents=True)
    copy.write_bytes((tmp_path / "nnUNet_raw" / "Dataset137_BraTS2021" / "dataset.json").read_bytes())
    assert len(read(tmp_path).cases) == 3


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "values", "read_as", "expected"),
    [
        ("brats2021", (1, 2, 4), "nnunet137", [2, 1, 3]),
        ("msd", (1, 2, 3), "nnunet137", [1, 2, 3]),
        ("brats2015", (1, 2, 3, 4), "brats2015", [1, 2, 3, 4]),
        ("brats2024", (1, 2, 3, 4), "brats2024", [1, 2, 3, 4]),
        ("ibsr", (1, 2, 3), "ibsr", [1, 2, 3]),
        ("lgg", (255,), "binary", [1]),
        ("whole-tumour", (1,), "whole-tumour", [1]),
    ],
)
def test_labels_without_gaps(
    tmp_path: Path, scheme: str, values: tuple[int, ...], read_as: str, expected: list[int]
) -> None:
    write_cohort([toy_case(scheme=scheme, values=values)], tmp_path / "set", "nnunet")
    cohort = read(tmp_path)
    assert cohort.scheme == scheme_named(read_as)
    array = load_labels(cohort.cases[0], scheme_named(read_as)).array
    assert array[1 : 1 + len(values), 2, 1].tolist() == expected


def test_time_points_keep_their_patient(tmp_path: Path) -> None:
    write_cohort([toy_case(1, patient="a"), toy_case(2, patient="a")], tmp_path / "set", "nnunet")
    assert read(tmp_path).patients == ("a",)


def test_cases_of_different_modalities_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    cases = [toy_case(1), toy_case(2, modalities=("t2f",))]
    with pytest.raises(LayoutError, match="share their modalities"):
        write_cohort(cases, tmp_path / "set", "nnunet")
    assert list(tmp_path.iterdir()) == []


# --- folds ----------------------------------------------------------------------------------------------------------


def test_folds_come_back(tmp_path: Path) -> None:
    folds = [(["a", "b"], ["c"]), (["a", "c"], ["b"])]
    write_splits_final(tmp_path / "splits_final.json", folds)
    assert read_nnunet_folds(tmp_path / "splits_final.json") == folds
    assert json.loads((tmp_path / "splits_final.json").read_text())[0] == {"train": ["a", "b"], "val": ["c"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "list"),
        ({"train": ["a"], "val": ["b"]}, "list"),
        ([{"train": ["a"]}], "fold 0 lacks a part"),
        ([{"train": ["a"], "val": []}], "fold 0 lacks a part"),
        ([{"train": ["a"], "val": ["b"]}, ["a"]], "fold 1 lacks a part"),
        ([{"train": ["a", "b"], "val": ["b"]}], "found b"),
    ],
)
def test_folds_that_are_none(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SplitError, match=message):
        read_nnunet_folds(path)


def test_folds_that_are_no_json(tmp_path: Path) -> None:
    as_text(tmp_path / "splits_final.json")
    with pytest.raises(FileError, match="not a JSON file"):
        read_nnunet_folds(tmp_path / "splits_final.json")


def test_folds_beside_the_data_are_mentioned(tmp_path: Path) -> None:
    path = write_fake(tmp_path / "set") / "splits_final.json"
    write_splits_final(path, [(["toy-1"], ["toy-2"])])
    assert "1 folds" in findings_of(read(tmp_path), "folds")[0].message
    as_text(path)
    assert findings_of(read(tmp_path), "unreadable-folds")[0].severity == "warning"


@pytest.mark.parametrize("label", ["²", "1" * 5000, str(10**30), 300, 1.5, None, [1, "²"], {"a": 1}])
def test_a_label_that_is_no_label(tmp_path: Path, label: object) -> None:
    """ "²".isdigit() holds, and int("²") does not; the others are numbers that no label map can hold."""
    write_fake(tmp_path)
    change_table(tmp_path, lambda table: table.update(labels={"background": 0, "whole": label}))
    assert read(tmp_path).scheme is None


def test_a_label_of_more_than_64_bits(tmp_path: Path) -> None:
    write_fake(tmp_path)
    change_table(tmp_path, lambda table: table.update(labels={"background": 0, "whole": 10**30}))
    with pytest.raises(FileError, match=r"dataset.json: not a JSON file; found a whole number of 100 bits"):
        read(tmp_path)


@pytest.mark.parametrize("ending", [[], {"a": 1}, 3, ".exe"])
def test_an_ending_that_is_none(tmp_path: Path, ending: object) -> None:
    write_fake(tmp_path)
    change_table(tmp_path, lambda table: table.update(file_ending=ending))
    with pytest.raises(LayoutError, match="files of this ending cannot be read"):
        read(tmp_path)
