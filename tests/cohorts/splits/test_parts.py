"""The orders in which the parts of a split are named."""

from __future__ import annotations

from typing import get_args

from glioseg.cohorts.splits.split import Split
from glioseg.core import HEADLINE_ORDER, PARTS, PartName


def test_both_orders_name_every_part_once() -> None:
    assert get_args(PartName) == PARTS
    assert sorted(HEADLINE_ORDER) == sorted(PARTS)


def test_a_split_lists_its_parts_in_that_order() -> None:
    assert Split(("a", "b"), ("c",), ()).parts == {"train": ("a", "b"), "val": ("c",), "test": ()}
    assert tuple(Split(("a",), (), ()).parts) == PARTS
