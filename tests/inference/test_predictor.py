"""From an image to probabilities and labels on its own grid, with a network whose logits are the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from glioseg.core import Grid, Image, scheme_named
from glioseg.core.components import label_components
from glioseg.errors import GeometryError, LabelError, NetworkError
from glioseg.inference.modalities import blank_words, shown_modalities
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Predictor, inside_regions, paint, to_native
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions
from glioseg.preparation.slices import SliceOptions
from tests.inference.networks import LooksLeft, Measures, Sees

GRID = Grid((6, 5, 4), np.diag([2.0, 3.0, 4.0, 1.0]))
SCHEME = scheme_named("brats2023")
AS_IS = PrepareOptions(normalise="none", brain_only=False)


def _image(modalities: tuple[str, ...] = ("t2f", "t1c"), grid: Grid = GRID) -> Image:
    """1 (t2f) and 2 (t1c) everywhere but in a cube, where they are 5 and 6; slice 3 is black."""
    array = np.ones((len(modalities), *grid.shape), dtype=np.float32) * np.array([1, 2, 3][: len(modalities)])[
        :, None, None, None
    ].astype(np.float32)
    array[:, 1:3, 2:4, 0:2] += 4
    array[..., 3] = 0
    return Image(array, modalities, grid)


def _predictor(**changes: Any) -> Predictor:
    fields: dict[str, Any] = {
        "model": Sees(2),
        "modalities": ("t2f", "t1c"),
        "regions": ("WT", "ET"),
        "scheme": SCHEME,
        "prepare": AS_IS,
        "slices": SliceOptions(),
        "options": PredictOptions(),
    }
    return Predictor(**(fields | changes))


def _sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def test_probabilities_lie_where_the_image_does() -> None:
    found = _predictor().predict(_image())
    assert found.probabilities.shape == (2, 6, 5, 4)
    assert found.label_map.grid is GRID or found.label_map.grid == GRID
    np.testing.assert_allclose(found.probabilities[0, 1:3, 2:4, 0:2], _sigmoid(5), rtol=1e-3)
    np.testing.assert_allclose(found.probabilities[0, 4:, :, :3], _sigmoid(1), rtol=1e-3)
    np.testing.assert_allclose(found.probabilities[1, 4:, :, :3], _sigmoid(2), rtol=1e-3)


def test_a_black_slice_is_not_looked_at() -> None:
    model = Sees(2)
    found = _predictor(model=model).predict(_image())
    assert model.seen == [3]
    assert not found.probabilities[..., 3].any()
    assert not found.label_map.array[..., 3].any()


def test_black_is_background_if_asked() -> None:
    image = _image()
    image.array[:, 0, 1, 0] = 0  # black in both: no brain
    image.array[0, 5, 1, 0] = 0  # black in one
    plain = _predictor().predict(image).probabilities
    found = _predictor(options=PredictOptions(black_is_background=True)).predict(image).probabilities
    np.testing.assert_allclose(plain[:, 0, 1, 0], 0.5)
    assert not found[:, 0, 1, 0].any()
    found[:, 0, 1, 0] = plain[:, 0, 1, 0]
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize(("shape", "shown"), [(None, (5, 6)), ((8, 11), (8, 11)), ((3, 9), (5, 9)), ((5, 6), (5, 6))])
def test_smaller_slices_have_the_margins_of_training(shape: tuple[int, int] | None, shown: tuple[int, int]) -> None:
    plain = _predictor().predict(_image())
    found = _predictor(shape=shape).predict(_image())  # what is seen of each pixel stays where it is
    np.testing.assert_array_equal(found.probabilities, plain.probabilities)
    model = Measures()
    images = np.ones((2, 2, 5, 6), dtype=np.float16)
    options = PredictOptions(activation="sigmoid")
    measured = _predictor(model=model, regions=("WT",), shape=shape, options=options)
    with torch.no_grad():
        model.none.fill_(10.0 * shown[1] - shown[0])  # so that the logit is 0 if just this is shown
    probabilities = measured.probabilities(images, np.ones(2, dtype=np.float32))
    assert probabilities.shape == (1, 2, 5, 6)
    np.testing.assert_allclose(probabilities, 0.5, atol=1e-3)


def test_the_order_of_modalities_is_the_networks() -> None:
    swapped = Image(_image().array[::-1].copy(), ("t1c", "t2f"), GRID)
    one, other = (_predictor().predict(image).probabilities for image in (_image(), swapped))
    np.testing.assert_array_equal(one, other)


def test_modalities_that_the_network_does_not_need_change_nothing() -> None:
    more = _image(("t2f", "t1c", "t2w"))
    np.testing.assert_array_equal(
        _predictor().predict(more).probabilities, _predictor().predict(_image()).probabilities
    )


def test_another_orientation_of_the_files_gives_the_same_voxels() -> None:
    affine = np.diag([-2.0, -3.0, 4.0, 1.0])
    affine[:3, 3] = [10.0, 12.0, 0.0]  # the same places, counted from the other end
    turned = Image(_image().array[:, ::-1, ::-1].copy(), ("t2f", "t1c"), Grid(GRID.shape, affine))
    found = _predictor().predict(turned)
    assert found.label_map.grid == turned.grid
    np.testing.assert_array_equal(found.probabilities[:, ::-1, ::-1], _predictor().predict(_image()).probabilities)


def test_what_lacks_a_modality_is_refused_unless_something_stands_in() -> None:
    flair = _image(("t2f",))
    with pytest.raises(GeometryError, match="the input lacks t1c; found t2f; expected t2f, t1c"):
        _predictor().predict(flair)
    filled = _predictor(prepare=AS_IS.model_copy(update={"missing": "t2f"})).predict(flair).probabilities
    np.testing.assert_array_equal(filled[0], filled[1])
    with pytest.raises(GeometryError, match="lacks t2f"):
        _predictor(prepare=AS_IS.model_copy(update={"missing": "t2f"})).predict(_image(("t1c",)))


def test_each_region_has_its_threshold() -> None:
    probabilities = np.zeros((2, *GRID.shape), dtype=np.float32)
    probabilities[:, 0, 0, 0] = 0.4
    probabilities[:, 1, 0, 0] = 0.6
    options = PredictOptions(threshold=0.3, thresholds={"ET": 0.5})
    labels = paint(probabilities, ("WT", "ET"), SCHEME, GRID, options).array
    assert labels[1, 0, 0] == SCHEME.labels["ET"]
    assert labels[0, 0, 0] in (SCHEME.labels["NCR"], SCHEME.labels["ED"])
    assert np.count_nonzero(labels) == 2


def test_small_components_of_a_region_are_removed() -> None:
    probabilities = np.zeros((1, *GRID.shape), dtype=np.float32)
    probabilities[0, 0:2, 0, 0] = 0.9  # two voxels
    probabilities[0, 4, 4, 0] = 0.9  # one
    kept = probabilities.copy()
    labels = paint(probabilities, ("WT",), SCHEME, GRID, PredictOptions(min_voxels={"WT": 2})).array
    assert np.argwhere(labels).tolist() == [[0, 0, 0], [1, 0, 0]]
    np.testing.assert_array_equal(probabilities, kept)  # what was given is not changed
    assert np.count_nonzero(paint(probabilities, ("WT",), SCHEME, GRID, PredictOptions()).array) == 3


@pytest.mark.parametrize(
    ("spacing", "kept"),
    [
        ((1, 1, 1), [3]),  # 3 voxels of 0.001 ml are 0.003 ml, 2 are less
        ((1, 1, 2), [2, 3]),  # 2 are 0.004 ml
        ((2, 2, 2), [1, 2, 3]),  # a voxel is 0.008 ml
        (None, [1, 2, 3]),  # what a voxel of a picture holds is not known
    ],
    ids=["1 mm", "2 mm slices", "2 mm", "a picture"],
)
def test_components_of_less_than_a_volume_are_left_out(spacing: tuple[float, ...] | None, kept: list[int]) -> None:
    probabilities = np.zeros((1, 7, 7, 1), dtype=np.float32)
    probabilities[0, 0, 0], probabilities[0, 2, 2:4], probabilities[0, 4:7, 6] = 0.9, 0.9, 0.9
    grid = Grid.of_pictures((7, 7, 1)) if spacing is None else Grid((7, 7, 1), np.diag([*map(float, spacing), 1.0]))
    options = PredictOptions(min_ml={"WT": 0.003})
    labels = paint(probabilities, ("WT",), SCHEME, grid, options).array
    found = label_components(labels > 0)[0]
    assert sorted(np.bincount(found.ravel())[1:].tolist()) == kept


def test_the_largest_component_of_a_region_is_kept_alone() -> None:
    # two voxels side by side and three elsewhere, all surely tumour; without the choice all five are painted
    probabilities = np.zeros((1, *GRID.shape), dtype=np.float32)
    probabilities[0, 0, 0, :2] = probabilities[0, 3, 3, :3] = 0.9
    every = paint(probabilities, ("WT",), SCHEME, GRID, PredictOptions()).array
    alone = paint(probabilities, ("WT",), SCHEME, GRID, PredictOptions(largest_component=("WT",))).array
    assert np.count_nonzero(every) == 5
    assert np.argwhere(alone).tolist() == [[3, 3, 0], [3, 3, 1], [3, 3, 2]]
    assert (probabilities > 0).sum() == 5


def test_kinds_share_the_outline_of_their_region() -> None:
    # two components; the smaller one is left out, and with it the glioma that it alone speaks for
    probabilities = np.zeros((4, *GRID.shape), dtype=np.float32)
    probabilities[0, 0, 0, :2] = probabilities[0, 3, 3, :3] = 0.9
    probabilities[1, 0, 0, :2], probabilities[2, 3, 3, :3] = 0.9, 0.4
    regions = ("tumour", "glioma", "meningioma", "pituitary")
    options = PredictOptions(kinds=regions[1:], min_voxels={"tumour": 3})
    painted = paint(probabilities, regions, scheme_named("brisc"), GRID, options).array
    assert np.argwhere(painted == 2).tolist() == [[3, 3, 0], [3, 3, 1], [3, 3, 2]]
    assert np.count_nonzero(painted) == 3


# -- regions that exclude each other -----------------------------------------------------------------------------------

TISSUES = scheme_named("ibsr")
NAMES = ("csf", "gm", "wm")
SOFTMAX = PredictOptions(activation="softmax")


def _along_x(*voxels: tuple[float, float, float]) -> np.ndarray[Any, Any]:
    """(3, n, 1, 1): csf, gm and wm at each voxel."""
    return np.array(voxels, dtype=np.float32).T[:, :, None, None]


def test_the_most_probable_is_painted_below_a_half_too() -> None:
    """Background is what the regions leave: 0.1, 0.4 (more than any), 0.2, and a tie of 0.25, which it wins."""
    found = _along_x((0.3, 0.2, 0.4), (0.3, 0.2, 0.1), (0.3, 0.2, 0.3), (0.25, 0.25, 0.25), (0.0, 0.0, 0.0))
    grid = Grid((5, 1, 1), np.eye(4))
    assert paint(found, NAMES, TISSUES, grid, SOFTMAX).array.ravel().tolist() == [3, 0, 1, 0, 0]
    assert inside_regions(found, NAMES, SOFTMAX)[:, :, 0, 0].T.tolist() == [
        [False, False, True],
        [False, False, False],
        [True, False, False],
        [False, False, False],
        [False, False, False],
    ]


def test_a_small_component_goes_to_the_second_most_probable() -> None:
    found = _along_x((0.1, 0.8, 0.0), (0.5, 0.4, 0.0), (0.1, 0.8, 0.0), (0.35, 0.1, 0.1), (0.1, 0.0, 0.0))
    kept = found.copy()
    options = PredictOptions(activation="softmax", min_voxels={"csf": 2})
    grid = Grid((5, 1, 1), np.eye(4))
    assert paint(found, NAMES, TISSUES, grid, SOFTMAX).array.ravel().tolist() == [2, 1, 2, 0, 0]
    assert paint(found, NAMES, TISSUES, grid, options).array.ravel().tolist() == [2, 2, 2, 0, 0]
    np.testing.assert_array_equal(found, kept)


def test_most_probable_needs_regions_that_exclude_each_other() -> None:
    found = np.zeros((2, *GRID.shape), dtype=np.float32)
    with pytest.raises(LabelError, match=r"regions WT and ET overlap.*prepare\.regions.*activation=sigmoid"):
        paint(found, ("WT", "ET"), SCHEME, GRID, SOFTMAX)


def test_softmax_is_a_network_with_one_logit_more() -> None:
    """Logits are the three channels 1, 2, 3 everywhere: the third, region B, has e^3 of e + e^2 + e^3."""
    predictor = _predictor(model=Sees(3), modalities=("t2f", "t1c", "t2w"), regions=("NCR", "ED"), options=SOFTMAX)
    found = predictor.predict(_image(("t2f", "t1c", "t2w")))
    total = np.exp(1) + np.exp(2) + np.exp(3)
    np.testing.assert_allclose(found.probabilities[0, 4:, :, :3], np.exp(2) / total, rtol=1e-3)
    np.testing.assert_allclose(found.probabilities[1, 4:, :, :3], np.exp(3) / total, rtol=1e-3)
    assert set(np.unique(found.label_map.array[..., :3])) == {SCHEME.labels["ED"]}
    assert not found.label_map.array[..., 3].any()  # the black slice, which is not looked at


# -- planes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("plane", "axis"), [("axial", 0), ("coronal", 0), ("sagittal", 1)])
def test_the_left_of_a_slice_is_the_patients_right_or_front(plane: str, axis: int) -> None:
    """A network that paints the left half of whatever it sees, on a scan whose axes are turned and mirrored."""
    affine = np.array([[0, 0, -2.0, 0], [-3.0, 0, 0, 0], [0, 4.0, 0, 0], [0, 0, 0, 1]])  # X to P, Y to S, Z to L
    grid = Grid((6, 4, 8), affine)
    shown = np.random.default_rng(0).uniform(1, 2, (1, *grid.shape)).astype(np.float32)  # a constant would be black
    image = Image(shown, ("t2f",), grid)
    prepare = AS_IS.model_copy(update={"plane": plane})
    fields: dict[str, Any] = {"model": LooksLeft(), "modalities": ("t2f",), "regions": ("WT",), "prepare": prepare}
    found = _predictor(**fields).predict(image)
    corners = np.indices(grid.shape).reshape(3, -1)
    place = (affine[:3, :3] @ corners)[axis].reshape(grid.shape)  # mm to the right, or to the front
    np.testing.assert_array_equal(found.label_map.array > 0, place > place.mean())
    # both views of lr paint one half each: nowhere above one half
    mirrored = _predictor(**fields, options=PredictOptions(flips="lr", threshold=0.51)).predict(image)
    assert not mirrored.label_map.array.any()


def test_rounding_of_the_resampling_leaves_probabilities_probabilities() -> None:
    """Between voxels of 1, weights that add up to 1 but for rounding gave 1.0000001, which the scores refused."""
    working, native = Grid((8, 8, 8), np.diag([5.5, 3.9, 1.2, 1])), Grid((20, 20, 20), np.diag([2.28, 1.92, 2.56, 1]))
    probabilities = to_native(np.ones((1, 8, 8, 8), dtype=np.float32), working, native)
    assert probabilities.max() == 1.0
    assert probabilities.min() >= 0.0


# -- modality sets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("present", "stand_in", "sets", "shown"),
    [
        (("t2f", "t1c", "t2w"), "zero", (), ("t2f", "t1c", "t2w")),
        (("t2f", "t2w"), "flair", (), ("t2f", "t2w")),  # flair stands in for t1c
        (("t2w", "t2f"), "zero", (("t2f",), ("t2w", "t2f")), ("t2f", "t2w")),  # the largest, in the network's order
        (("t2f", "t2w"), "zero", (("t2f",), ("t1c", "t2f")), ("t2f",)),  # t2w alone was never beside t2f
        (("t2f", "t1n"), "zero", (("t2f",),), ("t2f",)),
        (("t2w", "t1n"), "zero", (("t2f",),), None),
        (("t2w", "t2f"), "zero", (), None),
        (("t1n",), "t1n", (), None),  # it does not see what should stand in
    ],
)
def test_what_a_network_is_shown(
    present: tuple[str, ...], stand_in: str, sets: tuple[tuple[str, ...], ...], shown: tuple[str, ...] | None
) -> None:
    needed = ("t2f", "t1c", "t2w")
    if shown is not None:
        assert shown_modalities(needed, present, stand_in, sets) == shown
        return
    with pytest.raises(GeometryError, match="the input lacks"):
        shown_modalities(needed, present, stand_in, sets)


def test_a_set_of_modalities_is_enough_and_the_others_are_zeros() -> None:
    flair = _predictor(modality_sets=(("t2f",),))
    found = flair.predict(_image(("t2f",))).probabilities
    np.testing.assert_array_equal(found[0], _predictor().predict(_image()).probabilities[0])
    np.testing.assert_allclose(found[1, ..., :3], 0.5)
    with pytest.raises(GeometryError, match="expected t2f, t1c, or t2f alone"):
        flair.predict(_image(("t1c",)))


def test_of_the_sets_that_are_enough_the_smallest_are_named() -> None:
    sets = (("a", "b", "c"), ("a", "b"), ("b", "c", "d"), ("c",))
    with pytest.raises(GeometryError, match=r"expected a, b, c, d, or a and b alone, or c alone\."):
        shown_modalities(("a", "b", "c", "d"), ("d",), "zero", sets)


# -- numbers that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "words"), [(float("nan"), "NaN"), (3e38, "infinite values")])
@pytest.mark.parametrize("dims", [2, 3])
def test_an_answer_that_is_not_a_number_is_refused(scale: float, words: str, dims: int) -> None:
    """Sigmoid makes 0 or 1 of infinite logits, so that an overflow would pass for a sure answer."""
    patches = PatchOptions(size=(8, 8, 8)) if dims == 3 else None
    with pytest.raises(NetworkError, match=f"not a number; found {words}"):
        _predictor(model=Sees(2, scale), patches=patches).predict(_image())


def test_blank_modalities_are_named() -> None:
    image = _image()
    assert blank_words(image) == ()
    image.array[0] = 0
    image.array[1] = 7
    black, constant = blank_words(image)
    assert black.startswith("t2f is black everywhere")
    assert constant.startswith("t1c is 7 everywhere")
