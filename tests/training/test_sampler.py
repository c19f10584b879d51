"""Which slices an epoch takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.training.sampler import batch_of, epoch_order, n_steps_of

_TUMOUR = np.arange(20) % 5 == 0  # 4 of 20


def _order(share: float | None, tumour: np.ndarray = _TUMOUR, seed: int = 0) -> list[int]:
    return [int(item) for item in epoch_order(tumour, share, np.random.default_rng(seed))]


def test_without_a_share_every_slice_comes_once() -> None:
    assert sorted(_order(None)) == list(range(20))
    assert _order(None) != _order(None, seed=1)
    assert _order(None) == _order(None)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_share_of_the_epoch_shows_tumour(share: float) -> None:
    order = _order(share)
    assert len(order) == 20
    assert _TUMOUR[order].sum() == round(share * 20)


def test_a_kind_that_is_rare_is_gone_through_evenly() -> None:
    order = np.array(_order(0.5))
    counts = np.bincount(order[_TUMOUR[order]], minlength=20)[_TUMOUR]
    assert sorted(counts) == [2, 2, 3, 3]  # 10 draws of 4 slices
    assert np.bincount(order[~_TUMOUR[order]]).max() == 1


@pytest.mark.parametrize("tumour", [np.zeros(6, dtype=bool), np.ones(6, dtype=bool)])
def test_where_one_kind_is_missing_the_other_fills_its_place(tumour: np.ndarray) -> None:
    assert sorted(_order(0.5, tumour)) == list(range(6))


@given(st.integers(1, 50), st.integers(1, 12))
def test_batches_take_the_epoch_apart(n: int, size: int) -> None:
    order = np.random.default_rng(0).permutation(n)
    batches = [batch_of(order, step, size) for step in range(n_steps_of(n, size))]
    assert np.concatenate(batches).tolist() == order.tolist()
    assert all(len(batch) == size for batch in batches[:-1])
    assert 1 <= len(batches[-1]) <= size
