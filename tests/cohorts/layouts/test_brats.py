"""BraTS of every year, at every level, whole and damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.layouts import brats
from glioseg.cohorts.layouts.brats_scheme import family_of, patient_of
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import list_folder
from glioseg.core import Cohort, Finding, scheme_named
from glioseg.errors import LayoutError, OptionError
from glioseg.io import load_image, load_labels
from tests.fakes import brats as fakes
from tests.fakes.cases import MODALITIES, toy_case
from tests.fakes.damage import as_empty, as_text, truncate
from tests.fakes.volumes import labels, noise, save_volume

Write = Callable[[Path], Path]
YEARS: dict[str, tuple[Write, str, int]] = {
    "2015": (fakes.write_2015, "brats2015", 2),
    "2018": (fakes.write_2018, "brats2021", 2),
    "2020": (fakes.write_2020, "brats2021", 2),
    "2021": (fakes.write_2021, "brats2021", 2),
    "2023": (fakes.write_2023, "brats2023", 3),
    "2024": (fakes.write_2024, "brats2024", 3),
}


def read(root: Path, options: ReadOptions | None = None) -> Cohort:
    return brats.read(list_folder(root), options or ReadOptions())


def findings_of(cohort: Cohort, kind: str) -> list[Finding]:
    return [finding for finding in cohort.findings if finding.kind == kind]


def scheme_of(cohort: Cohort) -> str | None:
    return cohort.scheme.name if cohort.scheme is not None else None


# --- the years ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("year", YEARS)
@pytest.mark.parametrize("below", ["", "archive/data"])
def test_years(tmp_path: Path, year: str, below: str) -> None:
    write, scheme, n_cases = YEARS[year]
    write(tmp_path / "set" / below)
    assert brats.match(list_folder(tmp_path / "set")) is not None
    cohort = read(tmp_path / "set")
    assert (cohort.layout, scheme_of(cohort), len(cohort.cases)) == ("brats", scheme, n_cases)
    assert cohort.modalities == MODALITIES
    assert all(tuple(case.images) == MODALITIES and case.labels is not None for case in cohort.cases)
    assert {finding.severity for finding in cohort.findings} <= {"note"}


@pytest.mark.parametrize("year", YEARS)
def test_a_single_case_is_read_like_the_whole_set(tmp_path: Path, year: str) -> None:
    write, scheme, _ = YEARS[year]
    whole = read(write(tmp_path / "set"))
    for case in whole.cases:
        folder = case.images["t1n"].paths[0].parent
        alone = read(folder.parent if folder.name.startswith("VSD") else folder)
        assert scheme_of(alone) == scheme
        (same,) = alone.cases
        assert (same.id, same.patient, same.images, same.labels) == (case.id, case.patient, case.images, case.labels)
        assert {**same.facts, "part": ""} == {**case.facts, "part": ""}


@pytest.mark.parametrize("year", YEARS)
def test_voxels_of_the_right_modality(tmp_path: Path, year: str) -> None:
    cohort = read(YEARS[year][0](tmp_path))
    first = 0 if year == "2015" else 1
    expected = toy_case(first).image
    image = load_image(cohort.cases[0], MODALITIES)
    np.testing.assert_array_equal(image.array, expected.array)
    assert image.grid.difference(expected.grid) is None
    assert cohort.scheme is not None
    load_labels(cohort.cases[0], cohort.scheme)


def test_labels_of_2021(tmp_path: Path) -> None:
    cohort = read(fakes.write_2021(tmp_path))
    array = load_labels(cohort.cases[1], scheme_named("brats2021")).array
    np.testing.assert_array_equal(array, fakes.labels_of_2021(2))
    assert sorted(np.unique(array)) == [0, 1, 2, 4]


def test_level_of_one_grade(tmp_path: Path) -> None:
    fakes.write_2018(tmp_path)
    cohort = read(tmp_path / "MICCAI_BraTS_TrainingData" / "HGG")
    assert [(case.id, case.facts["grade"], case.facts["age"]) for case in cohort.cases] == [
        ("Brats18_CBICA_AAB_1", "HGG", 60.46)
    ]


@pytest.mark.parametrize("word", ["T2F", "t2f", "T2f"])
def test_any_case_of_the_ending(tmp_path: Path, word: str) -> None:
    fakes.write_2023(tmp_path)
    folder = tmp_path / "BraTS-GLI-00002-000"
    (folder / f"{folder.name}-t2f.nii.gz").rename(folder / f"{folder.name}-{word}.nii.gz")
    (folder / f"{folder.name}-seg.nii.gz").rename(folder / f"{folder.name}-SEG.NII.GZ")
    cohort = read(folder)
    assert tuple(cohort.cases[0].images) == MODALITIES
    assert cohort.cases[0].labels is not None


def test_time_points_are_one_patient(tmp_path: Path) -> None:
    cohort = read(fakes.write_2023(tmp_path))
    assert [(case.id, case.patient) for case in cohort.cases] == [
        ("BraTS-GLI-00001-000", "BraTS-GLI-00001"),
        ("BraTS-GLI-00001-001", "BraTS-GLI-00001"),
        ("BraTS-GLI-00002-000", "BraTS-GLI-00002"),
    ]
    assert cohort.patients == ("BraTS-GLI-00001", "BraTS-GLI-00002")


@pytest.mark.parametrize(
    ("case", "patient"),
    [
        ("BraTS-GLI-00000-001", "BraTS-GLI-00000"),
        ("BraTS-MET-00012-000", "BraTS-MET-00012"),
        ("brats_tcia_pat153_0109", "brats_tcia_pat153"),
        ("brats_2013_pat0002_1", "brats_2013_pat0002_1"),
        ("Brats18_TCIA04_192_1", "Brats18_TCIA04_192_1"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BraTS2021_00006", "BraTS2021_00006"),
    ],
)
def test_patients(case: str, patient: str) -> None:
    assert patient_of(case) == patient


# --- what the labels mean -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "folder", "family"),
    [
        ("BraTS-GLI-00000-001", "x", "GLI"),
        ("BraTS-SSA-00002-000", "x", "GLI"),
        ("BraTS-GLI-02063-106", "x", "GLI post-treatment"),
        ("BraTS-GLI-00000-000", "BraTS2024-BraTS-GLI", "GLI post-treatment"),
        ("BraTS-GLI-00000-000", "GLI_PostTreatment", "GLI post-treatment"),
        ("BraTS-GLI-00000-000", "ASNR-MICCAI-BraTS2023-GLI", "GLI"),
        ("BraTS-PED-00002-000", "x", "PED"),
        ("BraTS-PED-00002-000", "ASNR-MICCAI-BraTS2023-PED-Challenge-TrainingData", "PED 2023"),
        ("BraTS-PED-00002-000", "BraTS-PEDs2024_Training", "PED since 2024"),
        ("BraTS-PED-00002-000", "BraTS2025-PED", "PED since 2024"),
        ("BraTS-MEN-00002-000", "x", "MEN or MET"),
        ("BraTS-MET-00002-000", "x", "MEN or MET"),
        ("BraTS-MEN-RT-0001-1", "x", "MEN-RT"),
        ("BraTS19_2013_0_1", "x", "2017-2021"),
        ("Brats17_TCIA_105_1", "x", "2017-2021"),
        ("brats_tcia_pat153_0109", "x", "2015"),
        ("patient7", "BraTS2021", None),
    ],
)
def test_families(case: str, folder: str, family: str | None) -> None:
    assert family_of(case, (folder,)) == family


def test_label_4_under_names_of_2023_is_the_cavity_of_2024(tmp_path: Path) -> None:
    fakes.write_2023(tmp_path)
    name = "BraTS-GLI-00002-000"
    fakes.set_labels(tmp_path / name / f"{name}-seg.nii.gz", [1, 2, 3, 4])
    cohort = read(tmp_path)
    assert scheme_of(cohort) == "brats2024"
    assert len(findings_of(cohort, "scheme-by-labels")) == 1


def test_masks_of_the_whole_tumour_are_seen(tmp_path: Path) -> None:
    cohort = read(fakes.write_whole_tumour(tmp_path))
    assert (scheme_of(cohort), cohort.modalities) == ("whole-tumour", ("t2f",))
    assert [finding.severity for finding in findings_of(cohort, "whole-tumour-masks")] == ["note"]
    assert findings_of(cohort, "missing-modality")[0].message == "no case has t1n, t1c, t2w"


def test_one_mask_with_several_labels_is_enough(tmp_path: Path) -> None:
    fakes.write_whole_tumour(tmp_path)
    name = "Brats18_CBICA_ABE_1"
    fakes.set_labels(tmp_path / name / f"{name}_seg.nii.gz", [1, 2])
    assert scheme_of(read(tmp_path)) == "brats2021"


def test_empty_masks_say_nothing(tmp_path: Path) -> None:
    fakes.write_2021(tmp_path)
    for name in ("BraTS2021_00001", "BraTS2021_00002"):
        fakes.set_labels(tmp_path / name / f"{name}_seg.nii.gz", [])
    assert scheme_of(read(tmp_path)) == "brats2021"


def test_the_user_has_the_last_word(tmp_path: Path) -> None:
    fakes.write_whole_tumour(tmp_path)
    cohort = read(tmp_path, ReadOptions(scheme=scheme_named("brats2021")))
    assert scheme_of(cohort) == "brats2021"
    assert not findings_of(cohort, "whole-tumour-masks")


@pytest.mark.parametrize("damage", [truncate, as_text, as_empty])
def test_masks_that_cannot_be_read_are_left_to_the_check(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    fakes.write_2021(tmp_path)
    for name in ("BraTS2021_00001", "BraTS2021_00002"):
        damage(tmp_path / name / f"{name}_seg.nii.gz")
    cohort = read(tmp_path)
    assert (scheme_of(cohort), len(cohort.cases)) == ("brats2021", 2)


def test_2015_as_nifti(tmp_path: Path) -> None:
    for name in ("brats_2013_pat0002_1", "brats_2013_pat0003_1"):
        save_volume(tmp_path / name / f"{name}_flair.nii.gz", noise(1))
        save_volume(tmp_path / name / f"{name}_seg.nii.gz", labels(1, 2, 3, 4))
    cohort = read(tmp_path)
    assert scheme_of(cohort) == "brats2015"
    assert [case.facts for case in cohort.cases] == [{"site": "2013"}, {"site": "2013"}]


@pytest.mark.parametrize(
    ("name", "values", "scheme"),
    [
        ("BraTS-PED-00002-000", (1, 2, 3, 4), "brats2024-ped"),
        ("BraTS2024/BraTS-PED-00002-000", (1, 2, 3), "brats2024-ped"),
        ("BraTS2023/BraTS-PED-00002-000", (1, 2, 3), "brats2023"),
        ("BraTS-PED-00002-000", (1, 2, 3), None),
        ("BraTS-MEN-00002-000", (1, 2, 3), "brats2023"),
        ("BraTS-MET-00002-000", (1, 2, 3), "brats2023"),
        ("BraTS-MET-00002-000", (1, 2, 3, 4), "brats2024"),
        ("BraTS-MEN-RT-0002-1", (1,), "brats2024-men-rt"),
    ],
)
def test_other_tumours_have_other_labels(
    tmp_path: Path, name: str, values: tuple[int, ...], scheme: str | None
) -> None:
    case = tmp_path / name
    save_volume(case / f"{case.name}-t1c.nii.gz", noise(1))
    save_volume(case / f"{case.name}-seg.nii.gz", labels(*values))
    cohort = read(tmp_path)
    assert (cohort.scheme and cohort.scheme.name) == scheme
    if scheme is None:
        (finding,) = findings_of(cohort, "unknown-scheme")
        assert finding.severity == "warning"
        assert "brats2023), ET, NET and CC since (brats2024-ped)" in finding.message
        assert "--scheme" in finding.message


def test_time_points_of_radiotherapy_are_one_patient(tmp_path: Path) -> None:
    assert patient_of("BraTS-MEN-RT-0002-1") == "BraTS-MEN-RT-0002"


def test_challenges_with_different_labels_in_one_folder(tmp_path: Path) -> None:
    fakes.write_2021(tmp_path / "a")
    fakes.write_2023(tmp_path / "b")
    cohort = read(tmp_path)
    assert (cohort.scheme, len(cohort.cases)) == (None, 5)
    assert "2017-2021" in findings_of(cohort, "unknown-scheme")[0].message


@pytest.mark.parametrize(
    ("values", "scheme"), [((1, 2, 4), "brats2021"), ((1, 2, 3), None), ((1, 2, 3, 4), None), ((1,), "whole-tumour")]
)
def test_unknown_names(tmp_path: Path, values: tuple[int, ...], scheme: str | None) -> None:
    for word in ("t1ce", "flair"):
        save_volume(tmp_path / "patient7" / f"patient7_{word}.nii.gz", noise(1))
    save_volume(tmp_path / "patient7" / "patient7_seg.nii.gz", labels(*values))
    assert brats.match(list_folder(tmp_path)) is not None
    cohort = read(tmp_path)
    assert scheme_of(cohort) == scheme
    kinds = {"unknown-scheme", "scheme-by-labels", "whole-tumour-masks"}
    assert len([finding for finding in cohort.findings if finding.kind in kinds]) == 1


def test_volumes_of_others_are_not_claimed(tmp_path: Path) -> None:
    for word in ("t1", "t2", "flair", "seg"):
        save_volume(tmp_path / "p1" / f"p1_{word}.nii.gz", noise(1))
    assert brats.match(list_folder(tmp_path)) is None
    assert read(tmp_path).modalities == ("t1n", "t2w", "t2f")  # but --layout brats reads them


# --- what is missing or too much ------------------------------------------------------------------------------------


def test_missing_modality(tmp_path: Path) -> None:
    fakes.write_2021(tmp_path)
    (tmp_path / "BraTS2021_00001" / "BraTS2021_00001_t1ce.nii.gz").unlink()
    cohort = read(tmp_path)
    assert tuple(cohort.cases[0].images) == ("t1n", "t2w", "t2f")
    assert cohort.modalities == MODALITIES
    (finding,) = cohort.findings
    assert (finding.severity, finding.kind, finding.case) == ("warning", "missing-modality", "BraTS2021_00001")
    assert "t1c" in finding.message


def test_missing_mask(tmp_path: Path) -> None:
    fakes.write_2021(tmp_path)
    (tmp_path / "BraTS2021_00002" / "BraTS2021_00002_seg.nii.gz").unlink()
    cohort = read(tmp_path)
    assert cohort.cases[1].labels is None
    assert scheme_of(cohort) == "brats2021"
    (finding,) = cohort.findings
    assert (finding.severity, finding.kind, finding.case) == ("warning", "missing-mask", "BraTS2021_00002")


def test_no_masks_at_all_is_good_for_prediction(tmp_path: Path) -> None:
    fakes.write_2021(tmp_path)
    for path in tmp_path.rglob("*_seg.nii.gz"):
        path.unlink()
    cohort = read(tmp_path)
    assert cohort.scheme is None
    assert [(finding.severity, finding.kind) for finding in cohort.findings] == [("note", "missing-mask")]


def test_mask_without_image_is_left_out(tmp_path: Path) -> None:
    fakes.write_2021(tmp_path)
    for word in ("t1", "t1ce", "t2", "flair"):
        (tmp_path / "BraTS2021_00002" / f"BraTS2021_00002_{word}.nii.gz").unlink()
    cohort = read(tmp_path)
    assert [case.id for case in cohort.cases] == ["BraTS2021_00001"]
    assert findings_of(cohort, "mask-without-image")[0].severity == "error"


def test_nothing_but_masks_is_refused(tmp_path: Path) -> None:
    save_volume(tmp_path / "BraTS2021_00002" / "BraTS2021_00002_seg.nii.gz", labels(1))
    assert brats.match(list_folder(tmp_path)) is None
    with pytest.raises(LayoutError, match="no BraTS volumes"):
        read(tmp_path)


def test_both_endings_of_one_file(tmp_path: Path) -> None:
    folder = fakes.write_2021(tmp_path) / "BraTS2021_00001"
    save_volume(folder / "BraTS2021_00001_t2.nii", noise(3))
    cohort = read(tmp_path)
    (finding,) = cohort.findings
    assert (finding.kind, finding.case) == ("repeated-file", "BraTS2021_00001")
    assert len(cohort.cases) == 2


def test_the_odd_mask_name_of_2020(tmp_path: Path) -> None:
    cohort = read(fakes.write_2020(tmp_path))
    case = cohort.cases[1]
    assert case.labels is not None
    assert (case.id, case.labels.paths[0].name) == ("BraTS20_Training_355", "W39_1998.09.19_Segm.nii")
    assert [finding.kind for finding in cohort.findings] == ["odd-mask-name"]


def test_the_same_id_in_two_grades_is_two_people(tmp_path: Path) -> None:
    cohort = read(fakes.write_2015(tmp_path, ["HGG/brats_2013_pat0001_1", "LGG/brats_2013_pat0001_1"]))
    assert [(case.id, case.patient, case.facts["grade"]) for case in cohort.cases] == [
        ("brats_2013_pat0001_1_HGG", "brats_2013_pat0001_1_HGG", "HGG"),
        ("brats_2013_pat0001_1_LGG", "brats_2013_pat0001_1_LGG", "LGG"),
    ]


def test_a_copy_of_a_case_is_the_same_patient(tmp_path: Path) -> None:
    fakes.write_2021(tmp_path / "a", 1)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    cohort = read(tmp_path)
    assert [case.id for case in cohort.cases] == ["a_BraTS2021_00001", "b_BraTS2021_00001"]
    assert cohort.patients == ("BraTS2021_00001",)


def test_flat_folder(tmp_path: Path) -> None:
    fakes.write_2021(tmp_path / "set")
    (tmp_path / "flat").mkdir()
    for path in (tmp_path / "set").rglob("*.nii.gz"):
        path.rename(tmp_path / "flat" / path.name)
    cohort = read(tmp_path / "flat")
    assert [case.id for case in cohort.cases] == ["BraTS2021_00001", "BraTS2021_00002"]


def test_names_for_channels_are_refused(tmp_path: Path) -> None:
    fakes.write_2021(tmp_path)
    with pytest.raises(OptionError, match="states its modalities"):
        read(tmp_path, ReadOptions(modalities=("t1n", "t1c")))


# --- tables ---------------------------------------------------------------------------------------------------------


def test_tables_of_2020(tmp_path: Path) -> None:
    cohort = read(fakes.write_2020(tmp_path))
    assert dict(cohort.cases[0].facts) == {
        **{"age": 60.463, "survival_days": 289, "death": 1, "resection": "GTR"},
        **{"grade": "HGG", "site": "CBICA"},
    }
    assert dict(cohort.cases[1].facts) == {
        **{"age": 52.5, "survival_days": 361, "death": 0},
        **{"grade": "LGG", "site": "TCIA09", "tcia_id": "TCGA-DU-6542"},
    }


def test_tables_of_2018(tmp_path: Path) -> None:
    cohort = read(fakes.write_2018(tmp_path))
    assert dict(cohort.cases[0].facts) == {
        **{"age": 60.46, "survival_days": 289, "death": 1, "resection": "GTR"},
        **{"grade": "HGG", "site": "CBICA"},
    }
    assert dict(cohort.cases[1].facts) == {"grade": "LGG", "site": "TCIA09"}


def test_a_table_of_no_text_is_a_finding(tmp_path: Path) -> None:
    fakes.write_2021(tmp_path)
    (tmp_path / "survival_info.csv").write_bytes(b"\xff\xfe\x00\xd8")
    cohort = read(tmp_path)
    assert findings_of(cohort, "unreadable-table")[0].severity == "warning"
    assert "age" not in cohort.cases[0].facts


# --- real scans -----------------------------------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "scheme", "n_cases", "modalities", "values"),
    [
        ("brats2021", "brats2021", 1, MODALITIES, {0, 1, 2, 4}),
        ("brats2023", "brats2023", 1, MODALITIES, {0, 1, 2, 3}),
        ("brats2018_flair", "whole-tumour", 7, ("t2f",), {0, 1}),
        ("brats2015_flair_t1c", "brats2015", 4, ("t1c", "t2f"), {0, 1, 2, 3, 4}),
    ],
)
def test_published_scans(
    real_data: Path, folder: str, scheme: str, n_cases: int, modalities: tuple[str, ...], values: set[int]
) -> None:
    cohort = read(real_data / folder)
    assert (scheme_of(cohort), len(cohort.cases), len(cohort.patients)) == (scheme, n_cases, n_cases)
    assert cohort.modalities == modalities
    assert {finding.severity for finding in cohort.findings} <= {"note"}
    image, reference = load_image(cohort.cases[0]), load_labels(cohort.cases[0], scheme_named(scheme))
    assert image.grid.shape == (240, 240, 155)
    assert image.grid.difference(reference.grid) is None
    assert set(np.unique(reference.array)) == values
