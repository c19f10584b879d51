"""Batches from the prepared cache, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glioseg.errors import GeometryError, OptionError
from glioseg.preparation.border_cache import BorderMaps
from glioseg.preparation.cache import prepare
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions
from glioseg.preparation.slice_array import SliceArray
from glioseg.preparation.slices import SliceOptions
from glioseg.preparation.store import PreparedCohort, write_array
from glioseg.tasks.segment.items import patch_items, slice_items
from glioseg.training.randomness import DrawKey, Rows
from tests.preparation.toys import cohort_of, toy_cohort, write_case

KEY = DrawKey(0, "patches")
OPTIONS = PrepareOptions(normalise="none", brain_only=False, regions=("WT", "ET"))


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedCohort:
    """Two cases of 6 slices; the brain is on slices 1 to 4, tumour on 2 and 3."""
    return prepare(toy_cohort(tmp_path, 2), OPTIONS, tmp_path / "cache", n_workers=1)


def test_items_are_the_slices_that_show_something(prepared: PreparedCohort) -> None:
    items = slice_items(prepared, SliceOptions())
    assert [items.name(number) for number in range(8)] == [
        *(f"case-0 slice {z}" for z in (2, 3, 4, 5)),
        *(f"case-1 slice {z}" for z in (2, 3, 4, 5)),
    ]
    assert items.is_positive.tolist() == [False, True, True, False] * 2


def test_a_batch_holds_images_and_regions_of_its_slices(prepared: PreparedCohort) -> None:
    batch = slice_items(prepared, SliceOptions()).take(np.array([6, 1]), KEY)
    assert batch.weights is None
    for item, (case, z) in enumerate([(1, 3), (0, 2)]):
        np.testing.assert_array_equal(batch.images[item], prepared.cases[case].images[z])
        regions = prepared.cases[case].regions
        assert regions is not None
        np.testing.assert_array_equal(batch.targets[item], regions[z])


def test_images_for_a_gpu_are_left_as_they_are_kept(prepared: PreparedCohort) -> None:
    """Half as large, and the same numbers."""
    for plain, kept in (
        (slice_items(prepared, SliceOptions()), slice_items(prepared, SliceOptions(), as_kept=True)),
        (patch_items(prepared, PATCHES), patch_items(prepared, PATCHES, as_kept=True)),
    ):
        one, other = (items.take(np.array([1, 0]), KEY) for items in (plain, kept))
        assert one.images.dtype == np.float32
        assert other.images.dtype == np.float16
        np.testing.assert_array_equal(one.images, other.images)


def test_channels_are_chosen_and_neighbours_added(prepared: PreparedCohort) -> None:
    items = slice_items(prepared, SliceOptions(n_neighbours=1), ("t2f",))
    batch = items.take(np.array([0]), KEY)
    images = prepared.cases[0].images
    np.testing.assert_array_equal(batch.images[0], np.stack([images[z, 1] for z in (0, 1, 2)]))
    with pytest.raises(OptionError, match="has no modality pet; found"):
        slice_items(prepared, SliceOptions(), ("pet",))


def test_border_terms_stand_where_their_slice_does(tmp_path: Path) -> None:
    cohort = cohort_of(write_case(tmp_path, 0), write_case(tmp_path, 1))
    prepared = prepare(cohort, OPTIONS, tmp_path / "cache", n_workers=1)
    path = tmp_path / "maps.npy"
    record = write_array(path, np.ones((1, 2, 6, 8), dtype=np.float16))  # as of a case of 8 columns and 6 rows
    array = SliceArray(path, record, np.zeros(1, dtype=bool))
    names = ("case-0", "case-1")
    maps = BorderMaps({name: {2: 0} for name in names}, dict.fromkeys(names, array))
    items = slice_items(prepared, SliceOptions(), None, maps)
    weights = items.take(np.array([0, 1]), KEY).weights
    assert weights is not None
    assert weights.shape == (2, 2, 10, 12)
    assert not weights[0].any()  # slice 1 has no map
    expected = np.zeros((10, 12), dtype=np.float32)
    expected[2:8, 2:10] = 1  # in the middle
    np.testing.assert_array_equal(weights[1, 0], expected)


# -- patches -----------------------------------------------------------------------------------------------------------


PATCHES = PatchOptions(size=(8, 8, 8), per_case=4, foreground=0.25)


def test_an_epoch_has_so_many_patches_of_each_case(prepared: PreparedCohort) -> None:
    items = patch_items(prepared, PATCHES)
    assert len(items) == len(items.is_positive) == 8
    assert items.is_positive.all()
    assert items.name(5) == "case-1 patch 2"


def test_a_patch_depends_on_seed_epoch_and_index_alone(prepared: PreparedCohort) -> None:
    items = patch_items(prepared, PATCHES, ("t2f",))
    key = DrawKey(3, "patches", epoch=2)
    whole = items.take(np.arange(8), key)
    assert whole.images.shape == (8, 1, 8, 8, 8)
    assert whole.targets.shape == (8, 2, 8, 8, 8)
    assert whole.weights is None
    # in another order, in another step, in another process
    some = items.take(np.array([6, 1]), DrawKey(3, "augment", epoch=2, step=5, rows=Rows((0, 1), 4)))
    np.testing.assert_array_equal(some.images, whole.images[[6, 1]])
    np.testing.assert_array_equal(some.targets, whole.targets[[6, 1]])
    for other in (DrawKey(3, "patches", epoch=3), DrawKey(4, "patches", epoch=2)):
        assert not np.array_equal(items.take(np.arange(8), other).images, whole.images)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_of_centred_patches_is_exact(prepared: PreparedCohort, share: float) -> None:
    """Not one in each case: which they are changes from epoch to epoch, their number does not."""
    items = patch_items(prepared, PATCHES.model_copy(update={"foreground": share}))
    epochs = [items._centred(DrawKey(0, "patches", epoch)) for epoch in range(20)]
    assert {int(centred.sum()) for centred in epochs} == {round(8 * share)}
    assert len({centred.tobytes() for centred in epochs}) > 1 or share in (0.0, 1.0)


def test_patches_of_thin_volumes_are_refused(prepared: PreparedCohort) -> None:
    with pytest.raises(GeometryError, match="case case-0 is too thin"):
        patch_items(prepared, PATCHES.model_copy(update={"size": (32, 8, 8)}))
