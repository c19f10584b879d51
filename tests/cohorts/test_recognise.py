"""Which layout a folder has, at any level; and what is said where it has none, or several."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.recognise import LAYOUTS, layout_named, read_cohort
from glioseg.core import scheme_named
from glioseg.errors import FileError, LayoutError, OptionError
from tests.fakes.pictures import grey, save, write_brisc, write_classes, write_lgg, write_pairs
from tests.fakes.volumes import labels, noise, save_volume, write_ibsr

Write = Callable[[Path], Path]


def lgg(root: Path) -> Path:
    return write_lgg(root, {"TCGA_CS_4941_19960909": range(1, 4), "TCGA_HT_8111_19980330": range(1, 4)})


def pairs(root: Path) -> Path:
    return write_pairs(root, ["1", "2", "3"])


def classes(root: Path) -> Path:
    return write_classes(root, {"yes": 3, "no": 3})


def volumes(root: Path) -> Path:
    return write_ibsr(root, [1, 2, 3])


def brats(root: Path) -> Path:
    for case in ("BraTS2021_00000", "BraTS2021_00002"):
        for modality in ("t1", "t1ce", "t2", "flair"):
            save_volume(root / case / f"{case}_{modality}.nii.gz", noise(0))
        save_volume(root / case / f"{case}_seg.nii.gz", labels(1, 2, 4))
    return root


def brisc(root: Path) -> Path:
    return write_brisc(root, {"gl_ax": 2, "me_co": 1, "pi_sa": 1, "no_ax": 2})


WRITERS: dict[str, Write] = {
    "brats": brats,
    "lgg": lgg,
    "volumes": volumes,
    "pairs": pairs,
    "classes": classes,
    "brisc": brisc,
}


def test_the_table_is_closed_and_ordered() -> None:
    order = [
        "nnunet",
        "msd",
        "brats-h5",
        "bids",
        "brats",
        "lgg",
        "volumes",
        "dicom",
        "brisc",
        "cheng",
        "pairs",
        "classes",
    ]
    assert [layout.name for layout in LAYOUTS] == order
    assert all(layout.needs for layout in LAYOUTS)


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("below", ["", "archive/data"])
def test_layouts(tmp_path: Path, layout: str, below: str) -> None:
    WRITERS[layout](tmp_path / "set" / below)
    cohort = read_cohort(tmp_path / "set")
    assert cohort.layout == layout
    assert cohort.name == "set"
    assert cohort.reason
    assert "left-over-files" not in [finding.kind for finding in cohort.findings]


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(WRITERS, 2)))
def test_several_data_sets_are_refused(tmp_path: Path, one: str, other: str) -> None:
    WRITERS[one](tmp_path / "downloads" / "first")
    WRITERS[other](tmp_path / "downloads" / "second")
    with pytest.raises(LayoutError, match="several data sets") as error:
        read_cohort(tmp_path)
    assert f"downloads/first ({one}), downloads/second ({other})" in str(error.value)
    assert "Name one of these folders" in str(error.value)


def test_one_of_several_can_be_chosen(tmp_path: Path) -> None:
    lgg(tmp_path / "first")
    volumes(tmp_path / "second")
    cohort = read_cohort(tmp_path, layout="lgg")
    assert cohort.layout == "lgg"
    assert cohort.reason.endswith("that layout was named")
    (left_over,) = [finding for finding in cohort.findings if finding.kind == "left-over-files"]
    assert left_over.severity == "warning"
    assert left_over.message.startswith("6 files are no part of the cohort (6 .nii.gz): second/IBSR_01/IBSR_01.nii.gz")


def test_parts_of_one_set_are_one_set(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_pairs(tmp_path, ["1"], image=f"{part}/images/{{}}.png", mask=f"{part}/masks/{{}}.png")
    assert len(read_cohort(tmp_path).cases) == 2


def test_a_few_figures_are_no_second_data_set(tmp_path: Path) -> None:
    lgg(tmp_path / "data")
    for kind in ("loss", "dice"):
        save(tmp_path / "figures" / kind / "curve.png", grey(0))
    for index in range(3, 12):
        write_lgg(tmp_path / "data", {f"TCGA_CS_{4941 + index}_19960909": (1, 2)}, table=False)
    cohort = read_cohort(tmp_path)
    assert cohort.layout == "lgg"
    (left_over,) = [finding for finding in cohort.findings if finding.kind == "left-over-files"]
    assert left_over.severity == "note"
    assert "2 files" in left_over.message


def test_the_second_copy_of_a_set_is_not_left_over(tmp_path: Path) -> None:
    lgg(tmp_path / "kaggle_3m")
    shutil.copytree(tmp_path / "kaggle_3m", tmp_path / "lgg-mri-segmentation" / "kaggle_3m")
    cohort = read_cohort(tmp_path)
    assert [finding.kind for finding in cohort.findings if finding.severity != "note"] == []
    assert "left-over-files" not in [finding.kind for finding in cohort.findings]


def test_lgg_is_no_pairs_and_pairs_are_no_classes(tmp_path: Path) -> None:
    write_lgg(tmp_path / "flat", {"TCGA_CS_4941_19960909": range(1, 4)}, flat=True)
    assert read_cohort(tmp_path / "flat").layout == "lgg"
    write_pairs(tmp_path / "busi", ["a 1", "a 2"], image="benign/{}.png", mask="benign/{}_mask.png")
    write_pairs(tmp_path / "busi", ["b 1"], image="malignant/{}.png", mask="malignant/{}_mask.png")
    assert read_cohort(tmp_path / "busi").layout == "pairs"


def test_layout_can_be_said(tmp_path: Path) -> None:
    for case in ("anna", "otto"):
        save_volume(tmp_path / case / "T1.nii.gz", noise(0))
    cohort = read_cohort(tmp_path, layout="volumes")
    assert [case.id for case in cohort.cases] == ["anna", "otto"]
    assert cohort.reason == "the files do not look like it; that layout was named"


def test_options_reach_the_reader(tmp_path: Path) -> None:
    save_volume(tmp_path / "p1.nii.gz", noise(0))
    save_volume(tmp_path / "p1_seg.nii.gz", labels(1))
    options = ReadOptions(scheme=scheme_named("whole-tumour"), modalities=("t2f",))
    cohort = read_cohort(tmp_path, options=options)
    assert cohort.scheme == scheme_named("whole-tumour")
    assert cohort.modalities == ("t2f",)


def test_a_layout_that_does_not_fit_says_what_it_needs(tmp_path: Path) -> None:
    classes(tmp_path)
    with pytest.raises(LayoutError, match="no LGG slices"):
        read_cohort(tmp_path, layout="lgg")


def test_an_unknown_layout_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no layout kaggle; expected one of nnunet, msd, brats-h5, bids, brats, lgg"):
        read_cohort(tmp_path, layout="kaggle")
    assert layout_named("pairs").name == "pairs"


def test_nothing_fits(tmp_path: Path) -> None:
    for name in ("a.dat", "b.dat", "notes.txt", "sub/c.dat", "sub/deep/d.fig", "README"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    with pytest.raises(LayoutError) as error:
        read_cohort(tmp_path)
    text = str(error.value)
    assert "6 files (3 .dat, 1 .txt, 1 without ending, 1 .fig)" in text
    assert "a.dat" in text
    assert "sub/deep/d.fig" in text
    assert "folders of level 1: sub; folders of level 2: deep" in text
    assert all(f"\n  {layout.name}: {layout.needs}" in text for layout in LAYOUTS)
    assert "layout= of glioseg.read" in text


def test_one_file_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(LayoutError, match=r"found 1 file \(1 \.txt\), such as notes\.txt"):
        read_cohort(tmp_path)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("kaggle.zip", "Unpack kaggle.zip first"),
        ("Task01_BrainTumour.tar", "Unpack Task01_BrainTumour.tar first"),
        ("slice.webp", "convert 1 .webp"),
        ("volume.npy", "convert 1 .npy"),
    ],
)
def test_remedies(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(LayoutError, match=remedy):
        read_cohort(tmp_path)


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"x")
    with pytest.raises(LayoutError, match="the folder is empty; found no files, hidden ones left aside"):
        read_cohort(tmp_path)


def test_an_archive_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "lgg.zip").write_bytes(b"PK")
    with pytest.raises(LayoutError, match="Unpack it and name the folder"):
        read_cohort(tmp_path / "lgg.zip")


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file or folder"):
        read_cohort(tmp_path / "nowhere")


def test_what_the_walk_found_is_said(tmp_path: Path) -> None:
    (pairs(tmp_path) / "images" / "loop").symlink_to("..", target_is_directory=True)
    cohort = read_cohort(tmp_path)
    assert [finding.kind for finding in cohort.findings] == ["link-loop", "unknown-patients"]


def test_progress_counts_files(tmp_path: Path) -> None:
    counts: list[int] = []
    read_cohort(pairs(tmp_path), progress=counts.append)
    assert counts[-1] == 6


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "layout", "n_cases"),
    [
        ("brats2015_flair_t1c", "brats", 4),
        ("brats2018_flair", "brats", 7),
        ("brats2021", "brats", 1),
        ("brats2023", "brats", 1),
        ("ibsr", "volumes", 9),
        ("navoneel", "classes", 200),
    ],
)
def test_published_sets(real_data: Path, folder: str, layout: str, n_cases: int) -> None:
    cohort = read_cohort(real_data / folder)
    assert (cohort.layout, len(cohort.cases)) == (layout, n_cases)
    assert "left-over-files" not in [finding.kind for finding in cohort.findings]


@pytest.mark.realdata
def test_the_parent_of_published_sets(real_data: Path) -> None:
    with pytest.raises(LayoutError, match=r"several data sets.*brats2018_flair"):
        read_cohort(real_data)
    with pytest.raises(LayoutError, match=r"convert 2268 \.webp"):
        read_cohort(real_data / "lgg")


_NEARLY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "nnunet": (("Dataset007_Mine/labelsTr/a_seg.nii.gz",), ("nnunet",)),
    "msd": (("Task01_BrainTumour/masks/a_seg.nii.gz",), ("msd",)),
    "bids": (("sub-01/anat/sub-01_mask.nii.gz",), ("bids",)),
    "volumes of any name": (("x/a_seg.nii.gz", "x/b_seg.nii.gz"), ("volumes",)),
}


@pytest.mark.parametrize("kind", _NEARLY)
def test_where_a_layout_nearly_fits_the_others_are_not_listed(tmp_path: Path, kind: str) -> None:
    names, meant = _NEARLY[kind]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(LayoutError) as error:
        read_cohort(tmp_path)
    listed = {layout.name for layout in LAYOUTS if layout.needs in str(error.value)}
    assert listed == set(meant)
    assert "layout= of glioseg.read" in str(error.value)
