"""Lesion-wise scores: cases drawn by hand, and the challenge's way of going about it on random masks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from glioseg.core import Grid, LabelMap, scheme_named
from glioseg.errors import ScoreError
from glioseg.evaluation import MaskPair, masks, score_case, scores_of
from glioseg.evaluation.lesions import ANY_OVERLAP, GLIOMA, MENINGIOMA, METASTASES, LesionRule
from tests.evaluation.drawing import drawn
from tests.evaluation.test_surfaces import random_pair, voxels

TEN_MM3 = (1.0, 2.0, 5.0)
"""A voxel of 10 mm³: five of them are dropped, six count."""


def pair_of(reference: str, prediction: str) -> MaskPair:
    """One slice of two rows, the second empty; a letter is a voxel."""
    ours, theirs = (drawn(f"{row} {'.' * len(row)}") > 0 for row in (reference, prediction))
    return MaskPair(ours, theirs, TEN_MM3)


def counts(pair: MaskPair, rule: LesionRule = GLIOMA) -> tuple[float, float, float]:
    """Lesions that count, those found, and false positives."""
    return masks.n_lesions(pair, rule), masks.n_lesions_found(pair, rule), masks.n_lesions_false(pair, rule)


# -- drawn -------------------------------------------------------------------------------------------------------------


def test_one_of_two_lesions_is_found() -> None:
    """The first: 6 voxels, 4 drawn, Dice 8/10. The second is missed: Dice 0, 374 mm. What is drawn far off is false.

    Two reference voxels of the first lie 1 and 2 mm from what was drawn: of its distances 0 0 0 0 1 2 the 95th
    percentile is at 4.75, 1.75 mm, from the drawn side all are 0. Three counted: (1.75 + 374 + 374) / 3.
    """
    pair = pair_of("######........######.........", "####.......................##")
    assert counts(pair) == (2, 1, 1)
    assert masks.lesion_dice(pair) == pytest.approx(0.8 / 3)
    assert masks.lesion_hd95(pair) == pytest.approx((1.75 + 2 * 374) / 3)
    assert (masks.lesion_sensitivity(pair), masks.lesion_precision(pair), masks.lesion_f1(pair)) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("gap", "n_lesions"), [(6, 1), (7, 2)])
def test_what_grows_together_is_one_lesion(gap: int, n_lesions: int) -> None:
    """Three dilations on both sides bridge six voxels. The parts have 6 voxels each, the second is not drawn.

    One lesion of 12 voxels, of which 6 are drawn: 12/18. Two: the mean of 1 and 0.
    """
    blank = "." * gap
    pair = pair_of(f"######{blank}######", f"######{blank}......")
    assert masks.n_lesions(pair) == n_lesions
    assert masks.lesion_dice(pair) == pytest.approx(12 / 18 if n_lesions == 1 else 1 / 2)
    assert masks.n_lesions(pair, MENINGIOMA) == 2  # one dilation bridges two voxels


@pytest.mark.parametrize(("reference_size", "drops"), [(5, True), (6, False)])
def test_a_small_lesion_is_dropped_even_when_it_is_found(reference_size: int, drops: bool) -> None:
    """50 mm³ are dropped and 60 are not; what was drawn there is not false, and nothing is left to be missed."""
    lesion = "#" * reference_size
    found = pair_of(f"{lesion}........", f"{lesion}........")
    missed = pair_of(f"{lesion}........", f"{'.' * reference_size}........")
    assert counts(found) == ((0, 0, 0) if drops else (1, 1, 0))
    assert counts(missed) == ((0, 0, 0) if drops else (1, 0, 0))
    assert (masks.lesion_dice(found), masks.lesion_hd95(found)) == (1, 0)
    assert (masks.lesion_dice(missed), masks.lesion_hd95(missed)) == ((1, 0) if drops else (0, 374))
    assert masks.lesion_sensitivity(missed) == (None if drops else 0)
    assert counts(found, METASTASES) == (1, 1, 0)  # 2 mm³


def test_what_is_drawn_too_far_from_a_small_lesion_is_false() -> None:
    """Three voxels from its edge it still belongs to the lesion, four from it no more. Its own size does not matter."""
    assert counts(pair_of("###......", ".....#...")) == (0, 0, 0)
    assert counts(pair_of("###......", "......#..")) == (0, 0, 1)
    assert masks.lesion_dice(pair_of("###......", "......#..")) == 0


def test_one_prediction_may_belong_to_several_lesions() -> None:
    """21 voxels drawn over two lesions of 7 with 7 between: each has Dice 2 · 7 / (7 + 21) = 1/2."""
    pair = pair_of("#######.......#######", "#####################")
    assert counts(pair) == (2, 2, 0)
    assert masks.lesion_dice(pair) == pytest.approx(0.5)
    assert masks.lesion_f1(pair) == 1


def test_a_lesion_may_have_several_predictions() -> None:
    """Two of its eight voxels at each end: 2 · 4 / (8 + 4)."""
    pair = pair_of("########", "##....##")
    assert counts(pair) == (1, 1, 0)
    assert masks.lesion_dice(pair) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("offset", "belongs"),
    [((3, 3, 0), True), ((2, 2, 2), True), ((3, 3, 1), False), ((3, 3, 3), False), ((4, 0, 0), False)],
)
def test_the_element_has_18_neighbours(offset: tuple[int, int, int], belongs: bool) -> None:
    """A step goes along two axes at most: three reach 3 along one axis and 6 in sum, which 26 neighbours would pass."""
    reference = voxels((1, 1, 1))
    x, y, z = offset
    pair = MaskPair(reference, voxels((1 + x, 1 + y, 1 + z)), (5.0, 5.0, 5.0))  # 125 mm³ a voxel
    assert counts(pair) == (1, float(belongs), float(not belongs))


def test_components_touch_by_corners() -> None:
    """A diagonal of 8 voxels is one prediction, which the far lesion makes right."""
    diagonal = voxels(*((i, i, i) for i in range(8)))
    pair = MaskPair(voxels((0, 0, 0)), diagonal, (5.0, 5.0, 5.0))
    assert counts(pair) == (1, 1, 0)


@pytest.mark.parametrize(
    ("reference", "prediction", "dice", "mm"),
    [("......", "......", 1, 0), ("######", "......", 0, 374), ("......", "#.....", 0, 374)],
)
def test_empty_masks(reference: str, prediction: str, dice: float, mm: float) -> None:
    pair = pair_of(reference, prediction)
    assert (masks.lesion_dice(pair), masks.lesion_hd95(pair)) == (dice, mm)


def test_without_millimetres_sizes_are_voxels() -> None:
    row = drawn("#" * 50, "." * 50) > 0
    assert masks.n_lesions(MaskPair(row, row, None)) == 0
    row = drawn("#" * 51, "." * 51) > 0
    assert masks.n_lesions(MaskPair(row, row, None)) == 1


def test_figures_of_lesions_that_do_not_count_say_so() -> None:
    """Five voxels of 1 mm³, as many as are dropped."""
    grid = Grid((5, 2, 1), np.eye(4))
    array = np.array([[[4], [0]]] * 5, dtype=np.uint8)
    tumour = LabelMap(array, scheme_named("brats2021"), grid)
    figures = scores_of(score_case("a", "a", tumour, tumour, ["ET"]), "ml")["ET"]
    assert (figures["lesion_sensitivity"].value, figures["lesion_sensitivity"].status) == (None, "undefined")
    assert figures["lesion_dice"].value == 1


def test_tissues_have_no_lesions() -> None:
    grid = Grid((5, 1, 1), np.eye(4))
    brain = LabelMap(np.full((5, 1, 1), 2, dtype=np.uint8), scheme_named("ibsr"), grid)
    measured = score_case("a", "a", brain, brain, ["gm"]).measured
    assert set(measured) == {"hd", "hd95", "mean_surface_distance", "nsd"}


def test_a_rule_that_makes_no_sense_is_refused() -> None:
    for n_dilations, most_dropped in ((-1, 1), (1, -1)):
        with pytest.raises(ScoreError, match="a rule for lesions"):
            LesionRule(n_dilations=n_dilations, most_dropped=most_dropped)


# -- lesion by lesion, on the whole image, as the challenge's program goes about it ------------------------------------


def plain_scores(pair: MaskPair, rule: LesionRule) -> tuple[float, float, tuple[int, int, int]]:
    """Dice, HD95 and counts: each lesion is cut out, dilated and compared by itself."""
    assert pair.spacing_mm is not None
    element, corners = ndimage.generate_binary_structure(3, 2), np.ones((3, 3, 3))
    components, n_components = ndimage.label(pair.prediction, corners)
    grown, n_grown = ndimage.label(ndimage.binary_dilation(pair.reference, element, rule.n_dilations), corners)
    used: set[int] = set()
    dices, distances, n_found = [], [], 0
    for number in range(1, n_grown + 1):
        lesion = pair.reference & (grown == number)
        near = ndimage.binary_dilation(lesion, element, rule.n_dilations)
        own = set(np.unique(components[near]).tolist()) - {0}
        used |= own
        if lesion.sum() * np.prod(pair.spacing_mm) <= rule.most_dropped:
            continue
        drawn_there = np.isin(components, list(own))
        dices.append(2 * (lesion & drawn_there).sum() / (lesion.sum() + drawn_there.sum()))
        distance = masks.hd95(MaskPair(lesion, drawn_there, pair.spacing_mm))
        distances.append(374.0 if distance is None else distance)
        n_found += bool(own)
    n_false = n_components - len(used)
    n_counted = len(dices) + n_false
    tally = (len(dices), n_found, n_false)
    if not n_counted:
        return 1.0, 0.0, tally
    return sum(dices) / n_counted, (sum(distances) + 374 * n_false) / n_counted, tally


def check_lesion_by_lesion(seed: int) -> None:
    """Small masks would all be one lesion under three dilations; so they are spread over a larger image."""
    small, rng = random_pair(seed), np.random.default_rng(seed)
    pad = [(0, int(n)) for n in rng.integers(0, 9, 3)]
    turned = [np.pad(mask, pad) for mask in (small.reference, small.prediction)]
    ours, theirs = (np.concatenate([mask, mask[::-1]]) for mask in turned)
    theirs[: len(theirs) // 2] &= rng.random() < 0.7
    pair = MaskPair(ours, theirs, small.spacing_mm)
    for rule in (GLIOMA, METASTASES):
        dice, mm, tally = plain_scores(pair, rule)
        assert masks.lesion_dice(pair, rule) == pytest.approx(dice), seed
        assert masks.lesion_hd95(pair, rule) == pytest.approx(mm), seed
        assert counts(pair, rule) == tally, seed


def test_lesions_scored_one_by_one_give_the_same() -> None:
    for seed in range(40):
        check_lesion_by_lesion(seed)


@pytest.mark.slow
def test_lesions_scored_one_by_one_give_the_same_on_a_thousand_pairs() -> None:
    for seed in range(1000):
        check_lesion_by_lesion(1000 + seed)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (GLIOMA, "BraTS 2023, glioma: 26 neighbours, 3 dilations with 18 neighbours, up to 50 mm³ dropped"),
        (MENINGIOMA, "BraTS 2023, meningioma: 26 neighbours, 1 dilation with 18 neighbours, up to 50 mm³ dropped"),
        (METASTASES, "BraTS 2023, metastases: 26 neighbours, 1 dilation with 18 neighbours, up to 2 mm³ dropped"),
        (ANY_OVERLAP, "MetricsReloaded: 6 neighbours, no dilation, none dropped"),
        (
            LesionRule(n_dilations=2, most_dropped=0.5),
            "26 neighbours, 2 dilations with 18 neighbours, up to 0.5 mm³ dropped",
        ),
    ],
)
def test_rules_in_words(rule: LesionRule, words: str) -> None:
    assert rule.describe() == words
