"""What a training sets for its process."""

from __future__ import annotations

import pytest
import torch

from glioseg.runs.launch import _be_deterministic


@pytest.fixture
def switched(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What PyTorch was told, one after the other."""
    told: list[bool] = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", told.append)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return told


def test_each_training_is_as_deterministic_as_its_own_recipe_says(switched: list[bool]) -> None:
    for wanted in (True, False):
        _be_deterministic(torch.device("cuda:0"), wanted=wanted)
    assert switched == [True, False]


def test_processors_need_no_switch(switched: list[bool]) -> None:
    _be_deterministic(torch.device("cpu"), wanted=True)
    assert switched == []
