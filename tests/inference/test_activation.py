"""From logits to probabilities and back."""

from __future__ import annotations

import math

import pytest
import torch

from glioseg.inference.activation import logits_of, n_logits, probabilities_of
from glioseg.inference.options import Activation


def test_softmax_has_a_background_of_its_own() -> None:
    assert (n_logits(3, "sigmoid"), n_logits(3, "softmax")) == (3, 4)


def test_by_hand() -> None:
    logits = torch.tensor([0.0, math.log(2), math.log(5)]).view(1, 3, 1, 1)  # 1 : 2 : 5
    assert probabilities_of(logits, "softmax").flatten().tolist() == pytest.approx([2 / 8, 5 / 8])
    assert probabilities_of(logits, "sigmoid").flatten().tolist() == pytest.approx([1 / 2, 2 / 3, 5 / 6])


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_there_and_back(activation: Activation) -> None:
    logits = torch.randn(2, n_logits(3, activation), 4, 5, generator=torch.Generator().manual_seed(0))
    probabilities = probabilities_of(logits, activation)
    assert probabilities.shape == (2, 3, 4, 5)
    torch.testing.assert_close(probabilities_of(logits_of(probabilities, activation), activation), probabilities)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_certainty_stays_finite(activation: Activation) -> None:
    probabilities = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    back = logits_of(probabilities, activation)
    assert torch.isfinite(back).all()
    torch.testing.assert_close(probabilities_of(back, activation), probabilities, atol=1e-5, rtol=0)


def test_bfloat16_logits_become_float32_probabilities() -> None:
    logits = torch.zeros(1, 3, 2, 2, dtype=torch.bfloat16)
    for activation, expected in (("softmax", 1 / 3), ("sigmoid", 1 / 2)):
        found = probabilities_of(logits, activation)  # type: ignore[arg-type]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, torch.full_like(found, expected))
