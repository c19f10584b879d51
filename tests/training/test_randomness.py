from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glioseg.errors import OptionError
from glioseg.training.randomness import DrawKey, Rows, generator, torch_seed

_KEY = DrawKey(seed=7, purpose="augment", epoch=2, step=3)
_OTHERS = [
    DrawKey(8, "augment", 2, 3),
    DrawKey(7, "dropout", 2, 3),
    DrawKey(7, "augment", 3, 3),
    DrawKey(7, "augment", 2, 4),
    DrawKey(7, "augment", 3, 2),  # epoch and step exchanged
    DrawKey(7 + 2**32, "augment", 2, 3),  # the same lowest word
]


def test_equal_keys_draw_equal_numbers_whatever_was_drawn_before() -> None:
    first = generator(_KEY).random(5)
    np.random.default_rng().random(3)
    torch.rand(3)
    np.testing.assert_array_equal(generator(_KEY).random(5), first)
    assert torch_seed(_KEY) == torch_seed(_KEY)


@pytest.mark.parametrize("other", _OTHERS, ids=str)
def test_every_part_of_the_key_counts(other: DrawKey) -> None:
    assert not np.intersect1d(generator(_KEY).random(50), generator(other).random(50)).size
    assert torch_seed(_KEY) != torch_seed(other)


def test_streams_of_a_key_are_independent() -> None:
    drawn = np.concatenate([generator(_KEY, *stream).random(50) for stream in ((), (0,), (1,), (0, 0))])
    assert len(np.unique(drawn)) == 200


def test_the_bits_are_fixed_for_good() -> None:
    """A checkpoint of today must go on tomorrow: these are the first words of the stream, written down once."""
    raw = generator(DrawKey(1, "order", epoch=2)).bit_generator.random_raw(2)
    assert [int(word) for word in raw] == [11597655740395741753, 6424644801088008852]
    assert torch_seed(DrawKey(1, "dropout", 0, 5)) == 357778689316224917


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**32 - 1))
def test_seeds_for_torch_are_accepted_by_it(seed: int, step: int) -> None:
    number = torch_seed(DrawKey(seed, "dropout", step=step))
    assert 0 <= number < 2**63
    torch.Generator().manual_seed(number)


def test_the_same_place_for_another_purpose() -> None:
    assert _KEY.of("dropout") == DrawKey(7, "dropout", 2, 3)


def test_which_items_are_at_hand_changes_no_draw() -> None:
    some = DrawKey(7, "augment", 2, 3, Rows((0, 2), 4))
    assert torch_seed(some) == torch_seed(_KEY)


@pytest.mark.parametrize(
    "wrong",
    [{"seed": -1}, {"seed": 2**128}, {"seed": 0, "epoch": -1}, {"seed": 0, "step": 2**32}],
)
def test_refuses_places_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="not negative"):
        DrawKey(purpose="augment", **wrong)
