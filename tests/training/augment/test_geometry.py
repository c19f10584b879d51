from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.overrides import TorchFunctionMode

from glioseg.training.augment import ChannelLayout, apply, draw
from glioseg.training.augment.geometry import permute_voxels, rotation, sampling_points, spline, spline_basis
from glioseg.training.randomness import DrawKey
from tests.training.augment.helpers import KEY, neutral_table, options_of

_CPU = torch.device("cpu")


def _numbered(*shape: int) -> Tensor:
    return torch.arange(float(math.prod(shape))).reshape(shape)


def _moved(picture: Tensor, **values: Any) -> Tensor:
    """A picture (H, W) or volume (D, H, W) after the change of a table written by hand."""
    table = neutral_table(1, *picture.shape, **values)
    images, regions, _ = apply(table, picture[None, None], picture[None, None])
    torch.testing.assert_close(images, regions, atol=1e-3, rtol=0)  # whole voxels: linear and nearest agree
    return images[0, 0]


# Permutations ---------------------------------------------------------------------------------------------------------


def test_flips_and_turns_by_hand() -> None:
    picture = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert _moved(picture, flips=[[False, True]]).tolist() == [[2, 1], [4, 3]]
    assert _moved(picture, flips=[[True, False]]).tolist() == [[3, 4], [1, 2]]
    assert _moved(picture, turns=1).tolist() == [[2, 4], [1, 3]]  # counter-clockwise
    assert _moved(picture, turns=2).tolist() == [[4, 3], [2, 1]]
    assert _moved(picture, turns=3).tolist() == [[3, 1], [4, 2]]
    assert _moved(picture, flips=[[False, True]], turns=1).tolist() == [[1, 3], [2, 4]]  # mirrored, then turned


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.float16, torch.float32])
@pytest.mark.parametrize("depth", [(), (5,)], ids=["2d", "3d"])
def test_a_mixed_batch_of_any_type_is_permuted_exactly(dtype: torch.dtype, depth: tuple[int, ...]) -> None:
    size = (*depth, 6, 6)
    options = options_of("flip", "turn", probability=0.7)
    options = options.model_copy(
        update={"flip": options.flip.model_copy(update={"axes": ("width", "height", "depth")})}
    )
    if not depth:
        options = options_of("flip", "turn", probability=0.7)
    table = draw(options, KEY, n_items=40, size=size, channels=ChannelLayout(2))
    tensor = (_numbered(40, 2, *size) % 251).to(dtype)
    result = permute_voxels(tensor, table)
    assert result.dtype == dtype
    for item in range(40):
        expected = tensor[item].numpy()
        for axis, flipped in enumerate(table.flips[item], start=1):
            expected = np.flip(expected, axis) if flipped else expected
        np.testing.assert_array_equal(result[item].numpy(), np.rot90(expected, table.turns[item], (-2, -1)))


def test_flips_and_turns_keep_image_mask_and_weights_aligned_exactly() -> None:
    table = draw(options_of("flip", "turn", probability=0.7), KEY, n_items=20, size=(8, 8), channels=ChannelLayout(1))
    regions = (torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).to(torch.uint8)
    images, turned, weights = apply(table, regions.float(), regions, regions.half())
    assert weights is not None
    assert not torch.equal(turned, regions)
    assert torch.equal(images, turned.float())
    assert torch.equal(weights, turned.half())


# Resampling by hand ---------------------------------------------------------------------------------------------------


