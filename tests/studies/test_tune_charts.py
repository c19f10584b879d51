"""Charts of a search: what is counted is marked in whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

from glioseg.report.figures.render import draw
from glioseg.studies.report.tune_charts import Trial, by_epoch, by_setting


def test_epochs_and_whole_numbers_have_no_fractions_between_them() -> None:
    trials = [Trial(n, False, 0.1 * n, {1: 0.1 * n}, {"model.width": 4 + n}) for n in range(2)]
    for figure in (by_epoch(trials, y="Dice"), by_setting(trials, {"model.width": "linear"}, y="Dice")):
        draw(figure)
        ticks = [float(tick) for tick in figure.axes[0].get_xticks()]
        assert ticks
        assert all(tick.is_integer() for tick in ticks)


def test_the_best_of_very_many_trials_is_drawn() -> None:
    trials = [Trial(n, False, n / 100, {0: n / 200, 1: n / 100}, {"model.width": 4}) for n in range(60)]
    (axes,) = by_epoch(trials, y="Dice").axes
    drawn = [np.asarray(line.get_ydata()).tolist() for line in axes.lines]
    assert [0.295, 0.59] in drawn
    assert len(drawn) == 40


def test_rates_close_to_each_other_have_two_numbers_below_them() -> None:
    trials = [Trial(n, False, 0.5, {1: 0.5}, {"train.learning_rate": rate}) for n, rate in enumerate((1.2e-3, 1.8e-3))]
    figure = by_setting(trials, {"train.learning_rate": "log"}, y="Dice")
    draw(figure)
    low, high = figure.axes[0].get_xlim()
    ticks = [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high]
    assert ticks == pytest.approx([0.001, 0.0015, 0.002])
    assert low < 1.2e-3
    assert high > 1.8e-3
