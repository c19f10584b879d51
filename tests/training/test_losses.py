from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from glioseg.errors import GeometryError, OptionError
from glioseg.training.losses import Loss, balanced_class_weights, build_loss, weight_map
from glioseg.training.terms import LossOptions, loss_of, terms_of

_KINDS = ("bce", "dice", "bce+dice", "dice+focal", "focal", "topk", "tversky", "weighted-bce", "combined")


def _loss(kind: str, **options: Mapping[str, object]) -> Loss:
    """The loss of a kind with options of its terms; those of others are left out, class weights are equal."""
    given: dict[str, Mapping[str, object]] = {"weighted_bce": {"class_weights": "equal"}, **options}
    return build_loss(loss_of(kind, **{name: given[name] for name in terms_of(kind) if name in given}))


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _logits(*probabilities: float) -> Tensor:
    """One item, one region, a row of voxels."""
    return torch.tensor([[[[_logit(p) for p in probabilities]]]])


def _regions(*values: int) -> Tensor:
    return torch.tensor([[[list(values)]]], dtype=torch.uint8)


def _random_batch(seed: int = 0, n_regions: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (4, n_regions, 9, 7)
    regions = (torch.rand(shape, generator=generator) > 0.7).to(torch.uint8)
    regions[1, 0] = 0
    regions[2, 1] = 1
    return 3 * torch.randn(shape, generator=generator), regions


# By hand: two voxels with p = 0.8 inside and p = 0.4 outside the region.
_BCE = -(math.log(0.8) + math.log(0.6)) / 2
_DICE_SQUARES = 1 - (2 * 0.8 + 1) / (0.8**2 + 0.4**2 + 1 + 1)
_DICE_SUMS = 1 - (2 * 0.8 + 1) / (0.8 + 0.4 + 1 + 1)
_FOCAL = -(0.2**2 * math.log(0.8) + 0.4**2 * math.log(0.6)) / 2
_FOCAL_ALPHA = -(0.25 * 0.2**2 * math.log(0.8) + 0.75 * 0.4**2 * math.log(0.6)) / 2
_TVERSKY = 1 - (0.8 + 1) / (0.8 + 0.3 * 0.4 + 0.7 * 0.2 + 1)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("bce", {}, _BCE),
        ("dice", {}, _DICE_SQUARES),
        ("dice", {"dice": {"denominator": "sums"}}, _DICE_SUMS),
        ("dice", {"dice": {"smoothing": 0.01}}, 1 - (1.6 + 0.01) / (1.8 + 0.01)),
        ("bce+dice", {}, _BCE + _DICE_SQUARES),
        ("focal", {}, _FOCAL),
        ("focal", {"focal": {"alpha": 0.25}}, _FOCAL_ALPHA),
        ("focal", {"focal": {"gamma": 0.0}}, _BCE),
        ("dice+focal", {}, _DICE_SQUARES + _FOCAL),
        ("topk", {}, -math.log(0.6)),  # a tenth of two voxels is one, the harder
        ("topk", {"topk": {"share": 1.0}}, _BCE),
        ("tversky", {}, _TVERSKY),
        ("tversky", {"tversky": {"alpha": 0.5, "beta": 0.5, "smoothing": 1e-6}}, 1 - 1.6 / 2.2),
        ("weighted-bce", {}, _BCE),
        ("combined", {}, _BCE + _DICE_SQUARES),
    ],
)
def test_two_voxels_by_hand(kind: str, options: dict[str, dict[str, object]], expected: float) -> None:
    loss = _loss(kind, **options)(_logits(0.8, 0.4), _regions(1, 0))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_weighted_bce_is_the_mean_of_weight_times_entropy() -> None:
    # class weights 0.6 outside and 3 inside; the border term adds 5 to the second voxel
    loss = build_loss(loss_of("weighted-bce"), [(0.6, 3.0)])
    border = torch.tensor([[[[0.0, 5.0]]]])
    expected = -(3.0 * math.log(0.8) + (0.6 + 5.0) * math.log(0.6)) / 2
    assert loss(_logits(0.8, 0.4), _regions(1, 0), border).item() == pytest.approx(expected, rel=1e-5)
    without = -(3.0 * math.log(0.8) + 0.6 * math.log(0.6)) / 2
    assert loss(_logits(0.8, 0.4), _regions(1, 0)).item() == pytest.approx(without, rel=1e-5)


