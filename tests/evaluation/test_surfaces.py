"""Distances between surfaces: values by hand, and MONAI's on random masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

from glioseg.errors import GeometryError
from glioseg.evaluation import MaskPair, masks
from glioseg.evaluation.score import Flags
from tests.evaluation.drawing import drawn

SPACING = (3.0, 2.0, 1.0)
UNIT = (1.0, 1.0, 1.0)
EMPTY = pytest.mark.filterwarnings("ignore:the .* of class 0 is all 0")
OLD_ARGUMENT = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's call of itself


def voxels(*places: tuple[int, int, int], shape: tuple[int, int, int] = (8, 8, 8)) -> Flags:
    """A mask of single voxels."""
    mask = np.zeros(shape, dtype=np.bool_)
    for place in places:
        mask[place] = True
    return mask


def figures(pair: MaskPair) -> tuple[float | None, ...]:
    """Hausdorff distance, HD95, mean and surface Dice at 1 mm."""
    return masks.hd(pair), masks.hd95(pair), masks.mean_surface_distance(pair), masks.nsd(pair)


# -- by hand -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "expected"),
    [((3, 1, 1), 6.0), ((1, 3, 1), 4.0), ((1, 1, 3), 2.0), ((3, 3, 3), math.sqrt(36 + 16 + 4)), ((1, 1, 2), 1.0)],
)
def test_two_voxels_lie_apart_in_millimetres(other: tuple[int, int, int], expected: float) -> None:
    """Two voxels apart at 3, 2 and 1 mm; the last pair is one voxel of 1 mm apart, which is within the tolerance."""
    pair = MaskPair(voxels((1, 1, 1)), voxels(other), SPACING)
    assert figures(pair) == pytest.approx((expected, expected, expected, float(expected <= 1)))


def test_a_cube_that_is_shifted_by_two_voxels() -> None:
    """Cubes of 5³ voxels have 5³ − 3³ = 98 on their surface. Of the first, x = 0 to 4, seen from the second at 2 to 6:

    x = 0, a face of 25: 2 mm. x = 1, a rim of 16: 1 mm. x = 2 and 3, rims: 0. x = 4, a face inside the other cube: its
    rim 0, the 8 voxels within 1, the middle one 2. So 26 voxels have 2 mm, 24 have 1 and 48 have 0, and by symmetry
    the same the other way.
    """
    ours, theirs = np.zeros((2, 9, 7, 7), dtype=np.bool_)
    ours[0:5, 1:6, 1:6] = theirs[2:7, 1:6, 1:6] = True
    pair = MaskPair(ours, theirs, UNIT)
    assert [len(side) for side in pair.surfaces] == [98, 98]
    assert figures(pair) == pytest.approx((2.0, 2.0, (26 * 2 + 24) / 98, (24 + 48) / 98))
    assert masks.nsd(pair, tolerance_mm=2.0) == 1.0


def test_the_percentile_is_of_each_side_and_of_these_the_larger() -> None:
    """A row of 94 voxels is drawn in full, and 6 more from 150 mm behind its end.

    Of the 100 predicted voxels the 95th percentile lies at 0.95 · 99 = 94.05, between 150 and 151 mm; of the 194
    distances of both sides at 0.95 · 193 = 183.35, which is among the 188 that are 0.
    """
    row = np.zeros((260, 2, 1), dtype=np.bool_)
    row[:94, 0] = True
    more = row.copy()
    more[93 + 150 : 93 + 156, 0] = True
    pair = MaskPair(row, more, UNIT)
    assert masks.hd95(pair) == pytest.approx(150.05)
    assert pair.distances is not None
    both = np.concatenate([pair.distances.from_reference, pair.distances.from_prediction])
    assert np.percentile(both, 95) == 0
    assert masks.hd(pair) == 155


def test_a_mask_that_fills_a_picture_has_its_edge_as_surface() -> None:
    """A picture has no faces along Z; its border is a border of what lies in it."""
    full = drawn("### ### ###") > 0
    assert len(MaskPair(full, full, UNIT).surfaces[0]) == 8
    pile = np.repeat(full, 3, axis=2)
    assert len(MaskPair(pile, pile, UNIT).surfaces[0]) == 26


@pytest.mark.parametrize(
    ("ours", "theirs", "expected_nsd"), [([], [], None), ([(1, 1, 1)], [], 0.0), ([], [(1, 1, 1)], 0.0)]
)
def test_empty_masks_have_no_distance(
    ours: list[tuple[int, int, int]], theirs: list[tuple[int, int, int]], expected_nsd: float | None
) -> None:
    """Like Dice, the surface Dice is 0 where one mask is empty: none of the other's surface is near."""
    assert figures(MaskPair(voxels(*ours), voxels(*theirs), UNIT)) == (None, None, None, expected_nsd)


def test_distances_without_millimetres_are_refused() -> None:
    with pytest.raises(GeometryError, match="in mm, which are unknown here"):
        _ = MaskPair(voxels((1, 1, 1)), voxels((2, 2, 2)), None).distances


# -- MONAI -------------------------------------------------------------------------------------------------------------


def random_pair(seed: int) -> MaskPair:
    """Blobs and dust on a small grid that they touch the borders of, every fifth empty, some of one slice."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 12, 3)) if seed % 4 else (*rng.integers(2, 14, 2), 1)
    spacing = tuple(rng.choice([0.4, 0.75, 1.0, 1.2, 2.5, 6.0], 3))
    density = rng.choice([0.02, 0.1, 0.3, 0.7])
    ours = rng.random(shape) < density
    theirs = np.where(rng.random(shape) < 0.7, np.roll(ours, rng.integers(0, 3), axis=0), rng.random(shape) < density)
    if seed % 2:  # a block among them
        low = [rng.integers(0, n) for n in shape]
        block = tuple(slice(a, rng.integers(a, n) + 1) for a, n in zip(low, shape, strict=True))
        ours[block] = theirs[block] = True
    if seed % 5 == 0:
        for mask in ((ours,), (theirs,), (ours, theirs))[seed // 5 % 3]:
            mask[:] = False
    x, y, z = (float(mm) for mm in spacing)
    return MaskPair(ours, theirs.astype(np.bool_), (x, y, z))


def check_against_monai(seed: int) -> None:
    """A mask of one slice is a picture to MONAI, which takes percentiles in single precision."""
    pair = random_pair(seed)
    assert pair.spacing_mm is not None
    flat = pair.reference.shape[2] == 1
    ours, theirs = (
        torch.from_numpy((mask[..., 0] if flat else mask)[None, None].astype(np.float32))
        for mask in (pair.reference, pair.prediction)
    )
    spacing = list(pair.spacing_mm[:2] if flat else pair.spacing_mm)
    settings = {"include_background": True, "spacing": spacing}
    oracle = [
        compute_hausdorff_distance(theirs, ours, **settings),
        compute_hausdorff_distance(theirs, ours, percentile=95, **settings),
        compute_average_surface_distance(theirs, ours, symmetric=True, **settings),
        compute_surface_dice(theirs, ours, [1.0], **settings),
    ]
    for expected, found in zip((float(value) for value in oracle), figures(pair), strict=True):
        if math.isfinite(expected):
            assert found == pytest.approx(expected, rel=1e-4), seed
        else:
            assert found is None, seed


@OLD_ARGUMENT
@EMPTY
def test_monai_measures_the_same() -> None:
    for seed in range(20):
        check_against_monai(seed)


@pytest.mark.slow
@OLD_ARGUMENT
@EMPTY
def test_monai_measures_the_same_on_a_thousand_pairs() -> None:
    for seed in range(1000):
        check_against_monai(1000 + seed)
