"""A run's charts draw the numbers they were given; overlays mark what they claim."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from glioseg.core import Image
from glioseg.errors import GeometryError
from glioseg.evaluation.table import Row
from glioseg.report import style
from glioseg.report.figures import architecture, comparison, curves, outcomes
from glioseg.report.figures.outcomes import Strip, Volumes
from glioseg.report.figures.render import draw
from glioseg.report.gallery import gallery_item, mean_dice, ranked_cases, telling_slice, tumour_free_slice
from glioseg.report.run_facts import GalleryItem, Level, WeightMap
from glioseg.training.log import LogRow
from tests.report.made_run import GRID, REGIONS, SHAPE, image, items, log, reference, shifted, unet_levels, weight_map


def _has(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], colour: str) -> bool:
    return bool((pixels == style.rgb(colour)).all(axis=-1).any())


# --- curves


def test_losses_are_drawn_by_epoch() -> None:
    rows = log(6, every=2)
    axes = curves.losses(rows, 3).axes[0]
    train, val = axes.lines[:2]
    assert np.allclose(train.get_xydata(), np.array([(row.epoch + 1, row.train_loss) for row in rows], float))
    assert np.allclose(val.get_xydata(), np.array([(n, rows[n - 1].val_loss) for n in (2, 4, 6)], float))
    assert "best: epoch 4" in [text.get_text() for text in axes.texts]


def test_missing_and_undefined_figures_are_passed_over() -> None:
    lines: list[dict[str, Any]] = [
        {"epoch": 0},
        {"epoch": 1, "val_dice": None},
        {"epoch": 2, "regions": None},
        {"epoch": 3, "val_dice": 0.5},
    ]
    shared = {"train_loss": 0.5, "learning_rate": 0.1, "elapsed_s": 1.0}
    rows = [LogRow.from_json(shared | line) for line in lines]
    assert [values.tolist() for values in curves.own_series(rows, "val_dice")] == [[4.0], [0.5]]
    assert curves.own_series(rows, "regions", "WT", "dice")[0].size == 0


def test_a_best_epoch_that_the_log_has_not_is_not_marked() -> None:
    figure = curves.losses(log(3), 40)
    assert not figure.axes[0].texts
    draw(figure)


def test_the_score_of_the_best_epoch_is_written() -> None:
    rows = log(5)
    texts = [text.get_text() for text in curves.scores(rows, 2, "dice").axes[0].texts]
    assert f"{rows[2].figure('val_dice'):.3f}" in texts


def test_another_score_has_a_curve_of_its_own() -> None:
    rows = [replace(row, val_score=0.3) for row in log(5)]
    labels = [line.get_label() for line in curves.scores(rows, None, "iou").axes[0].lines]
    assert labels == ["Dice, mean over regions", "iou, which picks the best model"]


def test_regions_have_one_curve_in_each_panel() -> None:
    figure = curves.regions(log(4), REGIONS, None)
    assert [len(axes.lines) for axes in figure.axes] == [3, 3, 3]
    assert to_hex(figure.axes[0].lines[1].get_color()) == style.region_ink("TC")


def test_every_curve_is_inside_its_panel() -> None:
    """The panels share an axis: a recall of 0.2 must be seen beside a Dice of 0.9."""
    low = {"WT": {"dice": 0.9, "precision": 0.95, "recall": 0.2}}
    figure = curves.regions([replace(row, figures={"regions": low}) for row in log(3)], ["WT"], None)
    for axes in figure.axes:
        bottom, top = axes.get_ylim()
        heights = np.asarray(axes.lines[0].get_ydata(), dtype=float)
        assert bottom <= heights.min() <= heights.max() <= top


def test_score_over_time_never_falls() -> None:
    best = curves.pace(log(9)).axes[0].lines[1]
    heights = np.asarray(best.get_ydata(), dtype=float)
    assert (np.diff(heights) >= 0).all()
    assert np.asarray(best.get_xdata(), dtype=float)[0] == pytest.approx(14.2 / 60)


def test_colours_of_regions_hold_on_white() -> None:
    for name in style.REGION_COLOURS:
        red, green, blue = style.rgb(style.region_ink(name))
        assert (0.299 * red + 0.587 * green + 0.114 * blue) / 255 < 0.61


# --- outcomes


def test_a_strip_has_its_dots_and_its_interval() -> None:
    strip = Strip("WT, test", np.array([0.2, 0.8, 0.9, 1.0]), 0.725, (0.4, 0.95), style.ACCENT, ("threshold", 0.6))
    axes = outcomes.strips([strip]).axes[0]
    drawn = [np.asarray(line.get_xdata(), dtype=float).tolist() for line in axes.lines]
    assert [0.2, 0.8, 0.9, 1.0] in drawn
    assert [0.4, 0.95] in drawn
    assert [0.725] in drawn
    assert [text.get_text() for text in axes.texts] == ["threshold: 0.600"]


def test_limits_of_agreement() -> None:
    # differences 1, -1, 2, -2, 5: mean 1, variance (0 + 4 + 1 + 9 + 16) / 4 = 7.5
    reference_ml = np.array([10.0, 20, 30, 40, 50])
    volumes = Volumes("WT", reference_ml, reference_ml + np.array([1, -1, 2, -2, 5]), style.ACCENT)
    axes = outcomes.differences([volumes], unit="ml").axes[0]
    lines = sorted(float(np.asarray(line.get_ydata())[0]) for line in axes.lines if np.size(line.get_ydata()) == 2)
    limit = 1.96 * np.sqrt(7.5)
    assert lines == pytest.approx([1 - limit, 0, 1, 1 + limit])


def test_few_cases_have_no_limits() -> None:
    volumes = Volumes("WT", np.array([1.0, 2.0]), np.array([2.0, 2.0]), style.ACCENT)
    assert not outcomes.differences([volumes], unit="ml").axes[0].texts


def test_volumes_of_zero_lie_on_the_axis() -> None:
    figure = outcomes.volumes([Volumes("WT", np.array([0.0, 10.0]), np.array([5.0, 0.0]), style.ACCENT)], unit="ml")
    axes = figure.axes[0]
    low = axes.get_xlim()[0]
    dots = axes.lines[1]
    assert np.allclose(dots.get_xydata(), [(low, 5), (10, low)])
    draw(figure)


# --- architecture


def test_the_drawing_names_channels_and_sizes() -> None:
    axes = architecture.architecture(unet_levels(8, 2, 32, 3, 1, attention=True)).axes[0]
    words = [text.get_text() for text in axes.texts]
    assert [words.count(channels) for channels in ("8", "16", "32", "3", "1")] == [2, 2, 1, 1, 1]
    assert [words.count(size) for size in ("32×32", "16×16", "8×8")] == [4, 2, 1]
    assert words.count("A") == 2
    # 7 boxes; 6 steps from level to level and 2 skips
    assert sum(type(patch).__name__ == "FancyBboxPatch" for patch in axes.patches) == 7
    assert sum(type(patch).__name__ == "FancyArrowPatch" for patch in axes.patches) == 8


def test_skips_bend_over_the_levels_that_they_pass_by() -> None:
    """Two blocks of one grid between which a third stands: the long skip is a curve, the short ones are straight."""
    levels = [
        Level("input", 1, (8, 8)),
        Level("down", 4, (8, 8), column=0),
        Level("down", 8, (4, 4), column=1),
        Level("up", 4, (8, 8), sources=(2, 1), joined="added", column=2),
        Level("down", 16, (2, 2), sources=(2,), column=2),
        Level("up", 8, (4, 4), sources=(4, 2), joined="added", column=3),
        Level("up", 4, (8, 8), sources=(5, 3, 1), joined="added", column=4),
        Level("head", 1, (8, 8)),
    ]
    axes = architecture.architecture(levels, "logits, one per class").axes[0]
    arrows = [patch for patch in axes.patches if type(patch).__name__ == "FancyArrowPatch"]
    bends = [arrow.get_connectionstyle().rad for arrow in arrows if arrow.get_linestyle() != "solid"]  # type: ignore[attr-defined]
    assert [bool(bend) for bend in bends] == [False, False, False, True]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][-2:] == ["skip, added", "logits, one per class"]


def test_networks_that_are_no_u_are_drawn_too() -> None:
    levels = [
        Level("input", 1, (9, 9, 9)),
        Level("down", 4, (9, 9, 9)),
        Level("down", 8, (4, 4, 4)),
        Level("head", 1, (9,)),
    ]
    draw(architecture.architecture(levels))
    draw(architecture.architecture([Level("head", 2, ())]))


# --- scans


def test_gallery_items_lie_as_they_are_displayed() -> None:
    one, z = reference(0), 2
    item = gallery_item("a", "test", "best", z, image(0), one, shifted(one, 1), REGIONS, 0.9)
    # the grid grows to the left and to posterior: columns and rows lie as they are stored
    assert np.array_equal(item.reference["ET"], one.array[:, :, z].T == 3)
    assert np.array_equal(item.prediction["WT"][:, 1:], item.reference["WT"][:, :-1])
    assert list(item.pictures) == ["t1c", "t2f"]
    assert item.marks == ("R", "L", "A", "P")
    assert item.n_slices == SHAPE[2]


def test_colour_channels_become_one_picture() -> None:
    array = np.random.default_rng(0).integers(0, 255, (3, *SHAPE)).astype(np.uint8)
    picture = Image(array, ("red", "green", "blue"), GRID)
    item = gallery_item("a", "test", "best", 0, picture, reference(0), reference(0), ("WT",))
    assert item.pictures["picture"].shape == (18, 20, 3)
    draw(comparison.overlays([item]))


def test_overlays_show_both_outlines() -> None:
    two = [item for item in items(("WT",)) if item.kind in ("best", "worst")]
    same, apart = (draw(comparison.overlays([item]))[:-60] for item in two)  # without the legend
    assert _has(same, style.BOTH)
    assert not _has(same, style.PREDICTION)
    assert _has(apart, style.REFERENCE)
    assert _has(apart, style.PREDICTION)


def test_predictions_outside_the_brain_stay_in_sight() -> None:
    item = items(("WT",))[0]
    dark = np.zeros((60, 60), dtype=np.uint8)
    dark[5:20, 5:20] = 200
    far = np.zeros((60, 60), dtype=np.bool_)
    far[50:58, 50:58] = True
    none = np.zeros_like(far)
    item = GalleryItem("a", 0, 1, "test", "no-tumour", {"t2f": dark}, {"WT": none}, {"WT": far})
    assert _has(draw(comparison.overlays([item]))[:-60], style.PREDICTION)


def test_triptychs_have_regions_in_their_colours() -> None:
    several = draw(comparison.triptychs(items()))[:-60]
    for name in REGIONS:
        assert _has(several, style.region_colour(name))
    single = draw(comparison.triptychs(items(("WT",))))[:-60]
    assert _has(single, style.REFERENCE)
    assert not _has(single, style.region_colour("WT"))


def test_the_dice_of_a_slice() -> None:
    # 9 x 9 pixels moved by 4 columns: 5 of 9 columns in common
    worst = next(item for item in items() if item.kind == "worst")
    assert comparison.slice_dice(worst, ("WT",)) == pytest.approx(5 / 9)
    free = next(item for item in items() if item.kind == "no-tumour")
    assert comparison.slice_dice(free) is None


def test_weight_maps_share_one_scale() -> None:
    pair = weight_map()
    figure = comparison.weight_maps([pair, pair, pair])
    assert {axes.images[0].get_clim()[1] for axes in figure.axes[1:6:2]} == {float(pair.weights.max())}


def test_masks_must_fit() -> None:
    mask = np.zeros((4, 4), dtype=np.bool_)
    picture = {"t2f": np.zeros((4, 5), dtype=np.uint8)}
    with pytest.raises(GeometryError, match="differ in size"):
        GalleryItem("a", 0, 1, "test", "best", picture, {"WT": mask}, {"WT": mask})
    with pytest.raises(GeometryError, match="the same regions"):
        GalleryItem("a", 0, 1, "test", "best", picture, {"WT": mask}, {})
    with pytest.raises(GeometryError, match="does not fit its mask"):
        WeightMap("a", 0, mask, np.zeros((4, 5)))


# --- which cases and slices


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (0, []),
        (1, [("0", "worst")]),
        (2, [("0", "best"), ("1", "worst")]),
        (3, [("0", "best"), ("1", "median"), ("2", "worst")]),
        (7, [("0", "best"), ("1", "best"), ("2", "median"), ("3", "median"), ("6", "worst"), ("5", "worst")]),
        (9, [("0", "best"), ("1", "best"), ("3", "median"), ("4", "median"), ("8", "worst"), ("7", "worst")]),
    ],
)
def test_cases_are_ranked(n: int, expected: list[tuple[str, str]]) -> None:
    rows: list[Row] = [{"case": str(number), "WT.dice": 1.0 - number / 10} for number in range(n)]
    unranked: Row = {"case": "empty", "WT.dice": None}
    chosen = ranked_cases([unranked, *reversed(rows)], ["WT"], 2)
    assert [(case, kind) for case, kind, _ in chosen] == expected
    assert all(dice == 1.0 - int(case) / 10 for case, _, dice in chosen)


def test_cases_are_ranked_by_all_regions() -> None:
    """The first region alone would put ``lucky``, which misses the other two, on top."""
    regions = ("NCR", "ED", "ET")
    table = {"lucky": (1.0, 0.0, 0.2), "steady": (0.7, 0.7, 0.7), "partly empty": (None, 0.5, None), "poor": (0, 0, 0)}
    rows: list[Row] = [
        {"case": name, **{f"{region}.dice": value for region, value in zip(regions, values, strict=True)}}
        for name, values in table.items()
    ]
    assert [mean_dice(row, regions) for row in rows] == pytest.approx([0.4, 0.7, 0.5, 0.0])
    assert [case for case, _, _ in ranked_cases(rows, regions, 4)] == ["steady", "partly empty", "poor", "lucky"]


def test_no_case_is_shown_twice() -> None:
    for n in range(30):
        rows: list[Row] = [{"case": str(number), "WT.dice": number / 40} for number in range(n)]
        chosen = [case for case, *_ in ranked_cases(rows, ["WT"], 4)]
        assert len(chosen) == len(set(chosen)) == min(n, 12)


def test_the_slice_to_show() -> None:
    one, none = np.zeros(SHAPE, dtype=np.bool_), np.zeros(SHAPE, dtype=np.bool_)
    one[2:4, 2:4, 1] = one[2, 2, 3] = True
    assert telling_slice(one, none) == 1
    assert telling_slice(none, one) == 1
    assert telling_slice(none, none) == 2


def test_the_slice_without_tumour_to_show() -> None:
    picture, none = image(0), np.zeros(SHAPE, dtype=np.bool_)
    tumour, false = none.copy(), none.copy()
    tumour[5, 5, 0] = True
    false[6, 6, (0, 3)] = True
    assert tumour_free_slice(picture, tumour, false) == 3
    assert tumour_free_slice(picture, np.ones(SHAPE, dtype=np.bool_), false) is None
    # without false predictions: the slice that shows the most, noise apart
    dim = np.where(np.asarray(picture.array, dtype=np.int16) > 0, 20, 3).astype(np.int16)
    dim[:, :5, :, 2] = 800
    assert tumour_free_slice(Image(dim, picture.modalities, GRID), tumour, none) == 2
    assert tumour_free_slice(Image(np.zeros_like(dim), picture.modalities, GRID), tumour, none) is None


def test_what_is_said_above_a_slice() -> None:
    best, _, worst, free = items(("WT",))
    said = [comparison.note_of(item) for item in (best, worst, free)]
    assert said == ["Dice 0.900; slice 2/4: 1.000", "Dice 0.500; slice 2/4: 0.556", "slice 1/4: nothing predicted"]
    wrong = replace(free, prediction=best.reference)
    assert comparison.note_of(wrong) == "slice 1/4: 81 px predicted"
    assert comparison.note_of(replace(best, n_slices=1, z=0)) == "Dice 0.900"
