from __future__ import annotations

import json
import math
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from glioseg.cohorts.splits.slicewise import by_slices, find_dark_slices, is_by_slices
from glioseg.cohorts.splits.split import Split, SplitOptions, split, unit_of, verified
from glioseg.cohorts.splits.split_file import load_split, save_split
from glioseg.cohorts.splits.stratify import deal, units_of
from glioseg.core import Case, Cohort, Finding, Grid, Source, scheme_named
from glioseg.errors import FileError, LayoutError, SplitError
from glioseg.io import load_image, load_labels
from glioseg.io.nifti import write_nifti
from glioseg.io.raster import write_picture

SOURCE = Source((Path("never-read.nii"),), "nifti")


def case(name: str, patient: str | None = None, site: str | None = None, category: str | None = None) -> Case:
    facts = {} if site is None else {"site": site}
    return Case(name, patient or name, {"t1c": SOURCE}, SOURCE, category, facts)


def cohort_of(cases: Sequence[Case], *findings: Finding) -> Cohort:
    categories = tuple(sorted({member.category for member in cases if member.category}))
    return Cohort("toy", "brats", "", tuple(cases), ("t1c",), scheme_named("brats2021"), categories, findings=findings)


def many(n: int, **more: Any) -> Cohort:
    return cohort_of([case(f"p{number:03d}", **more) for number in range(n)])


@st.composite
def cohorts(draw: st.DrawFn, smallest: int = 6) -> tuple[Cohort, dict[str, float], list[frozenset[str]]]:
    """Patients with one to three time points at some sites, burdens for most cases, random duplicate groups."""
    n = draw(st.integers(smallest, 40))
    cases = []
    for number in range(n):
        site = draw(st.sampled_from([None, "CS", "DU", "HT"]))
        for time in range(draw(st.integers(1, 3))):
            cases.append(case(f"p{number:02d}-{time}", f"p{number:02d}", site))
    burden = {member.id: draw(st.sampled_from([0.0, 1.0, 5.0, 20.0, 90.0])) for member in cases if draw(st.booleans())}
    ids = st.sampled_from([member.id for member in cases])
    groups = draw(st.lists(st.frozensets(ids, min_size=2, max_size=4), max_size=3))
    return cohort_of(cases), burden, groups


def parts_of(parts: Split) -> dict[str, str]:
    return {
        patient: name
        for name, part in (("train", parts.train), ("val", parts.val), ("test", parts.test))
        for patient in part
    }


# --- never a leak -------------------------------------------------------------------------------------------------


@given(
    cohorts(smallest=16),
    st.integers(0, 99),
    st.sampled_from([{}, {"n_folds": 4, "fold": 2}, {"test": 0.0, "train": 0.8, "val": 0.2}]),
)
def test_a_split_never_leaks(
    drawn: tuple[Cohort, dict[str, float], list[frozenset[str]]], seed: int, options: dict[str, Any]
) -> None:
    cohort, burden, groups = drawn
    assume(len(units_of(cohort, groups, None, 1)) >= 5)
    result = split(cohort, SplitOptions(seed=seed, **options), burden=burden, groups=groups)
    where = parts_of(result)
    assert sorted((*result.train, *result.val, *result.test)) == list(cohort.patients)  # disjoint and complete
    of_case = {member.id: member.patient for member in cohort.cases}
    for group in groups:
        assert len({where[of_case[name]] for name in group}) == 1
    assert verified(result, cohort, groups=groups) == result
    assert result.train
    assert result.val
    assert bool(result.test) == (options.get("test") != 0.0)