def test_a_shift_by_whole_voxels_moves_them_and_repeats_the_border() -> None:
    picture = _numbered(4, 8)
    # a quarter of 4 rows is one row down; a quarter of 8 columns two columns to the right
    moved = _moved(picture, shifts=[[0.25, 0.25]])
    expected = picture[[0, 0, 1, 2]][:, [0, 0, 0, 1, 2, 3, 4, 5]]
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_rotation_by_quarters_is_a_turn(turns: int) -> None:
    picture = _numbered(7, 7)
    torch.testing.assert_close(
        _moved(picture, angles=90.0 * turns), torch.rot90(picture, turns, (0, 1)), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize(("angle", "plane"), [(0, (1, 2)), (1, (0, 2)), (2, (0, 1))])
def test_the_three_angles_of_a_volume_turn_its_three_planes(angle: int, plane: tuple[int, int]) -> None:
    volume = _numbered(5, 5, 5)
    angles = np.zeros((1, 3))
    angles[0, angle] = 90
    torch.testing.assert_close(_moved(volume, angles=angles), torch.rot90(volume, 1, plane), atol=1e-2, rtol=0)


def test_a_rotation_keeps_lengths_in_voxels_where_width_and_height_differ() -> None:
    picture = torch.zeros(8, 16)
    picture[3:5, 5:11] = 1  # 2 high, 6 wide, in the middle
    upright = torch.zeros(8, 16)
    upright[1:7, 7:9] = 1  # 6 high, 2 wide, in the middle
    torch.testing.assert_close(_moved(picture, angles=90), upright, atol=1e-4, rtol=0)


def test_scaling_enlarges_about_the_centre() -> None:
    picture = torch.zeros(8, 8)
    picture[3:5, 3:5] = 1
    table = neutral_table(1, 8, 8, scales=2)
    _, regions, _ = apply(table, picture[None, None], picture[None, None])
    expected = torch.zeros(8, 8)
    expected[2:6, 2:6] = 1
    assert torch.equal(regions[0, 0], expected)


def test_scale_rotation_and_shift_act_in_this_order() -> None:
    """v -> scale · R v + shift: a voxel 1 right of the centre, scaled by 2 and turned by 90°, lies 2 above it."""
    picture = torch.zeros(9, 9)
    picture[4, 5] = 1
    table = neutral_table(1, 9, 9, scales=2, angles=90, shifts=[[0, 1 / 9]])
    images, _, _ = apply(table, picture[None, None], picture[None, None])
    assert images[0, 0].argmax() == 2 * 9 + 5  # 2 above the centre (4, 4), then 1 to the right
    assert images.max() == pytest.approx(1.0, abs=1e-5)


def test_even_control_points_shift_all_voxels_alike() -> None:
    picture = _numbered(8, 8)
    # taken from a quarter further down and an eighth further left
    bends = np.broadcast_to(np.array([0.25, -0.125]).reshape(1, 2, 1, 1), (1, 2, 8, 8))
    expected = picture[[2, 3, 4, 5, 6, 7, 7, 7]][:, [0, 0, 1, 2, 3, 4, 5, 6]]
    torch.testing.assert_close(_moved(picture, bends=bends), expected, atol=1e-3, rtol=0)


def test_rotations_are_rotations() -> None:
    for angles in ([33.0], [10.0, -70.0, 125.0]):
        matrix = rotation(np.array(angles))
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-12)
        assert np.linalg.det(matrix) == pytest.approx(1)


# B-splines ------------------------------------------------------------------------------------------------------------


def test_spline_basis_by_hand() -> None:
    # one voxel per cell: its centre lies half way between two control points, where a cubic B-spline's shares are
    # 1/48, 23/48, 23/48, 1/48
    basis = spline_basis(3, 3, _CPU)
    expected = torch.zeros(3, 6)
    for row in range(3):
        expected[row, row : row + 4] = torch.tensor([1.0, 23.0, 23.0, 1.0]) / 48
    torch.testing.assert_close(basis, expected)


@given(st.integers(1, 40), st.integers(1, 9))
def test_spline_shares_add_up_to_one_and_reproduce_straight_lines(length: int, cells: int) -> None:
    basis = spline_basis(length, cells, _CPU)
    assert basis.shape == (length, cells + 3)
    assert (basis >= 0).all()
    torch.testing.assert_close(basis.sum(dim=1), torch.ones(length))
    place = (torch.arange(length) + 0.5) * cells / length
    torch.testing.assert_close(basis @ (torch.arange(cells + 3) - 1.0), place, atol=1e-4, rtol=1e-4)


