"""The enlargement and the pooling that repeat are PyTorch's, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from glioseg.networks import enlarging, pooling
from glioseg.networks.enlarging import RepeatingEnlargement, enlarge
from glioseg.networks.pooling import RepeatingMaxPool3d, RepeatingPooling

_enlarged: Callable[..., torch.Tensor] = RepeatingEnlargement.apply
_pooled: Callable[..., torch.Tensor] = RepeatingPooling.apply


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("size", [(5, 4), (1, 3), (3, 2, 4)], ids=str)
def test_it_is_pytorchs_forwards_and_backwards(size: tuple[int, ...], factor: int) -> None:
    made = torch.Generator().manual_seed(0)
    ours = torch.randn(2, 3, *size, generator=made, dtype=torch.float64).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    mode = "bilinear" if len(size) == 2 else "trilinear"
    expected = F.interpolate(theirs, scale_factor=float(factor), mode=mode, align_corners=False)
    enlarged = _enlarged(ours, factor)
    assert torch.equal(enlarged, expected)
    gradient = torch.randn(expected.shape, generator=made, dtype=torch.float64)
    torch.autograd.backward(enlarged, gradient)
    torch.autograd.backward(expected, gradient)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)


def test_a_gradient_by_hand() -> None:
    """Two voxels become four, at -¼, ¼, ¾ and 1¼ of the way: shares (1, 0), (¾, ¼), (¼, ¾), (0, 1) of the two."""
    tensor = torch.zeros(1, 1, 1, 2, requires_grad=True)
    enlarged = _enlarged(tensor, 2)
    torch.autograd.backward(enlarged, torch.tensor([[[[1.0, 10.0, 100.0, 1000.0]] * 2]]) / 2)
    assert tensor.grad is not None
    assert tensor.grad.flatten().tolist() == [1 + 7.5 + 25, 2.5 + 75 + 1000]


def test_it_stands_in_where_results_must_repeat_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.randn(1, 1, 2, 2, requires_grad=True)
    assert "Repeating" not in str(enlarge(tensor, 2).grad_fn)
    monkeypatch.setattr(enlarging, "_must_repeat", lambda tensor: True)
    assert "Repeating" in str(enlarge(tensor, 2).grad_fn)
    assert torch.equal(enlarge(tensor, 2), F.interpolate(tensor, scale_factor=2.0, mode="bilinear"))
    assert "Repeating" not in str(enlarge(tensor, 3).grad_fn)


@pytest.mark.parametrize("size", [(4, 2, 6), (5, 4, 3)], ids=str)
def test_pooling_is_pytorchs_forwards_and_backwards(size: tuple[int, ...]) -> None:
    """Also where the last voxels of an axis are in no window, and where the largest of a window are several."""
    made = torch.Generator().manual_seed(0)
    ours = torch.randint(0, 3, (2, 3, *size), generator=made).float().requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    expected, pooled = F.max_pool3d(theirs, 2), _pooled(ours)
    assert torch.equal(pooled, expected)
    gradient = torch.randn(expected.shape, generator=made)
    torch.autograd.backward(pooled, gradient)
    torch.autograd.backward(expected, gradient)
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_pooling_stands_in_where_results_must_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = torch.randn(1, 1, 2, 2, 2, requires_grad=True)
    pool = RepeatingMaxPool3d(2)
    assert "Repeating" not in str(pool(volume).grad_fn)
    monkeypatch.setattr(pooling, "_must_repeat", lambda tensor: True)
    assert "Repeating" in str(pool(volume).grad_fn)