@given(cohorts(), st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_order_of_cases_and_groups_does_not_matter(
    drawn: tuple[Cohort, dict[str, float], list[frozenset[str]]], seed: int, random: Any
) -> None:
    cohort, burden, groups = drawn
    assume(len(units_of(cohort, groups, None, 1)) >= 3)
    shuffled = list(cohort.cases)
    random.shuffle(shuffled)
    options = SplitOptions(seed=seed)
    first = split(cohort, options, burden=burden, groups=groups)
    second = split(cohort_of(shuffled), options, burden=dict(reversed(burden.items())), groups=groups[::-1])
    assert first == second
    assert first.sha256 == second.sha256


@given(cohorts(smallest=12), st.integers(2, 5), st.integers(0, 9))
def test_every_patient_is_validated_once_in_all_folds(
    drawn: tuple[Cohort, dict[str, float], list[frozenset[str]]], n_folds: int, seed: int
) -> None:
    cohort, burden, groups = drawn
    assume(len(units_of(cohort, groups, None, 1)) >= n_folds + 2)
    folds = [
        split(cohort, SplitOptions(n_folds=n_folds, fold=fold, seed=seed), burden=burden, groups=groups)
        for fold in range(n_folds)
    ]
    assert len({fold.test for fold in folds}) == 1  # the test part is the same for all
    validated = Counter(patient for fold in folds for patient in fold.val)
    assert set(validated) == set(cohort.patients) - set(folds[0].test)
    assert set(validated.values()) == {1}


# --- alike in all parts -------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from([0.0, 1.0, 10.0])), min_size=8, max_size=70),
    st.integers(0, 99),
    st.sampled_from([(0.7, 0.15, 0.15), (0.72, 0.08, 0.2), (0.8, 0.2, 0.0), (1 / 3, 1 / 3, 1 / 3), (0.25,) * 4]),
)
def test_every_stratum_every_site_and_all_are_within_one_of_ideal(
    patients: list[tuple[str, float]], seed: int, shares: tuple[float, ...]
) -> None:
    cohort = cohort_of([case(f"p{number:02d}", site=site) for number, (site, _) in enumerate(patients)])
    burden = {f"p{number:02d}": value for number, (_, value) in enumerate(patients)}
    units = units_of(cohort, (), burden, 2)
    parts = deal(units, shares, str(seed))
    assume(min(share for share in shares if share > 0) * len(units) >= 1)  # else a part gets more than its share
    for key in (lambda unit: unit.stratum, lambda unit: unit.site, lambda _: "all"):
        sizes = Counter(key(unit) for unit in units)
        for part, share in zip(parts, shares, strict=True):
            counts = Counter(key(unit) for unit in part)
            for name, size in sizes.items():
                assert math.floor(size * share + 1e-9) <= counts[name] <= math.ceil(size * share - 1e-9)


