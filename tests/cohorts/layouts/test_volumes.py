"""Volumes and their label maps, in folders or flat, in any of the formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.layouts import volumes
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import list_folder
from glioseg.core import Cohort, scheme_named
from glioseg.errors import LayoutError, OptionError
from glioseg.io import load_image, load_labels
from tests.fakes.damage import as_text, truncate
from tests.fakes.volumes import SHAPE, labels, noise, save_volume, write_ibsr


def read(root: Path, options: ReadOptions | None = None) -> Cohort:
    return volumes.read(list_folder(root), options or ReadOptions())


def write(root: Path, *names: str) -> Path:
    """A volume under each name; label maps under those that say so."""
    for index, name in enumerate(names):
        is_mask = any(word in name for word in ("seg", "mask", "label"))
        save_volume(root / name, labels(1) if is_mask else noise(index))
    return root


def files(cohort: Cohort, root: Path) -> dict[str, tuple[dict[str, str], str | None]]:
    """Case id -> (modality -> file, label map) below the root."""
    return {
        case.id: (
            {name: source.paths[0].relative_to(root).as_posix() for name, source in case.images.items()},
            case.labels.paths[0].relative_to(root).as_posix() if case.labels else None,
        )
        for case in cohort.cases
    }


def kinds(cohort: Cohort) -> list[tuple[str, str, str | None]]:
    return [(finding.severity, finding.kind, finding.case) for finding in cohort.findings]


def test_ibsr(tmp_path: Path) -> None:
    cohort = read(write_ibsr(tmp_path, [4, 18]))
    assert files(cohort, tmp_path) == {
        "IBSR_04": ({"t1n": "IBSR_04/IBSR_04.nii.gz"}, "IBSR_04/IBSR_04_seg.nii.gz"),
        "IBSR_18": ({"t1n": "IBSR_18/IBSR_18.nii.gz"}, "IBSR_18/IBSR_18_seg.nii.gz"),
    }
    assert [case.patient for case in cohort.cases] == ["IBSR_04", "IBSR_18"]
    assert cohort.scheme == scheme_named("ibsr")
    assert cohort.findings == ()
    image = load_image(cohort.cases[0])
    assert image.array.shape == (1, *SHAPE)  # the 4th axis of length 1 is gone
    np.testing.assert_array_equal(image.array[0], noise(4))
    np.testing.assert_array_equal(load_labels(cohort.cases[0], scheme_named("ibsr")).array, labels(1, 2, 3))


@pytest.mark.parametrize("level", ["", "data", "data/IBSR_04"])
def test_ibsr_at_any_level(tmp_path: Path, level: str) -> None:
    write_ibsr(tmp_path / "data", [4, 5])
    assert read(tmp_path / level).cases[0].id == "IBSR_04"
    assert read(tmp_path / level).scheme == scheme_named("ibsr")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize("mask", ["_seg", "_mask", "-label", ".segmentation"])
def test_formats_and_names_of_label_maps(tmp_path: Path, ending: str, mask: str) -> None:
    save_volume(tmp_path / "a" / f"a{ending}", noise(0))
    save_volume(tmp_path / "a" / f"a{mask}{ending}", labels(1, 1))
    save_volume(tmp_path / "b" / f"b{ending}", noise(1))
    save_volume(tmp_path / "b" / f"b{mask}{ending}", labels(1))
    assert volumes.match(list_folder(tmp_path)) == (
        f"2 of 2 cases have a label map, such as a/a{ending} and a/a{mask}{ending}"
    )
    cohort = read(tmp_path)
    assert cohort.modalities == ("image",)
    case = cohort.cases[1]
    np.testing.assert_array_equal(load_image(case).array[0], noise(1))
    np.testing.assert_array_equal(load_labels(case, scheme_named("whole-tumour")).array, labels(1))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(
            ("p1_flair.nii", "p1_t1.nii", "p1_seg.nii", "p2_flair.nii", "p2_t1.nii", "p2_seg.nii"),
            {
                "p1": ({"t1n": "p1_t1.nii", "t2f": "p1_flair.nii"}, "p1_seg.nii"),
                "p2": ({"t1n": "p2_t1.nii", "t2f": "p2_flair.nii"}, "p2_seg.nii"),
            },
            id="flat, modality by ending",
        ),
        pytest.param(
            ("p1.nii", "p1_seg.nii", "p10.nii", "p10_seg.nii", "p2.nii"),
            {
                "p1": ({"image": "p1.nii"}, "p1_seg.nii"),
                "p2": ({"image": "p2.nii"}, None),
                "p10": ({"image": "p10.nii"}, "p10_seg.nii"),
            },
            id="flat, p1 is not the beginning of p10, p2 without label map",
        ),
        pytest.param(
            ("p1_t1.nii", "p1_flair.nii", "p1_flair_seg.nii"),
            {"p1": ({"t1n": "p1_t1.nii", "t2f": "p1_flair.nii"}, "p1_flair_seg.nii")},
            id="label map named after the modality it was drawn on",
        ),
        pytest.param(
            ("anna/T1.nii", "anna/FLAIR.nii", "anna/tumour_mask.nii", "otto/T1.nii", "otto/tumour_mask.nii"),
            {
                "anna": ({"t1n": "anna/T1.nii", "t2f": "anna/FLAIR.nii"}, "anna/tumour_mask.nii"),
                "otto": ({"t1n": "otto/T1.nii"}, "otto/tumour_mask.nii"),
            },
            id="folders name the cases",
        ),
        pytest.param(
            ("anna/scan_adc.nii", "anna/scan_t2.nii", "anna/scan_seg.nii", "otto/scan_adc.nii", "otto/scan_t2.nii"),
            {
                "anna": ({"t2w": "anna/scan_t2.nii", "adc": "anna/scan_adc.nii"}, "anna/scan_seg.nii"),
                "otto": ({"t2w": "otto/scan_t2.nii", "adc": "otto/scan_adc.nii"}, None),
            },
            id="a folder without label map is a case too",
        ),
        pytest.param(
            ("images/p1.nii", "images/p2.nii", "labels/p1.nii", "labels/p2.nii"),
            {"p1": ({"image": "images/p1.nii"}, "labels/p1.nii"), "p2": ({"image": "images/p2.nii"}, "labels/p2.nii")},
            id="images and labels",
        ),
        pytest.param(
            ("a/2020.nii", "a/seg.nii", "b/2021.nii", "b/seg.nii"),
            {"a": ({"image": "a/2020.nii"}, "a/seg.nii"), "b": ({"image": "b/2021.nii"}, "b/seg.nii")},
            id="dates are no modalities",
        ),
        pytest.param(
            ("p1_t1.nii", "p1_brain_mask.nii", "p1_seg.nii"),
            {"p1": ({"t1n": "p1_t1.nii"}, "p1_seg.nii")},
            id="a mask of the brain is no label map",
        ),
    ],
)
def test_what_belongs_together(
    tmp_path: Path, names: tuple[str, ...], expected: dict[str, tuple[dict[str, str], str | None]]
) -> None:
    assert files(read(write(tmp_path, *names)), tmp_path) == expected


def test_parts(tmp_path: Path) -> None:
    write(tmp_path, "train/a/a.nii", "train/a/a_seg.nii", "test/b/b.nii", "test/b/b_seg.nii")
    assert {case.id: case.facts["part"] for case in read(tmp_path).cases} == {"test_b": "test", "train_a": "train"}


def test_one_case_pointed_at(tmp_path: Path) -> None:
    write(tmp_path / "anna", "T1.nii", "FLAIR.nii", "mask.nii")
    (case,) = read(tmp_path / "anna").cases
    assert case.id == "anna"
    assert list(case.images) == ["t1n", "t2f"]
    assert read(tmp_path).cases == (case,)


def test_the_scheme_must_be_said(tmp_path: Path) -> None:
    write(tmp_path, "p1.nii", "p1_seg.nii")
    cohort = read(tmp_path)
    assert cohort.scheme is None
    assert ("warning", "unknown-scheme", None) in kinds(cohort)
    with_scheme = read(tmp_path, ReadOptions(scheme=scheme_named("whole-tumour")))
    assert with_scheme.scheme == scheme_named("whole-tumour")
    assert kinds(with_scheme) == [("note", "unknown-patients", None)]


def test_other_names_are_not_ibsr(tmp_path: Path) -> None:
    write_ibsr(tmp_path, [1])
    write(tmp_path, "other/other.nii", "other/other_seg.nii")
    assert read(tmp_path).scheme is None


def test_several_channels_in_one_file(tmp_path: Path) -> None:
    array = np.stack([noise(0), noise(1), noise(2)], axis=-1)
    save_volume(tmp_path / "p1.nii.gz", array)
    save_volume(tmp_path / "p1_seg.nii.gz", labels(1))
    cohort = read(tmp_path)
    assert cohort.modalities == ("channel_0", "channel_1", "channel_2")
    np.testing.assert_array_equal(load_image(cohort.cases[0]).array, np.moveaxis(array, -1, 0))
    named = read(tmp_path, ReadOptions(modalities=("t2f", "t1n", "t1c")))
    assert named.modalities == ("t2f", "t1n", "t1c")
    np.testing.assert_array_equal(load_image(named.cases[0], ["t1c"]).array[0], noise(2))
    with pytest.raises(OptionError, match="one name for each modality"):
        read(tmp_path, ReadOptions(modalities=("t2f",)))


def test_missing_modality_and_mask(tmp_path: Path) -> None:
    write(tmp_path, "p1_t1.nii", "p1_flair.nii", "p1_seg.nii", "p2_t1.nii")
    cohort = read(tmp_path)
    assert ("warning", "missing-modality", "p2") in kinds(cohort)
    assert ("warning", "missing-mask", "p2") in kinds(cohort)
    assert list(cohort.cases[1].images) == ["t1n"]


def test_several_label_maps(tmp_path: Path) -> None:
    write(tmp_path, "p1.nii", "p1_seg.nii", "p1_mask.nii")
    cohort = read(tmp_path)
    assert cohort.cases[0].labels is None
    assert ("error", "several-masks", "p1") in kinds(cohort)


def test_the_same_modality_twice(tmp_path: Path) -> None:
    write(tmp_path, "p1_t1.nii", "p1_t1.mha", "p1_seg.nii")
    cohort = read(tmp_path)
    assert list(cohort.cases[0].images) == ["t1n"]
    assert ("warning", "repeated-modality", "p1") in kinds(cohort)


def test_label_map_without_image(tmp_path: Path) -> None:
    write(tmp_path, "p1.nii", "p1_seg.nii", "p2_seg.nii")
    cohort = read(tmp_path)
    assert [case.id for case in cohort.cases] == ["p1"]
    assert ("warning", "mask-without-image", None) in kinds(cohort)


@pytest.mark.parametrize("ending", [".nii.gz", ".mha"])
def test_damaged_files_are_named(tmp_path: Path, ending: str) -> None:
    write(tmp_path, f"p1{ending}", f"p1_seg{ending}", f"p2{ending}", f"p2_seg{ending}", f"p3{ending}")
    as_text(tmp_path / f"p1{ending}")
    truncate(tmp_path / f"p2{ending}", 0.05)
    messages = {
        (finding.severity, finding.case): finding.message for finding in read(tmp_path).findings if finding.case
    }
    assert str(tmp_path / f"p1{ending}") in messages["error", "p1"]
    assert str(tmp_path / f"p2{ending}") in messages["error", "p2"]
    assert ("error", "p3") not in messages


def test_volumes_without_any_label_map(tmp_path: Path) -> None:
    write(tmp_path, "anna/T1.nii", "otto/T1.nii")
    listing = list_folder(tmp_path)
    assert volumes.match(listing) is None
    cohort = read(tmp_path)  # as --layout volumes asks
    assert files(cohort, tmp_path) == {"anna": ({"t1n": "anna/T1.nii"}, None), "otto": ({"t1n": "otto/T1.nii"}, None)}
    assert cohort.scheme is None
    assert "unknown-scheme" not in [finding.kind for finding in cohort.findings]


def test_label_maps_alone(tmp_path: Path) -> None:
    write(tmp_path, "p1_seg.nii")
    assert volumes.match(list_folder(tmp_path)) is None
    with pytest.raises(LayoutError, match="no volumes to go with label maps"):
        read(tmp_path)


@pytest.mark.realdata
def test_published_ibsr(real_data: Path) -> None:
    cohort = read(real_data / "ibsr")
    assert len(cohort.cases) == 9
    assert cohort.modalities == ("t1n",)
    assert cohort.scheme == scheme_named("ibsr")
    image = load_image(cohort.cases[0])
    assert image.array.ndim == 4
    assert load_labels(cohort.cases[0], scheme_named("ibsr")).grid == image.grid
