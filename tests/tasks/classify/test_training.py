"""The parts of a classifier's training: loss, items, augmentation, classes of slices, weights taken over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from glioseg.core import Case, Cohort, Source, scheme_named
from glioseg.errors import GeometryError, LabelError, OptionError, SplitError
from glioseg.inference.bundle import Bundle, BundleInfo
from glioseg.inference.classifier import classify_slices, telling_slice
from glioseg.inference.explain import grad_cam
from glioseg.inference.options import PredictOptions
from glioseg.networks.build import build_model
from glioseg.networks.classifier import ClassifierOptions
from glioseg.networks.unet import UNet, UNetOptions
from glioseg.preparation.cache import prepare
from glioseg.preparation.classes import require_classes, slice_classes
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.records import SchemeRecord
from glioseg.preparation.slices import SliceOptions
from glioseg.preparation.store import PreparedCohort
from glioseg.tasks.classify.items import augment_pictures, class_items
from glioseg.tasks.classify.loss import ClassLoss, class_loss
from glioseg.training.augment import AugmentOptions, ChannelLayout
from glioseg.training.randomness import DrawKey
from glioseg.training.terms import loss_of
from glioseg.training.transfer import take_weights
from tests.fakes.pictures import grey, save

_CLASSES = ("no", "yes")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedCohort:
    """Three pictures of yes and one of no, 16 x 16."""
    folder = tmp_path_factory.mktemp("pictures")
    cases = []
    for number, category in enumerate(("yes", "no", "yes", "yes")):
        path = save(folder / f"{number}.png", grey(number, 20, 20))
        name = f"case {number}"
        cases.append(Case(name, name, {"grey": Source((path,), "raster")}, category=category))
    cohort = Cohort("pictures", "classes", "", tuple(cases), ("grey",), None, _CLASSES)
    return prepare(cohort, PrepareOptions(size=16), folder / "cache", n_workers=1)


def test_the_loss_by_hand() -> None:
    """Logits (0, ln 3): p = (1/4, 3/4). Class no costs ln 4, yes ln 4/3.

    Weights 2 and 1/2: (2 ln 4 + ln(4/3) / 2) / 2. Smoothing 0.2 makes targets 0.9 and 0.1.
    """
    logits = torch.tensor([[0.0, np.log(3.0)]] * 2)
    classes = torch.tensor([[1, 0], [0, 1]], dtype=torch.uint8)
    assert float(ClassLoss()(logits, classes)) == pytest.approx((np.log(4) + np.log(4 / 3)) / 2)
    weighted = ClassLoss(torch.tensor([2.0, 0.5]))(logits, classes)
    assert float(weighted) == pytest.approx((2 * np.log(4) + 0.5 * np.log(4 / 3)) / 2)
    smooth = ClassLoss(smoothing=0.2)(logits, classes)
    one, other = 0.9 * np.log(4) + 0.1 * np.log(4 / 3), 0.9 * np.log(4 / 3) + 0.1 * np.log(4)
    assert float(smooth) == pytest.approx((one + other) / 2)


def test_the_loss_agrees_with_pytorch_and_is_float32_under_bfloat16() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 3, 1, 1])
    expected = nn.functional.cross_entropy(logits, target, label_smoothing=0.1)
    classes = nn.functional.one_hot(target, 4)
    assert float(ClassLoss(smoothing=0.1)(logits, classes)) == pytest.approx(float(expected), rel=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ClassLoss()(logits.bfloat16(), classes).dtype == torch.float32


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(GeometryError, match="logits and classes differ in shape"):
        ClassLoss()(torch.zeros(2, 3), torch.zeros(2, 2))


def test_items_are_pictures_with_their_class(prepared: PreparedCohort) -> None:
    items = class_items(prepared, SliceOptions(), ("grey",), _CLASSES)
    assert items.is_positive.tolist() == [True, False, True, True]
    batch = items.take(np.array([1, 0]), DrawKey(0, "patches"))
    assert batch.images.shape == (2, 1, 16, 16)
    assert batch.targets.tolist() == [[1, 0], [0, 1]]
    assert batch.weights is None
    assert items.name(1) == "case 1"


def test_balanced_weights_make_classes_count_alike(prepared: PreparedCohort) -> None:
    """1 of no and 3 of yes: 4 / (2·1) and 4 / (2·3)."""
    items = class_items(prepared, SliceOptions(), ("grey",), _CLASSES)
    weights = class_loss(loss_of("cross-entropy"), items).class_weights
    assert weights is not None
    assert weights.tolist() == pytest.approx([2.0, 2 / 3])
    assert class_loss(loss_of("cross-entropy", cross_entropy={"class_weights": "equal"}), items).class_weights is None


def test_a_loss_counts_by_its_weight(prepared: PreparedCohort) -> None:
    items = class_items(prepared, SliceOptions(), ("grey",), _CLASSES)
    logits, classes = torch.tensor([[0.5, -1.0]]), torch.tensor([[0, 1]])
    plain = class_loss(loss_of("cross-entropy"), items)(logits, classes)
    twice = class_loss(loss_of("cross-entropy", cross_entropy={"weight": 2.0}), items)(logits, classes)
    torch.testing.assert_close(twice, 2 * plain)


def test_augmentation_moves_pictures_and_leaves_classes() -> None:
    images = torch.arange(2 * 1 * 4 * 4, dtype=torch.float32).view(2, 1, 4, 4)
    classes = torch.tensor([[1, 0], [0, 1]], dtype=torch.uint8)
    options = AugmentOptions.model_validate({"flip": {"probability": 1.0, "axes": ["width"]}})
    key = DrawKey(0, "augment")
    moved, same, weights = augment_pictures(images, classes, None, key, options=options, channels=ChannelLayout(1))
    assert torch.equal(moved, images.flip(3))
    assert torch.equal(same, classes)
    assert weights is None
    turned = AugmentOptions.model_validate({"rotation": {"probability": 1.0}, "elastic": {"probability": 1.0}})
    moved, _, _ = augment_pictures(images, classes, None, key, options=turned, channels=ChannelLayout(1))
    assert moved.shape == images.shape
    assert not torch.equal(moved, images)


def test_classes_that_are_not_known_or_not_there(prepared: PreparedCohort) -> None:
    with pytest.raises(LabelError, match=r"case case 0 is of a class .*found yes; expected one of no, maybe"):
        slice_classes(prepared.cases[0], ("no", "maybe"))
    with pytest.raises(LabelError, match="the class of case case 0 is not known"):
        slice_classes(replace(prepared.cases[0], category=None), _CLASSES)
    require_classes(prepared, _CLASSES, "train")
    without = replace(prepared, cases=prepared.cases[2:])
    with pytest.raises(SplitError, match=r"the val part of the split has no picture of a class.*none of no; 2 of yes"):
        require_classes(without, _CLASSES, "val")
    with pytest.raises(LabelError, match="a classifier needs two classes; found yes"):
        require_classes(without, ("yes",), "train")


def test_slices_with_tumour_are_of_the_second_class(prepared: PreparedCohort) -> None:
    voxels = np.array([[0, 0], [3, 0], [0, 5]])
    case = replace(
        prepared.cases[0],
        category=None,
        region_names=("WT", "RC"),
        region_voxels=voxels,
        working=replace(prepared.cases[0].working, shape=(16, 16, 3)),
    )
    assert slice_classes(case, _CLASSES).tolist() == [0, 1, 0]  # the resection cavity is no tumour


# -- prediction --------------------------------------------------------------------------------------------------------


class _Mean(nn.Module):
    """Logits (0, mean of the left half): feature maps are the picture itself and its negative."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.features = nn.Identity()
        self.head = _LeftHalf()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.features(images)) * self.weight
        return found


