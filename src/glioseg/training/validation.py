"""Validation by the processes that train together: each looks at some cases, and the first says what came of it."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from glioseg.training.job import CaseValidation, Validation
from glioseg.training.team import Team


def validated(validate: Callable[[nn.Module], Validation], network: nn.Module, team: Team) -> Validation:
    """What ``validate`` says of the network in evaluation mode, in every process the same as in one alone."""
    network.eval()
    try:
        if isinstance(validate, CaseValidation):
            return _shared(validate, network, team)
        return team.told(validate(network) if team.is_first else None)
    finally:
        network.train()


def _shared(validate: CaseValidation[object], network: nn.Module, team: Team) -> Validation:
    numbers = range(team.rank, validate.n_cases, team.size)
    looks = team.gathered(dict(zip(numbers, validate.looks(network, numbers), strict=True)))
    together = {number: look for some in looks for number, look in some.items()}
    in_order = [together[number] for number in range(validate.n_cases)]
    return team.told(validate.conclude(in_order) if team.is_first else None)
