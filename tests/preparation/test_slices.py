from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from glioseg.core import Grid
from glioseg.errors import CacheError, OptionError
from glioseg.preparation.cache import prepare
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.slices import (
    SliceOptions,
    anything_shown,
    channels_of,
    index_slices,
    largest_slice,
    take_images,
    take_regions,
    tumour_slices,
    with_neighbours,
)
from glioseg.preparation.store import PreparedCohort
from tests.preparation.toys import GRID, cohort_of, toy_cohort, write_case


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedCohort:
    folder = tmp_path_factory.mktemp("slices")
    return prepare(toy_cohort(folder / "data", 2), PrepareOptions(), folder / "cache")


# the toy brain fills 45 of 120 pixels on slices 1 to 4 of 6, its tumour lies on slices 2 and 3


@pytest.mark.parametrize(
    ("options", "slices"),
    [
        (SliceOptions(), [1, 2, 3, 4]),
        (SliceOptions(dark_below=0.0), [1, 2, 3, 4]),
        (SliceOptions(dark_below=0.375), [1, 2, 3, 4]),
        (SliceOptions(choice="tumour"), [2, 3]),
        (SliceOptions(choice="tumour", dark_below=0.1), [2, 3]),
    ],
)
def test_which_slices_are_seen(prepared: PreparedCohort, options: SliceOptions, slices: list[int]) -> None:
    index = index_slices(prepared, options)
    assert len(index) == 2 * len(slices)
    assert index.cases.tolist() == [0] * len(slices) + [1] * len(slices)
    assert index.slices.tolist() == slices * 2
    assert index.has_tumour.tolist() == [z in (2, 3) for z in slices] * 2


def test_no_slice_left_is_an_error(prepared: PreparedCohort) -> None:
    with pytest.raises(CacheError, match="no slice is left"):
        index_slices(prepared, SliceOptions(dark_below=0.4))


def test_dark_slices_by_hand() -> None:
    shares = np.array([0.0, 0.1, 0.2, 0.3], dtype=np.float32)
    assert SliceOptions().keeps(shares).tolist() == [False, True, True, True]
    assert SliceOptions(dark_below=0.25).keeps(shares).tolist() == [False, False, False, True]


def test_tumour_slices_of_cases_without_reference(tmp_path: Path) -> None:
    cohort = cohort_of(write_case(tmp_path, 0), write_case(tmp_path, 1, labels=False))
    prepared_cohort = prepare(cohort, PrepareOptions(), tmp_path / "cache")
    assert not tumour_slices(prepared_cohort.cases[1]).any()
    assert len(index_slices(prepared_cohort, SliceOptions())) == 8
    with pytest.raises(CacheError, match="case-1 has no reference"):
        index_slices(prepared_cohort, SliceOptions(choice="tumour"))
    index = index_slices(prepared_cohort, SliceOptions())
    take_regions(prepared_cohort, index, np.array([0]))
    with pytest.raises(CacheError, match="case-1 has no reference"):
        take_regions(prepared_cohort, index, np.array([4]))


def test_where_anything_is_shown() -> None:
    images = np.zeros((2, 2, 1, 4), dtype=np.float16)
    images[0, 1, 0] = [-0.0, -1.5, 6e-8, 0]  # zero of either sign shows nothing, the smallest number does
    images[0, 0, 0, 1] = 1.5
    assert anything_shown(images).tolist() == [[[False, True, True, False]], [[False] * 4]]
    assert anything_shown(images[:, ::-1, :, 1:3]).tolist() == [[[True, True]], [[False] * 2]]


def test_neighbours_are_channels_and_the_outer_slice_goes_on() -> None:
    stack = np.arange(4, dtype=np.float16)[:, None, None, None] * 10 + np.arange(2)[None, :, None, None]
    batch = with_neighbours(stack.astype(np.float16), np.array([0, 2, 3]), 1)
    assert batch.dtype == np.float32
    assert batch[..., 0, 0].tolist() == [[0, 1, 0, 1, 10, 11], [10, 11, 20, 21, 30, 31], [20, 21, 30, 31, 30, 31]]
    batch = with_neighbours(stack[:, 1:].astype(np.float16), np.array([1]), 2)
    assert batch[..., 0, 0].tolist() == [[1, 1, 11, 21, 31]]


def test_batches_hold_what_the_cache_holds(prepared: PreparedCohort) -> None:
    index = index_slices(prepared, SliceOptions())
    items = np.array([5, 0])  # slice 2 of the second case, slice 1 of the first
    images = take_images(prepared, index, items, n_neighbours=1, channels=(1, 0))
    assert images.shape == (2, 6, 10, 12)
    for row, (case, z) in enumerate(((1, 2), (0, 1))):
        stack = prepared.cases[case].images
        expected = [stack[z + offset, channel] for offset in (-1, 0, 1) for channel in (1, 0)]
        np.testing.assert_array_equal(images[row], expected)
    regions = take_regions(prepared, index, items)
    second = prepared.cases[1].regions
    assert second is not None
    np.testing.assert_array_equal(regions[0], second[2])
    assert regions.dtype == np.uint8
    single = with_neighbours(np.asarray(prepared.cases[1].images), np.array([2]), 0)
    np.testing.assert_array_equal(images[0, 2:4], single[0, ::-1])


def test_slices_of_several_sizes_are_centred(tmp_path: Path) -> None:
    small = Grid(GRID.shape, np.diag([-2.0, -1.0, 1.0, 1.0]))
    cohort = cohort_of(write_case(tmp_path, 0), write_case(tmp_path, 1, grid=small))
    prepared_cohort = prepare(cohort, PrepareOptions(spacing_mm=(2, 1)), tmp_path / "cache")
    assert [case.images.shape[2:] for case in prepared_cohort.cases] == [(10, 6), (10, 12)]
    assert largest_slice(prepared_cohort) == (10, 12)
    index = index_slices(prepared_cohort, SliceOptions())
    for refused in (take_images, take_regions):
        with pytest.raises(OptionError, match=r"differ in size; found 10x6, 10x12"):
            refused(prepared_cohort, index, np.array([0, 4]))
    images = take_images(prepared_cohort, index, np.array([0, 4]), shape=(8, 8))
    np.testing.assert_array_equal(images[0, :, :, 1:7], prepared_cohort.cases[0].images[1][:, 1:9])
    assert not images[0, :, :, [0, 7]].any()
    np.testing.assert_array_equal(images[1], prepared_cohort.cases[1].images[1][:, 1:9, 2:10])
    regions = take_regions(prepared_cohort, index, np.array([1]), shape=(10, 12))
    assert regions.shape == (1, 3, 10, 12)
    assert prepared_cohort.cases[0].region_voxels is not None
    assert regions.sum(axis=(0, 2, 3)).tolist() == prepared_cohort.cases[0].region_voxels[2].tolist()


def test_modalities_by_name(prepared: PreparedCohort) -> None:
    assert channels_of(prepared, None) == (0, 1)
    assert channels_of(prepared, ("t2f",)) == (1,)
    assert channels_of(prepared, ("t2f", "t1c")) == (1, 0)
    with pytest.raises(OptionError, match="no modality t2w; found t1c, t2f; expected t2w"):
        channels_of(prepared, ("t2w",))


def test_options_without_meaning() -> None:
    for wrong in ({"choice": "some"}, {"dark_below": 2}, {"n_neighbours": -1}, {"neighbours": 1}):
        with pytest.raises(ValidationError):
            SliceOptions.model_validate(wrong)
