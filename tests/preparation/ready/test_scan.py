"""A study is brought to one grid and back, its skull removed: what was done is said, and what cannot be done too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from glioseg.core import Grid, Image
from glioseg.errors import GeometryError, OptionError
from glioseg.io.load import Voxels
from glioseg.preparation.oblique import brought
from glioseg.preparation.ready import brain as extraction
from glioseg.preparation.ready.bias import without_shading
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.preparation.ready.registration import Registration
from glioseg.preparation.ready.scan import make_ready
from tests.fakes.heads import acquired, error_mm, patient, rigid, study, with_skull

NEEDED = ("t1n", "t1c", "t2w", "t2f")
CENTRE = (0.0, -20.0, 15.0)
MOTIONS = {
    "t1n": rigid((4.0, -5.0, 6.0), (4.0, -2.0, 3.0), CENTRE),
    "t2w": rigid((-3.0, 2.0, 5.0), (-2.0, 6.0, -4.0), CENTRE),
    "t2f": rigid((2.0, 3.0, -4.0), (1.0, -3.0, 5.0), CENTRE),
}
REGISTER = ReadyOptions(register=True)


class FakeExtraction:
    """In the place of deepbet: what is brighter than bone and lies well inside is brain."""

    def __init__(self, no_gpu: bool) -> None:
        assert no_gpu

    def run_model(self, array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if not array.max() > 0:
            raise AssertionError("Not enough foreground to calculate bounding box")
        inner = np.zeros_like(array)
        inner[tuple(slice(n // 4, -(n // 4)) for n in array.shape)] = 1
        return inner

    def postprocess(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        return mask


@pytest.fixture(scope="module")
def image() -> Image:
    return patient(6.0)


@pytest.fixture(scope="module")
def head() -> Image:
    """With skull, whose bone is seen at 3 mm and not at 6."""
    return with_skull(patient(3.0))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registration finds the motion of t2w at once, whatever it is shown."""
    found = Registration(np.asarray(np.linalg.inv(MOTIONS["t2w"]), dtype=np.float64), 0.8, 0.95, 0.3, 7.5, 6.1, 0.1)
    monkeypatch.setattr("glioseg.preparation.ready.scan.register", lambda fixed, moving: found)


@pytest.fixture
def deepbet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "require_deepbet", lambda: FakeExtraction)


def _on_one_grid(image: Image) -> dict[str, Voxels]:
    return {name: Voxels(channel, image.grid) for name, channel in zip(image.modalities, image.array, strict=True)}


def test_what_was_moved_lies_where_it_did_and_comes_back_to_the_target(image: Image, known: None) -> None:
    target, moving = (
        acquired(image, "t1c", "axial", (5, 5, 5)),
        acquired(image, "t2w", "coronal", (5, 5, 5), MOTIONS["t2w"]),
    )
    scan = make_ready({"t1c": target, "t2w": moving}, NEEDED, REGISTER)
    assert (scan.record.target, scan.native.grid, scan.image.modalities) == ("t1c", target.grid, ("t1c", "t2w"))
    assert scan.image.grid.spacing_mm == pytest.approx((1, 1, 1), abs=0.02)
    still = acquired(image, "t2w", "axial", (5, 5, 5))
    one, other = scan.native.array[1].ravel(), still.array.ravel()
    inside = other > np.percentile(other, 85)
    assert np.corrcoef(one[inside], other[inside])[0, 1] > 0.8
    np.testing.assert_array_equal(scan.native.array[0], target.array)
    assert scan.record.words[0] == "t2w moved by 7.5 mm and 6.1° to t1c; overlap 0.80 before, 0.95 after"
    assert scan.record.doubts == ()
    assert [view.title for view in scan.views] == ["t2w on t1c"]


@pytest.mark.parametrize("black", [0.0, 2000.0])
def test_a_smaller_field_of_view_is_said(monkeypatch: pytest.MonkeyPatch, black: float) -> None:
    """The upper 3 of a block's 12 slices lie in the second volume, whatever the value of what is black in the first."""
    still = Registration(np.eye(4), 0.9, 0.95, 0.3, 0.0, 0.0, 0.1)
    monkeypatch.setattr("glioseg.preparation.ready.scan.register", lambda fixed, moving: still)
    block = np.zeros(CUBE.shape, dtype=np.float32)
    block[4:16, 4:16, 4:16] = RAMP[4:16, 4:16, 4:16]
    upper = Voxels(block[:, :, 13:], CUBE.cropped(((0, 20), (0, 20), (13, 20))))
    scan = make_ready({"t1c": Voxels(block + np.float32(black), CUBE), "t2w": upper}, NEEDED, REGISTER)
    assert scan.record.moved[0].covered == pytest.approx(0.25)
    assert scan.record.doubts == ("t2w shows 25% of what t1c shows; beyond, zeros stand in",)


