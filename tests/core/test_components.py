"""Components by hand, drawn."""

from __future__ import annotations

import numpy as np

from glioseg.core.components import bounding_box, label_components, largest_component, remove_small_components


def test_small_components_are_removed_and_corners_connect() -> None:
    #  #....   the first two touch by a corner across slices: one component of 2; the lone one goes
    #  ...#.
    mask = np.zeros((5, 2, 2), dtype=np.bool_)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 1, 0] = True
    large = remove_small_components(mask, 2)
    assert large.sum() == 2
    assert not large[3, 1, 0]
    assert remove_small_components(mask, 3).sum() == 0
    for harmless in (0, 1):
        same = remove_small_components(mask, harmless)
        assert np.array_equal(same, mask)
        assert same is not mask
    assert remove_small_components(np.zeros_like(mask), 5).sum() == 0


def test_the_largest_component_alone() -> None:
    # two voxels that touch by a corner are one component of two; one voxel apart is another, of one
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    assert np.argwhere(largest_component(mask)).tolist() == [[0, 0, 0], [1, 1, 1]]
    assert not largest_component(np.zeros((2, 2, 2), dtype=bool)).any()
    first = np.zeros((5, 1, 1), dtype=bool)
    first[[0, 4]] = True
    assert np.argwhere(largest_component(first)).tolist() == [[0, 0, 0]]


def test_components_and_their_box_by_hand() -> None:
    """One slice of five columns and three rows; the first two voxels touch by a corner."""
    #  #....
    #  .#..#
    #  .....
    mask = np.zeros((5, 3, 1), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 0] = mask[4, 1, 0] = True
    components, n_components = label_components(mask)
    assert n_components == 2
    assert components[:, :, 0].T.tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 2], [0, 0, 0, 0, 0]]
    assert bounding_box(mask) == (slice(0, 5), slice(0, 2), slice(0, 1))