def test_combined_is_dice_and_weighted_bce_one_to_one() -> None:
    logits, regions = _random_batch()
    border = 10 * torch.rand(regions.shape, generator=torch.Generator().manual_seed(1))
    weights = [(0.5, 4.0), (0.6, 2.0), (1.0, 1.0)]
    weighted = build_loss(loss_of("weighted-bce"), weights)(logits, regions, border)
    combined = build_loss(loss_of("combined"), weights)(logits, regions, border)
    torch.testing.assert_close(combined, weighted + _loss("dice")(logits, regions))


def test_each_region_has_its_own_class_weights_and_one_border_serves_all() -> None:
    loss = build_loss(loss_of("weighted-bce"), [(0.5, 4.0), (0.25, 8.0)])
    regions = torch.tensor([[[[1, 0]], [[0, 1]]]])
    weights = weight_map(loss, regions, torch.tensor([[[[0.0, 10.0]]]]))
    assert weights is not None
    assert weights.tolist() == [[[[4.0, 10.5]], [[0.25, 18.0]]]]


def test_balanced_weights_by_hand() -> None:
    # 10 of 100 voxels inside: 100/180 outside and 100/20 inside; the mean over the voxels is 1
    assert balanced_class_weights([10, 0, 100], 100) == ((100 / 180, 5.0), (1.0, 1.0), (1.0, 1.0))
    outside, inside = balanced_class_weights([10], 100)[0]
    sum_of_weights = 90 * outside + 10 * inside
    assert sum_of_weights == pytest.approx(100)
    with pytest.raises(OptionError, match="more voxels than there are"):
        balanced_class_weights([101], 100)


def test_dice_over_the_batch_or_each_item() -> None:
    # item 1: hit with p ≈ 1; item 2: the region is missed with p ≈ 0
    logits = torch.tensor([[[[30.0]]], [[[-30.0]]]])
    regions = torch.ones(2, 1, 1, 1)
    assert _loss("dice", dice={"smoothing": 1e-6})(logits, regions).item() == pytest.approx((0 + 1) / 2, abs=1e-5)
    together = _loss("dice", dice={"smoothing": 1e-6, "over": "batch"})(logits, regions)
    assert together.item() == pytest.approx(1 - 2 / 3, abs=1e-5)


def test_regions_may_overlap_and_are_never_mixed() -> None:
    logits, regions = _random_batch()
    for kind in _KINDS:
        alone = [_loss(kind)(logits[:, r : r + 1], regions[:, r : r + 1]) for r in range(3)]
        torch.testing.assert_close(_loss(kind)(logits, regions), torch.stack(alone).mean())


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("inside", [0, 1], ids=["empty", "full"])
@pytest.mark.parametrize("height", [-200.0, -1e-3, 0.0, 200.0])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_finite_gradients_for_empty_and_full_regions(kind: str, inside: int, height: float, gamma: float) -> None:
    logits = torch.full((2, 1, 4, 4), height, requires_grad=True)
    loss = _loss(kind, focal={"gamma": gamma}, dice={"smoothing": 1e-5}, tversky={"smoothing": 1e-5})(
        logits, torch.full((2, 1, 4, 4), inside)
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("kind", ["dice", "tversky", "combined", "dice+focal"])
def test_a_region_neither_there_nor_predicted_costs_nothing(kind: str) -> None:
    loss = _loss(kind)(torch.full((2, 2, 4, 4), -40.0), torch.zeros(2, 2, 4, 4))
    assert loss.item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kind", _KINDS)
def test_a_perfect_prediction_costs_nothing(kind: str) -> None:
    _, regions = _random_batch()
    assert _loss(kind)(80.0 * regions - 40.0, regions).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kind", _KINDS)
def test_bfloat16_logits_under_autocast_are_scored_in_float32(kind: str) -> None:
    logits, regions = _random_batch()
    rough = logits.to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = _loss(kind)(rough, regions)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, _loss(kind)(rough.float(), regions))
    loss.backward()  # type: ignore[no-untyped-call]
    assert rough.grad is not None
    assert torch.isfinite(rough.grad).all()


@pytest.mark.parametrize("kind", _KINDS)
def test_three_axes_as_well_as_two(kind: str) -> None:
    logits, regions = _random_batch()
    volume = (4, 3, 3, 3, 7)
    torch.testing.assert_close(_loss(kind)(logits.view(volume), regions.view(volume)), _loss(kind)(logits, regions))