class _NoDouble(TorchFunctionMode):
    """A device that has no float64, as Apple's GPUs have none; ``meta`` stands for it."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and made.is_meta and made.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return made


def test_a_device_without_float64_bends_too() -> None:
    with _NoDouble():
        assert spline_basis(8, 3, torch.device("meta")).dtype == torch.float32


def test_spline_of_several_axes_is_the_product_of_its_axes() -> None:
    points = torch.rand(2, 3, 5, 6, 4, generator=torch.Generator().manual_seed(0))
    values = spline(points, (7, 8, 9))
    bases = [spline_basis(length, cells, _CPU) for length, cells in ((7, 2), (8, 3), (9, 1))]
    torch.testing.assert_close(values, torch.einsum("bcijk,xi,yj,zk->bcxyz", points, *bases))


@pytest.mark.parametrize("size", [(24, 24), (12, 12, 12)], ids=str)
def test_the_strongest_elastic_change_does_not_fold(size: tuple[int, ...]) -> None:
    options = options_of("elastic", "scale", "rotation")
    strongest = options.elastic.model_copy(update={"range": (0.08, 0.08)})
    table = draw(
        options.model_copy(update={"elastic": strongest}), KEY, n_items=20, size=size, channels=ChannelLayout(1)
    )
    points = sampling_points(table, np.arange(20), _CPU).double()
    slopes = torch.stack([torch.gradient(points, dim=axis + 1)[0] for axis in reversed(range(len(size)))], dim=-1)
    assert torch.linalg.det(slopes).min() > 0


# Alignment ------------------------------------------------------------------------------------------------------------


def _discs(n_items: int, *size: int) -> Tensor:
    """(B, 2, *S) uint8: two balls of different sizes off the centre."""
    places = torch.meshgrid(*(torch.arange(length) for length in size), indexing="ij")
    balls = []
    for centre, radius in (((0.4, 0.5, 0.6), 0.25 * max(size)), ((0.6, 0.3, 0.5), 0.15 * max(size))):
        squares = [(place - share * n) ** 2 for place, share, n in zip(places, centre, size, strict=False)]
        balls.append(torch.stack(squares).sum(dim=0) < radius**2)
    return torch.stack(balls).to(torch.uint8).expand(n_items, -1, *size).clone()


@given(seed=st.integers(0, 1000), size=st.sampled_from([(24, 24), (17, 30), (1, 24), (10, 16, 16)]))
def test_image_mask_and_weights_stay_aligned(seed: int, size: tuple[int, ...]) -> None:
    """The mask, given as image and as weight map too, is found again in both after any change of place."""
    names = ["flip", "rotation", "scale", "shift", "elastic", *(["turn"] if size[-1] == size[-2] else [])]
    table = draw(
        options_of(*names, probability=0.8),
        DrawKey(seed, "augment"),
        n_items=4,
        size=size,
        channels=ChannelLayout(2),
    )
    before = _discs(4, *size)
    images, regions, weights = apply(table, before.float(), before, before.float())
    assert weights is not None
    assert torch.equal(images, weights)
    assert regions.dtype == torch.uint8
    assert np.isin(regions.numpy(), [0, 1]).all()
    # of the linear value, the nearest voxel's share is at least one half along each axis
    least = 0.5 ** len(size) - 1e-5
    assert (images[regions == 1] >= least).all()
    assert (images[regions == 0] <= 1 - least).all()


def test_little_lies_between_inside_and_outside() -> None:
    """The alignment above is not won by blurring: of a ball the voxels at the border alone are between 0 and 1."""
    table = draw(options_of("rotation", "shift", "elastic"), KEY, n_items=10, size=(64, 64), channels=ChannelLayout(2))
    before = _discs(10, 64, 64)
    images, regions, _ = apply(table, before.float(), before)
    assert ((images > 1e-5) & (images < 1 - 1e-5)).float().mean() < 0.05
    assert ((images > 0.5) != (regions == 1)).float().mean() < 0.01
    assert regions.float().mean() == pytest.approx(before.float().mean().item(), rel=0.2)
    assert all(not torch.equal(regions[item], before[item]) for item in range(10))


def test_items_without_a_change_of_place_are_not_resampled() -> None:
    table = draw(
        options_of("rotation", "elastic", probability=0.3), KEY, n_items=30, size=(16, 16), channels=ChannelLayout(1)
    )
    images = torch.rand(30, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    moved, _, _ = apply(table, images, images > 0.5)
    same = np.array([torch.equal(one, other) for one, other in zip(images, moved, strict=True)])
    np.testing.assert_array_equal(same, ~table.resampled)
    assert 5 < same.sum() < 25


def test_an_item_is_changed_alike_alone_and_in_a_batch() -> None:
    table = neutral_table(3, 12, 12, angles=[[20.0], [0.0], [-40.0]], flips=[[0, 1], [1, 0], [0, 0]], turns=[1, 0, 2])
    images = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    together, _, _ = apply(table, images, images > 0.5)
    for item in range(3):
        own = {name: getattr(table, name)[item : item + 1] for name in ("angles", "flips", "turns")}
        alone, _, _ = apply(neutral_table(1, 12, 12, **own), images[item : item + 1], images[item : item + 1] > 0.5)
        torch.testing.assert_close(alone[0], together[item])
