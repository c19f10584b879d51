"""Cohorts written as files are what their readers read."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.phantom import PhantomOptions, generate_patient
from glioseg.cohorts.recognise import read_cohort
from glioseg.cohorts.write import (
    WRITTEN_LAYOUTS,
    LoadedCase,
    WriteOptions,
    load_cases,
    require_fit,
    write_cohort,
    write_phantom,
)
from glioseg.cohorts.write.axial import as_axial, axial_spacing, fitted, to_8_bit
from glioseg.cohorts.write.case import safe_name
from glioseg.core import Cohort, Grid, LabelMap, scheme_named
from glioseg.core.labels import convert_labels
from glioseg.errors import FileError, GeometryError, GliosegError, LabelError, LayoutError, OptionError
from glioseg.io import load_image, load_labels
from glioseg.io.raster import read_picture
from tests.fakes.cases import MODALITIES, brats_grid, toy_case, toy_cases

READ_AS = {
    "brats2021": ("brats", "brats2021"),
    "brats2023": ("brats", "brats2023"),
    "brats-h5": ("brats-h5", "brats2021"),
    "lgg": ("lgg", "lgg"),
    "msd": ("msd", "msd"),
    "nnunet": ("nnunet", "nnunet137"),
    "pairs": ("pairs", "binary"),
    "classes": ("classes", None),
    "volumes": ("volumes", None),
}
VOLUME_LAYOUTS = [name for name in WRITTEN_LAYOUTS if name not in ("lgg", "pairs", "classes")]


def written(root: Path, layout: str, cases: list[LoadedCase] | None = None, **options: object) -> Cohort:
    given = WriteOptions.model_validate({"picture_gap_mm": 1.0, **options})
    write_cohort(cases or toy_cases(2), root / "set", layout, given)
    return read_cohort(root / "set")


def files(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def labels_of(case: LoadedCase) -> LabelMap:
    assert case.labels is not None
    return case.labels


# --- every layout ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", WRITTEN_LAYOUTS)
def test_every_layout_is_recognised_without_complaint(tmp_path: Path, layout: str) -> None:
    cohort = written(tmp_path, layout)
    scheme = cohort.scheme.name if cohort.scheme is not None else None
    assert (cohort.layout, scheme) == READ_AS[layout]
    expected = {"unknown-scheme"} if layout == "volumes" else set()
    assert {finding.kind for finding in cohort.findings if finding.severity != "note"} == expected


@pytest.mark.parametrize("layout", VOLUME_LAYOUTS)
@pytest.mark.parametrize("spacing", [1.0, 2.5])
def test_volumes_come_back_voxel_for_voxel(tmp_path: Path, layout: str, spacing: float) -> None:
    cases = [toy_case(index, grid=brats_grid((7, 5, 4), spacing)) for index in (1, 2)]
    cohort = written(tmp_path, layout, cases)
    scheme = cohort.scheme or scheme_named("brats2023")
    assert len(cohort.cases) == 2
    for case, original in zip(cohort.cases, cases, strict=True):
        image = load_image(case, MODALITIES)
        np.testing.assert_array_equal(image.array, original.image.array)
        assert image.array.dtype == original.image.array.dtype
        assert image.grid == original.image.grid
        reference = load_labels(case, scheme)
        assert reference.grid == original.image.grid
        back = convert_labels(reference.array, scheme, scheme_named("brats2023"))
        np.testing.assert_array_equal(back, labels_of(original).array)


@pytest.mark.parametrize("layout", WRITTEN_LAYOUTS)
def test_the_same_cases_give_the_same_bytes(tmp_path: Path, layout: str) -> None:
    for name in ("one", "other"):
        write_cohort(toy_cases(2), tmp_path / name, layout, WriteOptions(picture_gap_mm=1.0))
    assert files(tmp_path / "one") == files(tmp_path / "other")


@pytest.mark.parametrize("layout", WRITTEN_LAYOUTS)
def test_facts_come_back(tmp_path: Path, layout: str) -> None:
    facts = written(tmp_path, layout).cases[-1].facts
    assert (facts["age"], facts["survival_days"], facts["sex"]) == (42, 200, "F")


@pytest.mark.parametrize("layout", ["brats2023", "lgg", "msd", "nnunet", "pairs", "classes", "volumes"])
def test_cases_of_one_patient_stay_one_patient(tmp_path: Path, layout: str) -> None:
    cohort = written(tmp_path, layout, [toy_case(1, patient="a"), toy_case(2, patient="a"), toy_case(3, patient="b")])
    assert len(cohort.patients) == 2


@pytest.mark.parametrize("layout", WRITTEN_LAYOUTS)
def test_no_cases_are_refused_and_leave_nothing(tmp_path: Path, layout: str) -> None:
    with pytest.raises(LayoutError, match="without cases"):
        write_cohort([], tmp_path / "set", layout)
    assert list(tmp_path.iterdir()) == []


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("brats2021", "BraTS2021_00001/BraTS2021_00001_flair.nii.gz"),
        ("brats2021", "BraTS2021_00002/BraTS2021_00002_t1ce.nii.gz"),
        ("brats2021", "survival_info.csv"),
        ("brats2023", "BraTS-GLI-00001-000/BraTS-GLI-00001-000-t2f.nii.gz"),
        ("brats2023", "BraTS-GLI-00002-000/BraTS-GLI-00002-000-seg.nii.gz"),
        ("brats-h5", "volume_1_slice_0.h5"),
        ("brats-h5", "volume_2_slice_3.h5"),
        ("brats-h5", "meta_data.csv"),
        ("lgg", "TCGA_PH_0001_20000101/TCGA_PH_0001_20000101_1.tif"),
        ("lgg", "TCGA_PH_0002_20000101/TCGA_PH_0002_20000101_4_mask.tif"),
        ("lgg", "data.csv"),
        ("msd", "imagesTr/BRATS_001.nii.gz"),
        ("msd", "dataset.json"),
        ("nnunet", "imagesTr/toy-1_0003.nii.gz"),
        ("nnunet", "labelsTr/toy-2.nii.gz"),
        ("pairs", "images/toy-1_003.png"),
        ("pairs", "masks/toy-1_003.png"),
        ("classes", "no/toy-1_003.png"),
        ("volumes", "toy-1/toy-1_t2f.nii.gz"),
        ("volumes", "toy-2/toy-2_seg.nii.gz"),
    ],
)
def test_names(tmp_path: Path, layout: str, name: str) -> None:
    written(tmp_path, layout)
    assert name in files(tmp_path / "set")


def test_the_second_time_of_a_patient(tmp_path: Path) -> None:
    cases = [toy_case(1, patient="a"), toy_case(2, patient="b"), toy_case(3, patient="a")]
    assert [case.id for case in written(tmp_path, "brats2023", cases).cases] == [
        "BraTS-GLI-00001-000",
        "BraTS-GLI-00001-001",
        "BraTS-GLI-00002-000",
    ]


@pytest.mark.parametrize(("name", "safe"), [("a/b c", "a-b-c"), ("..x.", "x"), ("é", "case"), ("p_1-2.3", "p_1-2.3")])
def test_ids_as_names_of_files(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_ids_that_would_fall_together_are_refused(tmp_path: Path) -> None:
    first, second = toy_case(1), toy_case(2)
    cases = [
        LoadedCase("a b", "p", first.image, first.labels),
        LoadedCase("a/b", "q", second.image, second.labels),
    ]
    with pytest.raises(LayoutError, match="same name"):
        write_cohort(cases, tmp_path / "set", "nnunet")


def test_a_table_of_slices_as_published(tmp_path: Path) -> None:
    """The toy has one voxel of each label in slice 1 of 6 x 5 pixels: 3 of 30 are tumour."""
    written(tmp_path, "brats-h5")
    with (tmp_path / "set" / "meta_data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        **{"slice_path": "/content/data/volume_1_slice_1.h5", "target": "1", "volume": "1", "slice": "1"},
        **{"label0_pxl_cnt": "1", "label1_pxl_cnt": "1", "label2_pxl_cnt": "1", "background_ratio": "0.9"},
    }
    assert [row["target"] for row in rows] == ["0", "1", "0", "0"] * 2


# --- labels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["brats2021", "brats-h5", "lgg", "pairs", "classes"])
def test_tissue_is_no_tumour(tmp_path: Path, layout: str) -> None:
    with pytest.raises(LabelError, match="case toy-1"):
        write_cohort([toy_case(scheme="ibsr")], tmp_path / "set", layout)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", ["volumes", "msd", "nnunet"])
def test_tissue_cohort(tmp_path: Path, layout: str) -> None:
    case = toy_case(scheme="ibsr", modalities=("t1n",))
    cohort = written(tmp_path, layout, [case])
    assert (cohort.layout, cohort.scheme, cohort.modalities) == (layout, scheme_named("ibsr"), ("t1n",))
    np.testing.assert_array_equal(load_image(cohort.cases[0]).array, case.image.array)
    np.testing.assert_array_equal(load_labels(cohort.cases[0], scheme_named("ibsr")).array, labels_of(case).array)


def test_tissue_is_laid_out_as_ibsr(tmp_path: Path) -> None:
    written(tmp_path, "volumes", [toy_case(scheme="ibsr", modalities=("t1n",))])
    assert {"IBSR_01/IBSR_01.nii.gz", "IBSR_01/IBSR_01_seg.nii.gz"} < set(files(tmp_path / "set"))


def test_the_hundredth_brain_is_still_one_of_ibsr(tmp_path: Path) -> None:
    case = toy_case(scheme="ibsr", modalities=("t1n",))
    cohort = written(tmp_path, "volumes", [case] * 100)
    assert (cohort.cases[-1].id, cohort.scheme) == ("IBSR_100", scheme_named("ibsr"))


@pytest.mark.parametrize("layout", ["brats2021", "brats2023", "lgg", "pairs", "volumes"])
def test_cases_without_labels(tmp_path: Path, layout: str) -> None:
    cohort = written(tmp_path, layout, [toy_case(1), toy_case(2, scheme=None)])
    assert cohort.cases[0].labels is not None
    assert cohort.cases[-1].labels is None


@pytest.mark.parametrize("layout", ["brats-h5", "classes"])
def test_layouts_that_need_labels(tmp_path: Path, layout: str) -> None:
    with pytest.raises(LabelError, match="has no labels"):
        write_cohort([toy_case(scheme=None)], tmp_path / "set", layout)


# --- modalities -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["brats2021", "brats2023", "volumes"])
def test_missing_modalities_are_left_out(tmp_path: Path, layout: str) -> None:
    cohort = written(tmp_path, layout, [toy_case(1), toy_case(2, modalities=("t2f", "t1c"))])
    assert set(cohort.cases[1].images) == {"t2f", "t1c"}


def test_a_missing_modality_has_no_place_in_h5(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match=r"case toy-1 cannot be written as brats-h5 without t1n, t2w"):
        write_cohort([toy_case(modalities=("t1c", "t2f"))], tmp_path / "set", "brats-h5")


def test_foreign_modalities_are_no_brats(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="found dwi"):
        write_cohort([toy_case(modalities=("t1n", "dwi"))], tmp_path / "set", "brats2021")


def test_flair_stands_in_for_what_lgg_lacks(tmp_path: Path) -> None:
    cohort = written(tmp_path, "lgg", [toy_case(1), toy_case(2, modalities=("t2f", "t1c"))])
    assert set(cohort.cases[1].images) == {"flair", "post"}
    for path in cohort.cases[1].images["flair"].paths:
        pixels = read_picture(path)
        np.testing.assert_array_equal(pixels[..., 0], pixels[..., 1])


def test_lgg_without_flair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="without t2f"):
        write_cohort([toy_case(modalities=("t1n", "t1c"))], tmp_path / "set", "lgg")


# --- pictures -------------------------------------------------------------------------------------------------------


def test_lgg_is_enlarged_by_a_whole_factor_and_padded(tmp_path: Path) -> None:
    """120 x 100 pixels fit twice into 256: 240 x 200 of them, with a border of 8 and 28."""
    case = toy_case(grid=brats_grid((120, 100, 2)), values=(1,))
    cohort = written(tmp_path, "lgg", [case])
    scan = cohort.cases[0]
    assert load_image(scan).grid.shape == (256, 256, 2)
    mask = load_labels(scan, scheme_named("lgg")).array[:, :, 1]
    rows, columns = np.nonzero(mask)
    # voxel (1, 2) becomes pixels 2 and 3, 4 and 5 of the enlarged slice
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 11, 32, 33)
    assert set(np.unique(mask)) == {0, 255}


def test_lgg_slices_of_240_pixels_keep_them(tmp_path: Path) -> None:
    case = toy_case(grid=brats_grid((240, 240, 2)))
    image = load_image(written(tmp_path, "lgg", [case]).cases[0], ("pre", "flair", "post"))
    for row, modality in enumerate(("t1n", "t2f", "t1c")):
        grey = to_8_bit(case.image.array[MODALITIES.index(modality)])
        np.testing.assert_array_equal(image.array[row, 8:248, 8:248], grey)
        assert not image.array[row, :8].any()


def test_larger_slices_are_reduced() -> None:
    volume = np.full((512, 300, 1), 7, dtype=np.uint8)
    small = fitted(volume, 256, linear=True)
    assert small.shape == (256, 256, 1)
    assert (small[:, 53:203] == 7).all()
    assert not small[:, :53].any()


def test_enlarging_interpolates_images_between_pixel_centres() -> None:
    """Twice as many pixels: centres lie a quarter pixel from the old ones, so that 0 100 becomes 0 25 75 100."""
    volume = np.array([[[0]], [[100]]], dtype=np.uint8)
    assert fitted(volume, 4, linear=True)[:, 1, 0].tolist() == [0, 25, 75, 100]
    assert fitted(volume, 4, linear=False)[:, 1, 0].tolist() == [0, 0, 100, 100]


def test_8_bit_is_black_at_the_darkest_and_white_at_the_brightest() -> None:
    assert to_8_bit(np.array([-10.0, 0.0, 90.0])).tolist()[0] == 0
    values = np.concatenate([np.zeros(10), np.full(5000, 100), [1000]])
    grey = to_8_bit(values)  # one voxel in 5001 is brighter than the brightest 0.1 %: it is cut
    assert (grey[0], grey[20], grey[-1]) == (0, 255, 255)
    assert not to_8_bit(np.full(4, 3.0)).any()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
def test_axial_slices_of_any_orientation(order: tuple[int, ...], flips: tuple[int, ...]) -> None:
    """However the axes of the same brain are stored, its axial slices are those of BraTS."""
    grid = brats_grid((4, 3, 2))
    array = np.arange(24).reshape(4, 3, 2)
    for axis in flips:
        grid, array = grid.flipped(axis), np.flip(array, axis)
    grid, array = grid.permuted(order), array.transpose(order)
    np.testing.assert_array_equal(as_axial(array, grid), np.arange(24).reshape(4, 3, 2))
    assert as_axial(array[None], grid).shape == (1, 4, 3, 2)


def test_pictures_have_no_orientation() -> None:
    array = np.arange(24).reshape(4, 3, 2)
    grid = Grid.of_pictures((4, 3, 2))
    assert as_axial(array, grid) is array
    assert axial_spacing(grid) is None


def test_spacing_of_axial_slices() -> None:
    assert axial_spacing(Grid((4, 3, 2), np.diag([1.0, 2.0, 3.0, 1.0])).permuted((2, 0, 1))) == 3.0


@pytest.mark.parametrize(("gap", "slices"), [(1.0, [0, 1, 2, 3]), (2.0, [1, 3]), (3.0, [1])])
def test_pictures_are_a_gap_apart(tmp_path: Path, gap: float, slices: list[int]) -> None:
    cohort = written(tmp_path, "pairs", [toy_case()], picture_gap_mm=gap)
    assert [case.id for case in cohort.cases] == [f"toy-1_{index:03d}" for index in slices]


def test_pairs_hold_the_slice_and_its_whole_tumour(tmp_path: Path) -> None:
    original = toy_case()
    cohort = written(tmp_path, "pairs", [original], picture_modality="t1c")
    case = cohort.cases[1]
    np.testing.assert_array_equal(load_image(case).array[0, :, :, 0], to_8_bit(original.image.array[1])[:, :, 1])
    mask = load_labels(case, scheme_named("binary")).array
    np.testing.assert_array_equal(mask[:, :, 0], labels_of(original).array[:, :, 1] > 0)


def test_classes_say_what_a_slice_shows(tmp_path: Path) -> None:
    cohort = written(tmp_path, "classes", [toy_case()])
    assert cohort.categories == ("no", "yes")
    assert {case.id: case.category for case in cohort.cases} == {
        "no_toy-1_000": "no",
        "yes_toy-1_001": "yes",
        "no_toy-1_002": "no",
        "no_toy-1_003": "no",
    }


def test_slices_without_signal_are_no_pictures(tmp_path: Path) -> None:
    case = toy_case()
    case.image.array[..., 2:] = 0
    assert len(written(tmp_path, "pairs", [case]).cases) == 2


def test_pictures_are_no_volumes(tmp_path: Path) -> None:
    case = toy_case(grid=Grid.of_pictures((6, 5, 4)))
    with pytest.raises(GeometryError, match="no millimetres"):
        write_cohort([case], tmp_path / "set", "nnunet")
    assert len(written(tmp_path, "pairs", [case]).cases) == 4


# --- the folder -----------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine")
    with pytest.raises(FileError, match="not empty"):
        write_cohort(toy_cases(1), tmp_path / "set", "pairs")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["mine.txt"]


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("mine")
    with pytest.raises(FileError, match="a folder is needed"):
        write_cohort(toy_cases(1), tmp_path / "set", "pairs")


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert len(written(tmp_path, "brats2023").cases) == 2


def test_a_folder_that_cannot_be_replaced_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that one is in; a mounted volume is refused by the system in the same way."""
    (tmp_path / "set" / ".writing-of-a-killed-process").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "set")
    write_cohort(toy_cases(2), Path(), "brats2023")
    assert len(read_cohort(tmp_path / "set").cases) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_nothing_is_left_of_a_cohort_that_breaks_off(tmp_path: Path) -> None:
    def cases() -> Iterator[LoadedCase]:
        yield toy_case(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cohort(cases(), tmp_path / "set", "brats2023")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_layout_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"brats2021.*volumes"):
        write_cohort(toy_cases(1), tmp_path / "set", "bids")