def test_deep_supervision_halves_the_share_of_each_coarser_level() -> None:
    logits, regions = _random_batch()
    loss = _loss("bce+dice")
    parts = [loss(logits, regions), loss(logits / 2, regions), loss(-logits, regions)]
    expected = (parts[0] + parts[1] / 2 + parts[2] / 4) / 1.75
    torch.testing.assert_close(loss((logits, logits / 2, -logits), regions), expected)
    torch.testing.assert_close(loss((logits,), regions), parts[0])


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("squares", [True, False])
def test_dice_agrees_with_monai(batch: bool, squares: bool) -> None:
    from monai.losses import DiceLoss

    logits, regions = _random_batch()
    oracle = DiceLoss(sigmoid=True, squared_pred=squares, batch=batch, smooth_nr=0.5, smooth_dr=0.5)
    own = _loss(
        "dice",
        dice={
            "smoothing": 0.5,
            "over": "batch" if batch else "item",
            "denominator": "squares" if squares else "sums",
        },
    )
    torch.testing.assert_close(own(logits, regions), oracle(logits, regions.float()))


@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("gamma", [0.0, 0.7, 2.0])
def test_focal_agrees_with_monai(alpha: float | None, gamma: float) -> None:
    from monai.losses import FocalLoss

    logits, regions = _random_batch()
    oracle = FocalLoss(gamma=gamma, alpha=alpha)
    own = _loss("focal", focal={"gamma": gamma, "alpha": alpha})
    torch.testing.assert_close(own(logits, regions), oracle(logits, regions.float()))


@pytest.mark.parametrize("batch", [True, False])
def test_tversky_agrees_with_monai(batch: bool) -> None:
    from monai.losses import TverskyLoss

    logits, regions = _random_batch()
    oracle = TverskyLoss(sigmoid=True, alpha=0.2, beta=0.9, batch=batch, smooth_nr=0.5, smooth_dr=0.5)
    own = _loss("tversky", tversky={"alpha": 0.2, "beta": 0.9, "smoothing": 0.5, "over": "batch" if batch else "item"})
    torch.testing.assert_close(own(logits, regions), oracle(logits, regions.float()))


def test_options_say_what_a_loss_needs() -> None:
    needs = {kind: loss_of(kind) for kind in _KINDS}
    assert [kind for kind, options in needs.items() if options.needs_border] == ["weighted-bce", "combined"]
    assert needs["combined"].needs_class_weights
    assert not loss_of("combined", weighted_bce={"class_weights": "equal"}).needs_class_weights
    assert not needs["bce"].needs_class_weights


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "mse"},
        {"kind": "bce+bce"},
        {"dice": {"smoothing": 0}},
        {"focal": {"alpha": 2}},
        {"topk": {"share": 0}},
        {"tversky": {"beta": -1}},
        {"tversky": {"alpha": 0, "beta": 0}},
        {"gamma": 2},
        {"dice": {"gamma": 2}},
        {"dice": {"weight": 0}},
        {},
        {"dice": None},
    ],
)
def test_options_refuse(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LossOptions.model_validate(wrong)


def test_refuses_class_weights_that_are_missing_idle_or_not_positive() -> None:
    with pytest.raises(OptionError, match="found none"):
        build_loss(loss_of("combined"))
    with pytest.raises(OptionError, match="some for bce"):
        build_loss(loss_of("bce"), [(1.0, 1.0)])
    with pytest.raises(OptionError, match="positive"):
        build_loss(loss_of("combined"), [(1.0, 0.0)])


def test_refuses_what_does_not_fit() -> None:
    logits, regions = _random_batch()
    with pytest.raises(GeometryError, match="logits and regions"):
        _loss("bce")(logits[:, :2], regions)
    with pytest.raises(GeometryError, match="logits and regions"):
        _loss("bce")((), regions)
    with pytest.raises(OptionError, match="no weight map"):
        _loss("bce")(logits, regions, torch.zeros(regions.shape))
    with pytest.raises(GeometryError, match="border term"):
        _loss("combined")(logits, regions, torch.zeros(4, 2, 9, 7))
    with pytest.raises(GeometryError, match="one pair of class weights"):
        build_loss(loss_of("combined"), [(1.0, 2.0)])(logits, regions)


# -- regions that exclude each other -----------------------------------------------------------------------------------

# By hand: two regions and the background, three voxels: one of region A, one of B, one of neither.
_EXCLUSIVE = ((0.2, 0.5, 0.3), (0.1, 0.3, 0.6), (0.8, 0.1, 0.1))  # p of background, A, B at each voxel
_CE = -(math.log(0.5) + math.log(0.6) + math.log(0.8)) / 3
_CE_WEIGHTED = -(2 * math.log(0.5) + 4 * math.log(0.6) + 1 * math.log(0.8)) / (2 + 4 + 1)
_DICE_A = 1 - (2 * 0.5 + 1) / (0.5**2 + 0.3**2 + 0.1**2 + 1 + 1)
_DICE_B = 1 - (2 * 0.6 + 1) / (0.3**2 + 0.6**2 + 0.1**2 + 1 + 1)


def _exclusive() -> tuple[Tensor, Tensor]:
    """(1, 3, 1, 3) logits, shifted by 5 since softmax does not see a shift, and (1, 2, 1, 3) regions."""
    probabilities = torch.tensor(_EXCLUSIVE, dtype=torch.float64).T[None, :, None]
    return probabilities.log() + 5, torch.tensor([[[[1, 0, 0]], [[0, 1, 0]]]], dtype=torch.uint8)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("ce", {}, _CE),
        ("ce", {"ce": {"weights": [1.0, 2.0, 4.0]}}, _CE_WEIGHTED),
        ("ce+dice", {}, _CE + (_DICE_A + _DICE_B) / 2),
    ],
)
def test_three_voxels_by_hand(kind: str, options: dict[str, dict[str, object]], expected: float) -> None:
    loss = _loss(kind, **options)(*_exclusive())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_agrees_with_torch() -> None:
    logits, _ = _random_batch(n_regions=4)
    classes = torch.randint(0, 4, (4, 9, 7), generator=torch.Generator().manual_seed(2))
    regions = torch.nn.functional.one_hot(classes, 4).movedim(-1, 1)[:, 1:]
    weights = [0.5, 1.0, 3.0, 2.0]
    oracle = torch.nn.functional.cross_entropy
    torch.testing.assert_close(_loss("ce")(logits, regions), oracle(logits, classes))
    torch.testing.assert_close(
        _loss("ce", ce={"weights": weights})(logits, regions), oracle(logits, classes, torch.tensor(weights))
    )


