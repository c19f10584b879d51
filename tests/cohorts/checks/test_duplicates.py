"""Copies are found whatever was done to them; different pictures and patients are never merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter, zoom

from glioseg.cohorts.checks.alignment import PICTURE_BOUND, picture_correlations
from glioseg.cohorts.checks.check import check
from glioseg.cohorts.checks.duplicates import (
    VOLUME_BOUND,
    group_fingerprints,
)
from glioseg.cohorts.checks.fingerprints import difference_hash, fingerprint, thumbnail
from glioseg.cohorts.description import DuplicateGroup
from glioseg.cohorts.recognise import read_cohort
from glioseg.cohorts.summary import Fingerprint
from glioseg.core import Cohort
from tests.cohorts.hand_made import cohort, head, picture_case, volume_case

Grey = npt.NDArray[np.uint8]


def brain(seed: int, rows: int = 150, columns: int = 120) -> Grey:
    """(rows, columns): a bright ellipse with blobs of its own on black."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    blobs = gaussian_filter(np.random.default_rng(seed).normal(size=(rows, columns)), rows / 20)
    picture = 130 + 60 * blobs / blobs.std()
    return np.where(x**2 / 0.7 + y**2 / 0.8 < 1, np.clip(picture, 40, 255), 0).astype(np.uint8)