def test_one_case_at_a_time(tmp_path: Path) -> None:
    """The next case is asked for when the files of the one before are there."""
    counts: list[int] = []

    def cases() -> Iterator[LoadedCase]:
        for index in (1, 2, 3):
            counts.append(len(list(tmp_path.rglob("*_seg.nii.gz"))))
            yield toy_case(index)

    write_cohort(cases(), tmp_path / "set", "brats2021")
    assert counts == [0, 1, 2]


def test_cohorts_go_from_layout_to_layout(tmp_path: Path) -> None:
    cohort = written(tmp_path / "a", "brats2023")
    write_cohort(load_cases(cohort), tmp_path / "b", "msd")
    other = read_cohort(tmp_path / "b")
    for case, same in zip(cohort.cases, other.cases, strict=True):
        np.testing.assert_array_equal(load_image(case).array, load_image(same, tuple(case.images)).array)
    assert other.cases[0].facts["age"] == cohort.cases[0].facts["age"]


def test_labels_of_unknown_meaning_are_not_loaded(tmp_path: Path) -> None:
    cohort = written(tmp_path, "volumes")
    with pytest.raises(LabelError, match=r"Say it with scheme= of glioseg\.read"):
        next(load_cases(cohort))


def test_labels_lie_on_the_grid_of_the_image() -> None:
    case = toy_case()
    labels = LabelMap(labels_of(case).array, labels_of(case).scheme, brats_grid(spacing=2.0))
    with pytest.raises(GeometryError, match="different grids"):
        LoadedCase("a", "a", case.image, labels)