def test_ratios_by_hand() -> None:
    # 20 patients, 5 at each level of burden: 14, 3, 3; of each level 3 or 4, 0 or 1, 0 or 1
    cohort = many(20)
    burden = {member.id: float(number // 5) + 1 for number, member in enumerate(cohort.cases)}
    result = split(cohort, SplitOptions(), burden=burden)
    assert (len(result.train), len(result.val), len(result.test)) == (14, 3, 3)
    for part, most in ((result.train, 4), (result.val, 1), (result.test, 1)):
        assert max(Counter(burden[patient] for patient in part).values()) <= most


def test_classes_are_alike_in_all_parts() -> None:
    cases = [case(f"{name}{number}", category=name) for name, n in (("yes", 20), ("no", 10)) for number in range(n)]
    result = split(cohort_of(cases), SplitOptions(train=0.6, val=0.2, test=0.2))
    for part, yes, no in ((result.train, 12, 6), (result.val, 4, 2), (result.test, 4, 2)):
        assert Counter(patient.rstrip("0123456789") for patient in part) == {"yes": yes, "no": no}


def test_every_part_gets_someone_when_patients_are_few() -> None:
    for n in (3, 4, 5):
        for seed in range(5):
            result = split(many(n), SplitOptions(seed=seed))
            assert min(len(result.train), len(result.val), len(result.test)) >= 1
            assert len(result.train) == n - 2


def test_seeds_differ_and_no_patient_is_favoured() -> None:
    cohort = many(20)
    tested = Counter(patient for seed in range(200) for patient in split(cohort, SplitOptions(seed=seed)).test)
    # 3 of 20 in each of 200 draws: 30 times on average, with a standard deviation of 5
    assert min(tested[patient] for patient in cohort.patients) > 10
    assert max(tested.values()) < 50


def test_duplicate_groups_are_spread_and_stay_together() -> None:
    # 30 pictures, of which 12 are pairs: 6 units of two and 18 of one, shares 2/3, 1/6, 1/6 of 30
    cohort = many(30)
    groups = [{f"p{2 * number:03d}", f"p{2 * number + 1:03d}"} for number in range(6)]
    result = split(cohort, SplitOptions(train=2 / 3, val=1 / 6, test=1 / 6), groups=groups)
    assert (len(result.train), len(result.val), len(result.test)) == (20, 5, 5)
    with_pairs = [sum(set(group) <= set(part) for group in groups) for part in (result.train, result.val, result.test)]
    assert with_pairs == [4, 1, 1]


def test_one_giant_group_goes_to_the_largest_part() -> None:
    cohort = many(20)
    giant = {f"p{number:03d}" for number in range(12)}
    result = split(cohort, SplitOptions(), groups=[giant])
    assert giant <= set(result.train)
    assert (len(result.train), len(result.val), len(result.test)) == (14, 3, 3)
    # two giants and nothing else still give two parts
    result = split(
        many(6), SplitOptions(train=0.9, val=0.1, test=0), groups=[("p000", "p001", "p002"), ("p003", "p004", "p005")]
    )
    assert len(result.train) == len(result.val) == 3


def test_groups_join_through_time_points() -> None:
    # a-0 looks like b-0 and b-1 like c-0: all three patients stay together
    cases = [case("a-0", "a"), case("b-0", "b"), case("b-1", "b"), case("c-0", "c"), case("d-0", "d"), case("e-0", "e")]
    units = units_of(cohort_of(cases), [("a-0", "b-0"), ("b-1", "c-0"), ("gone", "d-0")], None, 1)
    assert [unit.patients for unit in units] == [("a", "b", "c"), ("d",), ("e",)]


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"train": 0.7, "val": 0.2, "test": 0.2}, "sum to 1.1"),
        ({"fold": 1}, "set split.n_folds=5"),
        ({"n_folds": 5, "fold": 5}, "0 to 4"),
        ({"n_folds": 1}, "greater than or equal to 2"),
        ({"train": 0.0, "val": 0.5, "test": 0.5}, "greater than 0"),
        ({"ratio": 1}, "Extra inputs"),
    ],
)
def test_options_without_meaning(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SplitOptions(**options)


def test_too_few_patients() -> None:
    with pytest.raises(SplitError, match=r"fewer patients.*found 2.*at least 3"):
        split(many(2), SplitOptions())
    with pytest.raises(SplitError, match=r"found 3.*at least 5"):
        split(many(4), SplitOptions(n_folds=5))
    with pytest.raises(SplitError, match="found 1"):
        split(many(4), SplitOptions(), groups=[("p000", "p001", "p002", "p003")])


def test_parts_by_name() -> None:
    result = Split(("a",), ("b",), ())
    assert result.part("train") == ("a",)
    assert result.part("all") == ("a", "b")
    with pytest.raises(SplitError, match="test part of the split is empty"):
        result.part("test")
    with pytest.raises(SplitError, match="train, val, test, all"):
        result.part("training")


@pytest.mark.parametrize(
    ("given_split", "words"),
    [
        (Split(("p000", "p001"), ("p001",), ()), "two parts.*found p001"),
        (Split(("p000", "p000"), (), ()), "twice in one.*found p000"),
        (Split(("p000", "x"), ("y",), ()), "patients that the cohort lacks; found 2: x, y"),
        (Split((), ("p000",), ()), "train part of the split is empty"),
        (Split(("p000",), ("p002",), ("p001",)), r"show the same.*p000 in train, p001 in test"),
    ],
)
def test_splits_that_do_not_hold(given_split: Split, words: str) -> None:
    with pytest.raises(SplitError, match=words):
        verified(given_split, many(4), groups=[("p000", "p001"), ("p003", "unknown")])


def test_patients_in_no_part_are_reported() -> None:
    assert verified(Split(("p003",), ("p001",), ()), many(4)).unused == ("p000", "p002")
    # a leak through a case that is in no part is none
    assert verified(Split(("p003",), ("p001",), ()), many(4), groups=[("p000", "p001")]).val == ("p001",)


# --- files --------------------------------------------------------------------------------------------------------


def test_a_saved_split_comes_back(tmp_path: Path) -> None:
    cohort = many(10)
    result = split(cohort, SplitOptions(seed=3))
    save_split(result, tmp_path / "split.json")
    assert load_split(tmp_path / "split.json", cohort) == result
    assert json.loads((tmp_path / "split.json").read_text())["sha256"] == result.sha256


def test_a_hand_made_split_needs_no_hash_but_a_wrong_one_is_refused(tmp_path: Path) -> None:
    cohort, path = many(4), tmp_path / "split.json"
    path.write_text('{"train": ["p002", "p000"], "val": ["p001"]}')
    result = load_split(path, cohort)
    assert result == Split(("p000", "p002"), ("p001",), (), unused=("p003",))
    path.write_text(json.dumps({"train": ["p000"], "val": ["p001"], "sha256": result.sha256}))
    with pytest.raises(SplitError, match=f"changed after it was saved; found hash {result.sha256}.*remove the line"):
        load_split(path, cohort)
    path.write_text(json.dumps({"train": ["p002", "p000"], "val": ["p001"], "sha256": result.sha256}))
    assert load_split(path, cohort) == result  # the order of the names is no change


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"train": "p000"}', '{"train": [1]}', '[{"train": ["p000"]}]'])
def test_files_that_are_no_splits(tmp_path: Path, text: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(SplitError, match=r"not a split.*nnU-Net"):
        load_split(path, many(2), fold=None if text.startswith("{") else 0)


def test_a_file_that_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text("train: p000")
    with pytest.raises(FileError, match="not a split; found Expecting value"):
        load_split(tmp_path / "split.json", many(2))


def test_the_folds_of_nnunet_name_cases(tmp_path: Path) -> None:
    cohort = cohort_of([case("a-0", "a"), case("a-1", "a"), case("b-0", "b"), case("c-0", "c")])
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps([{"train": ["a-0", "a-1"], "val": ["b-0"]}, {"train": ["a-0", "b-0"], "val": ["a-1"]}]))
    assert load_split(path, cohort, fold=0) == Split(("a",), ("b",), (), unused=("c",))
    with pytest.raises(SplitError, match=r"two parts.*found a"):
        load_split(path, cohort, fold=1)
    with pytest.raises(SplitError, match=r"must be chosen; expected 0 to 1.*fold="):
        load_split(path, cohort)
    with pytest.raises(SplitError, match="no such fold; found 2"):
        load_split(path, cohort, fold=2)
    with pytest.raises(SplitError, match="cases that the cohort lacks; found 1: b-0"):
        load_split(path, cohort_of([case("a-0", "a"), case("a-1", "a")]), fold=0)
    path.write_text('{"train": ["a"]}')
    with pytest.raises(SplitError, match="no fold can be chosen"):
        load_split(path, cohort, fold=0)