class _LeftHalf(nn.Module):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        left = maps[..., : maps.shape[-1] // 2].mean(dim=(1, 2, 3))
        return torch.stack([-left, left], dim=1)


def test_grad_cam_by_hand() -> None:
    """d logit / d map is positive on the left only; its mean weighs the whole map, so the map itself is shown.

    For the other class the weight is negative: nothing of a positive picture speaks for it.
    """
    image = np.zeros((1, 2, 4), dtype=np.float32)
    image[0, 0, 0], image[0, 1, 3] = 4.0, 1.0
    shown = grad_cam(_Mean().eval(), image, 1)
    np.testing.assert_allclose(shown, image[0] / 4)
    assert not grad_cam(_Mean().eval(), image, 0).any()
    with pytest.raises(OptionError, match="Grad-CAM explains classifiers"):
        grad_cam(nn.Conv2d(1, 1, 1), image, 0)


def test_grad_cam_of_the_network_leaves_its_weights_alone() -> None:
    model = build_model(ClassifierOptions(width=4, depth=2), 1, 2, seed=0).eval()
    shown = grad_cam(model, np.random.default_rng(0).normal(size=(1, 16, 13)).astype(np.float32), 1)
    assert shown.shape == (16, 13)
    assert 0 <= shown.min() <= shown.max() <= 1
    assert all(weights.grad is None for weights in model.parameters())


def test_views_are_averaged_and_batches_do_not_matter() -> None:
    """Flipped left to right the right half counts: the mean of both views is that of the whole picture."""
    images = np.random.default_rng(0).random((5, 1, 4, 6), dtype=np.float32)

    def take(indices: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return images[indices]

    found = classify_slices(_Mean().eval(), take, 5, flips=((), (3,)), batch_size=2)
    np.testing.assert_allclose(found[:, 1], images.mean(axis=(1, 2, 3)), rtol=1e-5)
    assert telling_slice(np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])) == 1