# --- the phantom ----------------------------------------------------------------------------------------------------

COARSE = PhantomOptions(n_patients=2, spacing_mm=6.0)


def test_phantom_and_its_tissues(tmp_path: Path) -> None:
    options = COARSE.model_copy(update={"n_patients": 1})
    done: list[int] = []
    write_phantom(
        options, tmp_path / "tumours", "brats2023", tissues=tmp_path / "tissues", n_workers=1, progress=done.append
    )
    patient = generate_patient(options, 0)
    (tumour,) = read_cohort(tmp_path / "tumours").cases
    np.testing.assert_array_equal(load_image(tumour, MODALITIES).array, patient.image.array)
    np.testing.assert_array_equal(load_labels(tumour, scheme_named("brats2023")).array, patient.labels.array)
    assert load_image(tumour).grid == patient.image.grid
    assert (tumour.facts["age"], done) == (patient.facts["age"], [1])
    brains = read_cohort(tmp_path / "tissues")
    assert brains.scheme == scheme_named("ibsr")
    np.testing.assert_array_equal(load_labels(brains.cases[0], scheme_named("ibsr")).array, patient.tissues.array)


def test_phantom_in_an_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no layout bids"):
        write_phantom(COARSE, tmp_path / "set", "bids")


@pytest.mark.slow
def test_phantom_is_the_same_with_any_number_of_workers(tmp_path: Path) -> None:
    for n_workers in (1, 2):
        root = tmp_path / str(n_workers)
        write_phantom(COARSE, root / "set", "lgg", tissues=root / "tissues", n_workers=n_workers)
    assert files(tmp_path / "1") == files(tmp_path / "2")