# --- units --------------------------------------------------------------------------------------------------------


def test_pictures_of_unknown_patients_are_split_by_duplicate_group() -> None:
    cohort = cohort_of(many(9).cases, Finding("note", "unknown-patients", "nobody knows"))
    assert unit_of(cohort) == "duplicate group"
    assert split(cohort, SplitOptions()).unit == "duplicate group"
    assert split(many(9), SplitOptions()).unit == "patient"


def stack(folder: Path, n_slices: int = 4) -> Case:
    """A stack of pictures of which slices 0 and 3 are black, with masks that are marked by their slice."""
    pictures, masks = [], []
    for z in range(n_slices):
        pixels = np.full((6, 5), 0 if z in (0, 3) else 50 + z, dtype=np.uint8)
        pictures.append(folder / f"s_{z}.png")
        write_picture(pictures[-1], pixels)
        mask = np.zeros((6, 5), dtype=np.uint8)
        mask[0, : z + 1] = 255
        masks.append(folder / f"s_{z}_mask.png")
        write_picture(masks[-1], mask)
    return Case(
        "stack", "p", {"flair": Source(tuple(pictures), "raster")}, Source(tuple(masks), "raster"), facts={"site": "CS"}
    )


def test_slices_of_picture_stacks_become_cases(tmp_path: Path) -> None:
    cohort = Cohort("toy", "lgg", "", (stack(tmp_path),), ("flair",), scheme_named("lgg"))
    slices = by_slices(cohort)
    assert [member.id for member in slices.cases] == [f"stack_slice_{z:04d}" for z in range(4)]
    assert [member.patient for member in slices.cases] == [member.id for member in slices.cases]
    assert slices.cases[2].facts == {"site": "CS", "of_case": "stack", "of_patient": "p", "slice": 2}
    assert load_image(slices.cases[2]).array.max() == 52
    assert (load_labels(slices.cases[2], scheme_named("lgg")).array > 0).sum() == 3
    assert is_by_slices(slices)
    assert not is_by_slices(cohort)
    assert slices.findings[-1].severity == "warning"
    assert "leak" in slices.findings[-1].message
    dark = find_dark_slices(cohort, 0.02)
    assert dark == {"stack": (0, 3)}
    assert [member.facts["slice"] for member in by_slices(cohort, dark).cases] == [1, 2]
    with pytest.raises(LayoutError, match="no slice is left"):
        by_slices(cohort, {"stack": range(4)})