def test_volumes_of_one_grid_move_together(image: Image, known: None) -> None:
    moving = acquired(image, "t2w", "coronal", (5, 5, 5), MOTIONS["t2w"])
    volumes = {
        "t1c": acquired(image, "t1c", "axial", (5, 5, 5)),
        "t2w": moving,
        "t2f": Voxels(moving.array, moving.grid),
    }
    scan = make_ready(volumes, NEEDED, REGISTER)
    (moved,) = scan.record.moved
    assert moved.modalities == ("t2w", "t2f")
    np.testing.assert_array_equal(scan.image.array[1], scan.image.array[2])


def test_one_grid_of_1_mm_is_left_alone_and_that_is_said() -> None:
    grid = Grid((30, 30, 30), np.diag([1.0, 1.0, 1.05, 1.0]))
    voxels = Voxels(np.random.default_rng(0).random(grid.shape, dtype=np.float32), grid)
    scan = make_ready({"t1n": voxels, "t2f": voxels}, NEEDED, REGISTER)
    assert scan.record.words[0] == "all modalities lie on one grid: none was registered to another"
    np.testing.assert_array_equal(scan.image.array[0], voxels.array)
    assert scan.image.grid == grid


def test_the_mask_lies_where_the_user_says_else_on_what_was_acquired(image: Image) -> None:
    volumes = _on_one_grid(image)
    assert make_ready(volumes, NEEDED, ReadyOptions(register=True, mask_on="t2f")).record.target == "t2f"
    assert make_ready(volumes, NEEDED, REGISTER, derived=("t1n", "t1c")).record.target == "t2w"
    assert make_ready(volumes, NEEDED, REGISTER, derived=NEEDED).record.target == "t1n"


def test_the_skull_is_removed_where_there_is_one(image: Image, head: Image, deepbet: None) -> None:
    options = ReadyOptions(brain_extract=True)
    found = make_ready(_on_one_grid(head), NEEDED, options)
    assert found.record.has_skull
    assert found.record.brain is not None
    assert found.record.brain.of == "t1n"
    empty = ~np.asarray(found.image.array.any(axis=0))
    assert empty[0].all(), "outside the brain all modalities are 0"
    brain = make_ready(_on_one_grid(image), NEEDED, options)
    assert brain.record.brain is None
    assert brain.record.words == (brain.record.words[0],)
    assert brain.record.words[0].startswith("no skull was found (bone on ")
    np.testing.assert_array_equal(brain.image.array, image.array)


def test_the_brain_of_a_t1_that_the_network_does_not_see(head: Image, deepbet: None) -> None:
    scan = make_ready(_on_one_grid(head), ("t2f",), ReadyOptions(brain_extract=True))
    assert scan.image.modalities == ("t2f",)
    assert scan.record.brain is not None


def test_brains_of_odd_size_are_doubted(image: Image, deepbet: None) -> None:
    small = with_skull(image)
    shrunk = Image(
        small.array, small.modalities, Grid(small.grid.shape, np.diag([0.5, 0.5, 0.5, 1.0]) @ small.grid.affine)
    )
    found = extraction.extract_brain(shrunk.array[0], shrunk.grid, "t1n")
    assert found.is_odd


def test_n4_evens_out_what_shades(image: Image) -> None:
    grid, scan = image.grid, np.where(image.array[0] > 0, 100.0, 0.0).astype(np.float32)
    ramp = np.linspace(0.6, 1.4, grid.shape[0], dtype=np.float32)[:, None, None]
    evened = without_shading(scan * ramp, grid)
    inside = scan > 0
    before, after = ((each[inside].std() / each[inside].mean()) for each in (scan * ramp, evened))
    assert after < 0.3 * before
    np.testing.assert_array_equal(evened[~inside], 0)