@pytest.mark.slow
@pytest.mark.parametrize("layout", WRITTEN_LAYOUTS)
def test_phantom_in_every_layout(tmp_path: Path, layout: str) -> None:
    write_phantom(COARSE, tmp_path / "set", layout, n_workers=1)
    cohort = read_cohort(tmp_path / "set")
    assert cohort.layout == READ_AS[layout][0]
    assert len(cohort.patients) == 2
    for case in cohort.cases:
        assert load_image(case).array.any()


def test_errors_name_the_case(tmp_path: Path) -> None:
    with pytest.raises(GliosegError, match="toy-1"):
        write_cohort([toy_case(modalities=("t1n",))], tmp_path / "set", "brats-h5")


# --- what is refused before any work ------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["volumes", "nnunet", "pairs", "classes"])
def test_names_that_fall_together_are_refused_at_once(tmp_path: Path, layout: str) -> None:
    cohort = written(tmp_path, "volumes")
    first, second = (replace(case, id=name) for case, name in zip(cohort.cases, ("Müller", "Möller"), strict=True))
    with pytest.raises(LayoutError, match="Müller, Möller, as M-ller"):
        require_fit(replace(cohort, cases=(first, second)), layout)
    require_fit(replace(cohort, cases=(first, second)), "brats2023")  # which numbers them


