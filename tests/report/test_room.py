"""Words of figures have room: inside the canvas and not upon each other, whatever things are called."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from glioseg.cohorts.description import FactColumn
from glioseg.report import style
from glioseg.report.figures import architecture, charts, classes, curves, outcomes, paired
from glioseg.report.figures.mosaic import Group, Panel, mosaic
from glioseg.report.figures.outcomes import LesionCounts, Volumes
from glioseg.report.figures.paired import Difference, Paired
from tests.report.made_run import log, unet_levels

_KAGGLE = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")


def _boxes(figure: Figure, texts: list[Text]) -> list[Bbox]:
    figure.draw_without_rendering()
    return [text.get_window_extent() for text in texts if text.get_text()]


def _assert_apart(boxes: list[Bbox]) -> None:
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other), (one, other)


def _assert_inside(figure: Figure, boxes: list[Bbox]) -> None:
    for box in boxes:
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1


def test_class_names_below_a_confusion_are_apart() -> None:
    """The four classes of the Kaggle set of brain tumours ran into each other."""
    figure = classes.confusion(np.full((4, 4), 123), _KAGGLE)
    figure.draw_without_rendering()
    labels = figure.axes[0].get_xticklabels()
    starts = [label.get_window_extent() for label in labels]
    angle = np.radians(labels[0].get_rotation())
    height = style.TICK_PT * style.DPI / 72
    steps = np.diff([box.x1 for box in starts])
    assert (steps * np.sin(angle) > height).all()


@pytest.mark.parametrize("n", [2, 4, 10, 12])
def test_numbers_of_a_confusion_stand_in_their_cells(n: int) -> None:
    figure = classes.confusion(np.full((n, n), 1234), [f"class {number}" for number in range(n)])
    texts = list(figure.axes[0].texts)
    assert len(texts) == n * n
    _assert_apart(_boxes(figure, texts))


def test_a_confusion_of_many_classes_has_colours_alone() -> None:
    figure = classes.confusion(np.eye(23, dtype=int), [f"class {number}" for number in range(23)])
    assert not figure.axes[0].texts
    assert figure.axes[1].get_ylabel() == "share of the true class (%)"


@pytest.mark.filterwarnings("error")
def test_curves_of_many_classes_keep_their_room() -> None:
    names = [f"a class with a long name {number}" for number in range(23)]
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    figure = classes.roc(dict.fromkeys(names, points), dict.fromkeys(names, 0.5))
    figure.draw_without_rendering()
    assert figure.axes[0].bbox.height > 2.5 * style.DPI


def test_the_legend_of_many_classes_is_inside() -> None:
    names = [f"class_{number}_long_name" for number in range(20)]
    figure = charts.picture_sizes([100] * 20, [200] * 20, names)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    _assert_inside(figure, _boxes(figure, legend.get_texts()))
    assert figure.axes[0].bbox.height > 2.5 * style.DPI


def test_the_legend_of_regions_is_inside_and_in_ink() -> None:
    """It was black, whatever the style of the person's Matplotlib writes on a dark page, and ran out on both sides."""
    names = [f"a_region_with_a_name_{number}" for number in range(12)]
    figure = curves.regions(log(4, regions=names), names, None)
    texts = figure.legends[0].get_texts()
    _assert_inside(figure, _boxes(figure, texts))
    assert {to_hex(text.get_color()) for text in texts} == {style.INK}


def test_legends_have_names_that_begin_with_an_underscore() -> None:
    """Matplotlib leaves them out."""
    names = ["_rest", "WT"]
    figure = curves.regions(log(3, regions=names), names, None)
    assert [text.get_text().strip() for text in figure.legends[0].get_texts()] == names


def test_codes_of_facts_stand_below_each_other_with_their_digits() -> None:
    dates = FactColumn("date", {str(number): 20190101 + number % 9 for number in range(40)}, True)
    volumes = FactColumn("ml", {"a": 1234567.25, "b": 1234567.5, "c": 3.5}, True)
    figure = charts.facts([dates, volumes])
    first, second = ([label.get_text() for label in axes.get_yticklabels()] for axes in figure.axes)
    assert first == [str(20190101 + number) for number in range(9)]
    assert second == ["3.5", "1234567.25", "1234567.5"]
    for axes in figure.axes:
        _assert_apart(_boxes(figure, axes.get_yticklabels()))


def test_numbers_of_lesions_stand_in_their_bars() -> None:
    rows = {"a": LesionCounts(1_000_000, 20_000, 1), "b": LesionCounts(22_000, 21_000, 21_000)}
    figure = outcomes.lesion_bars(rows)
    assert [text.get_text() for text in figure.axes[0].texts] == ["1,000,000"]
    few = outcomes.lesion_bars({"a": LesionCounts(50, 30, 20)})
    assert [text.get_text() for text in few.axes[0].texts] == ["50", "30", "20"]


