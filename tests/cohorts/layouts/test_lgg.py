"""kaggle_3m at every level, its gaps, its table, and the sequences that FLAIR stands in for."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.dark import LGG_THRESHOLD
from glioseg.cohorts.layouts import lgg
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import list_folder
from glioseg.cohorts.reading.repeats import repeated_channels
from glioseg.cohorts.recognise import read_cohort
from glioseg.cohorts.splits.slicewise import find_dark_slices
from glioseg.core import Cohort
from glioseg.errors import GeometryError, LayoutError, OptionError
from glioseg.io import load_image, load_labels
from tests.fakes.damage import as_text, truncate
from tests.fakes.pictures import colour, grey, save, square, write_lgg

SCANS = {"TCGA_CS_4941_19960909": range(1, 13), "TCGA_HT_8111_19980330": range(3, 6)}


def read(root: Path) -> Cohort:
    listing = list_folder(root)
    assert lgg.match(listing) is not None
    return lgg.read(listing, ReadOptions())


def kinds(cohort: Cohort) -> list[tuple[str, str, str | None]]:
    return [(finding.severity, finding.kind, finding.case) for finding in cohort.findings]


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    return write_lgg(tmp_path / "archive" / "kaggle_3m", SCANS)


def test_slices_are_stacked_in_numeric_order(kaggle: Path) -> None:
    cohort = read(kaggle)
    first, second = cohort.cases
    assert (first.id, first.patient) == ("TCGA_CS_4941_19960909", "TCGA_CS_4941")
    assert (second.id, second.patient) == ("TCGA_HT_8111_19980330", "TCGA_HT_8111")
    names = [path.name for path in first.images["pre"].paths]
    assert names == [f"TCGA_CS_4941_19960909_{number}.tif" for number in range(1, 13)]
    assert first.labels is not None
    assert [path.name for path in first.labels.paths] == [f"{Path(name).stem}_mask.tif" for name in names]
    assert cohort.modalities == ("pre", "flair", "post")
    assert cohort.scheme is not None
    assert cohort.scheme.name == "lgg"


def test_pixels_are_those_of_the_files(kaggle: Path) -> None:
    case = read(kaggle).cases[0]
    image = load_image(case)
    assert image.array.shape == (3, 16, 12, 12)  # 16 columns, 12 rows, 12 slices
    np.testing.assert_array_equal(image.array[:, :, :, 9], colour(10).transpose(2, 1, 0))
    cohort = read(kaggle)
    assert cohort.scheme is not None
    labels = load_labels(case, cohort.scheme)
    np.testing.assert_array_equal(labels.array[:, :, 2], square().T)  # slice 3 is odd and has tumour
    assert labels.array[:, :, 1].max() == 0


@pytest.mark.parametrize("level", ["", "kaggle_3m", "kaggle_3m/TCGA_CS_4941_19960909"])
def test_any_level_gives_the_same_case(kaggle: Path, level: str) -> None:
    case = read(kaggle.parent / level).cases[0]
    assert case == read(kaggle).cases[0]


def test_flat_folder(tmp_path: Path, kaggle: Path) -> None:
    flat = read(write_lgg(tmp_path / "flat", SCANS, flat=True))
    assert [case.id for case in flat.cases] == list(SCANS)
    assert [case.facts for case in flat.cases] == [case.facts for case in read(kaggle).cases]


def test_masks_in_a_folder_of_their_own(tmp_path: Path) -> None:
    name = "TCGA_CS_4941_19960909_1.tif"
    save(tmp_path / "images" / name, colour(1))
    save(tmp_path / "masks" / name, square())
    (case,) = read(tmp_path).cases
    assert case.images["pre"].paths == (tmp_path / "images" / name,)
    assert case.labels is not None
    assert case.labels.paths == (tmp_path / "masks" / name,)


def test_facts(kaggle: Path) -> None:
    first, second = read(kaggle).cases
    assert dict(first.facts) == {
        "site": "CS",
        "rnaseq_cluster": 2,
        "grade": "II",
        "histology": "astrocytoma",
        "side": "right",
        "sex": "F",
        "age": 40,
        "death": 0,
        "n_slices": 12,
        "first_slice": 1,
        "last_slice": 12,
    }
    assert (second.facts["sex"], second.facts["grade"], second.facts["site"]) == ("M", "III", "HT")
    assert ("note", "assumed-codes", None) in kinds(read(kaggle))


def test_without_a_table(tmp_path: Path) -> None:
    cohort = read(write_lgg(tmp_path / "a" / "b", SCANS, table=False))
    assert kinds(cohort) == [("note", "missing-table", None)]
    assert dict(cohort.cases[1].facts) == {"site": "HT", "n_slices": 3, "first_slice": 3, "last_slice": 5}


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "Patient\n"])
def test_a_table_of_another_kind(kaggle: Path, text: str) -> None:
    (kaggle / "data.csv").write_text(text)
    assert ("warning", "unreadable-table", None) in kinds(read(kaggle))


def test_a_damaged_table(kaggle: Path) -> None:
    (kaggle / "data.csv").write_bytes(b"Patient,gender\n\xff\xfe\x00,1\n")
    assert ("warning", "unreadable-table", None) in kinds(read(kaggle))


def test_a_table_that_lacks_a_patient(kaggle: Path) -> None:
    table = kaggle / "data.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:2]) + "\n")
    cohort = read(kaggle)
    assert ("note", "missing-facts", None) in kinds(cohort)
    assert "TCGA_HT_8111" in cohort.findings[-1].message


def test_channels_that_flair_fills_are_missing_modalities(tmp_path: Path) -> None:
    scans = {"TCGA_AA_0001_20000101": range(1, 6), "TCGA_AA_0002_20000101": range(1, 6), **SCANS}
    filled = {"TCGA_AA_0001_20000101": (0, 2), "TCGA_AA_0002_20000101": (2,)}
    cohort = read(write_lgg(tmp_path, scans, filled=filled))
    both, post, *whole = cohort.cases
    assert list(both.images) == ["flair"]
    assert list(post.images) == ["pre", "flair"]
    assert all(list(case.images) == ["pre", "flair", "post"] for case in whole)
    assert [entry for entry in kinds(cohort) if entry[1] == "missing-modality"] == [
        ("warning", "missing-modality", both.id),
        ("warning", "missing-modality", both.id),
        ("warning", "missing-modality", post.id),
    ]
    assert cohort.modalities == ("pre", "flair", "post")


def test_a_modality_that_was_not_acquired_is_not_loaded(tmp_path: Path) -> None:
    scan = "TCGA_AA_0001_20000101"
    (case,) = read(write_lgg(tmp_path, {scan: range(1, 4)}, filled={scan: (0,)})).cases
    assert load_image(case).modalities == ("flair", "post")
    with pytest.raises(GeometryError, match="lacks pre; found flair, post"):
        load_image(case, lgg.MODALITIES)


def test_a_channel_that_repeats_flair_on_some_slices_only_is_a_modality(tmp_path: Path) -> None:
    scan = "TCGA_AA_0001_20000101"
    write_lgg(tmp_path, {scan: range(1, 6)})
    middle = colour(3)
    middle[..., 0] = middle[..., 1]
    save(tmp_path / scan / f"{scan}_3.tif", middle)
    (case,) = read(tmp_path).cases
    assert list(case.images) == ["pre", "flair", "post"]


def test_a_damaged_middle_slice_does_not_hide_a_filled_channel(tmp_path: Path) -> None:
    scan = "TCGA_AA_0001_20000101"
    write_lgg(tmp_path, {scan: range(1, 8)}, filled={scan: (2,)})
    as_text(tmp_path / scan / f"{scan}_4.tif")
    assert list(read(tmp_path).cases[0].images) == ["pre", "flair"]


def test_slices_of_one_channel_are_an_error(tmp_path: Path) -> None:
    scan = "TCGA_AA_0001_20000101"
    write_lgg(tmp_path, {scan: (1,)})
    save(tmp_path / scan / f"{scan}_1.tif", grey(0))
    assert ("error", "wrong-channels", scan) in kinds(read(tmp_path))


def test_slice_without_mask_and_mask_without_slice(kaggle: Path) -> None:
    scan = "TCGA_CS_4941_19960909"
    (kaggle / scan / f"{scan}_4_mask.tif").unlink()
    (kaggle / scan / f"{scan}_7.tif").unlink()
    cohort = read(kaggle)
    case = cohort.cases[0]
    assert case.labels is not None
    assert [path.stem.split("_")[-1] for path in case.images["flair"].paths] == [
        str(number) for number in (1, 2, 3, 5, 6, 8, 9, 10, 11, 12)
    ]
    assert len(case.labels.paths) == 10
    messages = {finding.kind: finding.message for finding in cohort.findings if finding.case == scan}
    assert messages == {
        "mask-without-image": "1 mask has no slice and is left out: 7",
        "missing-mask": "1 slice has no mask and is left out: 4",
        "missing-slice": "1 slice is missing: 7",
    }


def test_a_scan_without_any_mask(kaggle: Path) -> None:
    scan = "TCGA_HT_8111_19980330"
    for path in (kaggle / scan).glob("*_mask.tif"):
        path.unlink()
    cohort = read(kaggle)
    assert cohort.cases[1].labels is None
    assert len(cohort.cases[1].images["pre"].paths) == 3
    assert ("warning", "missing-mask", scan) in kinds(cohort)


def test_a_scan_of_masks_alone_is_left_out(kaggle: Path) -> None:
    scan = "TCGA_HT_8111_19980330"
    for number in SCANS[scan]:
        (kaggle / scan / f"{scan}_{number}.tif").unlink()
    cohort = read(kaggle)
    assert [case.id for case in cohort.cases] == ["TCGA_CS_4941_19960909"]
    assert ("warning", "mask-without-image", scan) in kinds(cohort)


def test_the_archive_holds_everything_twice(kaggle: Path) -> None:
    once = read(kaggle)
    shutil.copytree(kaggle, kaggle.parent / "lgg-mri-segmentation" / "kaggle_3m")
    twice = read(kaggle.parent)
    assert twice.cases == once.cases
    (message,) = [finding.message for finding in twice.findings if finding.kind == "repeated-file"]
    assert message == "files that are there twice are read once; left aside: 30 in lgg-mri-segmentation"


def test_copies_that_differ_are_named(kaggle: Path) -> None:
    copy = kaggle.parent / "lgg-mri-segmentation" / "kaggle_3m"
    shutil.copytree(kaggle, copy)
    truncate(copy / "TCGA_CS_4941_19960909" / "TCGA_CS_4941_19960909_2.tif")
    (differing,) = [finding for finding in read(kaggle.parent).findings if finding.kind == "repeated-file-differs"]
    assert differing.severity == "warning"
    assert "TCGA_CS_4941_19960909_2.tif" in differing.message


def test_masks_alone_are_not_lgg(tmp_path: Path) -> None:
    save(tmp_path / "TCGA_CS_4941_19960909_1_mask.png", square())
    listing = list_folder(tmp_path)
    assert lgg.match(listing) is None
    with pytest.raises(LayoutError, match="no LGG slices"):
        lgg.read(listing, ReadOptions())


def test_names_for_the_channels_are_refused(kaggle: Path) -> None:
    with pytest.raises(OptionError, match="channels of LGG are known"):
        lgg.read(list_folder(kaggle), ReadOptions(modalities=("a", "b", "c")))


def test_repeated_channels() -> None:
    noise = np.random.default_rng(0).integers(0, 9, (4, 5, 6, 3))
    noise[2] = noise[0]
    assert repeated_channels(noise, "abcd") == (("a", "c"),)
    noise[2, 4, 5, 2] += 1
    assert repeated_channels(noise, "abcd") == ()
    assert repeated_channels(np.zeros((2, 3, 3)), "ab") == ()  # black channels repeat nothing


@pytest.mark.realdata
@pytest.mark.slow  # four thousand pictures are unpacked first
def test_published_set(kaggle_3m: Path) -> None:
    cohort = read(kaggle_3m)
    assert len(cohort.cases) == len(cohort.patients) == 66
    assert sum(int(case.facts["n_slices"]) for case in cohort.cases) == 2268
    lacking = {case.patient: set(cohort.modalities) - set(case.images) for case in cohort.cases}
    assert {patient: names for patient, names in lacking.items() if names} == {
        "TCGA_DU_7013": {"pre", "post"},
        "TCGA_FG_A60K": {"pre", "post"},
        "TCGA_DU_8165": {"post"},
        "TCGA_FG_7634": {"post"},
    }
    first = cohort.cases[0]
    assert (first.facts["age"], first.facts["sex"], first.facts["grade"], first.facts["death"]) == (67, "M", "III", 1)


@pytest.mark.realdata
@pytest.mark.slow
def test_the_published_filter_removes_34_slices_without_and_3_with_tumour(kaggle_3m: Path) -> None:
    cohort = read_cohort(kaggle_3m)
    assert cohort.scheme is not None
    counts: Counter[bool] = Counter()
    for name, slices in find_dark_slices(cohort, LGG_THRESHOLD).items():
        case = next(case for case in cohort.cases if case.id == name)
        tumour = np.asarray(load_labels(case, cohort.scheme).array.max(axis=(0, 1)) > 0)
        counts.update(bool(tumour[z]) for z in slices)
    assert counts == {False: 34, True: 3}
