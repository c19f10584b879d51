"""A stack through a network: every slice that shows something once, the others empty, views averaged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from glioseg.inference.slices import FLIPS, predict_slices
from tests.inference.networks import LooksLeft, Sees

STACK = np.random.default_rng(0).normal(size=(7, 2, 4, 6)).astype(np.float32)
"""(Z, C, Y, X)."""


def _predict(model: nn.Module, indices: list[int], **more: object) -> np.ndarray:
    taken = np.array(indices, dtype=np.int64)
    return predict_slices(model, lambda chosen: STACK[chosen], taken, n_slices=len(STACK), bf16=False, **more)  # type: ignore[arg-type]


def test_slices_that_are_not_shown_stay_empty() -> None:
    found = _predict(Sees(2), [1, 2, 5])
    assert found.shape == (2, 7, 4, 6)
    assert found.dtype == np.float32
    expected = 1 / (1 + np.exp(-STACK[[1, 2, 5]].transpose(1, 0, 2, 3)))
    np.testing.assert_allclose(found[:, [1, 2, 5]], expected, rtol=1e-5)
    assert not found[:, [0, 3, 4, 6]].any()


def test_batches_are_as_large_as_asked_for() -> None:
    model = Sees(1)
    whole, parts = _predict(model, list(range(7))), _predict(model, list(range(7)), batch_size=3)
    assert model.seen == [7, 3, 3, 1]
    np.testing.assert_allclose(whole, parts, atol=1e-6)  # vectors of another length round otherwise


def test_a_stack_without_anything_to_see_is_empty() -> None:
    told: list[tuple[int, int]] = []
    found = _predict(Sees(2), [], told=lambda done, of: told.append((done, of)))
    assert found.shape == (2, 7, 4, 6)
    assert not found.any()
    assert told == [(0, 0)]


def test_how_many_slices_are_done_is_told_after_each_batch() -> None:
    told: list[tuple[int, int]] = []
    _predict(Sees(1), [0, 1, 2, 4, 6], batch_size=2, told=lambda done, of: told.append((done, of)))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_views_are_turned_back_before_they_are_averaged() -> None:
    model = Sees(2)
    for name in FLIPS:  # a network that treats all pixels alike sees the same in every view
        np.testing.assert_allclose(_predict(model, [0, 3], flips=FLIPS[name]), _predict(model, [0, 3]), atol=1e-6)


@pytest.mark.parametrize(("name", "left"), [("none", 1.0), ("lr", 0.5), ("all", 0.5)])
def test_views_are_averaged(name: str, left: float) -> None:
    found = _predict(LooksLeft(), [0], flips=FLIPS[name])[0, 0]
    np.testing.assert_allclose(found[:, :3], left, atol=1e-3)
    np.testing.assert_allclose(found[:, 3:], 1 - left, atol=1e-3)


def test_no_gradient_is_kept() -> None:
    model = Sees(1)
    _predict(model, [0])
    assert model.scale.grad is None
    assert torch.is_grad_enabled()
