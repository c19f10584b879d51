"""Learning rates at moments that can be worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError
from torch import nn, optim

from glioseg.training.optimiser import build_optimiser
from glioseg.training.options import PlateauOptions, SgdOptions, TrainOptions
from glioseg.training.schedule import Plateau, learning_rate


def _rate(schedule: Any, step: int, n_steps: int = 100) -> float:
    return learning_rate(TrainOptions(lr=0.2, schedule=schedule), step, n_steps, Plateau(factor=0.25))


@pytest.mark.parametrize(
    ("schedule", "step", "rate"),
    [
        ("constant", 77, 0.2),
        ("plateau", 77, 0.05),
        ("cosine", 0, 0.2),
        ("cosine", 50, 0.1),
        ("cosine", 100, 0.0),
        ("polynomial", 0, 0.2),
        ("polynomial", 50, 0.2 * 0.5**0.9),
        ("polynomial", 100, 0.0),
        ("one-cycle", 0, 0.2 / 25),
        ("one-cycle", 15, 0.2 * (1 + 1 / 25) / 2),
        ("one-cycle", 30, 0.2),
        ("one-cycle", 65, 0.2 * (1 + 1e-4) / 2),
        ("one-cycle", 100, 0.2e-4),
        ("one-cycle", 130, 0.2e-4),
    ],
)
def test_the_rate_at_a_step(schedule: str, step: int, rate: float) -> None:
    assert _rate(schedule, step) == pytest.approx(rate, abs=1e-12)


def test_a_plateau_forgives_as_many_validations_as_it_is_told() -> None:
    options = PlateauOptions(patience=2, factor=0.5)
    state, factors = Plateau(), []
    for score in (0.5, 0.5, 0.4, 0.5, 0.6, 0.1, 0.1, 0.1):
        state = state.after(score, options)
        factors.append(state.factor)
    #                  best  1    2    3: down  best  1    2   3: down
    assert factors == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25]
    assert state.best == 0.6


def test_a_plateau_agrees_with_torch() -> None:
    weight = nn.Linear(1, 1)
    theirs = optim.SGD(weight.parameters(), lr=1.0)
    scheduler = optim.lr_scheduler.ReduceLROnPlateau(theirs, mode="max", factor=0.5, patience=3, threshold=0.0)
    options, state = PlateauOptions(patience=3, factor=0.5), Plateau()
    for score in [math.sin(number) * 0.9**number for number in range(40)]:
        scheduler.step(score)
        state = state.after(score, options)
        assert state.factor == theirs.param_groups[0]["lr"]


@pytest.mark.parametrize(("name", "kind"), [("adam", optim.Adam), ("adamw", optim.AdamW), ("sgd", optim.SGD)])
def test_biases_and_normalisation_do_not_decay(name: Any, kind: type[optim.Optimizer]) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimiser = build_optimiser(model, TrainOptions(optimiser=name, weight_decay=0.1))
    assert type(optimiser) is kind
    decay = {id(weight): group["weight_decay"] for group in optimiser.param_groups for weight in group["params"]}
    assert {key: decay[id(weight)] for key, weight in model.named_parameters()} == {
        "0.weight": 0.1,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
    }


@pytest.mark.parametrize(
    "values",
    [
        {"optimiser": {"kind": "adam", "momentum": 0.5}},
        {"schedule": {"kind": "cosine", "patience": 3}},
        {"optimiser": "adagrad"},
        {"schedule": {"factor": 0.5}},
        {"momentum": 0.5},
        {"plateau_patience": 3},
    ],
)
def test_options_belong_to_the_kind_on_which_they_act(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainOptions.model_validate(values)


def test_the_word_of_a_kind_stands_for_its_options() -> None:
    options = TrainOptions.model_validate({"optimiser": "sgd", "schedule": "plateau"})
    assert options.optimiser == SgdOptions(momentum=0.9)
    assert options.schedule == PlateauOptions(factor=0.5, patience=3)
