"""Which scan is which sequence, on a ball of a brain with the signals of the phantom, and on phantom patients."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from glioseg.cohorts.phantom.contrast import PARTS, SIGNALS
from glioseg.core import Grid, Image
from glioseg.core.modalities import MODALITY_ORDER
from glioseg.inference.contrasts import exchanged, exchanged_words, scan_features, shipped_contrasts
from glioseg.preparation.oblique import brought
from tests.fakes.heads import patient, study

Floats = npt.NDArray[np.float32]
SPACING = 3.0


def _tissues() -> dict[str, npt.NDArray[np.bool_]]:
    """A ball of 66 mm: fluid around, 6 mm of cortex, white matter, ventricles; a rim around a core, with oedema."""
    axes = np.meshgrid(*(SPACING * (np.arange(50) - 25.0),) * 3, indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    tumour = np.sqrt((axes[0] - 30) ** 2 + axes[1] ** 2 + axes[2] ** 2)
    ventricle = np.sqrt(axes[0] ** 2 + (axes[1] / 2) ** 2 + axes[2] ** 2)
    layers = [
        (radius < 66, "csf"),
        (radius < 62, "gm"),
        (radius < 54, "wm"),
        (ventricle < 10, "csf"),
        (tumour < 20, "oedema"),
        (tumour < 13, "rim"),
        (tumour < 8, "core"),
    ]
    names = np.full(radius.shape, "", dtype="U8")
    for inside, name in layers:
        names[inside] = name
    return {name: names == name for name in PARTS if (names == name).any()}


def _scans() -> Floats:
    """(4, X, Y, Z), blurred by a voxel, with a little noise; 0 outside."""
    tissues, rng = _tissues(), np.random.default_rng(0)
    brain = np.any(list(tissues.values()), axis=0)
    found = []
    for name in MODALITY_ORDER:
        signals = dict(zip(PARTS, SIGNALS[name], strict=True))
        values = np.sum([signals[tissue] * inside for tissue, inside in tissues.items()], axis=0)
        blurred = ndimage.gaussian_filter(values, 0.7) + rng.normal(0, 0.02, values.shape)
        found.append(np.where(brain, 600 * blurred, 0))
    return np.asarray(found, dtype=np.float32)


SCANS = _scans()
GRID = Grid(SCANS.shape[1:], np.diag([SPACING, SPACING, SPACING, 1.0]))


def _given(names: tuple[str, ...], scans: Floats = SCANS, grid: Grid = GRID) -> Image:
    return Image(scans, names, grid)


def test_scans_in_order_are_not_exchanged() -> None:
    assert exchanged(_given(MODALITY_ORDER), shipped_contrasts()) == {}
    assert exchanged_words(_given(MODALITY_ORDER)) == ()


@pytest.mark.parametrize(
    "names", [order for order in permutations(MODALITY_ORDER) if order != MODALITY_ORDER], ids=" ".join
)
def test_every_other_order_is_noticed(names: tuple[str, ...]) -> None:
    found = exchanged(_given(names), shipped_contrasts())
    assert found == {given: true for given, true in zip(names, MODALITY_ORDER, strict=True) if given != true}


def test_it_is_said_in_a_sentence() -> None:
    (words,) = exchanged_words(_given(("t1c", "t1n", "t2w", "t2f")))
    assert words == (
        "The scans look exchanged: what was given as t1c looks like t1n, what was given as t1n looks like t1c. "
        "See which file is which"
    )


@pytest.mark.parametrize("left_out", range(4))
def test_three_are_enough(left_out: int) -> None:
    """The first two of the three exchanged."""
    names = tuple(np.delete(MODALITY_ORDER, left_out).tolist())
    scans = np.delete(SCANS, left_out, axis=0)
    assert exchanged(_given(names, scans), shipped_contrasts()) == {}
    swapped = (names[1], names[0], names[2])
    assert exchanged(_given(swapped, scans), shipped_contrasts()) == {names[0]: names[1], names[1]: names[0]}


def test_gain_and_orientation_do_not_matter() -> None:
    (first,) = scan_features([SCANS[1]], (SPACING,) * 3)
    (turned,) = scan_features([5 * SCANS[1].transpose(2, 0, 1)[::-1]], (SPACING,) * 3)
    assert first is not None
    assert turned is not None
    np.testing.assert_allclose(first.own, turned.own, atol=1e-4)


def _registered(seed: int) -> Image:
    """A T1 in 3-D, the others in slices of 5 mm that were brought to its grid."""
    volumes = study(patient(seed=seed), {})
    grid = volumes["t1n"].grid
    scans = [brought(volumes[name].array[None], volumes[name].grid, grid)[0] for name in MODALITY_ORDER]
    return Image(np.stack(scans), MODALITY_ORDER, grid)


def test_soft_edges_of_thick_slices_are_no_contrast() -> None:
    """The outermost voxels of such slices are dark; of the patient 5, T1 and T1c are hard to tell apart."""
    assert exchanged(_registered(5), shipped_contrasts()) == {}
    image = _registered(6)
    assert exchanged(image, shipped_contrasts()) == {}
    swapped = Image(image.array, ("t1c", "t1n", "t2w", "t2f"), image.grid)
    assert exchanged(swapped, shipped_contrasts()) == {"t1c": "t1n", "t1n": "t1c"}


def test_of_what_nothing_is_said() -> None:
    """Two scans, pictures, another modality's name, thin stacks, a scan that is empty, and one that is constant."""
    model, swapped = shipped_contrasts(), ("t1c", "t1n", "t2w", "t2f")
    assert exchanged(_given(swapped[:2], SCANS[:2]), model) == {}
    assert exchanged(_given(swapped, grid=Grid.of_pictures(SCANS.shape[1:])), model) == {}
    assert exchanged(_given(("post", "pre", "flair", "other")), model) == {}
    thin = Grid((50, 50, 4), GRID.affine)
    assert exchanged(_given(swapped, SCANS[..., 23:27], thin), model) == {}
    for value in (0.0, 7.0):
        blank = SCANS.copy()
        blank[3] = np.where(blank[3] > 0, value, 0)
        assert exchanged(_given(swapped, blank), model) == {}


def test_nothing_is_said_of_heads_with_their_skull() -> None:
    """Air, 4 mm of bright skin and 10 mm of dark bone around the same brain."""
    axes = np.meshgrid(*(SPACING * (np.arange(62) - 31.0),) * 3, indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    heads = np.pad(SCANS, ((0, 0), (6, 6), (6, 6), (6, 6)))
    heads[:, (radius >= 66) & (radius < 78)] = 30
    heads[:, (radius >= 78) & (radius < 84)] = 900
    grid = Grid(heads.shape[1:], GRID.affine)
    assert exchanged(_given(("t1c", "t1n", "t2w", "t2f"), heads, grid), shipped_contrasts()) == {}
