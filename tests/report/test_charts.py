"""Charts draw the numbers they were given, where they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from glioseg.cohorts.description import DarkRow, Diagnoses, FactColumn
from glioseg.cohorts.summary import HeatMap, Histogram
from glioseg.report import style
from glioseg.report.figures import charts, intensities
from glioseg.report.figures.render import draw, render
from tests.report.made import description, heat, tumour, volume_cohort

_NONE = np.zeros(0, dtype=np.float32)


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def _bars(figure: Figure, axes: int = 0) -> list[Rectangle]:
    return [patch for patch in figure.axes[axes].patches if isinstance(patch, Rectangle)]


def _histogram() -> Histogram:
    return Histogram(0.0, 100.0, np.bincount(np.arange(100) // 10 * 10, minlength=100).astype(np.int64))


def test_diagnoses_are_shares_of_slices_and_patients() -> None:
    figure = charts.diagnoses(Diagnoses(1373, 2556, 110, 0))
    assert "1,373 (35 %)" in _texts(figure)
    assert "2,556 (65 %)" in _texts(figure)
    few = _texts(charts.diagnoses(Diagnoses(1, 4_999, 0, 1)))
    assert few == ["1 (100 %)", "1 (< 1 %)", "4,999 (> 99 %)"]
    lengths = sorted(bar.get_width() for bar in _bars(figure))
    assert lengths == pytest.approx([0, 100 * 1373 / 3929, 100 * 2556 / 3929, 100])


def test_bars_have_their_lengths_and_names() -> None:
    figure = charts.bars({"yes": 155.0, "a $b$ <c>": 98.0}, x="cases")
    assert [bar.get_width() for bar in _bars(figure)] == [155, 98]
    assert _texts(figure) == ["155", "98"]
    draw(figure)  # the dollar signs of a name are no formula


def test_logarithmic_bars_reach_their_value() -> None:
    figure = charts.bars({"air": 80.0, "tumour": 0.2, "none": 0.0}, x="%", log=True)
    ends = [bar.get_x() + bar.get_width() for bar in _bars(figure)]
    assert ends[:2] == pytest.approx([80.0, 0.2])
    assert ends[2] == pytest.approx(figure.axes[0].get_xlim()[0])
    assert figure.axes[0].get_xticks().tolist() == pytest.approx([0.1, 1.0, 10.0, 100.0])


def test_every_size_is_counted_and_zero_is_left_out() -> None:
    figure = charts.sizes([1.0, 2.0, 30.0, 400.0, 0.0], x="ml", unit="ml")
    assert sum(bar.get_height() for bar in _bars(figure)) == 4
    assert _texts(figure) == ["median 16.0 ml"]


def test_regions_keep_their_colours() -> None:
    figure = charts.region_sizes({"WT": [10.0, 20.0], "ET": [1.0, 0.0]}, {"WT": "#102030", "ET": "#405060"}, x="ml")
    dots = [line for line in figure.axes[0].lines if len(line.get_xdata()) and line.get_markeredgewidth() == 0]  # type: ignore[arg-type]
    assert [to_hex(line.get_color()) for line in dots] == ["#102030", "#405060"]
    assert [len(line.get_xdata()) for line in dots] == [2, 1]  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "bars"), [(3, 0), (4, 1)])
def test_a_middle_half_needs_four_cases(n: int, bars: int) -> None:
    """Of fewer a bar over quartiles would only join the dots."""
    figure = charts.region_sizes({"WT": [10.0, 20.0, 30.0, 40.0][:n]}, {"WT": "#102030"}, x="ml")
    assert sum(line.get_linewidth() == 2.4 for line in figure.axes[0].lines) == bars


@pytest.mark.parametrize(
    ("axes", "row", "column"),
    [
        # the hot cell is the last along both axes
        (("right", "anterior"), 0, 0),  # right is on the left, anterior on top
        (("right", "superior"), 0, 0),
        (("anterior", "superior"), 0, 0),  # anterior is on the left
        (("column", "row"), -1, -1),  # as published: columns to the right, rows down
        (("column", "slice"), 0, -1),
    ],
)
def test_heat_maps_lie_as_the_scans_do(axes: tuple[str, str], row: int, column: int) -> None:
    figure = charts.places([HeatMap("plane", axes, heat((63, 63)))])
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    assert drawn[row, column] == 100
    assert drawn.sum() == 100


def test_heat_maps_name_their_edges() -> None:
    figure = charts.places([HeatMap("axial", ("right", "anterior"), heat((1, 1)))])
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert places["R"][0] < 0.1
    assert places["L"][0] > 0.9
    assert places["A"][1] > 0.9
    assert places["P"][1] < 0.1


def test_facts_are_histograms_of_measurements_and_bars_of_categories() -> None:
    ages = FactColumn("age", {str(number): 20 + number for number in range(40)}, True)
    sexes = FactColumn("sex", {"a": "F", "b": "M", "c": "F"}, False)
    grades = FactColumn("histology", {"a": "oligodendroglioma", "b": "astrocytoma"}, False)
    figure = charts.facts([ages, sexes, grades])
    assert sum(bar.get_height() for bar in _bars(figure, 0)) == 40
    assert [bar.get_height() for bar in _bars(figure, 1)] == [2, 1]
    assert [bar.get_width() for bar in _bars(figure, 2)] == [1, 1]


def test_many_categories_end_in_other() -> None:
    values = {str(number): f"c{number % 20}" for number in range(200)}
    figure = charts.facts([FactColumn("code", values, False)])
    heights = [bar.get_height() for bar in _bars(figure)]
    assert sum(heights) == 200
    assert heights[-1] == 90  # nine of twenty categories of ten each


def test_picture_sizes_count_pictures_of_one_size() -> None:
    figure = charts.picture_sizes([10, 10, 30], [20, 20, 40], ["a", "a", "b"])
    first, second = figure.axes[0].collections
    assert np.asarray(first.get_offsets()).tolist() == [[10, 20]]
    assert np.asarray(second.get_offsets()).tolist() == [[30, 40]]
    assert isinstance(first, PathCollection)
    assert isinstance(second, PathCollection)
    assert first.get_sizes()[0] > second.get_sizes()[0]
    assert figure.axes[0].get_aspect() == 1.0


def test_distributions_have_a_panel_for_each_modality_and_one_normalised() -> None:
    raw = {"t1n": _histogram(), "t1c": _histogram(), "t2f": _histogram()}
    normalised = dict.fromkeys(raw, Histogram(-6.0, 6.0, np.ones(48)))
    figure = intensities.distributions(raw, normalised)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["T1", "T1 with contrast", "T2-FLAIR", "Normalised"]
    assert len(figure.axes[-1].lines) == 3


def test_a_peak_of_air_is_cut_off_and_marked() -> None:
    counts = np.ones(100)
    counts[5] = 1000
    figure = intensities.distributions({"flair": Histogram(0, 100, counts)}, {"flair": Histogram(-6, 6, np.ones(48))})
    assert _texts(figure) == ["↑"]
    assert figure.axes[0].get_ylim()[1] < 0.1  # the peak has a density of 0.9


def test_spread_by_case_is_sorted_and_normalised(tmp_path: Path) -> None:
    about = description(volume_cohort(tmp_path, ["one", "two"], modalities=["t2f"]), tumour(1))
    first = about.cases[0].modalities["t2f"]
    brighter = replace(first, mean=first.mean + 500, quantiles=tuple(value + 500 for value in first.quantiles))
    cases = [replace(about.cases[0], modalities={"t2f": brighter}), about.cases[1]]
    figure = intensities.by_patient(cases, ["t2f"])
    raw, scores = (np.asarray(axes.lines[0].get_ydata()) for axes in figure.axes)
    assert raw[1] - raw[0] == pytest.approx(500)
    assert scores[1] == pytest.approx(scores[0])  # a shift is what normalisation takes away


@pytest.mark.parametrize("count", [1, 90, 300])
def test_spread_of_any_number_of_cases(tmp_path: Path, count: int) -> None:
    about = description(volume_cohort(tmp_path, ["one"], modalities=["t2f"]), tumour(1))
    figure = intensities.by_patient(about.cases * count, ["t2f"])
    assert len(np.asarray(figure.axes[0].lines[-1].get_ydata())) == count


def test_spread_by_slice_has_its_bands_and_says_where_it_goes() -> None:
    """Quantiles at two places, 25 % and 75 % of the way: 0.1, 1, 5, 25, 50, 75, 95, 99 and 99.9 %."""
    table = np.array([[0.0, 1, 2, 3, 4, 5, 6, 7, 8], [10.0, 11, 12, 13, 14, 15, 16, 17, 18]])
    figure = intensities.by_slice({"t1n": table, "t2f": table * 2}, ("inferior", "superior"))
    first, second = figure.axes
    assert np.asarray(first.lines[0].get_xydata()).tolist() == [[25, 4], [75, 14]]
    assert np.asarray(second.lines[0].get_ydata()).tolist() == [8, 28]
    ends, half = (np.asarray(band.get_paths()[0].vertices) for band in first.collections)
    assert {tuple(corner) for corner in ends.tolist()} == {(25, 1), (75, 11), (25, 7), (75, 17)}
    assert {tuple(corner) for corner in half.tolist()} == {(25, 3), (75, 13), (25, 5), (75, 15)}
    assert first.get_xlabel() == "slice position (%), inferior to superior"
    assert first.get_ylabel() == "raw intensity (file units)"


def test_correlations_are_written_and_unknown_ones_are_a_dash() -> None:
    matrix = np.array([[1.0, -0.25], [-0.25, np.nan]])
    assert _texts(intensities.correlation(matrix, ["t1n", "t2f"])) == ["1.00", "-0.25", "-0.25", "–"]


def test_dark_slices_are_counted_by_threshold() -> None:
    rows = [DarkRow(0.01, 50, 3, 47), DarkRow(0.02, 80, 5, 70)]
    figure = intensities.dark_filter(rows, 0.01)
    assert _texts(figure) == ["50", "80"]
    assert [bar.get_height() for bar in _bars(figure)] == [3, 5, 47, 70, 0, 5]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1 %\nin use", "2 %"]


def test_shares_of_slices_are_all_counted() -> None:
    with_tumour, without = np.array([0.5, 0.6], dtype=np.float32), np.array([0.0, np.nan, 0.9], dtype=np.float32)
    figure = intensities.dark_shares(with_tumour, without, np.zeros(0, dtype=np.float32), 0.01)
    assert sum(bar.get_height() for bar in _bars(figure)) == 4


def test_slices_without_a_reference_are_told_from_those_without_tumour() -> None:
    """Two greys that few can tell apart; one of them is hatched, here as in the chart beside."""
    one = np.array([0.5], dtype=np.float32)
    bars = _bars(intensities.dark_shares(_NONE, one, one, 0.01))
    assert [bar.get_hatch() for bar in bars if bar.get_height()] == [None, "//"]
    alone = _bars(intensities.dark_shares(_NONE, _NONE, one, 0.01))
    assert [bar.get_hatch() for bar in alone if bar.get_height()] == ["//"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: charts.diagnoses(Diagnoses(0, 0, 0, 0)),
        lambda: charts.diagnoses(Diagnoses(1, 100_000, 1, 99)),
        lambda: charts.bars({"none": 0.0}, x="cases"),
        lambda: charts.sizes([], x="ml"),
        lambda: charts.sizes([3.0], x="ml"),
        lambda: charts.region_sizes({"WT": [], "ET": [1.0]}, {"WT": "#102030", "ET": "#405060"}, x="ml"),
        lambda: charts.places([HeatMap("axial", ("right", "anterior"), heat())]),
        lambda: charts.facts([FactColumn("age", {"a": 1}, True)]),
        lambda: intensities.distributions({"t1n": Histogram(0, 1, np.zeros(8))}, {}),
        lambda: intensities.dark_filter([], 0.1),
        lambda: intensities.dark_shares(_NONE, _NONE, _NONE, 0.1),
    ],
)
@pytest.mark.filterwarnings("error")
def test_odd_data_make_a_chart_without_a_warning(make: Callable[[], Figure]) -> None:
    pixels = draw(make())
    assert pixels.std() > 0


@pytest.mark.parametrize(("kind", "head"), [("chart", b"\x89PNG"), ("map", b"\x89PNG"), ("scan", b"RIFF")])
def test_figures_are_encoded_for_the_folder_and_for_the_page(kind: str, head: bytes) -> None:
    rendered = render(charts.bars({"a": 1.0}, x="cases"), kind)  # type: ignore[arg-type]
    assert rendered.png.startswith(b"\x89PNG")
    assert rendered.web.startswith(head)
    assert rendered.width == round(style.HALF_WIDTH * style.DPI)


def test_two_dozen_series_differ() -> None:
    colours = [style.rgb(style.series_colour(number)) for number in range(24)]
    assert min(np.linalg.norm(np.subtract(*pair)) for pair in combinations(colours, 2)) > 25
    assert style.series_colour(24) == style.series_colour(0)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (0.01234, "0.0123"), (4.567, "4.57"), (18_012.0, "18,000"), (999.9, "1,000"), (-2.5, "-2.50")],
)
def test_numbers_are_written_as_people_write_them(value: float, words: str) -> None:
    assert style.number(value) == words


def test_no_figure_needs_tex() -> None:
    """Some have it set all their text in their ``matplotlibrc``; names of files are no TeX."""
    named = {"a_b & 50 %": 1.0}
    usual = draw(charts.bars(named, x="cases"))
    with mpl.rc_context({"text.usetex": True}):
        assert np.array_equal(draw(charts.bars(named, x="cases")), usual)
        assert draw(charts.sizes([3.0, 4.0], x="a_b", unit="ml")).std() > 0
        assert mpl.rcParams["text.usetex"]


@pytest.mark.filterwarnings("error")
def test_titles_of_modalities_are_printed_and_apart() -> None:
    name = "加权_$x$_a_sequence_that_has_a_long_name_of_its_own"
    assert style.modality_title(name) == name  # pages can show it as it is
    figure = intensities.distributions({name: _histogram(), "t1n": _histogram()}, {name: _histogram()})
    draw(figure)
    first, second, _ = (axes.title if axes.get_title() else axes._left_title for axes in figure.axes)  # type: ignore[attr-defined]
    assert first.get_window_extent().x1 < second.get_window_extent().x0


def test_names_that_the_font_lacks_are_replaced() -> None:
    assert style.plain("患者_7") == "??_7"
    assert style.plain("Mu\u0308ller, Nguye\u0302\u0303n") == "Müller, Nguyễn"  # as a Mac writes them in names of files
    assert style.plain("a$b") == r"a\$b"
    assert style.plain("x" * 30 + "end", 10) == "xxx…xxxend"