def test_slices_of_volumes_become_cases(tmp_path: Path) -> None:
    grid = Grid((4, 3, 5), np.diag([-1.0, -1.0, 2.0, 1.0]))
    volume = np.arange(60, dtype=np.int16).reshape(4, 3, 5)
    write_nifti(tmp_path / "v.nii.gz", volume, grid)
    write_nifti(tmp_path / "seg.nii.gz", (volume % 5 == 3).astype(np.uint8), grid)
    whole = Case(
        "v", "v", {"t1c": Source((tmp_path / "v.nii.gz",), "nifti")}, Source((tmp_path / "seg.nii.gz",), "nifti")
    )
    slices = by_slices(cohort_of([whole]))
    assert len(slices.cases) == 5
    image = load_image(slices.cases[3])
    np.testing.assert_array_equal(image.array[0, :, :, 0], volume[:, :, 3])
    assert image.grid == grid.cropped(((0, 4), (0, 3), (3, 4)))
    assert load_labels(slices.cases[3], scheme_named("brats2021")).array.all()
    assert not load_labels(slices.cases[2], scheme_named("brats2021")).array.any()
    result = split(slices, SplitOptions(protocol="slice", train=0.6, val=0.2, test=0.2))
    assert result.unit == "slice"
    assert (len(result.train), len(result.val), len(result.test)) == (3, 1, 1)


def test_the_protocol_and_the_cohort_must_agree(tmp_path: Path) -> None:
    cohort = Cohort("toy", "lgg", "", (stack(tmp_path),), ("flair",), scheme_named("lgg"))
    with pytest.raises(SplitError, match="protocol slice, cases that are not slices"):
        split(many(9), SplitOptions(protocol="slice"))
    with pytest.raises(SplitError, match="protocol patient, cases that are slices"):
        split(by_slices(cohort), SplitOptions())


def test_as_many_sites_as_patients_take_little_memory() -> None:
    """The sums over sites are as long as the patients are many, and nearly all of them nought."""
    cases = [case(f"p{number:03d}", site=f"s{number:03d}") for number in range(300)]
    tracemalloc.start()
    try:
        divided = split(cohort_of(cases), SplitOptions(n_folds=5))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(divided.train), len(divided.val), len(divided.test)) == (204, 51, 45)
    assert peak < 10e6


def test_masks_of_regions_are_those_of_the_only_slice_of_a_picture() -> None:
    picture, masks = Source((Path("1.png"),), "raster"), Source((Path("wt.png"), Path("tc.png")), "raster")
    whole = Case("1", "1", {"grey": picture}, replace(masks, layers=("WT", "TC")))
    cohort = Cohort("toy", "pairs", "", (whole,), ("grey",), scheme_named("brats2021"))
    (slice_,) = by_slices(cohort).cases
    assert (slice_.id, slice_.images, slice_.labels) == ("1_slice_0000", whole.images, whole.labels)
