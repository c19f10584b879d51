"""Volumes in overlapping windows, with networks whose logits can be written down."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glioseg.core import Grid, Image, scheme_named
from glioseg.errors import GeometryError
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Predictor
from glioseg.inference.window import FLIPS_3D, predict_volume
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions
from glioseg.preparation.slices import SliceOptions
from tests.inference.networks import LooksLeft, Sees

PATCHES = PatchOptions(size=(8, 8, 8), overlap=0.5)


def _volume(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float16)


def _sigmoid(array: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-array.astype(np.float64))))


@pytest.mark.parametrize("shape", [(8, 8, 8), (20, 13, 9), (3, 20, 5)])
def test_where_a_network_sees_one_voxel_windows_change_nothing(shape: tuple[int, int, int]) -> None:
    """Larger than a window, of odd size, and smaller than it: each voxel's probability is that of its own logit."""
    images = _volume(shape[0], 2, *shape[1:])
    found = predict_volume(Sees(2), images, PATCHES, n_regions=2, bf16=False, batch_size=3)
    assert found.shape == (2, *shape)
    np.testing.assert_allclose(found, _sigmoid(images).transpose(1, 0, 2, 3), atol=1e-5)


def test_windows_are_blended_by_a_gaussian() -> None:
    """12 columns in windows of 8 that begin at 0 and 4: columns 4 to 7 lie in both.

    The first says no there (its right half), the second yes (its left half). Column 4 is half a voxel right of the
    first's centre and 3.5 left of the second's; sigma is 8/8 = 1: weights e^(-0.5²/2) and e^(-3.5²/2), so that the
    share of yes is 1 / (1 + e^(6)) = 0.0025, as MONAI samples the Gaussian at the voxels' centres.
    """
    images = np.ones((8, 1, 8, 12), dtype=np.float16)
    found = predict_volume(LooksLeft(), images, PATCHES, n_regions=1, bf16=False)[0, 4, 4]
    assert found[:4] == pytest.approx(1, abs=1e-3)
    assert found[8:] == pytest.approx(0, abs=1e-3)
    assert found[4] < found[5] < 0.5 < found[6] < found[7]
    assert found[4] == pytest.approx(1 - found[7], abs=1e-3)
    assert found[4] < 0.02


def test_empty_windows_are_not_computed() -> None:
    images = np.zeros((8, 1, 8, 24), dtype=np.float16)
    images[..., :4] = 2
    model = Sees(1)
    found = predict_volume(model, images, PATCHES, n_regions=1, bf16=False)
    assert model.seen == [1]  # of the windows that begin at 0, 4, 8, 12 and 16 the first alone shows something
    assert not found[..., 8:].any()
    assert not predict_volume(model, images * 0, PATCHES, n_regions=1, bf16=False).any()


def test_flipped_views_are_turned_back_and_averaged() -> None:
    """The network finds the left half; its mirror image finds the right one: the mean is a half everywhere."""
    images = np.ones((8, 1, 8, 8), dtype=np.float16)
    for views, expected in (("none", [1.0, 0.0]), ("lr", [0.5, 0.5]), ("all", [0.5, 0.5])):
        found = predict_volume(LooksLeft(), images, PATCHES, n_regions=1, bf16=False, flips=FLIPS_3D[views])
        np.testing.assert_allclose(found[0, 3, 3, [0, 7]], expected, atol=1e-3)
    assert len(set(FLIPS_3D["all"])) == 8


def test_another_activation_may_give_the_probabilities() -> None:
    images = _volume(8, 3, 8, 8)
    found = predict_volume(Sees(3), images, PATCHES, n_regions=2, bf16=False, activation="softmax")
    shares = np.exp(images.astype(np.float64))
    np.testing.assert_allclose(found[1], (shares[:, 2] / shares.sum(axis=1)), atol=1e-4)


class _Volumes(nn.Module):
    """Logits are the first channel; remembers the shapes it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shapes.append(tuple(images.shape))
        return self.weight * images[:, :1]


def _predictor(model: nn.Module) -> Predictor:
    return Predictor(
        model=model,
        modalities=("t2f",),
        regions=("WT",),
        scheme=scheme_named("brats2023"),
        prepare=PrepareOptions(normalise="none", brain_only=False),
        slices=SliceOptions(),
        options=PredictOptions(batch_size=2),
        patches=PATCHES,
    )


def test_a_predictor_with_patches_shows_volumes_and_returns_to_the_native_grid() -> None:
    array = np.full((1, 10, 9, 12), 3.0, dtype=np.float32)
    array[..., 11] = 0  # a black slice
    array[0, 2, 3, 4] = 9
    grid = Grid((10, 9, 12), np.diag([1.0, 1.0, 2.0, 1.0]))
    model = _Volumes()
    found = _predictor(model).predict(Image(array, ("t2f",), grid))
    assert {shape[2:] for shape in model.shapes} == {(8, 8, 8)}
    assert max(shape[0] for shape in model.shapes) == 2
    assert found.probabilities.shape == (1, 10, 9, 12)
    np.testing.assert_allclose(found.probabilities[0, 2, 3, 4], _sigmoid(np.array(9.0)), atol=1e-4)
    np.testing.assert_allclose(found.probabilities[0, 5:, :, :11], _sigmoid(np.array(3.0)), atol=1e-3)
    assert not found.probabilities[..., 11].any()


def test_a_single_slice_is_refused() -> None:
    image = Image(np.ones((1, 16, 16, 1), dtype=np.float32), ("t2f",), Grid((16, 16, 1), np.eye(4)))
    with pytest.raises(GeometryError, match=r"the input is too thin for a 3-D network; found a single slice"):
        _predictor(_Volumes()).predict(image)


@pytest.mark.parametrize("shape", [(8, 8, 8), (20, 13, 9), (3, 20, 5), (8, 16, 24)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
def test_how_many_windows_are_done_is_told(shape: tuple[int, int, int], overlap: float) -> None:
    told: list[tuple[int, int]] = []
    patches = PatchOptions(size=(8, 8, 8), overlap=overlap)
    images = np.ones((shape[0], 1, *shape[1:]), dtype=np.float16)
    predict_volume(
        Sees(1), images, patches, n_regions=1, bf16=False, batch_size=2, told=lambda done, of: told.append((done, of))
    )
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {of for _, of in told} == {told[-1][0]}
