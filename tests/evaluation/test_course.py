"""Change of a tumour over time, by hand."""

from __future__ import annotations

import pytest

from glioseg.evaluation.course import Change, TimePoint, changes, changes_of


def test_change_from_the_first_and_from_the_smallest_before() -> None:
    """10 ml, 4 ml (a response), 6 ml (half as much again as the smallest, less than the first), 12 ml."""
    found = changes([10.0, 4.0, 6.0, 12.0])
    assert found[0] == Change(None, None)
    assert [each.from_first for each in found[1:]] == pytest.approx([-0.6, -0.4, 0.2])
    assert [each.from_smallest for each in found[1:]] == pytest.approx([-0.6, 0.5, 2.0])


def test_the_smallest_is_of_the_time_points_before() -> None:
    assert changes([8.0, 2.0])[1] == Change(-0.75, -0.75)


def test_from_nothing_there_is_no_change() -> None:
    assert changes([0.0, 3.0, 6.0])[1:] == [Change(None, None), Change(None, None)]
    assert changes([2.0, 0.0, 3.0])[2] == Change(0.5, None)


def test_every_figure_has_its_changes_in_the_order_of_the_first() -> None:
    points = [TimePoint("a", 0, {"WT": 4.0, "ET": 1.0}), TimePoint("b", 90, {"ET": 2.0, "WT": 3.0})]
    found = changes_of(points)
    assert list(found) == ["WT", "ET"]
    assert (found["WT"][1], found["ET"][1]) == (Change(-0.25, -0.25), Change(1.0, 1.0))
