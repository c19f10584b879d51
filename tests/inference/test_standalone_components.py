"""The components that exported programs keep are those that ``predict`` keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glioseg.core.components import largest_component, remove_small_components
from glioseg.inference.standalone_components import large_components

_MASKS = arrays(np.bool_, st.tuples(*[st.integers(1, 7)] * 3), elements=st.booleans())
_SPARSE = arrays(np.bool_, (9, 8, 7), elements=st.integers(0, 5).map(lambda n: n == 0))


@given(_MASKS | _SPARSE, st.integers(0, 12))
def test_small_components_are_left_out_alike(mask: np.ndarray, n: int) -> None:
    found = large_components(mask, n, 0.0, False, np.eye(4))
    np.testing.assert_array_equal(found, remove_small_components(mask, n))


@given(_MASKS | _SPARSE)
def test_the_largest_is_the_same(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(large_components(mask, 0, 0.0, True, np.eye(4)), largest_component(mask))


@pytest.mark.parametrize(("spacing", "n_kept"), [((1, 1, 1), 5), ((1, 1, 2), 8), ((0.5, 0.5, 1), 0)])
def test_a_volume_is_that_of_the_voxels(spacing: tuple[float, ...], n_kept: int) -> None:
    """A row of five and one of three, 0.005 and 0.003 ml at 1 mm, where 0.005 are asked for."""
    mask = np.zeros((5, 5, 5), dtype=bool)
    mask[0, 0], mask[4, 4, :3] = True, True
    assert large_components(mask, 0, 0.005, False, np.diag([*map(float, spacing), 1.0])).sum() == n_kept


def test_a_winding_component_is_one() -> None:
    """A path that turns around itself over all of the volume, each voxel touching two others by a corner or less."""
    mask = np.zeros((3, 41, 41), dtype=bool)
    for row in range(0, 41, 4):
        mask[1, row, :], mask[1, row : row + 4, 0 if row % 8 else 40] = True, True
    assert (large_components(mask, int(mask.sum()), 0.0, False, np.eye(4)) == mask).all()
    assert not large_components(mask, int(mask.sum()) + 1, 0.0, False, np.eye(4)).any()