def skull(seed: int, shape: tuple[int, int, int] = (20, 60, 50)) -> Grey:
    """(slices, rows, columns): an ellipsoid with blobs of its own on black."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    blobs = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (1, 3, 3))
    return np.where(x**2 + y**2 + z**2 < 0.9, np.clip(130 + 50 * blobs / blobs.std(), 40, 255), 0).astype(np.uint8)


def picture_print(name: str, picture: Grey, patient: str | None = None) -> Fingerprint:
    return fingerprint(name, patient or name, {"grey": picture[None]})


def volume_print(name: str, volume: npt.NDArray[np.generic], patient: str | None = None) -> Fingerprint:
    return fingerprint(name, patient or name, {"t2f": volume})


def jpeg(picture: Grey, folder: Path, quality: int = 50) -> Grey:
    path = folder / "copy.jpg"
    Pillow.fromarray(picture).save(path, quality=quality)
    return np.asarray(Pillow.open(path))


def names(groups: tuple[DuplicateGroup, ...]) -> list[tuple[str, ...]]:
    return [group.cases for group in groups]


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_equal_pixels_are_exact() -> None:
    prints = [picture_print("a", brain(1)), picture_print("b", brain(2)), picture_print("c", brain(1))]
    assert group_fingerprints(prints) == (DuplicateGroup(("a", "c"), "exact", 1.0, (), ("a", "c")),)


def test_classes_and_patients_of_a_group_are_told() -> None:
    prints = [picture_print("a", brain(1), "p"), picture_print("b", brain(1), "q")]
    (group,) = group_fingerprints(prints, {"a": "yes", "b": "no"})
    assert group.categories == ("no", "yes")
    assert group.patients == ("p", "q")


def test_a_grey_copy_of_a_grey_picture_in_colours_is_exact() -> None:
    layers = fingerprint("b", "b", dict.fromkeys(("red", "green", "blue"), brain(1)[None]))
    assert [group.kind for group in group_fingerprints([picture_print("a", brain(1)), layers])] == ["exact"]


def test_the_integer_type_of_a_file_does_not_matter() -> None:
    wide = volume_print("b", skull(1).astype(np.int16))
    assert [group.kind for group in group_fingerprints([volume_print("a", skull(1)), wide])] == ["exact"]


@pytest.mark.parametrize(
    "change", ["encoded", "smaller", "larger", "cropped", "framed", "brighter", "mirrored", "shifted"]
)
def test_changed_copies_of_pictures_are_near(change: str, tmp_path: Path) -> None:
    picture = brain(1)
    resized = {"smaller": (70, 90), "larger": (300, 350)}
    copies: dict[str, Callable[[], Grey]] = {
        "encoded": lambda: jpeg(picture, tmp_path),
        "cropped": lambda: picture[14:-6, 10:-8],
        "framed": lambda: np.pad(picture, ((40, 10), (5, 60))),
        "brighter": lambda: np.clip(picture * 1.2, 0, 255).astype(np.uint8),
        "mirrored": lambda: np.ascontiguousarray(picture[:, ::-1]),
        "shifted": lambda: np.roll(picture, 5, axis=1),
    }
    copy = np.asarray(Pillow.fromarray(picture).resize(resized[change])) if change in resized else copies[change]()
    others = [picture_print(str(seed), brain(seed)) for seed in range(2, 12)]
    (group,) = group_fingerprints([picture_print("a", picture), *others, picture_print("copy", copy)])
    assert group.cases == ("a", "copy")
    assert group.kind == "near"
    assert group.correlation >= PICTURE_BOUND


def test_different_pictures_are_not_merged() -> None:
    assert group_fingerprints([picture_print(str(seed), brain(seed)) for seed in range(60)]) == ()


def test_a_chain_of_copies_is_one_group(tmp_path: Path) -> None:
    prints = [
        picture_print("a", brain(1)),
        picture_print("b", jpeg(brain(1), tmp_path)),
        picture_print("c", jpeg(brain(1), tmp_path, quality=20)),
    ]
    assert names(group_fingerprints(prints)) == [("a", "b", "c")]


@pytest.mark.parametrize("value", [0, 9, 255])
def test_constant_pictures_never_count(value: int) -> None:
    flat = np.full((40, 30), value, dtype=np.uint8)
    prints = [picture_print("a", flat), picture_print("b", flat)]
    assert [case_print.content for case_print in prints] == [None, None]
    assert group_fingerprints(prints) == ()


def test_pictures_of_one_patient_are_not_compared() -> None:
    prints = [picture_print("a1", brain(1), "a"), picture_print("a2", brain(1), "a"), picture_print("b", brain(2))]
    assert group_fingerprints(prints) == ()


def test_a_copy_of_a_patient_with_two_pictures_alike_is_found() -> None:
    prints = [picture_print("a1", brain(1), "a"), picture_print("a2", brain(1), "a"), picture_print("b", brain(1))]
    (group,) = group_fingerprints(prints)
    assert group.patients == ("a", "b")


# --- volumes ----------------------------------------------------------------------------------------------------------


def test_a_patient_under_another_name_is_found() -> None:
    prints = [volume_print(str(seed), skull(seed)) for seed in range(12)]
    (group,) = group_fingerprints([*prints, volume_print("copy", skull(3))])
    assert (group.cases, group.kind) == (("3", "copy"), "exact")


@pytest.mark.parametrize("change", ["resampled", "noisy", "gamma", "cropped", "rescaled"])
def test_changed_copies_of_volumes_are_near(change: str) -> None:
    volume = skull(3)
    real = volume.astype(np.float32)
    copies: dict[str, Callable[[], npt.NDArray[np.floating]]] = {
        "resampled": lambda: zoom(real, (1, 0.7, 0.7), order=1),
        "noisy": lambda: np.where(volume > 0, real + np.random.default_rng(0).normal(0, 3, real.shape), 0),
        "gamma": lambda: (real / 255) ** 1.2,
        "cropped": lambda: real[:, 2:-2, 2:-2],
        "rescaled": lambda: real * 12.5,
    }
    others = [volume_print(str(seed), skull(seed)) for seed in range(12)]
    (group,) = group_fingerprints([*others, volume_print("copy", copies[change]().astype(np.float32))])
    assert group.cases == ("3", "copy")
    assert group.kind == "near"
    assert group.correlation >= VOLUME_BOUND


def test_two_stacks_that_share_one_slice_are_one_group() -> None:
    first, second = skull(1), skull(2)
    second[7] = first[12]
    assert names(group_fingerprints([volume_print("a", first), volume_print("b", second)])) == [("a", "b")]


def test_slices_that_show_next_to_nothing_are_not_shared() -> None:
    first, second = skull(1), skull(2)
    speck = np.zeros_like(first[0])
    speck[30, 25:28] = 90
    first[0] = second[4] = speck
    first[1] = second[6] = 0
    assert group_fingerprints([volume_print("a", first), volume_print("b", second)]) == ()


def test_volumes_with_nan_do_not_break_the_search() -> None:
    volume = skull(1).astype(np.float32)
    volume[3] = np.nan
    assert volume_print("a", volume).thumbnail is not None


def test_pictures_and_volumes_are_not_compared() -> None:
    assert group_fingerprints([volume_print("a", skull(1)), picture_print("b", skull(1)[10])]) == ()


# --- parts ------------------------------------------------------------------------------------------------------------


def test_thumbnails_average_what_they_cover() -> None:
    """A picture of 4 x 4 squares, each of 32 x 32 pixels, becomes 4 x 4 squares of 16 x 16."""
    squares = np.arange(16, dtype=np.uint8).reshape(4, 4) * 10 + 100
    small = thumbnail(np.kron(squares, np.ones((32, 32), dtype=np.uint8))[None])
    assert small is not None
    assert small.shape == (64, 64)
    # 100 becomes 0 and 250 becomes 255
    assert small[::16, ::16].tolist() == np.rint((squares.astype(float) - 100) * 1.7).tolist()


def test_the_hash_tells_rising_from_falling() -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp[:, ::-1]) == 0


def test_correlations_of_equal_and_opposite_thumbnails() -> None:
    small = thumbnail(brain(1)[None])
    assert small is not None
    both = picture_correlations(np.stack([small, small]), np.stack([small, 255 - small]))
    assert both == pytest.approx([1, -1])


# --- cohorts ----------------------------------------------------------------------------------------------------------


def groups_of(found: Cohort) -> set[frozenset[str]]:
    """The sets of case ids that show the same, as the check of a cohort finds them."""
    prints = [summary.fingerprint for summary in check(found, n_workers=1)]
    return {frozenset(group.cases) for group in group_fingerprints(prints)}


def test_the_groups_of_a_cohort_are_sets_of_ids(tmp_path: Path) -> None:
    cases = [picture_case(tmp_path, str(seed), [brain(seed).T]) for seed in range(4)]
    cases.append(picture_case(tmp_path, "copy", [jpeg(brain(2), tmp_path).T]))
    cases[0].images["grey"].paths[0].write_bytes(b"")
    assert groups_of(cohort(*cases)) == {frozenset({"2", "copy"})}  # what cannot be read is in none


def test_the_check_finds_the_same_copies(tmp_path: Path) -> None:
    cases = [volume_case(tmp_path, str(seed), {"t2f": head(seed)}) for seed in range(3)]
    cases.append(volume_case(tmp_path, "copy", {"t2f": head(1)}))
    assert groups_of(cohort(*cases)) == {frozenset({"1", "copy"})}


# --- real scans -------------------------------------------------------------------------------------------------------


@pytest.mark.realdata
def test_copies_in_a_published_set_of_pictures(real_data: Path) -> None:
    """Each of these was looked at; no other pair of the 200 shows the same."""
    groups = groups_of(read_cohort(real_data / "navoneel"))
    names = {frozenset(name.split("_", 1)[1] for name in group) for group in groups}
    assert len(groups) == 29
    assert frozenset({"17 no", "27 no"}) in names  # equal
    assert frozenset({"Y15", "Y181", "Y34"}) in names  # equal, three times
    assert frozenset({"Y107", "Y163", "Y33", "Y49"}) in names  # cropped and resized
    assert frozenset({"50 no", "7 no"}) in names  # resized
    assert frozenset({"Y112", "Y146"}) in names  # cropped by hand
    assert frozenset({"Y161", "Y61", "Y71"}) in names
    assert all(len({name.split("_")[0] for name in group}) == 1 for group in groups)  # none across the classes
    assert not any("no 100" in group or "No18" in group for group in names)  # alike, yet of other contrast or slice


@pytest.mark.realdata
@pytest.mark.slow
def test_no_two_lgg_patients_are_merged(kaggle_3m: Path) -> None:
    cohort = read_cohort(kaggle_3m)
    assert len(cohort.cases) == 66
    assert groups_of(cohort) == set()


@pytest.mark.realdata
@pytest.mark.slow
def test_no_two_patients_with_whole_heads_are_merged(real_data: Path) -> None:
    assert groups_of(read_cohort(real_data / "ibsr")) == set()