SLAB = Grid((20, 20, 1), np.diag([1.0, 1.0, 5.0, 1.0]))
CUBE = Grid((20, 20, 20), np.diag([4.0, 4.0, 4.0, 1.0]))
RAMP = np.arange(8000, dtype=np.float32).reshape(CUBE.shape)
REFUSED: dict[str, tuple[Mapping[str, Voxels], ReadyOptions, str]] = {
    "other grids, unregistered": (
        {"t1n": Voxels(RAMP, CUBE), "t2f": Voxels(RAMP[:, :, :1], SLAB)},
        ReadyOptions(n4=False, brain_extract=True),
        "lie on different grids",
    ),
    "one slice": (
        {"t1n": Voxels(RAMP, CUBE), "t2f": Voxels(RAMP[:, :, :1], SLAB)},
        REGISTER,
        "t2f: a volume this thin",
    ),
    "empty": (
        {"t1n": Voxels(RAMP, CUBE), "t2f": Voxels(np.zeros((9, 9, 9)), CUBE.cropped(((0, 9),) * 3))},
        REGISTER,
        "t2f: a scan that shows nothing",
    ),
    "pictures": ({"t1n": Voxels(RAMP, Grid.of_pictures(CUBE.shape))}, REGISTER, "pictures have no millimetres"),
    "not finite": (
        {"t1n": Voxels(np.where(RAMP == 5, np.nan, RAMP), CUBE), "t2f": Voxels(RAMP, CUBE)},
        REGISTER,
        "t1n holds values that are not finite; found 1 voxels",
    ),
    "one slice, shaded": (
        {"t2f": Voxels(RAMP[:, :, :1], SLAB)},
        ReadyOptions(n4=True),
        r"t2f: the shading of a volume this thin .* found 20x20x1 voxels of 1x1x5 mm, RAS; .*n4=True",
    ),
    "few thin slices, shaded": (
        {"t2f": Voxels(RAMP[:, :5], Grid((20, 5, 20), np.eye(4)))},
        ReadyOptions(n4=True),
        "this thin .* expected 6 mm or more along each axis",
    ),
    "a mask on nothing": ({"t1n": Voxels(RAMP, CUBE)}, ReadyOptions(register=True, mask_on="t2f"), "not there"),
    "nothing": ({"adc": Voxels(RAMP, CUBE)}, REGISTER, "no modality that the network sees"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_made_ready_is_refused_in_a_sentence(name: str) -> None:
    volumes, options, words = REFUSED[name]
    with pytest.raises(GeometryError, match=words):
        make_ready(volumes, NEEDED, options)


def test_a_brain_needs_a_t1(head: Image, deepbet: None) -> None:
    volumes = {name: each for name, each in _on_one_grid(head).items() if name.startswith("t2")}
    with pytest.raises(GeometryError, match="brain extraction needs a T1"):
        make_ready(volumes, NEEDED, ReadyOptions(brain_extract=True))


def test_a_scan_without_a_brain(deepbet: None) -> None:
    with pytest.raises(GeometryError, match="no brain was found in t1n"):
        extraction.extract_brain(np.zeros(CUBE.shape), CUBE, "t1n")


def test_a_brain_is_not_looked_for_in_one_slice(deepbet: None) -> None:
    with pytest.raises(GeometryError, match=r"t1n is too thin .* found 20x20x1 voxels .*brain_extract=True"):
        extraction.extract_brain(RAMP[:, :, :1], SLAB, "t1n")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name="deepbet")

    monkeypatch.setattr(extraction, "import_module", missing)
    with pytest.raises(OptionError, match=r"pip install 'glioseg\[brain\]'"):
        extraction.require_deepbet()


@pytest.mark.parametrize(
    ("options", "words"), [({"atlas": "sri24"}, "no such atlas"), ({"mask_on": "t1c"}, "share one grid")]
)
def test_options_that_mean_nothing(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        ReadyOptions(**options)


@pytest.mark.slow
def test_a_study_in_three_grids_in_the_space_of_the_atlas() -> None:
    image = patient(3.0)
    volumes = study(image, MOTIONS)
    scan = make_ready(volumes, NEEDED, ReadyOptions(atlas="mni", mask_on="t1c"))
    for moved in scan.record.moved[:-1]:
        true = np.asarray(np.linalg.inv(MOTIONS[moved.modalities[0]]), dtype=np.float64)
        assert error_mm(moved.registration.matrix, true, image).mean() < 1.5
        assert moved.doubts == ()
    assert scan.record.moved[-1].is_to_atlas
    assert scan.home.shape == (197, 233, 189)
    # the way there and back: t1c on the atlas's voxels, brought to its own grid again
    back = brought(scan.image.array[1:2], scan.image.grid, scan.native.grid)[0]
    inside = volumes["t1c"].array > np.percentile(volumes["t1c"].array, 80)
    assert np.corrcoef(back[inside], volumes["t1c"].array[inside])[0, 1] > 0.9


@pytest.mark.slow
def test_deepbet_finds_the_brain_of_a_phantom_head() -> None:
    pytest.importorskip("deepbet")
    image = patient(2.0)
    head = with_skull(image)
    found = extraction.extract_brain(head.array[0], head.grid, "t1n")
    away = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(head.grid.shape, image.grid.shape, strict=True))
    brain = np.asarray(image.array.any(axis=0))
    overlap = 2 * (found.mask[away] & brain).sum() / (found.mask.sum() + brain.sum())
    assert overlap > 0.9
    assert not found.is_odd
