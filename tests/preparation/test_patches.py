"""Patches of volumes: where they lie, what is read, and what is too thin for them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from glioseg.errors import CacheError, GeometryError, OptionError
from glioseg.preparation.cache import prepare
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions, draw_start, draw_voxel, require_depth, take_patch
from glioseg.preparation.store import PreparedCase
from tests.preparation.toys import cohort_of, write_case

OPTIONS = PrepareOptions(normalise="none", brain_only=False, regions=("WT", "ET"))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> PreparedCase:
    """6 slices of 10 rows and 12 columns; brain on slices 1 to 4; tumour on slices 2 and 3, rows 4-6, columns 4-7.

    The toy's affine is that of LPS, so that the arrays are the files' own, transposed.
    """
    folder = tmp_path_factory.mktemp("patches")
    return prepare(cohort_of(write_case(folder, 0)), OPTIONS, folder / "cache", n_workers=1).cases[0]


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_voxel_is_drawn_from_a_region_and_all_of_them_are_seen(case: PreparedCase) -> None:
    """24 voxels are WT; those of ET among them are drawn more often: half of the draws fall to ET alone."""
    assert case.regions is not None
    inside = np.asarray(case.regions)
    rng = _rng()
    drawn = Counter(draw_voxel(case, rng) for _ in range(3000))
    assert set(drawn) == {(int(z), int(y), int(x)) for z, y, x in np.argwhere(inside[:, 0])}
    n_wt, n_et = int(inside[:, 0].sum()), int(inside[:, 1].sum())
    for (z, y, x), n in drawn.items():
        # 1/2 · 1/n_WT, and 1/2 · 1/n_ET more where it is ET; five standard deviations of a binomial count
        share = 0.5 / n_wt + 0.5 / n_et * bool(inside[z, 1, y, x])
        assert abs(n - 3000 * share) < 5 * np.sqrt(3000 * share)


def test_a_case_without_any_region_has_no_such_voxel(tmp_path: Path) -> None:
    lacking = prepare(
        cohort_of(write_case(tmp_path, 0), write_case(tmp_path, 1, labels=False)), OPTIONS, tmp_path / "c", n_workers=1
    ).cases[1]
    with pytest.raises(CacheError, match="case-1 shows no region"):
        draw_voxel(lacking, _rng())
    with pytest.raises(CacheError, match="case-1 has no reference"):
        take_patch(lacking, (0, 0, 0), (8, 8, 8), (0,))
    # foreground is asked for in vain: any place will do
    assert draw_start(lacking, (6, 10, 12), _rng(), foreground=True) == (0, 0, 0)


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 14), st.integers(1, 16)),
    seed=st.integers(0, 10_000),
    foreground=st.booleans(),
)
def test_a_patch_lies_within_the_volume_or_the_volume_in_its_middle(
    case: PreparedCase, size: tuple[int, int, int], seed: int, foreground: bool
) -> None:
    start = draw_start(case, size, _rng(seed), foreground=foreground)
    for first, length, n in zip(start, size, (6, 10, 12), strict=True):
        if n >= length:
            assert 0 <= first <= n - length
        else:
            assert first == -((length - n) // 2)


@given(seed=st.integers(0, 10_000))
def test_a_foreground_patch_holds_a_voxel_of_a_region(case: PreparedCase, seed: int) -> None:
    size = (3, 3, 3)
    start = draw_start(case, size, _rng(seed), foreground=True)
    _, regions = take_patch(case, start, size, (0,))
    # no tumour is at the border of the volume, so that the drawn voxel is the middle one
    assert regions[:, 1, 1, 1].any()


def test_what_is_read_is_the_volume_and_zeros_beyond_it(case: PreparedCase) -> None:
    images, regions = take_patch(case, (-1, 2, 9), (8, 4, 6), (1, 0))
    assert images.shape == (2, 8, 4, 6)
    assert regions.shape == (2, 8, 4, 6)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images[0, 1:7, :, :3], case.images[:, 1, 2:6, 9:12])
    np.testing.assert_array_equal(images[1, 1:7, :, :3], case.images[:, 0, 2:6, 9:12])
    assert case.regions is not None
    np.testing.assert_array_equal(regions[:, 1:7, :, :3], case.regions[:, :, 2:6, 9:12].transpose(1, 0, 2, 3))
    for array in (images, regions):
        assert not array[:, 0].any()
        assert not array[:, 7].any()
        assert not array[..., 3:].any()


def test_single_slices_and_thin_volumes_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"case a is too thin.*a single slice.*model.dims = 2"):
        require_depth(1, (8, 8, 8), "a")
    with pytest.raises(GeometryError, match=r"the input is too thin.*found 7 slices.*8 slices or more.*thinner"):
        require_depth(7, (32, 8, 8))
    require_depth(8, (32, 8, 8))  # a quarter of the patch: the rest is padded


def test_sizes_are_checked() -> None:
    with pytest.raises(ValidationError, match="at least 8 voxels"):
        PatchOptions(size=(4, 32, 32))
    with pytest.raises(OptionError, match="not decided yet"):
        _ = PatchOptions().voxels
    assert PatchOptions(size=(8, 16, 24)).voxels == (8, 16, 24)