# -- starting from other weights ---------------------------------------------------------------------------------------


def _bundle(options: ClassifierOptions, classes: tuple[str, ...], seed: int) -> Bundle:
    info = BundleInfo(
        model_id="0" * 12,
        name="other",
        modalities=("grey",),
        classes=classes,
        model=options,
        prepare=PrepareOptions(),
        slices=SliceOptions(),
        predict=PredictOptions(),
    )
    return Bundle(info, build_model(options, 1, len(classes), seed=seed))


def test_all_weights_are_taken_but_those_of_a_head_that_does_not_fit() -> None:
    options = ClassifierOptions(width=4, depth=2)
    other = _bundle(options, ("a", "b", "c"), seed=1)
    model = build_model(options, 1, 2, seed=0)
    own_head = model.state_dict()["head.2.weight"].clone()
    assert take_weights(model, other, ("grey",)) == ("head.2.weight", "head.2.bias")
    now, then = model.state_dict(), other.model.state_dict()
    assert torch.equal(now["head.2.weight"], own_head)
    assert all(torch.equal(now[name], then[name]) for name in now if name.startswith("features"))
    same = build_model(options, 1, 3, seed=0)
    assert take_weights(same, other, ("grey",)) == ()
    assert torch.equal(same.state_dict()["head.2.weight"], then["head.2.weight"])


def _segmenter(depth: int) -> Bundle:
    options = UNetOptions(width=4, depth=depth)
    info = BundleInfo(
        model_id="0" * 12,
        name="outlines",
        modalities=("flair",),
        regions=("tumour",),
        scheme=SchemeRecord.of(scheme_named("lgg")),
        model=options,
        prepare=PrepareOptions(),
        slices=SliceOptions(),
        predict=PredictOptions(),
    )
    return Bundle(info, build_model(options, 1, 1, seed=1))


def test_the_contracting_path_of_a_network_that_segments_is_taken() -> None:
    model = build_model(ClassifierOptions(width=4, depth=2), 1, 2, seed=0)
    source = _segmenter(depth=2).model
    assert isinstance(source, UNet)
    assert set(take_weights(model, _segmenter(depth=2), ("grey",))) == {"head.2.weight", "head.2.bias"}
    images = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():  # as far as the bottom of the U-Net they are one network
        torch.testing.assert_close(model.eval().features(images), source.eval()._encode(images)[-1])  # type: ignore[operator]


@pytest.mark.parametrize("options", [ClassifierOptions(width=4, depth=3), ClassifierOptions(width=8, depth=2)])
def test_the_path_of_another_network_that_segments_is_refused(options: ClassifierOptions) -> None:
    with pytest.raises(OptionError, match="another network"):
        take_weights(build_model(options, 1, 2, seed=0), _segmenter(depth=2), ("grey",))


@pytest.mark.parametrize(("width", "n_channels"), [(8, 1), (4, 3)])
def test_another_body_is_refused(width: int, n_channels: int) -> None:
    other = _bundle(ClassifierOptions(width=4, depth=2), _CLASSES, seed=1)
    model = build_model(ClassifierOptions(width=width, depth=2), n_channels, 2, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(OptionError, match=r"another network; found \d+ tensors that differ: features"):
        take_weights(model, other, ("grey",))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_bundle_says_regions_or_classes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a classifier has two classes or more"):
        _bundle(ClassifierOptions(), ("only",), seed=0)
    with pytest.raises(OptionError, match="a classifier makes no masks"):
        _ = _bundle(ClassifierOptions(width=4, depth=1), _CLASSES, seed=0).scheme
