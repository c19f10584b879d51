"""BraTS 2020 as HDF5 slices."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from glioseg.cohorts.layouts import brats_h5
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import list_folder
from glioseg.cohorts.write import write_cohort
from glioseg.core import Cohort, Finding, scheme_named
from glioseg.errors import LayoutError, OptionError
from glioseg.io import load_image, load_labels
from tests.fakes.brats import labels_of_2021
from tests.fakes.cases import MODALITIES, brats_grid, toy_case, toy_cases
from tests.fakes.damage import as_empty

PUBLISHED = Path("BraTS2020_training_data/content/data")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two volumes of four slices as Kaggle unpacks them."""
    write_cohort(toy_cases(2), tmp_path / "archive" / PUBLISHED, "brats-h5")
    return tmp_path / "archive"


def read(root: Path, options: ReadOptions | None = None) -> Cohort:
    return brats_h5.read(list_folder(root), options or ReadOptions())


def findings_of(cohort: Cohort, kind: str) -> list[Finding]:
    return [finding for finding in cohort.findings if finding.kind == kind]


def test_as_published(root: Path) -> None:
    assert brats_h5.match(list_folder(root)) == "8 files named volume_V_slice_S.h5, of 2 volumes"
    cohort = read(root)
    assert [case.id for case in cohort.cases] == ["volume_1", "volume_2"]
    assert cohort.modalities == MODALITIES
    assert cohort.scheme == scheme_named("brats2021")
    assert {finding.severity for finding in cohort.findings} == {"note"}


def test_voxels_labels_and_grid(root: Path) -> None:
    cohort = read(root)
    for index, case in enumerate(cohort.cases, start=1):
        image = load_image(case, MODALITIES)
        np.testing.assert_array_equal(image.array, toy_case(index).image.array)
        assert image.grid == brats_grid()
        reference = load_labels(case, scheme_named("brats2021"))
        np.testing.assert_array_equal(reference.array, labels_of_2021(index))
        assert reference.grid == image.grid


def test_the_published_grid_is_that_of_the_nifti_files(tmp_path: Path) -> None:
    """240 rows: 1 mm, the origin at the last row, as in BraTS20_Training_001_flair.nii."""
    with h5py.File(tmp_path / "volume_1_slice_0.h5", "w") as file:
        file["image"] = np.zeros((240, 240, 4))
        file["mask"] = np.zeros((240, 240, 3), dtype=np.uint8)
    grid = load_image(read(tmp_path).cases[0]).grid
    np.testing.assert_array_equal(grid.affine, [[-1, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert grid.has_mm


def test_a_grid_other_than_the_published_comes_back_too(tmp_path: Path) -> None:
    grid = brats_grid(spacing=2.0)
    write_cohort([toy_case(grid=grid)], tmp_path / "set", "brats-h5")
    assert load_image(read(tmp_path).cases[0]).grid == grid


def test_slices_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for index in (10, 2, 9, 0, 1, *range(3, 9)):
        with h5py.File(tmp_path / f"volume_3_slice_{index}.h5", "w") as file:
            file["image"] = np.full((2, 2, 4), index)
            file["mask"] = np.zeros((2, 2, 3), dtype=np.uint8)
    image = load_image(read(tmp_path).cases[0])
    assert image.array[0, 0, 0].tolist() == list(range(11))


def test_assumptions_are_said(root: Path) -> None:
    cohort = read(root)
    assert "t1n, t1c, t2w, t2f" in findings_of(cohort, "assumed-channels")[0].message
    assert "BraTS20_Training_V" in findings_of(cohort, "assumed-identity")[0].message


def test_the_user_names_the_channels(root: Path) -> None:
    cohort = read(root, ReadOptions(modalities=("flair", "T1", "t1ce", "t2")))
    assert cohort.modalities == ("t2f", "t1n", "t1c", "t2w")
    assert not findings_of(cohort, "assumed-channels")
    np.testing.assert_array_equal(load_image(cohort.cases[0], ["t2f"]).array[0], toy_case(1).image.array[0])


@pytest.mark.parametrize("names", [("t1n",), ("t1n", "t1c", "t2w", "t2w"), ("t1", "t1n", "t2w", "t2f")])
def test_names_that_do_not_fit_are_refused(root: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(OptionError, match="4 different names"):
        read(root, ReadOptions(modalities=names))


def test_another_number_of_channels_must_be_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "volume_1_slice_0.h5", "w") as file:
        file["image"] = np.zeros((2, 2, 2))
        file["mask"] = np.zeros((2, 2, 3), dtype=np.uint8)
    with pytest.raises(LayoutError, match="in file order with modalities="):
        read(tmp_path)
    assert read(tmp_path, ReadOptions(modalities=("t1c", "t2f"))).modalities == ("t1c", "t2f")


def test_the_scheme_can_be_said(root: Path) -> None:
    assert read(root, ReadOptions(scheme=scheme_named("brats2023"))).scheme == scheme_named("brats2023")


def test_facts_come_from_both_tables(root: Path) -> None:
    facts = read(root).cases[1].facts
    assert dict(facts) == {
        **{"age": 42, "survival_days": 200, "death": 1, "sex": "F"},
        **{"n_slices": 4, "first_slice": 0, "last_slice": 3},
    }


def test_gap_in_a_volume(root: Path) -> None:
    (root / PUBLISHED / "volume_2_slice_1.h5").unlink()
    (root / PUBLISHED / "meta_data.csv").unlink()
    cohort = read(root)
    (finding,) = findings_of(cohort, "missing-slice")
    assert (finding.severity, finding.case) == ("warning", "volume_2")
    assert findings_of(cohort, "missing-table")[0].severity == "note"
    assert cohort.cases[1].facts["n_slices"] == 3


def test_the_table_knows_of_slices_missing_at_the_end(root: Path) -> None:
    """Its paths are those of the publisher's machine; the names of the files are what counts."""
    table = (root / PUBLISHED / "meta_data.csv").read_text()
    assert "/content/data/volume_1_slice_0.h5" in table
    (root / PUBLISHED / "volume_1_slice_3.h5").unlink()
    (finding,) = findings_of(read(root), "missing-slice")
    assert (finding.case, finding.message.rsplit(" ", 1)[-1]) == ("volume_1", "3")


def test_the_table_knows_of_missing_volumes(root: Path) -> None:
    for path in (root / PUBLISHED).glob("volume_2_*"):
        path.unlink()
    (finding,) = findings_of(read(root), "missing-volume")
    assert (finding.severity, "volume_2" in finding.message) == ("note", True)


def test_a_table_without_paths_is_a_finding(root: Path) -> None:
    (root / PUBLISHED / "meta_data.csv").write_text("a,b\n1,2\n")
    assert findings_of(read(root), "unreadable-table")[0].severity == "warning"


def test_slices_that_lie_twice(root: Path) -> None:
    copy = root / "copy" / "volume_1_slice_0.h5"
    copy.parent.mkdir()
    copy.write_bytes((root / PUBLISHED / copy.name).read_bytes())
    cohort = read(root)
    assert findings_of(cohort, "repeated-file")[0].severity == "warning"
    assert cohort.cases[0].facts["n_slices"] == 4


def test_a_damaged_first_slice_is_left_to_the_check(root: Path) -> None:
    as_empty(root / PUBLISHED / "volume_1_slice_0.h5")
    assert len(read(root).cases) == 2


def test_no_slices(tmp_path: Path) -> None:
    (tmp_path / "volume_1.h5").touch()
    assert brats_h5.match(list_folder(tmp_path)) is None
    with pytest.raises(LayoutError, match="no HDF5 slices"):
        read(tmp_path)