def test_what_a_layout_needs_is_known_at_once(tmp_path: Path) -> None:
    cohort = written(tmp_path, "volumes")
    first, last = cohort.cases
    bare = replace(cohort, cases=(first, replace(last, labels=None)))
    poor = replace(cohort, cases=(first, replace(last, images={"t2f": last.images["t2f"]})))
    for layout in ("brats-h5", "classes"):
        with pytest.raises(LabelError, match="it has no labels"):
            require_fit(bare, layout)
    for layout in ("msd", "nnunet"):
        with pytest.raises(LayoutError, match="share their modalities"):
            require_fit(poor, layout)
    with pytest.raises(GeometryError, match="without t1n, t1c, t2w"):
        require_fit(poor, "brats-h5")
    for layout in WRITTEN_LAYOUTS:
        require_fit(cohort, layout)


@pytest.mark.parametrize(("out", "tissues"), [("a", "a"), ("a", "a/t"), ("t/a", "t")])
def test_tissues_have_a_folder_of_their_own(tmp_path: Path, out: str, tissues: str) -> None:
    with pytest.raises(OptionError, match="cannot lie in each other"):
        write_phantom(PhantomOptions(n_patients=1), tmp_path / out, "brats2023", tissues=tmp_path / tissues)
    assert not any(tmp_path.iterdir())


def test_a_stack_thinner_than_the_gap_shows_its_middle(tmp_path: Path) -> None:
    case = toy_case(1, grid=brats_grid((7, 5, 4), 1.0))
    cohort = written(tmp_path, "pairs", [case], picture_gap_mm=20.0)
    assert [member.id for member in cohort.cases] == [f"{case.id}_002"]


def test_a_case_without_a_picture_has_no_row(tmp_path: Path) -> None:
    first, second = toy_cases(2)
    black = replace(second, image=replace(second.image, array=np.zeros_like(second.image.array)))
    cohort = written(tmp_path, "pairs", [first, black])
    assert not [finding for finding in cohort.findings if finding.kind == "unknown-case"]