@pytest.mark.parametrize("kind", ["ce", "ce+dice"])
@pytest.mark.parametrize("height", [-200.0, 0.0, 200.0])
def test_softmax_is_finite_and_float32_under_bf16(kind: str, height: float) -> None:
    logits = torch.full((2, 3, 4, 4), height, dtype=torch.bfloat16)
    logits[:, 0] = 0.0
    logits.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = _loss(kind)(logits, torch.zeros(2, 2, 4, 4))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_perfect_softmax_costs_nothing() -> None:
    _, regions = _exclusive()
    target = torch.cat([1 - regions.sum(1, keepdim=True), regions], 1)
    assert _loss("ce+dice")(40.0 * target, regions).item() == pytest.approx(0.0, abs=1e-6)


def test_softmax_takes_one_logit_more_than_regions() -> None:
    logits, regions = _exclusive()
    with pytest.raises(GeometryError, match="logits and regions"):
        _loss("ce")(logits[:, :2], regions)
    with pytest.raises(OptionError, match=r"the background and one for each region; found 2; expected 3"):
        _loss("ce", ce={"weights": [1.0, 2.0]})(logits, regions)


# -- terms -------------------------------------------------------------------------------------------------------------


def test_terms_count_by_their_weights() -> None:
    logits, regions = _random_batch()
    weighted = _loss("bce+dice", bce={"weight": 0.5}, dice={"weight": 2.0})(logits, regions)
    torch.testing.assert_close(weighted, 0.5 * _loss("bce")(logits, regions) + 2 * _loss("dice")(logits, regions))


def test_any_terms_of_one_activation_add_up() -> None:
    logits, regions = _random_batch()
    parts = [_loss(kind)(logits, regions) for kind in ("bce", "focal", "tversky")]
    torch.testing.assert_close(_loss("tversky+focal+bce")(logits, regions), torch.stack(parts).sum())


def test_a_kind_is_a_word_for_its_terms() -> None:
    assert list(loss_of("combined").terms) == ["dice", "weighted_bce"]
    assert loss_of("dice+weighted-bce").kind == "combined"
    assert loss_of("focal+dice").kind == "dice+focal"
    for kind in (*_KINDS, "ce", "ce+dice", "cross-entropy"):
        options = loss_of(kind)
        assert options.kind == kind
        assert LossOptions.model_validate(options.model_dump()) == options


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "ce+bce"}, "ce takes softmax, and bce sigmoid: leave one out"),
        ({"kind": "dice+cross-entropy"}, "dice and cross_entropy are of two tasks"),
        ({"kind": "dice", "focal": {"gamma": 1}}, "kind = dice has no term focal; .*set loss.kind=dice\\+focal"),
        ({}, "at least one term: set loss.kind=bce\\+dice"),
        ({"ce": {"weights": [1, -1]}}, "weights of voxels are numbers above 0"),
    ],
)
def test_terms_that_do_not_fit_are_refused_in_words(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        LossOptions.model_validate(values)