@pytest.mark.parametrize("outlier", [0.0, 400.0])
def test_words_beside_the_limits_of_agreement_are_apart(outlier: float) -> None:
    """Equal volumes throughout, and one case of 300 that is far off, bring the three lines close together."""
    reference = np.full(300, 500.0)
    prediction = reference.copy()
    prediction[0] += outlier
    figure = outcomes.differences([Volumes("WT", reference, prediction, style.ACCENT)], unit="ml")
    _assert_apart(_boxes(figure, list(figure.axes[0].texts)))


@pytest.mark.parametrize(("reference", "prediction"), [(10.0, 12.0), (3.0, 3.0), (11.0, 560.0)])
def test_a_logarithmic_axis_has_two_numbers_at_least(reference: float, prediction: float) -> None:
    volumes = Volumes("WT", np.array([reference]), np.array([prediction]), style.ACCENT)
    for figure in (outcomes.volumes([volumes], unit="ml"), charts.sizes([reference, prediction], x="ml")):
        low, high = figure.axes[0].get_xlim()
        figure.draw_without_rendering()
        assert sum(low <= tick <= high for tick in figure.axes[0].get_xticks()) >= 2


def test_numbers_on_axes() -> None:
    assert [style.grouped(value) for value in (1e6, 2e-5, -3.0, 0.0, -0.0, 0.25, 1e-12)] == [
        "1,000,000", "0.00002", "−3", "0", "0", "0.25", "1e−12",
    ]  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.97, 1.0])
def test_the_score_of_the_best_epoch_is_clear_of_the_axis_and_of_its_name(share: float) -> None:
    rows = [replace(row, figures={"val_dice": share}, val_score=share) for row in log(300)]
    figure = curves.scores(rows, 250, "dice")
    boxes = _boxes(figure, list(figure.axes[0].texts))
    _assert_apart(boxes)
    assert min(box.y0 for box in boxes) > figure.axes[0].bbox.y0


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_sizes_of_volumes_stand_beside_the_boxes(depth: int) -> None:
    levels = unet_levels(32, depth, 128, 4, 3, attention=False)
    figure = architecture.architecture([replace(level, size=level.size + level.size[:1]) for level in levels])
    axes = figure.axes[0]
    figure.draw_without_rendering()
    sizes = [text.get_window_extent() for text in axes.texts if "×" in text.get_text()]
    boxes = [patch.get_window_extent() for patch in axes.patches if type(patch).__name__ == "FancyBboxPatch"]
    assert not any(size.overlaps(box) for size in sizes for box in boxes)
    _assert_apart(sizes)


def test_pairs_of_long_names_name_both() -> None:
    pair = Difference("unet-lgg-fold-1-seed-1", "unetpp-lgg-fold-1-seed-2", np.array([0.1]), 0.1, None)
    figure = paired.differences([pair], "Dice")
    (words,) = (label.get_text() for label in figure.axes[0].get_yticklabels())
    first, second = words.split(" − ")
    assert first.startswith("unet-l")
    assert first.endswith("old-1-seed-1")
    assert second.startswith("unetpp")
    assert second.endswith("old-1-seed-2")


@pytest.mark.parametrize(("n", "written"), [(2, 2), (6, 6), (7, 0)])
def test_means_of_many_runs_are_not_written(n: int, written: int) -> None:
    runs = {f"run {number}": np.array([0.5, 0.6]) for number in range(n)}
    figure = paired.paired_dots(Paired("Dice", runs, dict.fromkeys(runs, (0.55, (0.5, 0.6)))))
    assert len(figure.axes[0].texts) == written


def test_legends_of_capitals_are_apart() -> None:
    names = ["ENHANCING TUMOUR", "NECROTIC CORE", "WHOLE TUMOUR REGION", "MMMMMMMMMMMM", "iiii"]
    panel = Panel(np.zeros((60, 900, 3), dtype=np.uint8))
    figure = mosaic([Group((panel,))], columns=1, legend=[(name, "#ffffff") for name in names])
    _assert_apart(_boxes(figure, list(figure.axes[0].texts)))


def test_titles_of_capitals_stay_above_their_group() -> None:
    panel = Panel(np.zeros((60, 240, 3), dtype=np.uint8))
    groups = [Group((panel,), "TCGA_CS_4941_19960909_WMWMWMWM", "A NOTE IN CAPITALS OF MANY WORDS")] * 2
    figure = mosaic(groups, columns=2)
    _assert_apart(_boxes(figure, list(figure.axes[0].texts)))
