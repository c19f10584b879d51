"""Trees of volumes as publishers, hospitals and unpackers leave them: which file is taken for what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import MaskPattern
from glioseg.cohorts.recognise import read_cohort
from glioseg.core import Cohort
from glioseg.errors import LayoutError, OptionError
from tests.fakes.pictures import grey, save, square
from tests.fakes.volumes import labels, noise, save_volume

Taken = Mapping[str, tuple[Mapping[str, str], str | None]]
"""Case -> (modality -> file, mask), paths below the root."""


def write(root: Path, *names: str) -> Path:
    for index, name in enumerate(names):
        words = ("seg", "mask", "gtv", "Glistr", "tumor", "roi", "lesion", "drawn")
        save_volume(
            root / name, labels(1) if any(word in name.lower() for word in map(str.lower, words)) else noise(index)
        )
    return root


def taken(cohort: Cohort, root: Path) -> Taken:
    def below(path: Path) -> str:
        return path.relative_to(root).as_posix()

    return {
        case.id: (
            {name: below(source.paths[0]) for name, source in case.images.items()},
            below(case.labels.paths[0]) if case.labels is not None else None,
        )
        for case in cohort.cases
    }


def kinds(cohort: Cohort) -> set[str]:
    return {finding.kind for finding in cohort.findings if finding.severity != "note"}


# -- scans without masks -----------------------------------------------------------------------------------------------

_FOUR = ("t1n", "t1c", "t2w", "t2f")


@pytest.mark.parametrize(
    "names",
    [
        ("T1", "T1c", "T2", "FLAIR"),
        ("t1n", "t1c", "t2w", "t2f"),
        ("UPENN-GBM-00001_11_T1", "UPENN-GBM-00001_11_T1GD", "UPENN-GBM-00001_11_T2", "UPENN-GBM-00001_11_FLAIR"),
        ("T1", "T1_post", "T2", "FLAIR"),
        ("T1", "T1+C", "T2w", "FLAIR_ax"),
        ("Ax T1 pre", "Ax T1 post GD", "Ax T2 FSE", "Ax T2 FLAIR"),
        ("t1_mpr_nativ", "t1_mpr_KM", "t2_tse_tra", "t2_tirm_tra_dark-fluid"),
        ("p7.t1", "p7.t1.gd", "p7.t2", "p7.flair"),
        ("3D_T1", "3D_T1_CE", "T2W", "T2W_FLAIR"),
    ],
    ids=" ".join,
)
def test_a_patient_by_any_usual_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = write(tmp_path / "patient", *(f"{name}.nii.gz" for name in names))
    (case,) = read_cohort(folder).cases
    assert {name: source.paths[0].name for name, source in case.images.items()} == {
        modality: f"{name}.nii.gz" for modality, name in zip(_FOUR, names, strict=True)
    }
    assert case.labels is None


def test_a_cohort_without_masks(tmp_path: Path) -> None:
    write(tmp_path, "anna/T1.nii.gz", "anna/FLAIR_ax.nii.gz", "otto/T1.nii.gz", "otto/FLAIR.nii.gz")
    cohort = read_cohort(tmp_path)
    assert taken(cohort, tmp_path) == {
        "anna": ({"t1n": "anna/T1.nii.gz", "t2f": "anna/FLAIR_ax.nii.gz"}, None),
        "otto": ({"t1n": "otto/T1.nii.gz", "t2f": "otto/FLAIR.nii.gz"}, None),
    }
    assert cohort.reason == "volumes of 2 cases without label maps (2 named by modality), such as anna/T1.nii.gz"
    assert [finding.kind for finding in cohort.findings] == ["missing-mask", "unknown-patients"]


def test_volumes_whose_names_say_nothing(tmp_path: Path) -> None:
    cohort = read_cohort(write(tmp_path, "p_a.nii.gz", "p_b.nii.gz"))
    assert taken(cohort, tmp_path) == {
        "p_a": ({"image": "p_a.nii.gz"}, None),
        "p_b": ({"image": "p_b.nii.gz"}, None),
    }


def test_screenshots_beside_scans_are_no_classes(tmp_path: Path) -> None:
    write(tmp_path, "anna/FLAIR.nii.gz", "otto/FLAIR.nii.gz")
    for name in ("anna", "otto"):
        save(tmp_path / name / "preview.png", grey(1))
    assert read_cohort(tmp_path).layout == "volumes"


# -- every file in a folder of its own ---------------------------------------------------------------------------------

_SINGLE: dict[str, tuple[tuple[str, ...], str, Taken]] = {
    "a folder called like the file": (
        tuple(
            f"BraTS-GLI-0000{n}-000/BraTS-GLI-0000{n}-000-{w}.nii/BraTS-GLI-0000{n}-000-{w}.nii"
            for n in (1, 2)
            for w in ("t1c", "seg")
        ),
        "brats",
        {
            f"BraTS-GLI-0000{n}-000": (
                {"t1c": f"BraTS-GLI-0000{n}-000/BraTS-GLI-0000{n}-000-t1c.nii/BraTS-GLI-0000{n}-000-t1c.nii"},
                f"BraTS-GLI-0000{n}-000/BraTS-GLI-0000{n}-000-seg.nii/BraTS-GLI-0000{n}-000-seg.nii",
            )
            for n in (1, 2)
        },
    ),
    "numbers within folders of BraTS": (
        tuple(
            f"BraTS2021_00000/BraTS2021_00000_{w}/00000057_{'final' if w == 'seg' else 'brain'}_{w}.nii"
            for w in ("flair", "t1ce", "seg")
        ),
        "brats",
        {
            "BraTS2021_00000": (
                {
                    w2: f"BraTS2021_00000/BraTS2021_00000_{w}/00000057_brain_{w}.nii"
                    for w, w2 in (("t1ce", "t1c"), ("flair", "t2f"))
                },
                "BraTS2021_00000/BraTS2021_00000_seg/00000057_final_seg.nii",
            )
        },
    ),
    "numbered folders of the EGD": (
        tuple(
            f"EGD-000{n}/{w}/NIFTI/{w[2:]}.nii.gz"
            for n in (1, 2)
            for w in ("1_T1", "2_T1GD", "3_T2", "4_FLAIR", "5_MASK")
        ),
        "volumes",
        {
            f"EGD-000{n}": (
                {
                    "t1n": f"EGD-000{n}/1_T1/NIFTI/T1.nii.gz",
                    "t1c": f"EGD-000{n}/2_T1GD/NIFTI/T1GD.nii.gz",
                    "t2w": f"EGD-000{n}/3_T2/NIFTI/T2.nii.gz",
                    "t2f": f"EGD-000{n}/4_FLAIR/NIFTI/FLAIR.nii.gz",
                },
                f"EGD-000{n}/5_MASK/NIFTI/MASK.nii.gz",
            )
            for n in (1, 2)
        },
    ),
    "a folder for each sequence": (
        tuple(f"{name}/{w}/scan.nii.gz" for name in ("anna", "otto") for w in ("T1", "FLAIR")),
        "volumes",
        {
            name: ({"t1n": f"{name}/T1/scan.nii.gz", "t2f": f"{name}/FLAIR/scan.nii.gz"}, None)
            for name in ("anna", "otto")
        },
    ),
    "sequences first, then patients": (
        tuple(f"{w}/{name}.nii.gz" for w in ("T1", "FLAIR", "masks") for name in ("anna", "otto")),
        "volumes",
        {
            name: ({"t1n": f"T1/{name}.nii.gz", "t2f": f"FLAIR/{name}.nii.gz"}, f"masks/{name}.nii.gz")
            for name in ("anna", "otto")
        },
    ),
    "a folder for the image and one for the mask": (
        tuple(f"{name}/{w}.nii.gz/{w}.nii.gz" for name in ("anna", "otto") for w in ("flair", "seg")),
        "volumes",
        {
            name: ({"t2f": f"{name}/flair.nii.gz/flair.nii.gz"}, f"{name}/seg.nii.gz/seg.nii.gz")
            for name in ("anna", "otto")
        },
    ),
}


@pytest.mark.parametrize("kind", _SINGLE)
def test_every_file_in_a_folder_of_its_own(tmp_path: Path, kind: str) -> None:
    names, layout, expected = _SINGLE[kind]
    cohort = read_cohort(write(tmp_path, *names))
    assert (cohort.layout, taken(cohort, tmp_path)) == (layout, expected)
    assert kinds(cohort) <= {"unknown-scheme", "whole-tumour-masks"}
    assert read_cohort(tmp_path, layout=layout).cases == cohort.cases


def test_folders_that_recur_are_time_points_of_a_patient(tmp_path: Path) -> None:
    names = [f"p{n}/week-{week}/{w}.nii.gz" for n in (1, 2) for week in ("00", "12") for w in ("CT1", "FLAIR", "seg")]
    cohort = read_cohort(write(tmp_path, *names))
    assert {case.id: case.patient for case in cohort.cases} == {
        f"p{n}_week-{week}": f"p{n}" for n in (1, 2) for week in ("00", "12")
    }
    assert cohort.modalities == ("t1c", "t2f")
    assert "assumed-identity" in {finding.kind for finding in cohort.findings}


def test_patients_of_two_hospitals_are_no_time_points(tmp_path: Path) -> None:
    names = [f"{place}/{patient}/FLAIR.nii.gz" for place, patient in (("a", "p1"), ("a", "p2"), ("b", "p3"))]
    cohort = read_cohort(write(tmp_path, *names))
    assert len(cohort.patients) == 3


def test_the_folders_of_nnunet_without_their_table(tmp_path: Path) -> None:
    names = [f"imagesTr/a_{n:03d}_{channel:04d}.nii.gz" for n in (1, 2) for channel in (0, 1)]
    write(tmp_path, *names, *(f"labelsTr/a_{n:03d}.nii.gz" for n in (1, 2)))
    cohort = read_cohort(tmp_path, options=ReadOptions(modalities=("t1c", "t2f")))
    assert taken(cohort, tmp_path) == {
        f"a_{n:03d}": (
            {"t1c": f"imagesTr/a_{n:03d}_0000.nii.gz", "t2f": f"imagesTr/a_{n:03d}_0001.nii.gz"},
            f"labelsTr/a_{n:03d}.nii.gz",
        )
        for n in (1, 2)
    }


def test_masks_of_several_readers_are_several(tmp_path: Path) -> None:
    cohort = read_cohort(write(tmp_path, "p1_flair.nii", "p1_seg_R1.nii", "p1_seg_R2.nii"))
    (several,) = [finding for finding in cohort.findings if finding.severity == "error"]
    assert (several.kind, several.case) == ("several-masks", "p1")


def test_patients_of_one_file_each_stay_apart(tmp_path: Path) -> None:
    cohort = read_cohort(write(tmp_path, "anna/flair.nii.gz", "otto/t1.nii.gz", "emil/t2.nii.gz"))
    assert [case.id for case in cohort.cases] == ["anna", "emil", "otto"]


# -- masks of public sets ----------------------------------------------------------------------------------------------

_PUBLIC: dict[str, tuple[tuple[str, ...], str, str, str, str]] = {
    "UCSF-PDGM": (
        tuple(
            f"UCSF-PDGM-0004_nifti/UCSF-PDGM-0004_{w}.nii.gz"
            for w in (
                "T1",
                "T1_bias",
                "T1c",
                "FLAIR",
                "ADC",
                "tumor_segmentation",
                "brain_segmentation",
                "brain_parenchyma_segmentation",
            )
        ),
        "UCSF-PDGM-0004",
        "UCSF-PDGM-0004",
        "UCSF-PDGM-0004_nifti/UCSF-PDGM-0004_tumor_segmentation.nii.gz",
        "brats2021",
    ),
    "UPENN-GBM": (
        (
            *(f"images_structural/UPENN-GBM-00001_11/UPENN-GBM-00001_11_{w}.nii.gz" for w in ("T1", "T1GD", "FLAIR")),
            *(
                f"images_structural_unstripped/UPENN-GBM-00001_11/UPENN-GBM-00001_11_{w}_unstripped.nii.gz"
                for w in ("T1", "T1GD", "FLAIR")
            ),
            "automated_segm/UPENN-GBM-00001_11_automated_approx_segm.nii.gz",
            "images_segm/UPENN-GBM-00001_11_segm.nii.gz",
        ),
        "UPENN-GBM-00001_11",
        "UPENN-GBM-00001",
        "images_segm/UPENN-GBM-00001_11_segm.nii.gz",
        "brats2021",
    ),
    "TCGA": (
        tuple(
            f"TCGA-02-0006/TCGA-02-0006_1996.08.23_{w}.nii.gz"
            for w in ("t1", "t1Gd", "flair", "GlistrBoost", "GlistrBoost_ManuallyCorrected")
        ),
        "TCGA-02-0006_1996.08.23",
        "TCGA-02-0006",
        "TCGA-02-0006/TCGA-02-0006_1996.08.23_GlistrBoost_ManuallyCorrected.nii.gz",
        "brats2021",
    ),
    "EGD": (
        tuple(f"EGD-0001/{w}/NIFTI/{w[2:]}.nii.gz" for w in ("1_T1", "2_T1GD", "4_FLAIR", "5_MASK")),
        "EGD-0001",
        "EGD-0001",
        "EGD-0001/5_MASK/NIFTI/MASK.nii.gz",
        "whole-tumour",
    ),
}


@pytest.mark.parametrize("name", _PUBLIC)
@pytest.mark.parametrize("level", ["", ".."])
def test_public_sets(tmp_path: Path, name: str, level: str) -> None:
    names, case_id, patient, mask, scheme = _PUBLIC[name]
    write(tmp_path / "set", *names)
    cohort = read_cohort(tmp_path / "set" / level)
    (case,) = cohort.cases
    assert (case.id, case.patient) == (case_id, patient)
    assert case.labels is not None
    assert case.labels.paths == (tmp_path / "set" / mask,)
    assert {"t1n", "t1c", "t2f"} <= set(case.images)
    assert not any(
        "bias" in source.paths[0].name or "unstripped" in source.paths[0].name for source in case.images.values()
    )
    assert cohort.scheme is not None
    assert cohort.scheme.name == scheme
    assert "unknown-patients" not in {finding.kind for finding in cohort.findings}


@pytest.mark.parametrize("mask", ["BraTS-MEN-RT-0000-1_gtv", "sub-01_T1w_dseg", "p1_roi", "p1_tumor", "p1_lesion_mask"])
def test_other_words_for_masks(tmp_path: Path, mask: str) -> None:
    case = mask.rpartition("_")[0].removesuffix("_lesion").removesuffix("_T1w")
    write(tmp_path, f"{case}/{case}_t1c.nii.gz", f"{case}/{mask}.nii.gz")
    (read,) = read_cohort(tmp_path).cases
    assert list(read.images) == ["t1c"]
    assert read.labels is not None


# -- masks that the user names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "pattern", "expected"),
    [
        (
            ("p1_flair.nii", "p1_hyper.nii", "p2_flair.nii", "p2_hyper.nii"),
            "*_hyper.nii",
            {f"p{n}": ({"t2f": f"p{n}_flair.nii"}, f"p{n}_hyper.nii") for n in (1, 2)},
        ),
        (
            ("anna/T1.nii", "anna/x.nii", "otto/T1.nii", "otto/x.nii"),
            "*x.nii",
            {},
        ),
        (
            ("scans/p1.nii", "scans/p2.nii", "by_reader/p1.nii", "by_reader/p2.nii"),
            "by_reader/*.nii",
            {f"p{n}": ({"image": f"scans/p{n}.nii"}, f"by_reader/p{n}.nii") for n in (1, 2)},
        ),
    ],
)
def test_a_pattern_says_which_volumes_are_masks(
    tmp_path: Path, names: tuple[str, ...], pattern: str, expected: Taken
) -> None:
    write(tmp_path, *names)
    cohort = read_cohort(tmp_path, options=ReadOptions(masks=MaskPattern(pattern)))
    if expected:
        assert taken(cohort, tmp_path) == expected
    else:
        assert all(case.labels is None for case in cohort.cases)  # nothing stands where * is


def test_a_pattern_says_which_pictures_are_masks(tmp_path: Path) -> None:
    for name in ("1", "2"):
        save(tmp_path / "in" / f"{name}.png", grey(int(name)))
        save(tmp_path / "out" / f"{name}_red.png", square())
    cohort = read_cohort(tmp_path, options=ReadOptions(masks=MaskPattern("out/*_red.png")))
    assert cohort.layout == "pairs"
    assert [case.labels.paths[0].name for case in cohort.cases if case.labels] == ["1_red.png", "2_red.png"]


def test_patterns_that_cannot_be(tmp_path: Path) -> None:
    for text in ("mask.png", "*/*.png", "*"):
        with pytest.raises(OptionError, match=r"masks= of glioseg\.read needs one"):
            MaskPattern(text)
    write(tmp_path, "p1_flair.nii")
    with pytest.raises(OptionError, match="the layout brats names its masks itself"):
        read_cohort(tmp_path, layout="brats", options=ReadOptions(masks=MaskPattern("*_x.nii")))


def test_masks_alone_are_no_scans(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="no layout fits"):
        read_cohort(write(tmp_path, "p1_seg.nii", "p2_seg.nii"))


def test_a_pattern_for_masks_of_one_name_in_folders_of_cases(tmp_path: Path) -> None:
    names = ("anna/T1.nii", "anna/x.nii", "otto/T1.nii", "otto/drawn/x.nii")
    write(tmp_path, *names)
    cohort = read_cohort(tmp_path, options=ReadOptions(masks=MaskPattern("*/x.nii")))
    assert taken(cohort, tmp_path)["anna"] == ({"t1n": "anna/T1.nii"}, "anna/x.nii")
    cohort = read_cohort(tmp_path, options=ReadOptions(masks=MaskPattern("*/drawn/x.nii")))
    assert taken(cohort, tmp_path)["otto"] == ({"t1n": "otto/T1.nii"}, "otto/drawn/x.nii")


def test_a_pattern_that_fits_nothing_is_said(tmp_path: Path) -> None:
    write(tmp_path, "p1_flair.nii", "p2_flair.nii")
    cohort = read_cohort(tmp_path, options=ReadOptions(masks=MaskPattern("*_x.nii")))
    (finding,) = [each for each in cohort.findings if each.severity == "warning"]
    assert "no file fits `--mask-pattern *_x.nii`" in finding.message


def test_series_are_named_of_dicom_alone(tmp_path: Path) -> None:
    write(tmp_path, "p1_flair.nii")
    with pytest.raises(OptionError, match="only DICOM has series that can be named"):
        read_cohort(tmp_path, options=ReadOptions(series={"t1c": "7"}))
