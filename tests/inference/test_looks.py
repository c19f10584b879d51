"""One share of several looks at a case."""

from __future__ import annotations

from glioseg.inference.looks import Looks


def test_the_share_of_all_looks_grows_from_nothing_to_the_whole() -> None:
    told: list[float] = []
    looks = Looks(4, told.append)
    for _ in range(2):
        looks(1, 2)
        looks(2, 2)
    looks(0, 0)  # a stack that shows nothing
    looks(5, 5)
    assert told == [0, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1]
    looks(1, 2)  # one more than was said
    assert told[-1] == 1
